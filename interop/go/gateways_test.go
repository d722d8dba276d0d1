package interop

import (
	"fmt"
	"testing"

	"github.com/hashicorp/consul/api"
)

// entryFor writes an entry that goes with the test.
func entryFor(t *testing.T, c *api.Client, entry api.ConfigEntry) {
	t.Helper()
	_, _, err := c.ConfigEntries().Set(entry, nil)
	must(t, err)
	t.Cleanup(func() { _, _ = c.ConfigEntries().Delete(entry.GetKind(), entry.GetName(), nil) })
}

// What gateways serve: `service[:port] [wild]` of each.
func served(t *testing.T, c *api.Client, gateway string) []string {
	t.Helper()
	found, _, err := c.Catalog().GatewayServices(gateway, nil)
	must(t, err)
	all := []string{}
	for _, one := range found {
		want(t, "gateway", one.Gateway.Name, gateway)
		line := one.Service.Name
		if one.Port != 0 {
			line += fmt.Sprintf(":%d", one.Port)
		}
		if one.FromWildcard {
			line += " wild"
		}
		all = append(all, line)
	}
	return all
}

var gatewayParts = []part{
	{"services of an ingress gateway", func(t *testing.T, c *api.Client) {
		outside(t, c, "gate-in",
			&api.AgentService{Service: "gate-web", ID: "gate-web", Port: 1, Connect: &api.AgentServiceConnect{Native: true}},
			&api.AgentService{Service: "gate-plain", ID: "gate-plain", Port: 2},
			&api.AgentService{Kind: api.ServiceKindIngressGateway, Service: "gate-entrance", ID: "gate-entrance", Port: 443},
		)
		speaks(t, c, "gate-web", "grpc")
		speaks(t, c, "gate-named", "grpc")
		entryFor(t, c, &api.IngressGatewayConfigEntry{Kind: api.IngressGateway, Name: "gate-entrance", Listeners: []api.IngressListener{
			{Port: 8080, Protocol: "grpc", Services: []api.IngressService{{Name: "*"}}},
			{Port: 8081, Protocol: "grpc", Services: []api.IngressService{{Name: "gate-named", Hosts: []string{"a.example.com"}}}},
		}})
		want(t, "services", served(t, c, "gate-entrance"), []string{"gate-named:8081", "gate-web:8080 wild"})
		found, _, err := c.Catalog().GatewayServices("gate-entrance", nil)
		must(t, err)
		want(t, "hosts", found[0].Hosts, []string{"a.example.com"})
		want(t, "protocol", found[0].Protocol, "grpc")
		want(t, "kind", found[0].GatewayKind, api.ServiceKindIngressGateway)
		for service, number := range map[string]int{"gate-web": 1, "gate-named": 1, "gate-plain": 0} {
			entries, _, err := c.Health().Ingress(service, false, nil)
			must(t, err)
			want(t, "gateways of "+service, len(entries), number)
		}
	}},
	{"services of a terminating gateway", func(t *testing.T, c *api.Client) {
		outside(t, c, "gate-out", &api.AgentService{Service: "gate-old", ID: "gate-old", Port: 1})
		entryFor(t, c, &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "gate-exit", Services: []api.LinkedService{
			{Name: "gate-named", CAFile: "/ca.pem", CertFile: "/cert.pem", KeyFile: "/key.pem", SNI: "named.example.com"}, {Name: "gate-old"},
		}})
		want(t, "services", served(t, c, "gate-exit"), []string{"gate-named", "gate-old"})
		found, _, err := c.Catalog().GatewayServices("gate-exit", nil)
		must(t, err)
		first := *found[0]
		want(t, "files", []string{first.CAFile, first.CertFile, first.KeyFile, first.SNI}, []string{"/ca.pem", "/cert.pem", "/key.pem", "named.example.com"})
		want(t, "kind", first.GatewayKind, api.ServiceKindTerminatingGateway)
	}},
	{"services of no gateway", func(t *testing.T, c *api.Client) { want(t, "services", served(t, c, "gate-nobody"), []string{}) }},
	{"exported services", func(t *testing.T, c *api.Client) {
		outside(t, c, "gate-exported", &api.AgentService{Service: "gate-shop", ID: "gate-shop", Port: 1})
		entryFor(t, c, &api.ExportedServicesConfigEntry{Name: "default", Services: []api.ExportedService{
			{Name: "*", Consumers: []api.ServiceConsumer{{Peer: "east"}}}, {Name: "gate-shop", Consumers: []api.ServiceConsumer{{Peer: "west"}}},
		}})
		found, meta, err := c.ExportedServices(nil)
		must(t, err)
		want(t, "an index", meta.LastIndex > 0, true)
		peers := map[string][]string{}
		for _, one := range found {
			peers[one.Service] = one.Consumers.Peers
		}
		want(t, "who may use it", peers["gate-shop"], []string{"east", "west"})
		_, servers := peers["consul"]
		want(t, "the servers are exported", servers, false)
	}},
}
