package interop

import (
	"encoding/json"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/testutil"
)

type part struct {
	name string
	run  func(*testing.T, *api.Client)
}

func all(t *testing.T, client *api.Client, areas map[string][]part) {
	for area, parts := range areas {
		t.Run(area, func(t *testing.T) {
			for _, one := range parts {
				t.Run(one.name, func(t *testing.T) {
					// A run of a check comes once a second: all wait for theirs together.
					if area == "checks" {
						t.Parallel()
					}
					one.run(t, client)
				})
			}
		})
	}
}

// What can be done with an agent without ACLs, over plain HTTP.
func TestAgentWithoutACLs(t *testing.T) {
	server := start(t, func(c *testutil.TestServerConfig) {
		c.EnableScriptChecks = true
		c.NodeMeta = map[string]string{"rack": "r1"}
	})
	t.Run("harness", func(t *testing.T) { harness(t, server) })
	t.Run("explain", func(t *testing.T) { explain(t, server) })
	all(t, clientOf(t, server), map[string][]part{
		"agent":            agentParts,
		"services":         serviceParts,
		"checks":           checkParts,
		"catalog":          catalogParts,
		"health":           healthParts,
		"config entries":   entryParts,
		"gateways":         gatewayParts,
		"kinds of entries": kindParts,
		"intentions":       intentionParts,
		"certificates":     certificateParts,
		"not built":        unbuiltParts,
	})
}

// The client has no call for what Consul does not have.
func explain(t *testing.T, server *testutil.TestServer) {
	upsert(t, clientOf(t, server), intention("web", "explained", api.IntentionActionDeny))
	asked := func(source string) map[string]any {
		answer, err := server.HTTPClient.Get("http://" + server.HTTPAddr + "/v1/connect/intentions/explain?destination=explained&source=" + source)
		must(t, err)
		defer answer.Body.Close()
		var told map[string]any
		must(t, json.NewDecoder(answer.Body).Decode(&told))
		return told
	}
	want(t, "web is let through", asked("web")["Allowed"], false)
	want(t, "another is let through", asked("other")["Allowed"], true)
}

// What the harness offers beside starting and stopping.
func harness(t *testing.T, server *testutil.TestServer) {
	t.Run("waits for a leader", func(t *testing.T) { server.WaitForLeader(t) })
	t.Run("waits for the check of the node", func(t *testing.T) { server.WaitForSerfCheck(t) })
	t.Run("waits for an active root", func(t *testing.T) { server.WaitForActiveCARoot(t) })
	t.Run("waits until intentions can be written", func(t *testing.T) { server.WaitForServiceIntentions(t) })
	t.Run("adds services", func(t *testing.T) {
		client := clientOf(t, server)
		for _, status := range []string{testutil.HealthPassing, testutil.HealthWarning, testutil.HealthCritical} {
			server.AddService(t, "of-harness-"+status, status, []string{"first", status})
			eventually(t, func() error {
				checks, _, err := client.Health().Checks("of-harness-"+status, nil)
				if err != nil {
					return err
				}
				return same("status", checks.AggregatedStatus(), status)
			})
		}
		server.AddAddressableService(t, "of-harness-at", testutil.HealthPassing, "127.0.0.9", 8109, nil)
		service, _, err := client.Agent().Service("of-harness-at", nil)
		must(t, err)
		want(t, "address", service.Address, "127.0.0.9")
		want(t, "port", service.Port, 8109)
	})
	t.Run("adds checks", func(t *testing.T) {
		server.AddCheck(t, "harness-node", "", testutil.HealthWarning)
		server.AddCheck(t, "harness-service", "of-harness-passing", testutil.HealthPassing)
		client := clientOf(t, server)
		checks, err := client.Agent().Checks()
		must(t, err)
		want(t, "check of the node", checks["harness-node"].Status, api.HealthWarning)
		want(t, "check of the service", checks["harness-service"].ServiceName, "of-harness-passing")
		must(t, client.Agent().CheckDeregister("harness-node"))
	})
}
