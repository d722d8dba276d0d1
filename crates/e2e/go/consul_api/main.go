// Uses an agent through the official Go client of Consul's API, as existing programs do.
//
//	consul_api ADDRESS mesh   an agent without ACLs: services, health, mesh, blocking reads
//	consul_api ADDRESS acl    an agent with ACLs, default deny, not bootstrapped yet
//
// Prints a line per step that behaved as expected; the first that did not ends it with 1.
package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: consul_api ADDRESS mesh|acl")
		os.Exit(2)
	}
	steps := map[string][]step{"mesh": mesh, "acl": acl}[os.Args[2]]
	client, err := api.NewClient(&api.Config{Address: os.Args[1]})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, step := range steps {
		if err := step.run(client); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", step.name, err)
			os.Exit(1)
		}
		fmt.Println("ok", step.name)
	}
	if len(steps) == 0 {
		os.Exit(2)
	}
}

type step struct {
	name string
	run  func(*api.Client) error
}

var mesh = []step{
	{"agent self", func(c *api.Client) error {
		self, err := c.Agent().Self()
		if err != nil {
			return err
		}
		return want(self["Config"]["Datacenter"], "dc1")
	}},
	{"members", func(c *api.Client) error {
		members, err := c.Agent().Members(false)
		if err != nil {
			return err
		}
		return want(len(members), 1)
	}},
	{"leader", func(c *api.Client) error {
		leader, err := c.Status().Leader()
		if err == nil && leader == "" {
			err = errors.New("no leader")
		}
		return err
	}},
	{"register a service with a sidecar", func(c *api.Client) error {
		return c.Agent().ServiceRegister(&api.AgentServiceRegistration{
			Name: "web",
			ID:   "web-1",
			Port: 8080,
			Tags: []string{"one", "two"},
			Meta: map[string]string{"version": "3"},
			Check: &api.AgentServiceCheck{
				CheckID: "web-alive",
				TTL:     "10m",
				Status:  api.HealthCritical,
			},
			Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{
				Port: 11999,
				Proxy: &api.AgentServiceConnectProxyConfig{
					Upstreams: []api.Upstream{{DestinationName: "api", LocalBindPort: 11998}},
				},
			}},
		})
	}},
	{"read it back", func(c *api.Client) error {
		service, _, err := c.Agent().Service("web-1", nil)
		if err != nil {
			return err
		}
		if err := want(service.Meta["version"], "3"); err != nil {
			return err
		}
		proxy, _, err := c.Agent().Service("web-1-sidecar-proxy", nil)
		if err != nil {
			return err
		}
		if err := want(proxy.Kind, api.ServiceKindConnectProxy); err != nil {
			return err
		}
		return want(proxy.Proxy.Upstreams[0].DestinationName, "api")
	}},
	{"a failed check hides the instance, a passed one shows it", func(c *api.Client) error {
		if err := eventually(func() error {
			all, _, err := c.Health().Service("web", "", false, nil)
			if err != nil {
				return err
			}
			return want(len(all), 1)
		}); err != nil {
			return err
		}
		passing, _, err := c.Health().Service("web", "", true, nil)
		if err != nil {
			return err
		}
		if err := want(len(passing), 0); err != nil {
			return err
		}
		if err := c.Agent().UpdateTTL("web-alive", "fine", api.HealthPassing); err != nil {
			return err
		}
		return eventually(func() error {
			passing, _, err := c.Health().Service("web", "", true, nil)
			if err != nil {
				return err
			}
			return want(len(passing), 1)
		})
	}},
	{"instances of the mesh", func(c *api.Client) error {
		return eventually(func() error {
			found, _, err := c.Health().Connect("web", "", false, nil)
			if err != nil {
				return err
			}
			if err := want(len(found), 1); err != nil {
				return err
			}
			return want(found[0].Service.ID, "web-1-sidecar-proxy")
		})
	}},
	{"catalog", func(c *api.Client) error {
		services, _, err := c.Catalog().Services(nil)
		if err != nil {
			return err
		}
		if err := want(strings.Join(services["web"], ","), "one,two"); err != nil {
			return err
		}
		nodes, _, err := c.Catalog().Nodes(nil)
		if err != nil {
			return err
		}
		if err := want(len(nodes), 1); err != nil {
			return err
		}
		_, err = c.Catalog().Register(&api.CatalogRegistration{
			Node:    "outside",
			Address: "192.0.2.10",
			Service: &api.AgentService{ID: "ext", Service: "ext", Port: 443},
		}, nil)
		if err != nil {
			return err
		}
		found, _, err := c.Catalog().Service("ext", "", nil)
		if err != nil {
			return err
		}
		return want(len(found), 1)
	}},
	{"a check in the catalog, as clients print it", func(c *api.Client) error {
		_, err := c.Catalog().Register(&api.CatalogRegistration{
			Node:           "outside",
			Address:        "192.0.2.10",
			SkipNodeUpdate: true,
			Check:          &api.AgentCheck{Node: "outside", CheckID: "ext-alive", Name: "alive", Status: api.HealthPassing, ServiceID: "ext"},
		}, nil)
		if err != nil {
			return err
		}
		checks, _, err := c.Health().Node("outside", nil)
		if err != nil {
			return err
		}
		if err := want(len(checks), 1); err != nil {
			return err
		}
		// What was read is sent back.
		checks[0].Status = api.HealthCritical
		if _, err := c.Catalog().Register(&api.CatalogRegistration{Node: "outside", Address: "192.0.2.10", Checks: checks}, nil); err != nil {
			return err
		}
		failing, _, err := c.Health().State(api.HealthCritical, nil)
		if err != nil {
			return err
		}
		for _, check := range failing {
			if check.CheckID == "ext-alive" {
				return nil
			}
		}
		return fmt.Errorf("not among the critical checks: %+v", failing)
	}},
	{"a filter", func(c *api.Client) error {
		found, err := c.Agent().ServicesWithFilter(`Meta.version == "3" and Kind != "connect-proxy"`)
		if err != nil {
			return err
		}
		return want(len(found), 1)
	}},
	{"roots", func(c *api.Client) error {
		for _, ask := range []func() (*api.CARootList, *api.QueryMeta, error){
			func() (*api.CARootList, *api.QueryMeta, error) { return c.Agent().ConnectCARoots(nil) },
			func() (*api.CARootList, *api.QueryMeta, error) { return c.Connect().CARoots(nil) },
		} {
			roots, _, err := ask()
			if err != nil {
				return err
			}
			if len(roots.Roots) != 1 || !roots.Roots[0].Active || roots.Roots[0].ID != roots.ActiveRootID {
				return fmt.Errorf("unexpected roots: %+v", roots)
			}
		}
		_, meta, err := c.Agent().ConnectCARoots(nil)
		if err == nil && !meta.CacheHit {
			err = fmt.Errorf("the second read of the agent's roots is no hit: %+v", meta)
		}
		return err
	}},
	{"leaf", func(c *api.Client) error {
		leaf, meta, err := c.Agent().ConnectCALeaf("web", nil)
		if err != nil {
			return err
		}
		if _, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM)); err != nil {
			return err
		}
		if !strings.HasSuffix(leaf.ServiceURI, "/ns/default/dc/dc1/svc/web") {
			return fmt.Errorf("identity %s", leaf.ServiceURI)
		}
		again, second, err := c.Agent().ConnectCALeaf("web", nil)
		if err != nil {
			return err
		}
		if err := want(second.LastIndex, meta.LastIndex); err != nil {
			return err
		}
		return want(again.SerialNumber, leaf.SerialNumber)
	}},
	{"CA configuration", func(c *api.Client) error {
		config, _, err := c.Connect().CAGetConfig(nil)
		if err != nil {
			return err
		}
		if err := want(config.Provider, "consul"); err != nil {
			return err
		}
		before, _, err := c.Connect().CARoots(nil)
		if err != nil {
			return err
		}
		// What was read is sent back: nothing changes.
		if _, err := c.Connect().CASetConfig(config, nil); err != nil {
			return err
		}
		after, _, err := c.Connect().CARoots(nil)
		if err != nil {
			return err
		}
		return want(after.ActiveRootID, before.ActiveRootID)
	}},
	{"intentions", func(c *api.Client) error {
		allowed := func(expected bool) error {
			found, _, err := c.Connect().IntentionCheck(&api.IntentionCheck{Source: "web", Destination: "api"}, nil)
			if err != nil {
				return err
			}
			return want(found, expected)
		}
		if err := allowed(true); err != nil {
			return err
		}
		deny := &api.Intention{SourceName: "web", DestinationName: "api", Action: api.IntentionActionDeny}
		if _, err := c.Connect().IntentionUpsert(deny, nil); err != nil {
			return err
		}
		if err := allowed(false); err != nil {
			return err
		}
		found, _, err := c.Connect().IntentionGetExact("web", "api", nil)
		if err != nil {
			return err
		}
		if err := want(found.Action, api.IntentionActionDeny); err != nil {
			return err
		}
		matched, _, err := c.Connect().IntentionMatch(&api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{"api"}}, nil)
		if err != nil {
			return err
		}
		if err := want(len(matched["api"]), 1); err != nil {
			return err
		}
		from, _, err := c.Connect().IntentionMatch(&api.IntentionMatch{By: api.IntentionMatchSource, Names: []string{"web", "db"}}, nil)
		if err != nil {
			return err
		}
		if len(from["web"]) != 1 || len(from["db"]) != 0 {
			return fmt.Errorf("matched by source: %+v", from)
		}
		list, _, err := c.Connect().Intentions(nil)
		if err != nil {
			return err
		}
		if err := want(len(list), 1); err != nil {
			return err
		}
		answer, err := c.Agent().ConnectAuthorize(&api.AgentAuthorizeParams{Target: "api", ClientCertURI: uri(c, "web")})
		if err != nil {
			return err
		}
		if err := want(answer.Authorized, false); err != nil {
			return err
		}
		if _, err := c.Connect().IntentionDeleteExact("web", "api", nil); err != nil {
			return err
		}
		return allowed(true)
	}},
	{"an intention by id", func(c *api.Client) error {
		id, _, err := c.Connect().IntentionCreate(&api.Intention{SourceName: "web", DestinationName: "old", Action: api.IntentionActionDeny}, nil)
		if err != nil {
			return err
		}
		_, _, err = c.Connect().IntentionCreate(&api.Intention{SourceName: "web", DestinationName: "old", Action: api.IntentionActionAllow}, nil)
		if err == nil {
			return errors.New("the same pair was made twice")
		}
		found, _, err := c.Connect().IntentionGet(id, nil)
		if err != nil {
			return err
		}
		if err := want(found.Action, api.IntentionActionDeny); err != nil {
			return err
		}
		found.Action = api.IntentionActionAllow
		if _, err := c.Connect().IntentionUpdate(found, nil); err != nil {
			return err
		}
		again, _, err := c.Connect().IntentionGetExact("web", "old", nil)
		if err != nil {
			return err
		}
		if again.ID != id || again.Action != api.IntentionActionAllow {
			return fmt.Errorf("read by its pair: %+v", again)
		}
		if _, err := c.Connect().IntentionDelete(id, nil); err != nil {
			return err
		}
		gone, _, err := c.Connect().IntentionGet(id, nil)
		if err != nil || gone != nil {
			return fmt.Errorf("after it was deleted: %v, %v", gone, err)
		}
		return nil
	}},
	{"config entries", func(c *api.Client) error {
		entry := &api.ServiceIntentionsConfigEntry{
			Kind:    api.ServiceIntentions,
			Name:    "db",
			Meta:    map[string]string{"owner": "data"},
			Sources: []*api.SourceIntention{{Name: "web", Action: api.IntentionActionAllow}, {Name: "*", Action: api.IntentionActionDeny}},
		}
		done, _, err := c.ConfigEntries().Set(entry, nil)
		if err != nil {
			return err
		}
		if err := want(done, true); err != nil {
			return err
		}
		got, _, err := c.ConfigEntries().Get(api.ServiceIntentions, "db", nil)
		if err != nil {
			return err
		}
		if err := want(got.GetMeta()["owner"], "data"); err != nil {
			return err
		}
		stale := got.GetModifyIndex()
		entry.Meta["owner"] = "other"
		if done, _, err = c.ConfigEntries().CAS(entry, stale, nil); err != nil || !done {
			return fmt.Errorf("compare and set with the index that stands: %v, %v", done, err)
		}
		entry.Meta["owner"] = "late"
		if done, _, err = c.ConfigEntries().CAS(entry, stale, nil); err != nil || done {
			return fmt.Errorf("compare and set with an index gone by: %v, %v", done, err)
		}
		list, _, err := c.ConfigEntries().List(api.ServiceIntentions, nil)
		if err != nil {
			return err
		}
		if err := want(len(list), 1); err != nil {
			return err
		}
		if _, err := c.ConfigEntries().Delete(api.ServiceIntentions, "db", nil); err != nil {
			return err
		}
		_, _, err = c.ConfigEntries().Get(api.ServiceIntentions, "db", nil)
		return refused(err, 404)
	}},
	{"a blocking read wakes at the change", func(c *api.Client) error {
		before, meta, err := c.Health().Service("late", "", false, nil)
		if err != nil {
			return err
		}
		if err := want(len(before), 0); err != nil {
			return err
		}
		woken := make(chan error, 1)
		go func() {
			for index := meta.LastIndex; ; {
				found, meta, err := c.Health().Service("late", "", false, &api.QueryOptions{WaitIndex: index, WaitTime: 40 * time.Second})
				if err != nil || len(found) == 1 {
					woken <- err
					return
				}
				index = meta.LastIndex
			}
		}()
		time.Sleep(100 * time.Millisecond)
		if err := c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "late", Port: 1}); err != nil {
			return err
		}
		select {
		case err := <-woken:
			return err
		case <-time.After(30 * time.Second):
			return errors.New("not woken")
		}
	}},
	{"a blocking read ends with its wait", func(c *api.Client) error {
		_, meta, err := c.Catalog().Nodes(nil)
		if err != nil {
			return err
		}
		_, again, err := c.Catalog().Nodes(&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 200 * time.Millisecond})
		if err != nil {
			return err
		}
		return want(again.LastIndex, meta.LastIndex)
	}},
	{"the service again, by its hash", func(c *api.Client) error {
		service, _, err := c.Agent().Service("web-1", nil)
		if err != nil {
			return err
		}
		again, _, err := c.Agent().Service("web-1", &api.QueryOptions{WaitHash: service.ContentHash, WaitTime: 200 * time.Millisecond})
		if err != nil {
			return err
		}
		return want(again.ContentHash, service.ContentHash)
	}},
	{"deregister", func(c *api.Client) error {
		if err := c.Agent().ServiceDeregister("web-1"); err != nil {
			return err
		}
		_, _, err := c.Agent().Service("web-1-sidecar-proxy", nil)
		if err := refused(err, 404); err != nil {
			return err
		}
		return eventually(func() error {
			found, _, err := c.Catalog().Service("web", "", nil)
			if err != nil {
				return err
			}
			return want(len(found), 0)
		})
	}},
	{"ACLs are off", func(c *api.Client) error {
		_, _, err := c.ACL().TokenList(nil)
		return refused(err, 401)
	}},
}

