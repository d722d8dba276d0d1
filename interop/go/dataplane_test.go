package interop

// What programs that run proxies without an agent ask the servers, by Consul's own stubs.

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbconnectca"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"github.com/hashicorp/consul/sdk/testutil"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A server with ACLs, and where its gRPC is.
func guardedServer(t *testing.T) (*testutil.TestServer, *api.Client) {
	t.Helper()
	server := start(t, func(config *testutil.TestServerConfig) {
		config.ACL.Enabled = true
		config.ACL.DefaultPolicy = "deny"
		config.ACL.Tokens.InitialManagement = "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0"
	})
	return server, clientOf(t, server)
}

func tokenWith(t *testing.T, client *api.Client, name, rules string) *api.ACLToken {
	t.Helper()
	_, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	must(t, err)
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
	must(t, err)
	return token
}

// dial connects to the server's gRPC, and gives a context that carries a token.
func dial(t *testing.T, server *testutil.TestServer, token string) (*grpc.ClientConn, context.Context) {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", server.Config.Ports.GRPC)
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return conn, metadata.AppendToOutgoingContext(ctx, "x-consul-token", token)
}

func TestDataplane(t *testing.T) {
	server, client := guardedServer(t)
	must(t, client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name: "web", Port: 8080,
		Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{
			Proxy: &api.AgentServiceConnectProxyConfig{Config: map[string]interface{}{"envoy_stats_tags": []string{"team=a"}}},
		}},
	}))
	token := tokenWith(t, client, "web", `service "web" { policy = "write" } service "web-sidecar-proxy" { policy = "write" }`)

	t.Run("servers and features", func(t *testing.T) {
		conn, ctx := dial(t, server, token.SecretID)
		stream, err := pbserverdiscovery.NewServerDiscoveryServiceClient(conn).WatchServers(ctx, &pbserverdiscovery.WatchServersRequest{})
		must(t, err)
		told, err := stream.Recv()
		must(t, err)
		want(t, "servers", len(told.Servers), 1)
		want(t, "address", told.Servers[0].Address, "127.0.0.1")
		features, err := pbdataplane.NewDataplaneServiceClient(conn).GetSupportedDataplaneFeatures(ctx, &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
		must(t, err)
		found := map[string]bool{}
		for _, feature := range features.SupportedDataplaneFeatures {
			found[feature.FeatureName.String()] = feature.Supported
		}
		want(t, "features", found, map[string]bool{
			"DATAPLANE_FEATURES_WATCH_SERVERS":                 true,
			"DATAPLANE_FEATURES_EDGE_CERTIFICATE_MANAGEMENT":   true,
			"DATAPLANE_FEATURES_ENVOY_BOOTSTRAP_CONFIGURATION": true,
			"DATAPLANE_FEATURES_FIPS":                          false,
		})
	})

	t.Run("the bootstrap of a proxy", func(t *testing.T) {
		asked := &pbdataplane.GetEnvoyBootstrapParamsRequest{
			NodeSpec: &pbdataplane.GetEnvoyBootstrapParamsRequest_NodeName{NodeName: nodeName(t, client)},
			ProxyId:  "web-sidecar-proxy",
		}
		conn, ctx := dial(t, server, token.SecretID)
		dataplane := pbdataplane.NewDataplaneServiceClient(conn)
		var told *pbdataplane.GetEnvoyBootstrapParamsResponse
		// The registration has to get from the agent to the catalog.
		eventually(t, func() (err error) {
			told, err = dataplane.GetEnvoyBootstrapParams(ctx, asked)
			return err
		})
		want(t, "identity", told.Identity, "web")
		want(t, "config", told.Config.AsMap(), map[string]any{"envoy_stats_tags": []any{"team=a"}})
		other := tokenWith(t, client, "other", `service "web" { policy = "write" }`)
		conn, ctx = dial(t, server, other.SecretID)
		_, err := pbdataplane.NewDataplaneServiceClient(conn).GetEnvoyBootstrapParams(ctx, asked)
		want(t, "refusal", status.Code(err), codes.PermissionDenied)
	})

	t.Run("roots and a leaf", func(t *testing.T) {
		conn, ctx := dial(t, server, token.SecretID)
		authority := pbconnectca.NewConnectCAServiceClient(conn)
		stream, err := authority.WatchRoots(ctx, &pbconnectca.WatchRootsRequest{})
		must(t, err)
		told, err := stream.Recv()
		must(t, err)
		roots := x509.NewCertPool()
		for _, root := range told.Roots {
			roots.AppendCertsFromPEM([]byte(root.RootCert))
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		name := &url.URL{Scheme: "spiffe", Host: told.TrustDomain, Path: "/ns/default/dc/dc1/svc/web"}
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{name}}, key)
		must(t, err)
		signed, err := authority.Sign(ctx, &pbconnectca.SignRequest{
			Csr: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr})),
		})
		must(t, err)
		block, _ := pem.Decode([]byte(signed.CertPem))
		leaf, err := x509.ParseCertificate(block.Bytes)
		must(t, err)
		want(t, "name", leaf.URIs[0].String(), name.String())
		_, err = leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		must(t, err)
	})

	t.Run("an unknown token is told nothing", func(t *testing.T) {
		conn, ctx := dial(t, server, "11111111-2222-4000-8000-000000000001")
		_, err := pbdataplane.NewDataplaneServiceClient(conn).GetSupportedDataplaneFeatures(ctx, &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
		want(t, "refusal", status.Code(err), codes.Unauthenticated)
	})
}
