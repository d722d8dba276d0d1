package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

var agentParts = []part{
	{"self", func(t *testing.T, c *api.Client) {
		self, err := c.Agent().Self()
		must(t, err)
		want(t, "datacenter", self["Config"]["Datacenter"], "dc1")
		want(t, "server", self["Config"]["Server"], true)
		name := nodeName(t, c)
		want(t, "node name", self["Config"]["NodeName"], name)
		want(t, "member", self["Member"]["Name"], name)
		want(t, "metadata", self["Meta"]["rack"], "r1")
		if version, _ := self["Config"]["Version"].(string); version == "" {
			t.Fatalf("no version: %v", self["Config"])
		}
		ports, _ := self["xDS"]["Ports"].(map[string]any)
		if plain, _ := ports["Plaintext"].(float64); plain <= 0 {
			t.Fatalf("the port of proxies is not told: %v", self["xDS"])
		}
	}},
	{"its id is the one it was configured with", func(t *testing.T, c *api.Client) {
		name := nodeName(t, c)
		self, err := c.Agent().Self()
		must(t, err)
		// The harness calls a node by its id.
		want(t, "node id", self["Config"]["NodeID"], strings.TrimPrefix(name, "node-"))
	}},
	{"version", func(t *testing.T, c *api.Client) {
		version, err := c.Agent().Version()
		must(t, err)
		if human, _ := version["HumanVersion"].(string); human == "" {
			t.Fatalf("no version: %v", version)
		}
	}},
	{"members", func(t *testing.T, c *api.Client) {
		members, err := c.Agent().Members(false)
		must(t, err)
		want(t, "members", len(members), 1)
		want(t, "name", members[0].Name, nodeName(t, c))
		want(t, "status", members[0].Status, 1)
		want(t, "role", members[0].Tags["role"], "consul")
		want(t, "whether it is a server", members[0].ACLMode() != "", true)
		all, err := c.Agent().MembersOpts(api.MembersOpts{Segment: api.AllSegments})
		must(t, err)
		want(t, "members of all segments", len(all), 1)
		none, err := c.Agent().MembersOpts(api.MembersOpts{Filter: `Name == "nobody"`})
		must(t, err)
		want(t, "members of another name", len(none), 0)
	}},
	{"leader and peers", func(t *testing.T, c *api.Client) {
		leader, err := c.Status().Leader()
		must(t, err)
		peers, err := c.Status().Peers()
		must(t, err)
		want(t, "peers", peers, []string{leader})
		leader, err = c.Status().LeaderWithQueryOptions(&api.QueryOptions{Datacenter: "dc1"})
		must(t, err)
		want(t, "leader", leader != "", true)
	}},
	{"metrics", func(t *testing.T, c *api.Client) {
		metrics, err := c.Agent().Metrics()
		must(t, err)
		if metrics.Timestamp == "" || len(metrics.Counters)+len(metrics.Gauges)+len(metrics.Samples) == 0 {
			t.Fatalf("nothing is told: %+v", metrics)
		}
	}},
	{"the log, followed", func(t *testing.T, c *api.Client) {
		stop := make(chan struct{})
		defer close(stop)
		lines, err := c.Agent().Monitor("debug", stop, nil)
		must(t, err)
		for end := time.After(patience); ; {
			// Whatever is asked leaves a line.
			_, err := c.Agent().Version()
			must(t, err)
			select {
			case line := <-lines:
				if line != "" {
					return
				}
			case <-time.After(50 * time.Millisecond):
			case <-end:
				t.Fatal("nothing is told")
			}
		}
	}},
	{"reload", func(t *testing.T, c *api.Client) { must(t, c.Agent().Reload()) }},
	{"maintenance of the node", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "maintained-with-node", Port: 1})
		must(t, c.Agent().EnableNodeMaintenance("new disk"))
		t.Cleanup(func() { must(t, c.Agent().DisableNodeMaintenance()) })
		checks, err := c.Agent().Checks()
		must(t, err)
		found := checks[api.NodeMaint]
		if found == nil || found.Notes != "new disk" || found.Status != api.HealthCritical {
			t.Fatalf("the check of the mode: %+v", found)
		}
		status, info, err := c.Agent().AgentHealthServiceByID("maintained-with-node")
		must(t, err)
		want(t, "status", status, api.HealthCritical)
		want(t, "why", info.AggregatedStatus, api.HealthMaint)
		must(t, c.Agent().DisableNodeMaintenance())
		checks, err = c.Agent().Checks()
		must(t, err)
		want(t, "check after the end", checks[api.NodeMaint] == nil, true)
	}},
	{"tokens of the agent are refused without ACLs", func(t *testing.T, c *api.Client) {
		_, err := c.Agent().UpdateAgentACLToken("x", nil)
		refused(t, err, "401", "ACL support disabled")
		_, _, err = c.ACL().TokenList(nil)
		wantCode(t, err, 401, "ACL support disabled")
		_, _, err = c.ACL().Bootstrap()
		wantCode(t, err, 401, "ACL support disabled")
	}},
}

