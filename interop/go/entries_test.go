package interop

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func intentionsEntry(name string, sources ...*api.SourceIntention) *api.ServiceIntentionsConfigEntry {
	return &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: name, Sources: sources}
}

func deleteEntry(t *testing.T, c *api.Client, name string) {
	_, err := c.ConfigEntries().Delete(api.ServiceIntentions, name, nil)
	must(t, err)
}

var entryParts = []part{
	{"set, read, list, delete", func(t *testing.T, c *api.Client) {
		entry := intentionsEntry("ce", &api.SourceIntention{Name: "web", Action: api.IntentionActionAllow, Description: "why"}, &api.SourceIntention{Name: "*", Action: api.IntentionActionDeny})
		entry.Meta = map[string]string{"owner": "data"}
		done, _, err := c.ConfigEntries().Set(entry, nil)
		must(t, err)
		want(t, "done", done, true)
		found, _, err := c.ConfigEntries().Get(api.ServiceIntentions, "ce", nil)
		must(t, err)
		got := found.(*api.ServiceIntentionsConfigEntry)
		want(t, "metadata", got.Meta, entry.Meta)
		want(t, "sources", len(got.Sources), 2)
		want(t, "first by precedence", got.Sources[0].Name, "web")
		want(t, "its precedence", got.Sources[0].Precedence, 9)
		want(t, "its description", got.Sources[0].Description, "why")
		want(t, "its type", got.Sources[0].Type, api.IntentionSourceConsul)
		list, _, err := c.ConfigEntries().List(api.ServiceIntentions, nil)
		must(t, err)
		want(t, "whether there are entries", len(list) >= 1, true)
		// What was read is sent back, and changes nothing.
		done, _, err = c.ConfigEntries().Set(got, nil)
		must(t, err)
		want(t, "done again", done, true)
		again, _, err := c.ConfigEntries().Get(api.ServiceIntentions, "ce", nil)
		must(t, err)
		want(t, "index of what is the same", again.GetModifyIndex(), got.ModifyIndex)
		deleteEntry(t, c, "ce")
		_, _, err = c.ConfigEntries().Get(api.ServiceIntentions, "ce", nil)
		wantCode(t, err, 404, "Config entry not found")
		deleteEntry(t, c, "ce")
	}},
	{"compare and set", func(t *testing.T, c *api.Client) {
		entry := intentionsEntry("cas", &api.SourceIntention{Name: "web", Action: api.IntentionActionAllow})
		done, _, err := c.ConfigEntries().CAS(entry, 0, nil)
		must(t, err)
		want(t, "made where there was none", done, true)
		t.Cleanup(func() { deleteEntry(t, c, "cas") })
		done, _, err = c.ConfigEntries().CAS(entry, 0, nil)
		must(t, err)
		want(t, "the same, which is there", done, true)
		entry.Meta = map[string]string{"a": "a"}
		done, _, err = c.ConfigEntries().CAS(entry, 0, nil)
		must(t, err)
		want(t, "made where there is another", done, false)
		got, _, err := c.ConfigEntries().Get(api.ServiceIntentions, "cas", nil)
		must(t, err)
		index := got.GetModifyIndex()
		entry.Meta = map[string]string{"a": "b"}
		done, _, err = c.ConfigEntries().CAS(entry, index, nil)
		must(t, err)
		want(t, "with the index that stands", done, true)
		entry.Meta = map[string]string{"a": "c"}
		done, _, err = c.ConfigEntries().CAS(entry, index, nil)
		must(t, err)
		want(t, "with one gone by", done, false)
		done, _, err = c.ConfigEntries().DeleteCAS(api.ServiceIntentions, "cas", index, nil)
		must(t, err)
		want(t, "deleted with one gone by", done, false)
		got, _, err = c.ConfigEntries().Get(api.ServiceIntentions, "cas", nil)
		must(t, err)
		done, _, err = c.ConfigEntries().DeleteCAS(api.ServiceIntentions, "cas", got.GetModifyIndex(), nil)
		must(t, err)
		want(t, "deleted with the one that stands", done, true)
	}},
	{"permissions and tokens are kept", func(t *testing.T, c *api.Client) {
		entry := intentionsEntry("layer7", &api.SourceIntention{Name: "web", Permissions: []*api.IntentionPermission{
			{Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/admin", Methods: []string{"GET", "PUT"}, Header: []api.IntentionHTTPHeaderPermission{{Name: "x-a", Exact: "b", Invert: true}}}},
			{Action: api.IntentionActionDeny, HTTP: &api.IntentionHTTPPermission{PathRegex: "/x.*"}},
		}})
		_, _, err := c.ConfigEntries().Set(entry, nil)
		must(t, err)
		t.Cleanup(func() { deleteEntry(t, c, "layer7") })
		got, _, err := c.ConfigEntries().Get(api.ServiceIntentions, "layer7", nil)
		must(t, err)
		want(t, "permissions", got.(*api.ServiceIntentionsConfigEntry).Sources[0].Permissions, entry.Sources[0].Permissions)
	}},
	{"a wait ends at the change", func(t *testing.T, c *api.Client) {
		_, meta, err := c.ConfigEntries().List(api.ServiceIntentions, nil)
		must(t, err)
		woken := make(chan error, 1)
		go func() {
			_, _, err := c.ConfigEntries().List(api.ServiceIntentions, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: patience})
			woken <- err
		}()
		time.Sleep(20 * time.Millisecond)
		_, _, err = c.ConfigEntries().Set(intentionsEntry("waited", &api.SourceIntention{Name: "a", Action: api.IntentionActionDeny}), nil)
		must(t, err)
		t.Cleanup(func() { deleteEntry(t, c, "waited") })
		must(t, <-woken)
	}},
	{"what cannot be is refused", func(t *testing.T, c *api.Client) {
		for name, entry := range map[string]api.ConfigEntry{
			"no name":        intentionsEntry("", &api.SourceIntention{Name: "a", Action: api.IntentionActionDeny}),
			"no source":      intentionsEntry("bad"),
			"no action":      intentionsEntry("bad", &api.SourceIntention{Name: "a"}),
			"an odd action":  intentionsEntry("bad", &api.SourceIntention{Name: "a", Action: "maybe"}),
			"twice the same": intentionsEntry("bad", &api.SourceIntention{Name: "a", Action: api.IntentionActionDeny}, &api.SourceIntention{Name: "a", Action: api.IntentionActionAllow}),
			"half a star":    intentionsEntry("bad", &api.SourceIntention{Name: "a*", Action: api.IntentionActionDeny}),
		} {
			t.Run(name, func(t *testing.T) {
				_, _, err := c.ConfigEntries().Set(entry, nil)
				refused(t, err)
				_, _, err = c.ConfigEntries().Get(api.ServiceIntentions, "bad", nil)
				wantCode(t, err, 404, "")
			})
		}
		_, _, err := c.ConfigEntries().Get("no-such-kind", "x", nil)
		refused(t, err, "no-such-kind")
	}},
}
