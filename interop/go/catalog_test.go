package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// outside is a node that no agent looks after.
func outside(t *testing.T, c *api.Client, node string, services ...*api.AgentService) {
	t.Helper()
	write := func(registration *api.CatalogRegistration) {
		t.Helper()
		_, err := c.Catalog().Register(registration, nil)
		must(t, err)
	}
	write(&api.CatalogRegistration{Node: node, Address: "192.0.2.10", NodeMeta: map[string]string{"external": "yes", "node": node}})
	for _, service := range services {
		write(&api.CatalogRegistration{Node: node, Address: "192.0.2.10", SkipNodeUpdate: true, Service: service})
	}
	t.Cleanup(func() {
		// As clients of old say it, with the address that nobody needs.
		_, err := c.Catalog().Deregister(&api.CatalogDeregistration{Node: node, Address: "192.0.2.10"}, nil)
		must(t, err)
	})
}

var catalogParts = []part{
	{"datacenters", func(t *testing.T, c *api.Client) {
		names, err := c.Catalog().Datacenters()
		must(t, err)
		want(t, "datacenters", names, []string{"dc1"})
	}},
	{"nodes", func(t *testing.T, c *api.Client) {
		nodes, meta, err := c.Catalog().Nodes(nil)
		must(t, err)
		want(t, "nodes", len(nodes), 1)
		want(t, "name", nodes[0].Node, nodeName(t, c))
		want(t, "address", nodes[0].Address, "127.0.0.1")
		want(t, "metadata", nodes[0].Meta["rack"], "r1")
		// Programs read it even where there are no segments.
		segment, told := nodes[0].Meta["consul-network-segment"]
		want(t, "segment", []any{segment, told}, []any{"", true})
		want(t, "lan address", nodes[0].TaggedAddresses["lan"], "127.0.0.1")
		if meta.LastIndex == 0 || !meta.KnownLeader {
			t.Fatalf("the head of the answer: %+v", meta)
		}
	}},
	{"nodes by metadata and filter", func(t *testing.T, c *api.Client) {
		outside(t, c, "out-a")
		outside(t, c, "out-b")
		for name, options := range map[string]*api.QueryOptions{
			"metadata":            {NodeMeta: map[string]string{"node": "out-a"}},
			"metadata and filter": {NodeMeta: map[string]string{"external": "yes"}, Filter: `Meta.node == "out-a"`},
			"filter":              {Filter: `Node == "out-a"`},
		} {
			nodes, _, err := c.Catalog().Nodes(options)
			must(t, err)
			if len(nodes) != 1 || nodes[0].Node != "out-a" {
				t.Fatalf("by %s: %+v", name, nodes)
			}
		}
	}},
	{"near", func(t *testing.T, c *api.Client) {
		outside(t, c, "far", &api.AgentService{ID: "near-2", Service: "near", Port: 2})
		register(t, c, &api.AgentServiceRegistration{Name: "near", Port: 1})
		for _, near := range []string{"_agent", nodeName(t, c)} {
			eventually(t, func() error {
				found, _, err := c.Catalog().Service("near", "", &api.QueryOptions{Near: near})
				if err != nil {
					return err
				}
				return same("instances", len(found), 2)
			})
			nodes, _, err := c.Catalog().Nodes(&api.QueryOptions{Near: near})
			must(t, err)
			want(t, "nodes", len(nodes), 2)
		}
	}},
	{"services with their tags", func(t *testing.T, c *api.Client) {
		outside(t, c, "tagged", &api.AgentService{ID: "tagged-1", Service: "tagged", Tags: []string{"one"}}, &api.AgentService{ID: "tagged-2", Service: "tagged", Tags: []string{"one", "two"}})
		services, _, err := c.Catalog().Services(nil)
		must(t, err)
		if len(services["tagged"]) != 2 {
			t.Fatalf("tags: %v", services["tagged"])
		}
		if _, there := services["consul"]; !there {
			t.Fatalf("the servers' own service is not there: %v", services)
		}
		filtered, _, err := c.Catalog().Services(&api.QueryOptions{Filter: `ServiceName == "tagged"`})
		must(t, err)
		want(t, "services by filter", len(filtered), 1)
		by, _, err := c.Catalog().Services(&api.QueryOptions{NodeMeta: map[string]string{"node": "tagged"}})
		must(t, err)
		want(t, "services of the node", len(by), 1)
	}},
	{"instances by tags", func(t *testing.T, c *api.Client) {
		outside(t, c, "tags", &api.AgentService{ID: "t-1", Service: "t", Tags: []string{"one"}}, &api.AgentService{ID: "t-2", Service: "t", Tags: []string{"one", "two"}})
		count := func(found []*api.CatalogService, _ *api.QueryMeta, err error) int {
			t.Helper()
			must(t, err)
			return len(found)
		}
		want(t, "any", count(c.Catalog().Service("t", "", nil)), 2)
		want(t, "two", count(c.Catalog().Service("t", "two", nil)), 1)
		want(t, "both", count(c.Catalog().ServiceMultipleTags("t", []string{"one", "two"}, nil)), 1)
		want(t, "none", count(c.Catalog().ServiceMultipleTags("t", []string{"one", "three"}, nil)), 0)
		// Some clients always name a tag.
		want(t, "an empty one", count(c.Catalog().ServiceMultipleTags("t", []string{""}, nil)), 0)
		want(t, "by filter", count(c.Catalog().Service("t", "", &api.QueryOptions{Filter: `"two" in ServiceTags`})), 1)
	}},
	{"all that a registration says is read back", func(t *testing.T, c *api.Client) {
		sent := &api.AgentService{
			Kind: api.ServiceKindConnectProxy, ID: "whole-proxy", Service: "whole-proxy", Tags: []string{"a"}, Meta: map[string]string{"k": "v"},
			Port: 20000, Address: "192.0.2.11", Weights: api.AgentWeights{Passing: 3, Warning: 1},
			TaggedAddresses: map[string]api.ServiceAddress{"virtual": {Address: "240.0.0.1", Port: 1}},
			Proxy: &api.AgentServiceConnectProxyConfig{
				DestinationServiceName: "whole", Mode: api.ProxyModeTransparent, Config: map[string]any{"protocol": "http"},
				Upstreams: []api.Upstream{{DestinationType: "service", DestinationName: "db", LocalBindPort: 1}},
			},
		}
		outside(t, c, "whole", sent)
		found, _, err := c.Catalog().Service("whole-proxy", "", nil)
		must(t, err)
		want(t, "instances", len(found), 1)
		want(t, "address", found[0].ServiceAddress, sent.Address)
		want(t, "node's address", found[0].Address, "192.0.2.10")
		want(t, "tags", found[0].ServiceTags, sent.Tags)
		want(t, "metadata", found[0].ServiceMeta, sent.Meta)
		want(t, "node's metadata", found[0].NodeMeta["external"], "yes")
		want(t, "weights", found[0].ServiceWeights, api.Weights{Passing: 3, Warning: 1})
		virtual := found[0].ServiceTaggedAddresses["consul-virtual"]
		want(t, "virtual address", strings.HasPrefix(virtual.Address, "240."), true)
		sent.TaggedAddresses["consul-virtual"] = virtual
		want(t, "tagged addresses", found[0].ServiceTaggedAddresses, sent.TaggedAddresses)
		want(t, "proxy", found[0].ServiceProxy, sent.Proxy)
		inMesh, _, err := c.Catalog().Connect("whole", "", nil)
		must(t, err)
		want(t, "instances of the mesh", len(inMesh), 1)
		want(t, "its id", inMesh[0].ServiceID, "whole-proxy")
		// What was read is sent back, with what only answers have.
		node, _, err := c.Catalog().Node("whole", nil)
		must(t, err)
		_, err = c.Catalog().Register(&api.CatalogRegistration{Node: "whole", Address: "192.0.2.10", NodeMeta: node.Node.Meta, Service: node.Services["whole-proxy"]}, nil)
		must(t, err)
		again, _, err := c.Catalog().Service("whole-proxy", "", nil)
		must(t, err)
		want(t, "index of what is the same", again[0].ModifyIndex, found[0].ModifyIndex)
	}},
	{"a node with its services", func(t *testing.T, c *api.Client) {
		outside(t, c, "one-node", &api.AgentService{ID: "n-1", Service: "n"}, &api.AgentService{ID: "m-1", Service: "m"})
		node, _, err := c.Catalog().Node("one-node", nil)
		must(t, err)
		want(t, "node", node.Node.Node, "one-node")
		want(t, "services", len(node.Services), 2)
		list, _, err := c.Catalog().NodeServiceList("one-node", &api.QueryOptions{Filter: `Service == "m"`})
		must(t, err)
		want(t, "services by filter", len(list.Services), 1)
		nobody, _, err := c.Catalog().Node("nobody", nil)
		must(t, err)
		want(t, "nobody", nobody == nil, true)
	}},
	{"checks come with the registration and go alone", func(t *testing.T, c *api.Client) {
		outside(t, c, "watched-node", &api.AgentService{ID: "ext", Service: "ext"})
		_, err := c.Catalog().Register(&api.CatalogRegistration{
			Node: "watched-node", Address: "192.0.2.10", SkipNodeUpdate: true,
			Check: &api.AgentCheck{Node: "watched-node", CheckID: "ext-alive", Name: "alive", Status: api.HealthPassing, ServiceID: "ext", Notes: "by hand", Output: "fine"},
			Checks: api.HealthChecks{{
				Node: "watched-node", CheckID: "node-alive", Name: "ping", Status: api.HealthWarning, Type: "http",
				Definition: api.HealthCheckDefinition{HTTP: "http://192.0.2.10/", IntervalDuration: time.Second, TimeoutDuration: 2 * time.Second, DeregisterCriticalServiceAfterDuration: time.Minute},
			}},
		}, nil)
		must(t, err)
		checks, _, err := c.Health().Node("watched-node", nil)
		must(t, err)
		want(t, "checks", len(checks), 2)
		for _, one := range checks {
			if one.CheckID == "node-alive" {
				want(t, "interval", one.Definition.IntervalDuration, time.Second)
				want(t, "timeout", one.Definition.TimeoutDuration, 2*time.Second)
				want(t, "span to its end", one.Definition.DeregisterCriticalServiceAfterDuration, time.Minute)
				want(t, "type", one.Type, "http")
			} else {
				want(t, "service", one.ServiceName, "ext")
				want(t, "notes", one.Notes, "by hand")
			}
			one.Status = api.HealthCritical
		}
		// What was read is sent back.
		_, err = c.Catalog().Register(&api.CatalogRegistration{Node: "watched-node", Address: "192.0.2.10", Checks: checks}, nil)
		must(t, err)
		failing, _, err := c.Health().State(api.HealthCritical, &api.QueryOptions{Filter: `Node == "watched-node"`})
		must(t, err)
		want(t, "critical checks", len(failing), 2)
		_, err = c.Catalog().Deregister(&api.CatalogDeregistration{Node: "watched-node", CheckID: "node-alive"}, nil)
		must(t, err)
		_, err = c.Catalog().Deregister(&api.CatalogDeregistration{Node: "watched-node", ServiceID: "ext", Address: "192.0.2.10"}, nil)
		must(t, err)
		checks, _, err = c.Health().Node("watched-node", nil)
		must(t, err)
		want(t, "checks after all", len(checks), 0)
	}},
	{"cached reads say so", func(t *testing.T, c *api.Client) {
		outside(t, c, "cached-node", &api.AgentService{ID: "cached", Service: "cached"})
		cached := &api.QueryOptions{UseCache: true}
		for name, read := range map[string]func() (*api.QueryMeta, error){
			"service": func() (*api.QueryMeta, error) {
				found, meta, err := c.Catalog().Service("cached", "", cached)
				if err == nil && len(found) != 1 {
					err = same("instances", len(found), 1)
				}
				return meta, err
			},
			"services": func() (*api.QueryMeta, error) { _, meta, err := c.Catalog().Services(cached); return meta, err },
			"connect": func() (*api.QueryMeta, error) {
				_, meta, err := c.Catalog().Connect("cached", "", cached)
				return meta, err
			},
			"health": func() (*api.QueryMeta, error) {
				_, meta, err := c.Health().Service("cached-health", "", false, cached)
				return meta, err
			},
			"mesh": func() (*api.QueryMeta, error) {
				_, meta, err := c.Health().Connect("cached-mesh", "", false, cached)
				return meta, err
			},
			"intentions": func() (*api.QueryMeta, error) {
				_, meta, err := c.Connect().IntentionMatch(&api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{"cached"}}, cached)
				return meta, err
			},
		} {
			t.Run(name, func(t *testing.T) {
				first, err := read()
				must(t, err)
				want(t, "the first from the cache", first.CacheHit, false)
				again, err := read()
				must(t, err)
				want(t, "the second from the cache", again.CacheHit, true)
				want(t, "age", again.CacheAge < patience, true)
			})
		}
		_, meta, err := c.Catalog().Service("cached", "", nil)
		must(t, err)
		want(t, "not from the cache where nobody asks for it", meta.CacheHit, false)
	}},
	{"a cached read sees what changed", func(t *testing.T, c *api.Client) {
		cached := &api.QueryOptions{UseCache: true}
		found, _, err := c.Catalog().Service("cached-late", "", cached)
		must(t, err)
		want(t, "instances before", len(found), 0)
		outside(t, c, "late-node", &api.AgentService{ID: "cached-late", Service: "cached-late"})
		eventually(t, func() error {
			found, _, err := c.Catalog().Service("cached-late", "", cached)
			if err != nil {
				return err
			}
			return same("instances", len(found), 1)
		})
	}},
	{"a wait ends at the change, or with its time", func(t *testing.T, c *api.Client) {
		_, meta, err := c.Catalog().Service("late", "", nil)
		must(t, err)
		_, again, err := c.Catalog().Service("late", "", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 100 * time.Millisecond})
		must(t, err)
		want(t, "index of no change", again.LastIndex, meta.LastIndex)
		woken := make(chan error, 1)
		go func() {
			for index := meta.LastIndex; ; {
				found, meta, err := c.Catalog().Service("late", "", &api.QueryOptions{WaitIndex: index, WaitTime: patience})
				if err != nil || len(found) == 1 {
					woken <- err
					return
				}
				index = meta.LastIndex
			}
		}()
		outside(t, c, "late-one", &api.AgentService{ID: "late", Service: "late"})
		must(t, <-woken)
	}},
	{"consistency", func(t *testing.T, c *api.Client) {
		for name, options := range map[string]*api.QueryOptions{"stale": {AllowStale: true}, "consistent": {RequireConsistent: true}} {
			_, meta, err := c.Catalog().Nodes(options)
			must(t, err)
			want(t, name+" by a known leader", meta.KnownLeader, true)
		}
		_, _, err := c.Catalog().Nodes(&api.QueryOptions{AllowStale: true, RequireConsistent: true})
		wantCode(t, err, 400, "")
	}},
	{"what cannot be is refused", func(t *testing.T, c *api.Client) {
		_, err := c.Catalog().Register(&api.CatalogRegistration{Node: "no-address"}, nil)
		refused(t, err, "400")
		_, err = c.Catalog().Register(&api.CatalogRegistration{Node: "x", Address: "192.0.2.10", Datacenter: "nowhere"}, nil)
		refused(t, err, "No path to datacenter")
		_, _, err = c.Catalog().Nodes(&api.QueryOptions{Filter: `Node ==`})
		wantCode(t, err, 500, "")
		_, _, err = c.Catalog().Nodes(&api.QueryOptions{Datacenter: "nowhere"})
		wantCode(t, err, 500, "No path to datacenter")
	}},
}
