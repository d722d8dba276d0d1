package interop

import (
	"testing"

	"github.com/hashicorp/consul/api"
)

// What Consul has and this program has not yet says so, with 501 and the name of the thing.
var unbuiltParts = []part{
	unbuilt("key-value store: read", "key-value store", func(c *api.Client) error { _, _, err := c.KV().Get("a/b", nil); return err }),
	unbuilt("key-value store: list", "key-value store", func(c *api.Client) error { _, _, err := c.KV().List("a", nil); return err }),
	unbuilt("key-value store: keys", "key-value store", func(c *api.Client) error { _, _, err := c.KV().Keys("a", "/", nil); return err }),
	unbuilt("key-value store: write", "key-value store", func(c *api.Client) error {
		_, err := c.KV().Put(&api.KVPair{Key: "a", Value: []byte("b")}, nil)
		return err
	}),
	unbuilt("key-value store: delete", "key-value store", func(c *api.Client) error { _, err := c.KV().Delete("a", nil); return err }),
	told("transactions", "not available yet: transactions", func(c *api.Client) error {
		_, _, _, err := c.Txn().Txn(api.TxnOps{&api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVGet, Key: "a"}}}, nil)
		return err
	}),
	unbuilt("sessions: create", "sessions", func(c *api.Client) error { _, _, err := c.Session().Create(nil, nil); return err }),
	unbuilt("sessions: list", "sessions", func(c *api.Client) error { _, _, err := c.Session().List(nil); return err }),
	told("sessions: renew", "501", func(c *api.Client) error { _, _, err := c.Session().Renew("x", nil); return err }),
	unbuilt("events: fire", "user events", func(c *api.Client) error { _, _, err := c.Event().Fire(&api.UserEvent{Name: "x"}, nil); return err }),
	unbuilt("events: list", "user events", func(c *api.Client) error { _, _, err := c.Event().List("", nil); return err }),
	unbuilt("prepared queries: create", "prepared queries", func(c *api.Client) error {
		_, _, err := c.PreparedQuery().Create(&api.PreparedQueryDefinition{Name: "x", Service: api.ServiceQuery{Service: "x"}}, nil)
		return err
	}),
	unbuilt("prepared queries: execute", "prepared queries", func(c *api.Client) error { _, _, err := c.PreparedQuery().Execute("x", nil); return err }),
	unbuilt("snapshots", "snapshots", func(c *api.Client) error { _, _, err := c.Snapshot().Save(nil); return err }),
	unbuilt("coordinates", "network coordinates", func(c *api.Client) error { _, _, err := c.Coordinate().Nodes(nil); return err }),
	unbuilt("peerings", "peering", func(c *api.Client) error { _, _, err := c.Peerings().List(nil, nil); return err }),
	unbuilt("Raft's configuration", "operator", func(c *api.Client) error { _, err := c.Operator().RaftGetConfiguration(nil); return err }),
	unbuilt("autopilot", "operator", func(c *api.Client) error { _, err := c.Operator().AutopilotGetConfiguration(nil); return err }),
	unbuilt("facts about the host", "host", func(c *api.Client) error { _, err := c.Agent().Host(); return err }),
	unbuilt("joining", "joining", func(c *api.Client) error { return c.Agent().Join("127.0.0.1", false) }),
	unbuilt("forcing a member out", "removing failed members", func(c *api.Client) error { return c.Agent().ForceLeave("x") }),
	unbuilt("members of other datacenters", "members of other datacenters", func(c *api.Client) error { _, err := c.Agent().Members(true); return err }),
	{"entries of kinds not built: each is refused by its kind", func(t *testing.T, c *api.Client) {
		for _, entry := range []api.ConfigEntry{
			&api.SamenessGroupConfigEntry{Kind: api.SamenessGroup, Name: "x"},
		} {
			t.Run(entry.GetKind(), func(t *testing.T) {
				_, _, err := c.ConfigEntries().Set(entry, nil)
				refused(t, err, entry.GetKind(), "not available yet")
			})
		}
	}},
}

// told is for calls whose errors show a part of the answer only.
func told(name, says string, call func(*api.Client) error) part {
	return part{name, func(t *testing.T, c *api.Client) {
		t.Helper()
		refused(t, call(c), says)
	}}
}

func unbuilt(name, what string, call func(*api.Client) error) part {
	return part{name, func(t *testing.T, c *api.Client) {
		t.Helper()
		refused(t, call(c), "501", "not available yet", what)
	}}
}
