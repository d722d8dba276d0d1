package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// Each kind of entry is written, read alone and in its list, compared field by field, written again as read, changed with its index,
// and removed.
var kindParts = []part{
	{"a chain", func(t *testing.T, c *api.Client) {
		speaks(t, c, "chain-web", "http")
		speaks(t, c, "chain-api", "http")
		_, _, err := c.ConfigEntries().Set(&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "chain-web", Splits: []api.ServiceSplit{
			{Weight: 90}, {Weight: 10, Service: "chain-api"},
		}}, nil)
		must(t, err)
		t.Cleanup(func() { _, _ = c.ConfigEntries().Delete(api.ServiceSplitter, "chain-web", nil) })
		got, _, err := c.DiscoveryChain().Get("chain-web", nil, nil)
		must(t, err)
		node := got.Chain.Nodes[got.Chain.StartNode]
		want(t, "kind of the first node", node.Type, api.DiscoveryGraphNodeTypeSplitter)
		want(t, "its parts", len(node.Splits), 2)
		want(t, "weight of the second part", node.Splits[1].Weight, float32(10))
		next := got.Chain.Nodes[node.Splits[1].NextNode]
		want(t, "time for a connection", next.Resolver.ConnectTimeout, 5*time.Second)
		target := got.Chain.Targets[next.Resolver.Target]
		want(t, "service of the target", target.Service, "chain-api")
		want(t, "time for a connection to the target", target.ConnectTimeout, 5*time.Second)
		opts := &api.DiscoveryChainOptions{OverrideConnectTimeout: 7 * time.Second, OverrideProtocol: "tcp"}
		got, _, err = c.DiscoveryChain().Get("chain-web", opts, nil)
		must(t, err)
		want(t, "protocol as asked for", got.Chain.Protocol, "tcp")
		want(t, "kind of the only node", got.Chain.Nodes[got.Chain.StartNode].Type, api.DiscoveryGraphNodeTypeResolver)
		want(t, "length of the fingerprint", len(got.Chain.CustomizationHash), 8)
		want(t, "time as asked for", got.Chain.Nodes[got.Chain.StartNode].Resolver.ConnectTimeout, 7*time.Second)
	}},
	kind("a router", func(t *testing.T, c *api.Client) api.ConfigEntry {
		speaks(t, c, "kind-web", "http")
		speaks(t, c, "kind-admin", "http")
		return &api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "kind-web", Routes: []api.ServiceRoute{
			{
				Match: &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{
					PathPrefix: "/admin", CaseInsensitive: true, Methods: []string{"GET", "PUT"},
					Header:     []api.ServiceRouteHTTPMatchHeader{{Name: "x-a", Exact: "b", Invert: true}, {Name: "x-c", Present: true}},
					QueryParam: []api.ServiceRouteHTTPMatchQueryParam{{Name: "q", Regex: "a+"}},
				}},
				Destination: &api.ServiceRouteDestination{
					Service: "kind-admin", PrefixRewrite: "/", RequestTimeout: 3 * time.Second, IdleTimeout: 90 * time.Second, NumRetries: 2,
					RetryOnConnectFailure: true, RetryOn: []string{"reset"}, RetryOnStatusCodes: []uint32{502, 503},
					RequestHeaders:  &api.HTTPHeaderModifiers{Add: map[string]string{"x-a": "b"}, Set: map[string]string{"x-s": "t"}, Remove: []string{"x-r"}},
					ResponseHeaders: &api.HTTPHeaderModifiers{Remove: []string{"server"}},
				},
			},
			{Match: &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{PathRegex: "/x.*"}}},
		}, Meta: map[string]string{"a": "b"}}
	}, func(entry api.ConfigEntry) { entry.(*api.ServiceRouterConfigEntry).Meta = map[string]string{"a": "c"} }),
	kind("a splitter", func(t *testing.T, c *api.Client) api.ConfigEntry {
		speaks(t, c, "kind-split", "http")
		speaks(t, c, "kind-other", "http")
		return &api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "kind-split", Splits: []api.ServiceSplit{
			{Weight: 99.5, RequestHeaders: &api.HTTPHeaderModifiers{Set: map[string]string{"x-s": "t"}}},
			{Weight: 0.5, Service: "kind-other", ResponseHeaders: &api.HTTPHeaderModifiers{Add: map[string]string{"x-a": "b"}}},
		}}
	}, func(entry api.ConfigEntry) {
		entry.(*api.ServiceSplitterConfigEntry).Meta = map[string]string{"a": "c"}
	}),
	kind("a resolver", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.ServiceResolverConfigEntry{
			Kind: api.ServiceResolver, Name: "kind-resolved", DefaultSubset: "v1", ConnectTimeout: 3 * time.Second, RequestTimeout: 7 * time.Second,
			Subsets: map[string]api.ServiceResolverSubset{"v1": {Filter: "Service.Meta.version == v1", OnlyPassing: true}, "v2": {}},
			Failover: map[string]api.ServiceResolverFailover{
				"*":  {Targets: []api.ServiceResolverFailoverTarget{{Service: "kind-backup"}, {Datacenter: "dc2"}, {Peer: "east"}}},
				"v1": {ServiceSubset: "v2", Datacenters: []string{"dc3"}},
			},
			LoadBalancer: &api.LoadBalancer{Policy: "ring_hash", RingHashConfig: &api.RingHashConfig{MinimumRingSize: 10, MaximumRingSize: 100}, HashPolicies: []api.HashPolicy{
				{Field: "cookie", FieldValue: "c", CookieConfig: &api.CookieConfig{TTL: 5 * time.Second, Path: "/"}, Terminal: true}, {SourceIP: true},
			}},
		}
	}, func(entry api.ConfigEntry) { entry.(*api.ServiceResolverConfigEntry).ConnectTimeout = time.Second }),
	kind("a resolver that redirects", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.ServiceResolverConfigEntry{
			Kind: api.ServiceResolver, Name: "kind-redirect", Redirect: &api.ServiceResolverRedirect{Service: "kind-backup", Datacenter: "dc2"},
		}
	}, func(entry api.ConfigEntry) { entry.(*api.ServiceResolverConfigEntry).Redirect.Datacenter = "dc3" }),
	kind("an issuer of tokens", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.JWTProviderConfigEntry{
			Kind: api.JWTProvider, Name: "kind-login", Issuer: "https://login.example.com", Audiences: []string{"shop"}, ClockSkewSeconds: 15,
			JSONWebKeySet: &api.JSONWebKeySet{Remote: &api.RemoteJWKS{
				URI: "https://login.example.com/keys", RequestTimeoutMs: 500, CacheDuration: 10 * time.Minute, FetchAsynchronously: true,
				RetryPolicy: &api.JWKSRetryPolicy{NumRetries: 3, RetryPolicyBackOff: &api.RetryPolicyBackOff{BaseInterval: time.Second, MaxInterval: 9 * time.Second}},
				JWKSCluster: &api.JWKSCluster{DiscoveryType: api.DiscoveryTypeStrictDNS, ConnectTimeout: 5 * time.Second},
			}},
			Locations:   []*api.JWTLocation{{Header: &api.JWTLocationHeader{Name: "authorization", ValuePrefix: "Bearer ", Forward: true}}, {Cookie: &api.JWTLocationCookie{Name: "c"}}},
			Forwarding:  &api.JWTForwardingConfig{HeaderName: "x-claims", PadForwardPayloadHeader: true},
			CacheConfig: &api.JWTCacheConfig{Size: 20}, Meta: map[string]string{"a": "b"},
		}
	}, func(entry api.ConfigEntry) { entry.(*api.JWTProviderConfigEntry).Audiences = []string{"other"} }),
	kind("an ingress gateway", func(t *testing.T, c *api.Client) api.ConfigEntry {
		speaks(t, c, "kind-web", "http")
		many := uint32(100)
		return &api.IngressGatewayConfigEntry{
			Kind: api.IngressGateway, Name: "kind-entrance", TLS: api.GatewayTLSConfig{Enabled: true, TLSMinVersion: "TLSv1_2"},
			Defaults: &api.IngressServiceConfig{MaxConnections: &many, PassiveHealthCheck: &api.PassiveHealthCheck{Interval: 10 * time.Second, MaxFailures: 3}},
			Listeners: []api.IngressListener{
				{Port: 8080, Protocol: "http", Services: []api.IngressService{{
					Name: "kind-web", Hosts: []string{"web.example.com"}, MaxPendingRequests: &many,
					RequestHeaders: &api.HTTPHeaderModifiers{Add: map[string]string{"x-a": "b"}},
				}}},
				{Port: 5432, Protocol: "tcp", Services: []api.IngressService{{Name: "kind-db"}}},
			},
		}
	}, func(entry api.ConfigEntry) { entry.(*api.IngressGatewayConfigEntry).TLS.Enabled = false }),
	kind("a terminating gateway", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "kind-exit", Services: []api.LinkedService{
			{Name: "billing", CAFile: "/ca.pem", CertFile: "/cert.pem", KeyFile: "/key.pem", SNI: "billing.example.com"}, {Name: "*"},
		}}
	}, func(entry api.ConfigEntry) {
		entry.(*api.TerminatingGatewayConfigEntry).Services[0].SNI = "x.example.com"
	}),
	kind("exported services", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.ExportedServicesConfigEntry{Name: "default", Services: []api.ExportedService{{Name: "web", Consumers: []api.ServiceConsumer{{Peer: "east"}, {Peer: "west"}}}}}
	}, func(entry api.ConfigEntry) { entry.(*api.ExportedServicesConfigEntry).Services[0].Name = "db" }),
	kind("a certificate in files", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.FileSystemCertificateConfigEntry{Kind: api.FileSystemCertificate, Name: "kind-files", Certificate: "/cert.pem", PrivateKey: "/key.pem"}
	}, func(entry api.ConfigEntry) { entry.(*api.FileSystemCertificateConfigEntry).Certificate = "/other.pem" }),
	kind("an API gateway", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.APIGatewayConfigEntry{Kind: api.APIGateway, Name: "kind-front", Listeners: []api.APIGatewayListener{
			{Name: "web", Hostname: "*.example.com", Port: 8080, Protocol: "http"}, {Name: "db", Port: 5432, Protocol: "tcp"},
		}}
	}, func(entry api.ConfigEntry) { entry.(*api.APIGatewayConfigEntry).Listeners[0].Port = 8081 }),
	kind("a route for requests", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.HTTPRouteConfigEntry{
			Kind: api.HTTPRoute, Name: "kind-route", Parents: []api.ResourceReference{{Kind: api.APIGateway, Name: "kind-front", SectionName: "web"}}, Hostnames: []string{"shop.example.com"},
			Rules: []api.HTTPRouteRule{{
				Matches: []api.HTTPMatch{{
					Path: api.HTTPPathMatch{Match: api.HTTPPathMatchPrefix, Value: "/cart"}, Method: api.HTTPMatchMethodGet,
					Headers: []api.HTTPHeaderMatch{{Match: api.HTTPHeaderMatchExact, Name: "x-a", Value: "b"}}, Query: []api.HTTPQueryMatch{{Match: api.HTTPQueryMatchExact, Name: "q", Value: "1"}},
				}},
				Filters: api.HTTPFilters{
					Headers: []api.HTTPHeaderFilter{{Add: map[string]string{"x-a": "b"}}}, URLRewrite: &api.URLRewrite{Path: "/"},
					RetryFilter:   &api.RetryFilter{NumRetries: 3, RetryOn: []string{"reset"}, RetryOnStatusCodes: []uint32{503}, RetryOnConnectFailure: true},
					TimeoutFilter: &api.TimeoutFilter{RequestTimeout: 3 * time.Second, IdleTimeout: 4 * time.Second},
				},
				Services: []api.HTTPService{{Name: "cart", Weight: 2}, {Name: "other", Weight: 1}},
			}},
		}
	}, func(entry api.ConfigEntry) {
		entry.(*api.HTTPRouteConfigEntry).Hostnames = []string{"other.example.com"}
	}),
	kind("a route for connections", func(*testing.T, *api.Client) api.ConfigEntry {
		return &api.TCPRouteConfigEntry{
			Kind: api.TCPRoute, Name: "kind-bytes", Parents: []api.ResourceReference{{Kind: api.APIGateway, Name: "kind-front", SectionName: "db"}}, Services: []api.TCPService{{Name: "db"}},
		}
	}, func(entry api.ConfigEntry) { entry.(*api.TCPRouteConfigEntry).Services[0].Name = "other" }),
	kind("a certificate with its key", func(t *testing.T, _ *api.Client) api.ConfigEntry {
		certificate, key := pair(t)
		return &api.InlineCertificateConfigEntry{Kind: api.InlineCertificate, Name: "kind-shown", Certificate: certificate, PrivateKey: key}
	}, func(entry api.ConfigEntry) {
		entry.(*api.InlineCertificateConfigEntry).Meta = map[string]string{"a": "b"}
	}),
}

