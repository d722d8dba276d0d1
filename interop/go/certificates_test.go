package interop

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// verified reads a leaf and verifies it against the roots as a peer would.
func verified(t *testing.T, leaf *api.LeafCert, roots *api.CARootList) *x509.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
	must(t, err)
	certificate, err := x509.ParseCertificate(pair.Certificate[0])
	must(t, err)
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	for _, root := range roots.Roots {
		pool.AppendCertsFromPEM([]byte(root.RootCertPEM))
	}
	for _, one := range pair.Certificate[1:] {
		parsed, err := x509.ParseCertificate(one)
		must(t, err)
		between.AddCert(parsed)
	}
	_, err = certificate.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	must(t, err)
	return certificate
}

var certificateParts = []part{
	{"roots", func(t *testing.T, c *api.Client) {
		cached, meta, err := c.Agent().ConnectCARoots(nil)
		must(t, err)
		// The harness fixes the id of the cluster.
		want(t, "trust domain", cached.TrustDomain, "11111111-2222-3333-4444-555555555555.consul")
		served, _, err := c.Connect().CARoots(nil)
		must(t, err)
		want(t, "active root", served.ActiveRootID, cached.ActiveRootID)
		want(t, "roots", len(served.Roots), 1)
		root := served.Roots[0]
		want(t, "active", root.Active, true)
		want(t, "begins", root.NotBefore != nil && root.NotBefore.Before(time.Now()), true)
		want(t, "ends", root.NotAfter != nil && root.NotAfter.After(time.Now()), true)
		_, again, err := c.Agent().ConnectCARoots(nil)
		must(t, err)
		want(t, "from the cache", again.CacheHit, true)
		want(t, "index", again.LastIndex, meta.LastIndex)
	}},
	{"a leaf is verified, and its key is its own", func(t *testing.T, c *api.Client) {
		roots, _, err := c.Agent().ConnectCARoots(nil)
		must(t, err)
		leaf, meta, err := c.Agent().ConnectCALeaf("leaf-web", nil)
		must(t, err)
		certificate := verified(t, leaf, roots)
		want(t, "identities", len(certificate.URIs), 1)
		want(t, "identity", certificate.URIs[0].String(), leaf.ServiceURI)
		want(t, "its end", strings.HasSuffix(leaf.ServiceURI, "/ns/default/dc/dc1/svc/leaf-web"), true)
		want(t, "service", leaf.Service, "leaf-web")
		want(t, "begins", leaf.ValidAfter.Before(time.Now()), true)
		want(t, "ends", leaf.ValidBefore.After(time.Now()), true)
		again, second, err := c.Agent().ConnectCALeaf("leaf-web", nil)
		must(t, err)
		want(t, "the same again", again.SerialNumber, leaf.SerialNumber)
		want(t, "index", second.LastIndex, meta.LastIndex)
		want(t, "from the cache", second.CacheHit, true)
	}},
	{"a wait for a leaf ends with its time", func(t *testing.T, c *api.Client) {
		_, meta, err := c.Agent().ConnectCALeaf("leaf-wait", nil)
		must(t, err)
		_, again, err := c.Agent().ConnectCALeaf("leaf-wait", &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 100 * time.Millisecond})
		must(t, err)
		want(t, "index", again.LastIndex, meta.LastIndex)
	}},
	{"the configuration is read and sent back", func(t *testing.T, c *api.Client) {
		config, _, err := c.Connect().CAGetConfig(nil)
		must(t, err)
		want(t, "provider", config.Provider, "consul")
		settings, err := api.ParseConsulCAConfig(config.Config)
		must(t, err)
		want(t, "life of a leaf", settings.LeafCertTTL, 72*time.Hour)
		want(t, "whether a key is shown", settings.PrivateKey, "")
		before, _, err := c.Connect().CARoots(nil)
		must(t, err)
		_, err = c.Connect().CASetConfig(config, nil)
		must(t, err)
		after, _, err := c.Connect().CARoots(nil)
		must(t, err)
		want(t, "active root", after.ActiveRootID, before.ActiveRootID)
		config.Config["LeafCertTTL"] = "48h"
		_, err = c.Connect().CASetConfig(config, nil)
		must(t, err)
		changed, _, err := c.Connect().CAGetConfig(nil)
		must(t, err)
		settings, err = api.ParseConsulCAConfig(changed.Config)
		must(t, err)
		want(t, "life of a leaf", settings.LeafCertTTL, 48*time.Hour)
	}},
	{"the provider's state cannot be written", func(t *testing.T, c *api.Client) {
		config, _, err := c.Connect().CAGetConfig(nil)
		must(t, err)
		config.State = map[string]string{"foo": "bar"}
		_, err = c.Connect().CASetConfig(config, nil)
		refused(t, err, "State")
	}},
	{"a configuration that cannot be is refused", func(t *testing.T, c *api.Client) {
		config, _, err := c.Connect().CAGetConfig(nil)
		must(t, err)
		config.Config["LeafCertTTL"] = "1s"
		_, err = c.Connect().CASetConfig(config, nil)
		refused(t, err, "LeafCertTTL")
		_, err = c.Connect().CASetConfig(&api.CAConfig{Provider: "nobody"}, nil)
		refused(t, err, "nobody")
	}},
	{"a rotation gives another root and other leaves, and waits end", func(t *testing.T, c *api.Client) {
		before, meta, err := c.Agent().ConnectCARoots(nil)
		must(t, err)
		type answer struct {
			roots *api.CARootList
			err   error
		}
		rooted := make(chan answer, 1)
		go func() {
			for index := meta.LastIndex; ; {
				roots, meta, err := c.Agent().ConnectCARoots(&api.QueryOptions{WaitIndex: index, WaitTime: patience})
				if err != nil || roots.ActiveRootID != before.ActiveRootID {
					rooted <- answer{roots, err}
					return
				}
				index = meta.LastIndex
			}
		}()
		config, _, err := c.Connect().CAGetConfig(nil)
		must(t, err)
		config.Config["PrivateKeyBits"] = 384
		config.Config["PrivateKeyType"] = "ec"
		_, err = c.Connect().CASetConfig(config, nil)
		must(t, err)
		told := <-rooted
		must(t, told.err)
		want(t, "roots", len(told.roots.Roots), 2)
		leaf, _, err := c.Agent().ConnectCALeaf("leaf-after", nil)
		must(t, err)
		verified(t, leaf, told.roots)
		// Who has heard of the old root alone takes the new leaves too.
		verified(t, leaf, before)
	}},
}