var serviceParts = []part{
	{"all that a registration says is read back", func(t *testing.T, c *api.Client) {
		sent := &api.AgentServiceRegistration{
			ID: "full-1", Name: "full", Tags: []string{"one", "two"}, Port: 8080, Address: "10.0.0.7",
			TaggedAddresses: map[string]api.ServiceAddress{"wan": {Address: "192.0.2.7", Port: 80}},
			Meta:            map[string]string{"version": "3"}, EnableTagOverride: true,
			Weights:  &api.AgentWeights{Passing: 5, Warning: 2},
			Locality: &api.Locality{Region: "west", Zone: "a"},
		}
		register(t, c, sent)
		got, meta, err := c.Agent().Service("full-1", nil)
		must(t, err)
		want(t, "id", got.ID, "full-1")
		want(t, "name", got.Service, "full")
		want(t, "tags", got.Tags, sent.Tags)
		want(t, "port", got.Port, 8080)
		want(t, "address", got.Address, sent.Address)
		want(t, "wan address", got.TaggedAddresses["wan"], sent.TaggedAddresses["wan"])
		want(t, "metadata", got.Meta, sent.Meta)
		want(t, "tag override", got.EnableTagOverride, true)
		want(t, "weights", got.Weights, *sent.Weights)
		want(t, "locality", got.Locality, sent.Locality)
		want(t, "datacenter", got.Datacenter, "dc1")
		want(t, "hash in the header", meta.LastContentHash, got.ContentHash)
		want(t, "hash", got.ContentHash != "", true)
	}},
	{"a socket instead of a port", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "at-socket", SocketPath: "/run/at.sock"})
		got, _, err := c.Agent().Service("at-socket", nil)
		must(t, err)
		want(t, "socket", got.SocketPath, "/run/at.sock")
	}},
	{"a sidecar comes and goes with its service", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{
			Name: "with-sidecar", Port: 8081,
			Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{
				Port: 21999,
				Proxy: &api.AgentServiceConnectProxyConfig{
					Upstreams: []api.Upstream{{DestinationName: "api", LocalBindPort: 9191}},
				},
			}},
		})
		got, _, err := c.Agent().Service("with-sidecar-sidecar-proxy", nil)
		must(t, err)
		want(t, "kind", got.Kind, api.ServiceKindConnectProxy)
		want(t, "destination", got.Proxy.DestinationServiceName, "with-sidecar")
		want(t, "destination's id", got.Proxy.DestinationServiceID, "with-sidecar")
		want(t, "local port", got.Proxy.LocalServicePort, 8081)
		want(t, "upstream", got.Proxy.Upstreams[0].DestinationName, "api")
		checks, err := c.Agent().ChecksWithFilter(`ServiceID == "with-sidecar-sidecar-proxy"`)
		must(t, err)
		want(t, "checks of the sidecar", len(checks), 2)
		must(t, c.Agent().ServiceDeregister("with-sidecar"))
		_, _, err = c.Agent().Service("with-sidecar-sidecar-proxy", nil)
		wantCode(t, err, 404, "unknown service ID")
	}},
	{"a proxy of one's own is read back", func(t *testing.T, c *api.Client) {
		sent := &api.AgentServiceConnectProxyConfig{
			DestinationServiceName: "own", DestinationServiceID: "own-1",
			LocalServiceAddress: "127.0.0.1", LocalServicePort: 7001,
			Mode:             api.ProxyModeTransparent,
			TransparentProxy: &api.TransparentProxyConfig{OutboundListenerPort: 15001, DialedDirectly: true},
			Config:           map[string]any{"protocol": "http", "local_connect_timeout_ms": float64(1500), "nested": map[string]any{"a": []any{"b", float64(2)}}},
			Upstreams: []api.Upstream{{
				DestinationType: api.UpstreamDestTypeService, DestinationName: "db", LocalBindAddress: "127.0.0.2", LocalBindPort: 9001,
				Datacenter: "dc1", Config: map[string]any{"connect_timeout_ms": float64(33)}, MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal},
			}, {DestinationType: api.UpstreamDestTypeService, DestinationName: "cache", LocalBindSocketPath: "/run/cache.sock", LocalBindSocketMode: "0600"}},
			MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal},
			Expose:      api.ExposeConfig{Checks: true, Paths: []api.ExposePath{{ListenerPort: 21500, Path: "/health", LocalPathPort: 7001, Protocol: "http"}}},
		}
		register(t, c, &api.AgentServiceRegistration{Kind: api.ServiceKindConnectProxy, ID: "own-proxy", Name: "own-proxy", Port: 20001, Proxy: sent})
		got, _, err := c.Agent().Service("own-proxy", nil)
		must(t, err)
		// The proxy's way to other networks holds for its upstreams, too, as Consul shows it.
		sent.Upstreams[1].MeshGateway = sent.MeshGateway
		want(t, "proxy at the agent", withoutAny(got.Proxy), sent)
		all, err := c.Agent().ServicesWithFilter(`ID == "own-proxy"`)
		must(t, err)
		want(t, "mode in the list", all["own-proxy"].Proxy.Mode, api.ProxyModeTransparent)
		eventually(t, func() error {
			found, _, err := c.Catalog().Service("own-proxy", "", nil)
			if err != nil {
				return err
			}
			if len(found) != 1 {
				return same("instances", len(found), 1)
			}
			return same("proxy in the catalog", withoutAny(found[0].ServiceProxy), sent)
		})
	}},
	{"its hash is the one that Consul computes", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "foo", Tags: []string{"bar", "baz"}, Port: 8000})
		got, _, err := c.Agent().Service("foo", nil)
		must(t, err)
		want(t, "hash", got.ContentHash, "3e352f348d44f7eb")
	}},
	{"its hash is that of its content", func(t *testing.T, c *api.Client) {
		service := &api.AgentServiceRegistration{Name: "hashed", Port: 1, Tags: []string{"a"}}
		register(t, c, service)
		first, _, err := c.Agent().Service("hashed", nil)
		must(t, err)
		register(t, c, service)
		again, _, err := c.Agent().Service("hashed", nil)
		must(t, err)
		want(t, "hash of the same", again.ContentHash, first.ContentHash)
		service.Tags = []string{"b"}
		register(t, c, service)
		other, _, err := c.Agent().Service("hashed", nil)
		must(t, err)
		want(t, "whether another has the same", other.ContentHash == first.ContentHash, false)
	}},
	{"a wait for another hash ends at the change", func(t *testing.T, c *api.Client) {
		service := &api.AgentServiceRegistration{Name: "watched", Port: 1}
		register(t, c, service)
		now, _, err := c.Agent().Service("watched", nil)
		must(t, err)
		type answer struct {
			service *api.AgentService
			err     error
		}
		woken := make(chan answer, 1)
		go func() {
			found, _, err := c.Agent().Service("watched", &api.QueryOptions{WaitHash: now.ContentHash, WaitTime: patience})
			woken <- answer{found, err}
		}()
		changed := *service
		changed.Port = 2
		register(t, c, &changed)
		got := <-woken
		must(t, got.err)
		want(t, "port", got.service.Port, 2)
	}},
	{"filters", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "filtered", ID: "filtered-1", Port: 1, Tags: []string{"blue"}, Meta: map[string]string{"env": "prod"}})
		register(t, c, &api.AgentServiceRegistration{Name: "filtered", ID: "filtered-2", Port: 2, Tags: []string{"green"}})
		for filter, ids := range map[string]int{
			`Service == "filtered"`:                                  2,
			`Service == "filtered" and "blue" in Tags`:               1,
			`Service == "filtered" and Meta.env == "prod"`:           1,
			`Service == "filtered" and not ("blue" in Tags)`:         1,
			`Service == "filtered" and Tags contains "red"`:          0,
			`Service matches "^filt.*" and Port == 2`:                1,
			`Service == "filtered" and Meta is empty`:                1,
			`(Service == "filtered") and ID != "filtered-1"`:         1,
			`Service == "filtered" and Weights.Passing == 1`:         2,
			`Service == "filtered" and Connect.Native == false`:      2,
			`Service == "filtered" and EnableTagOverride == "false"`: 2,
		} {
			found, err := c.Agent().ServicesWithFilter(filter)
			must(t, err)
			want(t, filter, len(found), ids)
		}
		_, err := c.Agent().ServicesWithFilter(`Service ==`)
		refused(t, err, "500")
	}},
	{"local health", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "local", Port: 1, Check: &api.AgentServiceCheck{CheckID: "local-ttl", TTL: "10m", Status: api.HealthPassing}})
		for _, status := range []string{api.HealthPassing, api.HealthWarning, api.HealthCritical} {
			must(t, c.Agent().UpdateTTL("local-ttl", "now "+status, status))
			found, info, err := c.Agent().AgentHealthServiceByID("local")
			must(t, err)
			want(t, "status", found, status)
			want(t, "status of the service", info.AggregatedStatus, status)
			want(t, "service", info.Service.Service, "local")
			found, all, err := c.Agent().AgentHealthServiceByName("local")
			must(t, err)
			want(t, "status by name", found, status)
			want(t, "instances", len(all), 1)
		}
		status, info, err := c.Agent().AgentHealthServiceByID("nobody")
		must(t, err)
		want(t, "status of nobody", status, api.HealthCritical)
		want(t, "nobody", info == nil, true)
	}},
	{"maintenance", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "maintained", Port: 1})
		must(t, c.Agent().EnableServiceMaintenance("maintained", "broken"))
		checks, err := c.Agent().Checks()
		must(t, err)
		want(t, "note", checks[api.ServiceMaintPrefix+"maintained"].Notes, "broken")
		eventually(t, func() error {
			found, _, err := c.Health().Service("maintained", "", false, nil)
			if err != nil {
				return err
			}
			if len(found) != 1 {
				return same("instances", len(found), 1)
			}
			return same("status", found[0].Checks.AggregatedStatus(), api.HealthMaint)
		})
		must(t, c.Agent().DisableServiceMaintenance("maintained"))
		status, _, err := c.Agent().AgentHealthServiceByID("maintained")
		must(t, err)
		want(t, "status", status, api.HealthPassing)
		wantCode(t, c.Agent().EnableServiceMaintenance("nobody", ""), 404, "")
	}},
	{"checks that were there stay unless they are to be replaced", func(t *testing.T, c *api.Client) {
		service := func(check string) *api.AgentServiceRegistration {
			return &api.AgentServiceRegistration{Name: "rechecked", Port: 1, Check: &api.AgentServiceCheck{CheckID: check, TTL: "10m"}}
		}
		count := func() int {
			found, err := c.Agent().ChecksWithFilter(`ServiceID == "rechecked"`)
			must(t, err)
			return len(found)
		}
		register(t, c, service("first"))
		register(t, c, service("second"))
		want(t, "checks of both registrations", count(), 2)
		must(t, c.Agent().ServiceRegisterOpts(service("third"), api.ServiceRegisterOpts{ReplaceExistingChecks: true}))
		want(t, "checks of the last", count(), 1)
	}},
	{"ports by name", func(t *testing.T, c *api.Client) {
		ports := api.ServicePorts{{Name: "http", Port: 8080, Default: true}, {Name: "metrics", Port: 9090}}
		check := func(found *api.AgentService) {
			want(t, "ports", len(found.Ports), 2)
			want(t, "default port", found.Ports[0], ports[0])
			want(t, "other port", found.Ports[1], ports[1])
			want(t, "port", found.Port, 8080)
		}
		register(t, c, &api.AgentServiceRegistration{Name: "ported", Ports: ports})
		service, _, err := c.Agent().Service("ported", nil)
		must(t, err)
		check(service)
		var shown *api.AgentService
		eventually(t, func() error {
			found, _, err := c.Health().Service("ported", "", false, nil)
			if err != nil {
				return err
			}
			if len(found) != 1 {
				return same("instances", len(found), 1)
			}
			shown = found[0].Service
			return nil
		})
		check(shown)
		// What was read may be written elsewhere.
		_, err = c.Catalog().Register(&api.CatalogRegistration{Node: "ported-node", Address: "192.0.2.7", Service: shown}, nil)
		must(t, err)
		listed, _, err := c.Catalog().NodeServiceList("ported-node", nil)
		must(t, err)
		check(listed.Services[0])
		_, err = c.Catalog().Deregister(&api.CatalogDeregistration{Node: "ported-node"}, nil)
		must(t, err)
	}},
	{"what cannot be is refused", func(t *testing.T, c *api.Client) {
		wantCode(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Port: 1}), 400, "Missing service name")
		wantCode(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x", Address: "0.0.0.0"}), 400, "address")
		wantCode(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x", Kind: api.ServiceKindConnectProxy, Port: 1}), 400, "")
		wantCode(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x", Meta: map[string]string{"consul-x": "y"}}), 400, "")
		wantCode(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x", Ports: api.ServicePorts{{Name: "a", Port: 1}}}), 400, "marked as Default")
		wantCode(t, c.Agent().ServiceDeregister("nobody"), 404, "")
		_, _, err := c.Agent().Service("nobody", nil)
		wantCode(t, err, 404, "unknown service ID")
	}},
}

// withoutAny is a proxy without the upstream "*", which holds what applies to upstreams that are not registered.
func withoutAny(proxy *api.AgentServiceConnectProxyConfig) *api.AgentServiceConnectProxyConfig {
	own := *proxy
	own.Upstreams = nil
	for _, upstream := range proxy.Upstreams {
		if upstream.DestinationName != "*" {
			own.Upstreams = append(own.Upstreams, upstream)
		}
	}
	return &own
}