// pair makes a certificate and its key, in PEM.
func pair(t *testing.T) (string, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"shop.example.com"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	encoded := func(kind string, bytes []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	return encoded("CERTIFICATE", certificate), encoded("EC PRIVATE KEY", secret)
}

// The servers write the status of these kinds, which moves the index.
var hasStatus = map[string]bool{api.APIGateway: true, api.HTTPRoute: true, api.TCPRoute: true}

func kind(name string, make func(*testing.T, *api.Client) api.ConfigEntry, change func(api.ConfigEntry)) part {
	return part{name, func(t *testing.T, c *api.Client) {
		t.Helper()
		entry := make(t, c)
		kept(t, c, entry, func(got api.ConfigEntry) {
			index := got.GetModifyIndex()
			wantSame(t, got, entry)
			// What was read is sent back, and changes nothing.
			_, _, err := c.ConfigEntries().Set(got, nil)
			must(t, err)
			eventually(t, func() error {
				again, _, err := c.ConfigEntries().Get(entry.GetKind(), entry.GetName(), nil)
				if err != nil {
					return err
				}
				if !hasStatus[entry.GetKind()] {
					want(t, "index of what is the same", again.GetModifyIndex(), index)
				}
				now := again.GetModifyIndex()
				change(again)
				done, _, err := c.ConfigEntries().CAS(again, now, nil)
				if err != nil {
					return err
				}
				return same("changed with the index that stands", done, true)
			})
			change(got)
			changed, _, err := c.ConfigEntries().Get(entry.GetKind(), entry.GetName(), nil)
			must(t, err)
			wantSame(t, changed, got)
			done, _, err := c.ConfigEntries().DeleteCAS(entry.GetKind(), entry.GetName(), index, nil)
			must(t, err)
			want(t, "deleted with an index gone by", done, false)
		})
	}}
}

// wantSame compares two entries except for what the server adds.
func wantSame(t *testing.T, got, expected api.ConfigEntry) {
	t.Helper()
	want(t, "entry", said(t, got), said(t, expected))
}

// said is an entry as JSON without what the server adds: indexes, its hash, its status, empty values.
func said(t *testing.T, entry api.ConfigEntry) any {
	t.Helper()
	text, err := json.Marshal(entry)
	must(t, err)
	var all any
	must(t, json.Unmarshal(text, &all))
	return full(all)
}

func full(value any) any {
	switch value := value.(type) {
	case map[string]any:
		all := map[string]any{}
		for key, inner := range value {
			if kept := full(inner); kept != nil && key != "CreateIndex" && key != "ModifyIndex" && key != "Hash" && key != "Status" {
				all[key] = kept
			}
		}
		if len(all) == 0 {
			return nil
		}
		return all
	case []any:
		var all []any
		for _, inner := range value {
			all = append(all, full(inner))
		}
		if len(all) == 0 {
			return nil
		}
		return all
	case string:
		if value == "" {
			return nil
		}
	case float64:
		if value == 0 {
			return nil
		}
	case bool:
		if !value {
			return nil
		}
	}
	return value
}
