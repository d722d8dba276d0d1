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
		speaks(t, c, "layer7", "grpc")
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
	{"permissions need a service with requests", func(t *testing.T, c *api.Client) {
		entry := intentionsEntry("bytes", &api.SourceIntention{Name: "web", Permissions: []*api.IntentionPermission{
			{Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/"}},
		}})
		_, _, err := c.ConfigEntries().Set(entry, nil)
		refused(t, err, "500", "has protocol \"tcp\"", "incompatible with L7 intentions permissions")
	}},
	{"defaults of a service", func(t *testing.T, c *api.Client) {
		five := 5
		entry := &api.ServiceConfigEntry{
			Kind: api.ServiceDefaults, Name: "defaults", Protocol: "http2", Mode: api.ProxyModeTransparent,
			TransparentProxy: &api.TransparentProxyConfig{OutboundListenerPort: 15001, DialedDirectly: true},
			MutualTLSMode:    api.MutualTLSModeStrict, MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal},
			Expose:      api.ExposeConfig{Paths: []api.ExposePath{{ListenerPort: 21500, Path: "/m", LocalPathPort: 80, Protocol: "http"}}},
			ExternalSNI: "x.example.com", LocalConnectTimeoutMs: 100, LocalRequestTimeoutMs: 200, BalanceInboundConnections: "exact_balance",
			UpstreamConfig: &api.UpstreamConfiguration{
				Defaults: &api.UpstreamConfig{ConnectTimeoutMs: 7, MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeRemote}},
				Overrides: []*api.UpstreamConfig{{
					Name: "db", Protocol: "http", Limits: &api.UpstreamLimits{MaxConnections: &five},
					PassiveHealthCheck: &api.PassiveHealthCheck{Interval: 10 * time.Second, MaxFailures: 3},
				}},
			},
			Meta: map[string]string{"a": "b"},
		}
		kept(t, c, entry, func(got api.ConfigEntry) {
			own := got.(*api.ServiceConfigEntry)
			own.CreateIndex, own.ModifyIndex = 0, 0
			own.Partition, own.Namespace = entry.Partition, entry.Namespace
			want(t, "entry", own, entry)
		})
	}},
	{"defaults of all proxies", func(t *testing.T, c *api.Client) {
		entry := &api.ProxyConfigEntry{
			Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http", "x": map[string]any{"y": 1.5}},
			AccessLogs: &api.AccessLogsConfig{Enabled: true, Type: api.FileLogSinkType, Path: "/x", TextFormat: "t"},
		}
		kept(t, c, entry, func(got api.ConfigEntry) {
			own := got.(*api.ProxyConfigEntry)
			want(t, "settings", own.Config, entry.Config)
			want(t, "access logs", own.AccessLogs, entry.AccessLogs)
		})
	}},
	{"what holds for the mesh", func(t *testing.T, c *api.Client) {
		permissive := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "permissive", MutualTLSMode: api.MutualTLSModePermissive}
		_, _, err := c.ConfigEntries().Set(permissive, nil)
		refused(t, err, "cannot set MutualTLSMode=permissive")
		entry := &api.MeshConfigEntry{
			AllowEnablingPermissiveMutualTLS: true, ValidateClusters: true,
			TLS:     &api.MeshTLSConfig{Incoming: &api.MeshDirectionalTLSConfig{TLSMinVersion: "TLSv1_2", CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}},
			HTTP:    &api.MeshHTTPConfig{Incoming: &api.MeshDirectionalHTTPConfig{RequestNormalization: &api.RequestNormalizationMeshConfig{MergeSlashes: true}}},
			Peering: &api.PeeringMeshConfig{PeerThroughMeshGateways: true}, Meta: map[string]string{"a": "b"},
		}
		kept(t, c, entry, func(got api.ConfigEntry) {
			own := got.(*api.MeshConfigEntry)
			own.CreateIndex, own.ModifyIndex = 0, 0
			want(t, "entry", own, entry)
			kept(t, c, permissive, func(api.ConfigEntry) {})
		})
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

// kept writes an entry, reads it alone and in the list of its kind, and removes it again.
func kept(t *testing.T, c *api.Client, entry api.ConfigEntry, same func(api.ConfigEntry)) {
	t.Helper()
	_, _, err := c.ConfigEntries().Set(entry, nil)
	must(t, err)
	got, _, err := c.ConfigEntries().Get(entry.GetKind(), entry.GetName(), nil)
	must(t, err)
	want(t, "name", got.GetName(), entry.GetName())
	all, _, err := c.ConfigEntries().List(entry.GetKind(), nil)
	must(t, err)
	found := false
	for _, one := range all {
		found = found || one.GetName() == entry.GetName()
	}
	want(t, "in the list", found, true)
	same(got)
	_, err = c.ConfigEntries().Delete(entry.GetKind(), entry.GetName(), nil)
	must(t, err)
	_, _, err = c.ConfigEntries().Get(entry.GetKind(), entry.GetName(), nil)
	wantCode(t, err, 404, "")
}

// speaks says what a service speaks, until the part ends.
func speaks(t *testing.T, c *api.Client, name, protocol string) {
	t.Helper()
	_, _, err := c.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: protocol}, nil)
	must(t, err)
	t.Cleanup(func() {
		_, err := c.ConfigEntries().Delete(api.ServiceDefaults, name, nil)
		must(t, err)
	})
}
