package interop

// What all tests share: a server of the harness, a client for it, and ways to say what is expected.

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/testutil"
)

// How long something may take that comes by itself. A guard against hangs, nothing is measured.
const patience = 40 * time.Second

// start has the harness start a server and waits until it serves.
func start(t *testing.T, change func(*testutil.TestServerConfig)) *testutil.TestServer {
	t.Helper()
	server, err := testutil.NewTestServerConfigT(t, change)
	if err != nil {
		t.Fatalf("the harness did not get its server: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Errorf("the server did not end well: %v", err)
		}
	})
	return server
}

func connect(t *testing.T, config *api.Config) *api.Client {
	t.Helper()
	client, err := api.NewClient(config)
	must(t, err)
	return client
}

func clientOf(t *testing.T, server *testutil.TestServer) *api.Client {
	t.Helper()
	return connect(t, &api.Config{Address: server.HTTPAddr, Token: server.Config.ACL.Tokens.InitialManagement})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, what string, found, expected any) {
	t.Helper()
	if !reflect.DeepEqual(found, expected) {
		t.Fatalf("%s: found %#v, wanted %#v", what, found, expected)
	}
}

// wantCode expects a refusal with a status, whose text says something.
func wantCode(t *testing.T, err error, code int, says string) {
	t.Helper()
	var status api.StatusError
	if !errors.As(err, &status) {
		t.Fatalf("wanted a refusal with %d, got: %v", code, err)
	}
	if status.Code != code || !strings.Contains(status.Body, says) {
		t.Fatalf("wanted a refusal with %d that says %q, got %d: %s", code, says, status.Code, status.Body)
	}
}

// refused expects a refusal of which the client tells nothing but its text.
func refused(t *testing.T, err error, says ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("taken, wanted a refusal that says %q", says)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Fatalf("wanted a refusal that says %q, got: %v", part, err)
		}
	}
}

func eventually(t *testing.T, attempt func() error) {
	t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if last = attempt(); last == nil {
			return
		}
	}
	t.Fatalf("not in %s: %v", patience, last)
}

// same is want for what comes by itself.
func same(what string, found, expected any) error {
	if !reflect.DeepEqual(found, expected) {
		return fmt.Errorf("%s: found %#v, wanted %#v", what, found, expected)
	}
	return nil
}

func register(t *testing.T, c *api.Client, service *api.AgentServiceRegistration) {
	t.Helper()
	must(t, c.Agent().ServiceRegister(service))
	id := service.ID
	if id == "" {
		id = service.Name
	}
	t.Cleanup(func() {
		// Some tests take it away themselves.
		_ = c.Agent().ServiceDeregister(id)
	})
}

func nodeName(t *testing.T, c *api.Client) string {
	t.Helper()
	name, err := c.Agent().NodeName()
	must(t, err)
	return name
}
