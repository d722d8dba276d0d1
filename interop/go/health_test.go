package interop

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

var healthParts = []part{
	{"the node's own check", func(t *testing.T, c *api.Client) {
		eventually(t, func() error {
			checks, _, err := c.Health().Node(nodeName(t, c), &api.QueryOptions{Filter: `CheckID == "serfHealth"`})
			if err != nil {
				return err
			}
			if len(checks) != 1 {
				return same("checks", len(checks), 1)
			}
			return same("status", checks[0].Status, api.HealthPassing)
		})
	}},
	{"instances by health, tag and filter", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "h", ID: "h-1", Port: 1, Tags: []string{"a"}, Check: &api.AgentServiceCheck{TTL: "10m", Status: api.HealthPassing}})
		register(t, c, &api.AgentServiceRegistration{Name: "h", ID: "h-2", Port: 2, Tags: []string{"a", "b"}, Check: &api.AgentServiceCheck{TTL: "10m", Status: api.HealthCritical}})
		register(t, c, &api.AgentServiceRegistration{Name: "h", ID: "h-3", Port: 3, Tags: []string{"b"}, Check: &api.AgentServiceCheck{TTL: "10m", Status: api.HealthWarning}})
		ids := func(found []*api.ServiceEntry, _ *api.QueryMeta, err error) int {
			t.Helper()
			must(t, err)
			return len(found)
		}
		eventually(t, func() error { return same("instances", ids(c.Health().Service("h", "", false, nil)), 3) })
		eventually(t, func() error { return same("passing", ids(c.Health().Service("h", "", true, nil)), 1) })
		want(t, "with a tag", ids(c.Health().Service("h", "b", false, nil)), 2)
		want(t, "with two tags", ids(c.Health().ServiceMultipleTags("h", []string{"a", "b"}, false, nil)), 1)
		want(t, "with a tag, passing", ids(c.Health().Service("h", "b", true, nil)), 0)
		want(t, "by filter", ids(c.Health().Service("h", "", false, &api.QueryOptions{Filter: `Service.Port == 3`})), 1)
		want(t, "by a check", ids(c.Health().Service("h", "", false, &api.QueryOptions{Filter: `Checks.Status == "warning"`})), 1)
		want(t, "by metadata of the node", ids(c.Health().Service("h", "", false, &api.QueryOptions{NodeMeta: map[string]string{"rack": "r1"}})), 3)
		want(t, "by other metadata", ids(c.Health().Service("h", "", false, &api.QueryOptions{NodeMeta: map[string]string{"rack": "r2"}})), 0)
		want(t, "near", ids(c.Health().Service("h", "", false, &api.QueryOptions{Near: "_agent"})), 3)
		want(t, "cached", ids(c.Health().Service("h", "", false, &api.QueryOptions{UseCache: true})), 3)
		want(t, "of nobody", ids(c.Health().Service("nobody", "", false, nil)), 0)
		entry, _, err := c.Health().Service("h", "", true, nil)
		must(t, err)
		want(t, "node", entry[0].Node.Node, nodeName(t, c))
		want(t, "service", entry[0].Service.ID, "h-1")
		want(t, "checks of service and node", len(entry[0].Checks), 2)
	}},
	{"checks of a service", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "hc", Port: 1, Checks: api.AgentServiceChecks{{TTL: "10m", Status: api.HealthPassing}, {TTL: "10m", Status: api.HealthWarning}}})
		eventually(t, func() error {
			checks, _, err := c.Health().Checks("hc", nil)
			if err != nil {
				return err
			}
			return same("checks", len(checks), 2)
		})
		checks, _, err := c.Health().Checks("hc", &api.QueryOptions{Filter: `Status == "warning"`})
		must(t, err)
		want(t, "warning", len(checks), 1)
		want(t, "aggregated", checks.AggregatedStatus(), api.HealthWarning)
	}},
	{"by state", func(t *testing.T, c *api.Client) {
		outside(t, c, "stated")
		_, err := c.Catalog().Register(&api.CatalogRegistration{Node: "stated", Address: "192.0.2.10", SkipNodeUpdate: true, Check: &api.AgentCheck{Node: "stated", CheckID: "s", Name: "s", Status: api.HealthWarning}}, nil)
		must(t, err)
		for state, number := range map[string]int{api.HealthAny: 1, api.HealthWarning: 1, api.HealthPassing: 0, api.HealthCritical: 0} {
			checks, _, err := c.Health().State(state, &api.QueryOptions{NodeMeta: map[string]string{"node": "stated"}})
			must(t, err)
			want(t, state, len(checks), number)
		}
		_, _, err = c.Health().State("odd", nil)
		refused(t, err, "Unsupported state")
	}},
	{"instances of the mesh", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "m", Port: 1, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Port: 21998}}})
		register(t, c, &api.AgentServiceRegistration{Name: "native", Port: 1, Connect: &api.AgentServiceConnect{Native: true}})
		for name, id := range map[string]string{"m": "m-sidecar-proxy", "native": "native"} {
			eventually(t, func() error {
				found, _, err := c.Health().Connect(name, "", false, nil)
				if err != nil {
					return err
				}
				if len(found) != 1 {
					return same("instances of "+name, len(found), 1)
				}
				return same("id", found[0].Service.ID, id)
			})
		}
		found, _, err := c.Health().ConnectMultipleTags("m", []string{"absent"}, false, nil)
		must(t, err)
		want(t, "tags are not asked of who stands for a service", len(found), 1)
	}},
	{"a wait ends when the health changes", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "hw", Port: 1, Check: &api.AgentServiceCheck{CheckID: "hw", TTL: "10m"}})
		for _, options := range []api.QueryOptions{{}, {UseCache: true}} {
			must(t, c.Agent().FailTTL("hw", ""))
			var index uint64
			eventually(t, func() error {
				found, meta, err := c.Health().Service("hw", "", true, &options)
				if err != nil {
					return err
				}
				index = meta.LastIndex
				return same("passing", len(found), 0)
			})
			woken := make(chan error, 1)
			go func() {
				for {
					options := options
					options.WaitIndex, options.WaitTime = index, patience
					found, meta, err := c.Health().Service("hw", "", true, &options)
					if err != nil || len(found) == 1 {
						woken <- err
						return
					}
					index = meta.LastIndex
				}
			}()
			time.Sleep(20 * time.Millisecond)
			must(t, c.Agent().PassTTL("hw", ""))
			must(t, <-woken)
		}
	}},
}
