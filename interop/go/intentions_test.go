package interop

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func intention(source, destination string, action api.IntentionAction) *api.Intention {
	return &api.Intention{SourceName: source, DestinationName: destination, Action: action}
}

func allowed(t *testing.T, c *api.Client, source, destination string, expected bool) {
	t.Helper()
	found, _, err := c.Connect().IntentionCheck(&api.IntentionCheck{Source: source, Destination: destination}, nil)
	must(t, err)
	want(t, source+" to "+destination, found, expected)
}

func upsert(t *testing.T, c *api.Client, one *api.Intention) {
	t.Helper()
	_, err := c.Connect().IntentionUpsert(one, nil)
	must(t, err)
	t.Cleanup(func() {
		_, err := c.Connect().IntentionDeleteExact(one.SourceName, one.DestinationName, nil)
		must(t, err)
	})
}

var intentionParts = []part{
	{"by pair: write, read, change, delete", func(t *testing.T, c *api.Client) {
		one := intention("web", "pair", api.IntentionActionDeny)
		one.Description = "not yet"
		_, err := c.Connect().IntentionUpsert(one, nil)
		must(t, err)
		got, _, err := c.Connect().IntentionGetExact("web", "pair", nil)
		must(t, err)
		want(t, "action", got.Action, api.IntentionActionDeny)
		want(t, "description", got.Description, "not yet")
		want(t, "precedence", got.Precedence, 9)
		want(t, "source's namespace", got.SourceNS, "default")
		want(t, "source's type", got.SourceType, api.IntentionSourceConsul)
		want(t, "id", got.ID, "")
		// What was read is sent back with a change.
		got.Action = api.IntentionActionAllow
		_, err = c.Connect().IntentionUpsert(got, nil)
		must(t, err)
		allowed(t, c, "web", "pair", true)
		_, err = c.Connect().IntentionDeleteExact("web", "pair", nil)
		must(t, err)
		gone, _, err := c.Connect().IntentionGetExact("web", "pair", nil)
		must(t, err)
		want(t, "after it was deleted", gone == nil, true)
		_, err = c.Connect().IntentionDeleteExact("web", "pair", nil)
		must(t, err)
	}},
	{"permissions", func(t *testing.T, c *api.Client) {
		speaks(t, c, "with-permissions", "http")
		one := intention("web", "with-permissions", "")
		one.Permissions = []*api.IntentionPermission{{Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathExact: "/a"}}}
		upsert(t, c, one)
		got, _, err := c.Connect().IntentionGetExact("web", "with-permissions", nil)
		must(t, err)
		want(t, "permissions", got.Permissions, one.Permissions)
	}},
	{"by id: create, read, change, delete", func(t *testing.T, c *api.Client) {
		one := intention("web", "by-id", api.IntentionActionDeny)
		one.Meta = map[string]string{"ticket": "7"}
		id, _, err := c.Connect().IntentionCreate(one, nil)
		must(t, err)
		_, _, err = c.Connect().IntentionCreate(one, nil)
		refused(t, err, "more than once")
		got, _, err := c.Connect().IntentionGet(id, nil)
		must(t, err)
		want(t, "metadata", got.Meta, one.Meta)
		want(t, "time", time.Since(got.CreatedAt) < time.Hour, true)
		got.Action = api.IntentionActionAllow
		_, err = c.Connect().IntentionUpdate(got, nil)
		must(t, err)
		exact, _, err := c.Connect().IntentionGetExact("web", "by-id", nil)
		must(t, err)
		want(t, "id by pair", exact.ID, id)
		want(t, "action by pair", exact.Action, api.IntentionActionAllow)
		_, err = c.Connect().IntentionDelete(id, nil)
		must(t, err)
		gone, _, err := c.Connect().IntentionGet(id, nil)
		must(t, err)
		want(t, "after it was deleted", gone == nil, true)
	}},
	{"match", func(t *testing.T, c *api.Client) {
		upsert(t, c, intention("*", "matched", api.IntentionActionDeny))
		upsert(t, c, intention("web", "matched", api.IntentionActionAllow))
		upsert(t, c, intention("web", "*", api.IntentionActionAllow))
		found, meta, err := c.Connect().IntentionMatch(&api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{"matched", "other"}}, nil)
		must(t, err)
		want(t, "of matched", len(found["matched"]), 3)
		want(t, "the first", found["matched"][0].SourceName+" "+found["matched"][0].DestinationName, "web matched")
		want(t, "of other", len(found["other"]), 1)
		want(t, "index", meta.LastIndex > 0, true)
		from, _, err := c.Connect().IntentionMatch(&api.IntentionMatch{By: api.IntentionMatchSource, Names: []string{"web"}}, nil)
		must(t, err)
		for _, one := range from["web"] {
			want(t, "source", one.SourceName == "web" || one.SourceName == "*", true)
		}
	}},
	{"list and filter", func(t *testing.T, c *api.Client) {
		upsert(t, c, intention("a", "listed", api.IntentionActionDeny))
		upsert(t, c, intention("b", "listed", api.IntentionActionAllow))
		list, _, err := c.Connect().Intentions(&api.QueryOptions{Filter: `DestinationName == "listed"`})
		must(t, err)
		want(t, "listed", len(list), 2)
		list, _, err = c.Connect().Intentions(&api.QueryOptions{Filter: `DestinationName == "listed" and Action == "deny"`})
		must(t, err)
		want(t, "denied", len(list), 1)
	}},
	{"check and authorize agree", func(t *testing.T, c *api.Client) {
		roots, _, err := c.Agent().ConnectCARoots(nil)
		must(t, err)
		identity := "spiffe://" + roots.TrustDomain + "/ns/default/dc/dc1/svc/web"
		authorized := func() *api.AgentAuthorize {
			answer, err := c.Agent().ConnectAuthorize(&api.AgentAuthorizeParams{Target: "asked", ClientCertURI: identity, ClientCertSerial: "01"})
			must(t, err)
			return answer
		}
		allowed(t, c, "web", "asked", true)
		want(t, "without an intention", authorized().Authorized, true)
		one := intention("web", "asked", api.IntentionActionDeny)
		upsert(t, c, one)
		allowed(t, c, "web", "asked", false)
		eventually(t, func() error { return same("with a denial", authorized().Authorized, false) })
		want(t, "reason", authorized().Reason != "", true)
		_, err = c.Agent().ConnectAuthorize(&api.AgentAuthorizeParams{Target: "asked", ClientCertURI: "http://web"})
		refused(t, err, "400")
		// Somebody of another trust domain is not let in.
		answer, err := c.Agent().ConnectAuthorize(&api.AgentAuthorizeParams{Target: "asked", ClientCertURI: "spiffe://other.consul/ns/default/dc/dc1/svc/web"})
		must(t, err)
		want(t, "of another trust domain", answer.Authorized, false)
	}},
	{"a wait for a match ends at the change", func(t *testing.T, c *api.Client) {
		match := &api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{"waited-for"}}
		_, meta, err := c.Connect().IntentionMatch(match, nil)
		must(t, err)
		woken := make(chan error, 1)
		go func() {
			for index := meta.LastIndex; ; {
				found, meta, err := c.Connect().IntentionMatch(match, &api.QueryOptions{WaitIndex: index, WaitTime: patience})
				if err != nil || len(found["waited-for"]) == 1 {
					woken <- err
					return
				}
				index = meta.LastIndex
			}
		}()
		time.Sleep(20 * time.Millisecond)
		upsert(t, c, intention("web", "waited-for", api.IntentionActionDeny))
		must(t, <-woken)
	}},
	{"what cannot be is refused", func(t *testing.T, c *api.Client) {
		for name, bad := range map[string]*api.Intention{
			"no action":     intention("a", "b", ""),
			"an odd action": intention("a", "b", "maybe"),
			"no source":     intention("", "b", api.IntentionActionDeny),
			"half a star":   intention("a*", "b", api.IntentionActionDeny),
		} {
			t.Run(name, func(t *testing.T) {
				_, err := c.Connect().IntentionUpsert(bad, nil)
				refused(t, err)
			})
		}
		_, _, err := c.Connect().IntentionGet("no-uuid", nil)
		refused(t, err)
	}},
}