var acl = []step{
	{"nothing without a token", func(c *api.Client) error {
		_, err := c.Agent().Self()
		if err := refused(err, 403); err != nil {
			return err
		}
		_, _, err = c.Agent().ConnectCALeaf("web", nil)
		if err := refused(err, 403); err != nil {
			return err
		}
		services, _, err := c.Catalog().Services(nil)
		if err != nil {
			return err
		}
		return want(len(services), 0)
	}},
	{"bootstrap, once", func(c *api.Client) error {
		token, _, err := c.ACL().Bootstrap()
		if err != nil {
			return err
		}
		_, _, err = c.ACL().Bootstrap()
		if err := refused(err, 403); err != nil {
			return err
		}
		c.SetHeaders(map[string][]string{"X-Consul-Token": {token.SecretID}})
		self, _, err := c.ACL().TokenReadSelf(nil)
		if err != nil {
			return err
		}
		return want(self.AccessorID, token.AccessorID)
	}},
	{"policies", func(c *api.Client) error {
		policy, _, err := c.ACL().PolicyCreate(&api.ACLPolicy{Name: "web", Rules: `service "web" { policy = "write" } node_prefix "" { policy = "read" }`}, nil)
		if err != nil {
			return err
		}
		policy.Description = "what web needs"
		if _, _, err := c.ACL().PolicyUpdate(policy, nil); err != nil {
			return err
		}
		found, _, err := c.ACL().PolicyReadByName("web", nil)
		if err != nil {
			return err
		}
		if err := want(found.Description, "what web needs"); err != nil {
			return err
		}
		// Set-up programs take these for "it is there already" and "it is not there yet".
		_, _, err = c.ACL().PolicyCreate(&api.ACLPolicy{Name: "web"}, nil)
		if err := refused(err, 500); err != nil {
			return err
		}
		if !strings.Contains(err.Error(), `A Policy with Name "web" already exists`) {
			return err
		}
		absent, _, err := c.ACL().PolicyReadByName("absent", nil)
		if err != nil || absent != nil {
			return fmt.Errorf("a policy nobody made: %v, %v", absent, err)
		}
		_, _, err = c.ACL().PolicyCreate(&api.ACLPolicy{Name: "bad", Rules: `service "web" { policy = "own" }`}, nil)
		if err == nil {
			return errors.New("rules that mean nothing were taken")
		}
		list, _, err := c.ACL().PolicyList(nil)
		if err != nil {
			return err
		}
		if len(list) < 2 {
			return fmt.Errorf("%d policies", len(list))
		}
		return nil
	}},
	{"a token has its rights and no others", func(c *api.Client) error {
		token, _, err := c.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: "web"}}}, nil)
		if err != nil {
			return err
		}
		with := &api.QueryOptions{Token: token.SecretID}
		if err := c.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{Name: "web", Port: 1}, api.ServiceRegisterOpts{Token: token.SecretID}); err != nil {
			return err
		}
		if err := eventually(func() error {
			_, _, err := c.Agent().ConnectCALeaf("web", with)
			return err
		}); err != nil {
			return err
		}
		_, _, err = c.Agent().ConnectCALeaf("api", with)
		if err := refused(err, 403); err != nil {
			return err
		}
		err = c.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{Name: "api", Port: 1}, api.ServiceRegisterOpts{Token: token.SecretID})
		if err := refused(err, 403); err != nil {
			return err
		}
		read, _, err := c.ACL().TokenRead(token.AccessorID, nil)
		if err != nil {
			return err
		}
		if err := want(read.Policies[0].Name, "web"); err != nil {
			return err
		}
		read.Description = "for web"
		if _, _, err := c.ACL().TokenUpdate(read, nil); err != nil {
			return err
		}
		clone, _, err := c.ACL().TokenClone(token.AccessorID, "again", nil)
		if err != nil {
			return err
		}
		if _, err := c.ACL().TokenDelete(clone.AccessorID, nil); err != nil {
			return err
		}
		if _, err := c.ACL().TokenDelete(token.AccessorID, nil); err != nil {
			return err
		}
		return eventually(func() error {
			_, _, err := c.Agent().ConnectCALeaf("web", with)
			return refused(err, 403)
		})
	}},
}

func uri(c *api.Client, service string) string {
	leaf, _, err := c.Agent().ConnectCALeaf(service, nil)
	if err != nil {
		return err.Error()
	}
	return leaf.ServiceURI
}

func want[T comparable](found, expected T) error {
	if found != expected {
		return fmt.Errorf("found %v, wanted %v", found, expected)
	}
	return nil
}

func refused(err error, code int) error {
	var status api.StatusError
	if errors.As(err, &status) && status.Code == code {
		return nil
	}
	return fmt.Errorf("wanted a refusal with %d, got: %v", code, err)
}

func eventually(attempt func() error) error {
	var last error
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if last = attempt(); last == nil {
			return nil
		}
	}
	return last
}
