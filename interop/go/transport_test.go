package interop

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/testutil"
)

type authority struct {
	t           *testing.T
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a := &authority{t: t, dir: t.TempDir(), key: key}
	a.certificate = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "of the test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.sign("ca", a.certificate, key)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	must(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	must(a.t, os.WriteFile(a.path(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(a.t, os.WriteFile(a.path(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

func (a *authority) issue(name string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost", "server.dc1.consul"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, key)
}

// HTTPS, with the keys the harness writes at the top of its file.
func TestHTTPS(t *testing.T) {
	own := newAuthority(t)
	own.issue("server")
	own.issue("client")
	server := start(t, func(c *testutil.TestServerConfig) {
		c.CAFile, c.CertFile, c.KeyFile = own.path("ca.pem"), own.path("server.pem"), own.path("server.key")
		c.VerifyIncomingHTTPS = true
		c.NodeMeta = map[string]string{"rack": "r1"}
	})
	server.WaitForLeader(t)
	https := func(files api.TLSConfig) *api.Client {
		return connect(t, &api.Config{Address: server.HTTPSAddr, Scheme: "https", TLSConfig: files})
	}
	known := api.TLSConfig{CAFile: own.path("ca.pem"), CertFile: own.path("client.pem"), KeyFile: own.path("client.key")}
	t.Run("a client with a certificate is served", func(t *testing.T) {
		_, err := https(known).Agent().Self()
		must(t, err)
	})
	t.Run("one without is not", func(t *testing.T) {
		_, err := https(api.TLSConfig{CAFile: own.path("ca.pem")}).Agent().Self()
		refused(t, err, "certificate")
	})
	t.Run("one of another authority is not", func(t *testing.T) {
		other := newAuthority(t)
		other.issue("client")
		_, err := https(api.TLSConfig{CAFile: own.path("ca.pem"), CertFile: other.path("client.pem"), KeyFile: other.path("client.key")}).Agent().Self()
		refused(t, err)
	})
	t.Run("a client that trusts others is not content", func(t *testing.T) {
		other := newAuthority(t)
		_, err := https(api.TLSConfig{CAFile: other.path("ca.pem"), CertFile: own.path("client.pem"), KeyFile: own.path("client.key")}).Agent().Self()
		refused(t, err, "unknown authority")
	})
	all(t, https(known), map[string][]part{
		"services": serviceParts, "health": healthParts, "intentions": intentionParts, "certificates": certificateParts[:2],
	})
}

// A Unix socket instead of a port, as the harness has it.
func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "sock")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	server := start(t, func(c *testutil.TestServerConfig) {
		c.Addresses = &testutil.TestAddressConfig{HTTP: "unix://" + filepath.Join(dir, "http.sock")}
		c.NodeMeta = map[string]string{"rack": "r1"}
	})
	server.WaitForLeader(t)
	client := connect(t, &api.Config{Address: server.HTTPAddr})
	eventually(t, func() error { _, _, err := client.Connect().CARoots(nil); return err })
	all(t, client, map[string][]part{"services": serviceParts, "health": healthParts, "config entries": entryParts})
}

// What a server knew it knows after a stop and a start.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	var config *testutil.TestServerConfig
	same := func(c *testutil.TestServerConfig) {
		if config == nil {
			config = c
		} else {
			c.NodeID, c.NodeName = config.NodeID, config.NodeName
		}
		c.DataDir = filepath.Join(dir, "data")
	}
	first, err := testutil.NewTestServerConfigT(t, same)
	must(t, err)
	client := clientOf(t, first)
	first.WaitForLeader(t)
	first.WaitForActiveCARoot(t)
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "kept", Port: 1, Check: &api.AgentServiceCheck{CheckID: "kept", TTL: "10m"}}))
	must(t, client.Agent().PassTTL("kept", "before"))
	_, _, err = client.ConfigEntries().Set(intentionsEntry("kept", &api.SourceIntention{Name: "web", Action: api.IntentionActionDeny}), nil)
	must(t, err)
	// The harness looks at the first node, which is to be the server.
	outsideNode := &api.CatalogRegistration{Node: "z-outside", Address: "192.0.2.10", Service: &api.AgentService{ID: "kept-ext", Service: "kept-ext"}}
	_, err = client.Catalog().Register(outsideNode, nil)
	must(t, err)
	roots, _, err := client.Agent().ConnectCARoots(nil)
	must(t, err)
	must(t, first.Stop())

	second := start(t, same)
	client = clientOf(t, second)
	second.WaitForLeader(t)
	second.WaitForSerfCheck(t)
	t.Run("the service and its verdict", func(t *testing.T) {
		found := check(t, client, "kept")
		want(t, "status", found.Status, api.HealthPassing)
		want(t, "output", found.Output, "before")
		eventually(t, func() error {
			found, _, err := client.Health().Service("kept", "", true, nil)
			if err != nil {
				return err
			}
			return equal("passing", len(found), 1)
		})
	})
	t.Run("the catalog", func(t *testing.T) {
		found, _, err := client.Catalog().Service("kept-ext", "", nil)
		must(t, err)
		want(t, "instances", len(found), 1)
	})
	t.Run("intentions", func(t *testing.T) { allowed(t, client, "web", "kept", false) })
	t.Run("the root", func(t *testing.T) {
		again, _, err := client.Agent().ConnectCARoots(nil)
		must(t, err)
		want(t, "active root", again.ActiveRootID, roots.ActiveRootID)
	})
}

// Leaving ends the agent by itself.
func TestLeave(t *testing.T) {
	server, err := testutil.NewTestServerConfigT(t, nil)
	must(t, err)
	client := clientOf(t, server)
	server.WaitForLeader(t)
	must(t, client.Agent().Leave())
	eventually(t, func() error {
		_, err := client.Status().Leader()
		if err == nil || !strings.Contains(err.Error(), "refused") {
			return fmt.Errorf("it still answers: %v", err)
		}
		return nil
	})
	// Its process is gone; the harness says so, or that it has ended well.
	if err := server.Stop(); err != nil && !strings.Contains(err.Error(), "process") {
		t.Fatal(err)
	}
}

func equal(what string, found, expected int) error { return same(what, found, expected) }
