package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// checked registers a check of the node and waits until it stands as expected.
func checked(t *testing.T, c *api.Client, check *api.AgentCheckRegistration, status string) *api.AgentCheck {
	t.Helper()
	must(t, c.Agent().CheckRegister(check))
	id := check.ID
	if id == "" {
		id = check.Name
	}
	t.Cleanup(func() { _ = c.Agent().CheckDeregister(id) })
	var found *api.AgentCheck
	eventually(t, func() error {
		checks, err := c.Agent().Checks()
		if err != nil {
			return err
		}
		if found = checks[id]; found == nil {
			return fmt.Errorf("no check %q", id)
		}
		if found.Status != status {
			return fmt.Errorf("%s: %s, wanted %s", found.Status, found.Output, status)
		}
		return nil
	})
	return found
}

func quick(check api.AgentServiceCheck) api.AgentServiceCheck {
	check.Interval, check.Timeout = "100ms", "5s"
	return check
}

// closedPort is a port at which nobody listens.
func closedPort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func listening(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

var checkParts = []part{
	{"TTL: pass, warn, fail, update", func(t *testing.T, c *api.Client) {
		checked(t, c, &api.AgentCheckRegistration{ID: "ttl", Name: "alive", Notes: "says so itself", AgentServiceCheck: api.AgentServiceCheck{TTL: "10m"}}, api.HealthCritical)
		for _, one := range []struct {
			report func(string, string) error
			status string
		}{
			{c.Agent().PassTTL, api.HealthPassing},
			{c.Agent().WarnTTL, api.HealthWarning},
			{c.Agent().FailTTL, api.HealthCritical},
		} {
			must(t, one.report("ttl", "so it is & stays"))
			found := check(t, c, "ttl")
			want(t, "status", found.Status, one.status)
			want(t, "output", found.Output, "so it is & stays")
			want(t, "notes", found.Notes, "says so itself")
			want(t, "type", found.Type, "ttl")
		}
		// Words of the past and of the present.
		for said, status := range map[string]string{"pass": api.HealthPassing, "warn": api.HealthWarning, "fail": api.HealthCritical, api.HealthPassing: api.HealthPassing} {
			must(t, c.Agent().UpdateTTL("ttl", "out", said))
			want(t, "status after "+said, check(t, c, "ttl").Status, status)
		}
		wantCode(t, c.Agent().UpdateTTL("nobody", "", api.HealthPassing), 404, "")
	}},
	{"a TTL that runs out is critical", func(t *testing.T, c *api.Client) {
		must(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{Name: "short", AgentServiceCheck: api.AgentServiceCheck{TTL: "300ms", Status: api.HealthPassing}}))
		t.Cleanup(func() { must(t, c.Agent().CheckDeregister("short")) })
		eventually(t, func() error { return same("status", check(t, c, "short").Status, api.HealthCritical) })
	}},
	{"HTTP: status, method, headers, body", func(t *testing.T, c *api.Client) {
		target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/told" && r.Method == "POST" && r.Header.Get("X-Asked") == "by-agent":
				fmt.Fprint(w, "as told")
			case r.URL.Path == "/many":
				w.WriteHeader(http.StatusTooManyRequests)
			default:
				w.WriteHeader(http.StatusTeapot)
			}
		}))
		t.Cleanup(target.Close)
		found := checked(t, c, &api.AgentCheckRegistration{Name: "http-told", AgentServiceCheck: quick(api.AgentServiceCheck{
			HTTP: target.URL + "/told", Method: "POST", Body: "question", Header: map[string][]string{"X-Asked": {"by-agent"}},
		})}, api.HealthPassing)
		want(t, "type", found.Type, "http")
		want(t, "output", strings.Contains(found.Output, "as told"), true)
		checked(t, c, &api.AgentCheckRegistration{Name: "http-many", AgentServiceCheck: quick(api.AgentServiceCheck{HTTP: target.URL + "/many"})}, api.HealthWarning)
		checked(t, c, &api.AgentCheckRegistration{Name: "http-tea", AgentServiceCheck: quick(api.AgentServiceCheck{HTTP: target.URL + "/tea", Status: api.HealthPassing})}, api.HealthCritical)
	}},
	{"HTTPS is verified unless it need not be", func(t *testing.T, c *api.Client) {
		target := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(target.Close)
		checked(t, c, &api.AgentCheckRegistration{Name: "https-any", AgentServiceCheck: quick(api.AgentServiceCheck{HTTP: target.URL, TLSSkipVerify: true})}, api.HealthPassing)
		checked(t, c, &api.AgentCheckRegistration{Name: "https-known", AgentServiceCheck: quick(api.AgentServiceCheck{HTTP: target.URL, Status: api.HealthPassing})}, api.HealthCritical)
	}},
	{"TCP", func(t *testing.T, c *api.Client) {
		found := checked(t, c, &api.AgentCheckRegistration{Name: "tcp-open", AgentServiceCheck: quick(api.AgentServiceCheck{TCP: listening(t)})}, api.HealthPassing)
		want(t, "type", found.Type, "tcp")
		checked(t, c, &api.AgentCheckRegistration{Name: "tcp-closed", AgentServiceCheck: quick(api.AgentServiceCheck{TCP: closedPort(t), Status: api.HealthPassing})}, api.HealthCritical)
	}},
	{"TCP under TLS", func(t *testing.T, c *api.Client) {
		target := httptest.NewTLSServer(http.NotFoundHandler())
		t.Cleanup(target.Close)
		address := target.Listener.Addr().String()
		checked(t, c, &api.AgentCheckRegistration{Name: "tls-any", AgentServiceCheck: quick(api.AgentServiceCheck{TCP: address, TCPUseTLS: true, TLSSkipVerify: true})}, api.HealthPassing)
		checked(t, c, &api.AgentCheckRegistration{Name: "tls-known", AgentServiceCheck: quick(api.AgentServiceCheck{TCP: address, TCPUseTLS: true, Status: api.HealthPassing})}, api.HealthCritical)
	}},
	{"UDP", func(t *testing.T, c *api.Client) {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		must(t, err)
		t.Cleanup(func() { socket.Close() })
		go func() {
			buffer := make([]byte, 1500)
			for {
				if _, from, err := socket.ReadFrom(buffer); err != nil {
					return
				} else if _, err := socket.WriteTo([]byte("here"), from); err != nil {
					return
				}
			}
		}()
		found := checked(t, c, &api.AgentCheckRegistration{Name: "udp", AgentServiceCheck: quick(api.AgentServiceCheck{UDP: socket.LocalAddr().String()})}, api.HealthPassing)
		want(t, "type", found.Type, "udp")
	}},
	{"gRPC", func(t *testing.T, c *api.Client) {
		found := checked(t, c, &api.AgentCheckRegistration{Name: "grpc-closed", AgentServiceCheck: quick(api.AgentServiceCheck{GRPC: closedPort(t) + "/svc", Status: api.HealthPassing})}, api.HealthCritical)
		want(t, "type", found.Type, "grpc")
	}},
	{"H2PING", func(t *testing.T, c *api.Client) {
		target := httptest.NewUnstartedServer(http.NotFoundHandler())
		target.EnableHTTP2 = true
		target.TLS = &tls.Config{NextProtos: []string{"h2"}}
		target.StartTLS()
		t.Cleanup(target.Close)
		location, err := url.Parse(target.URL)
		must(t, err)
		found := checked(t, c, &api.AgentCheckRegistration{Name: "h2", AgentServiceCheck: quick(api.AgentServiceCheck{H2PING: location.Host, H2PingUseTLS: true, TLSSkipVerify: true})}, api.HealthPassing)
		want(t, "type", found.Type, "h2ping")
		checked(t, c, &api.AgentCheckRegistration{Name: "h2-closed", AgentServiceCheck: quick(api.AgentServiceCheck{H2PING: closedPort(t), Status: api.HealthPassing})}, api.HealthCritical)
	}},
	{"scripts: 0 passes, 1 warns, others fail", func(t *testing.T, c *api.Client) {
		for code, status := range map[int]string{0: api.HealthPassing, 1: api.HealthWarning, 2: api.HealthCritical} {
			name := fmt.Sprintf("script-%d", code)
			initial := api.HealthWarning
			if status == initial {
				initial = api.HealthPassing
			}
			found := checked(t, c, &api.AgentCheckRegistration{Name: name, AgentServiceCheck: quick(api.AgentServiceCheck{
				Args: []string{"sh", "-c", fmt.Sprintf("echo told; exit %d", code)}, Status: initial,
			})}, status)
			want(t, "type", found.Type, "script")
			want(t, "output", found.Output, "told\n")
		}
	}},
	{"an alias is as its service is", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "aliased", Port: 1, Check: &api.AgentServiceCheck{CheckID: "aliased-ttl", TTL: "10m", Status: api.HealthPassing}})
		found := checked(t, c, &api.AgentCheckRegistration{Name: "alias", AgentServiceCheck: api.AgentServiceCheck{AliasService: "aliased"}}, api.HealthPassing)
		want(t, "type", found.Type, "alias")
		must(t, c.Agent().FailTTL("aliased-ttl", ""))
		eventually(t, func() error { return same("status", check(t, c, "alias").Status, api.HealthCritical) })
	}},
	{"a docker check is critical and says why", func(t *testing.T, c *api.Client) {
		found := checked(t, c, &api.AgentCheckRegistration{Name: "docker", AgentServiceCheck: quick(api.AgentServiceCheck{DockerContainerID: "abc", Shell: "/bin/sh", Args: []string{"true"}})}, api.HealthCritical)
		eventually(t, func() error {
			if found = check(t, c, "docker"); found.Output == "" {
				return fmt.Errorf("no reason")
			}
			return nil
		})
	}},
	{"thresholds", func(t *testing.T, c *api.Client) {
		found := checked(t, c, &api.AgentCheckRegistration{Name: "patient", AgentServiceCheck: quick(api.AgentServiceCheck{TCP: closedPort(t), Status: api.HealthPassing, SuccessBeforePassing: 2, FailuresBeforeWarning: 1, FailuresBeforeCritical: 3})}, api.HealthCritical)
		want(t, "type", found.Type, "tcp")
	}},
	{"a check names its service and goes with it", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "checked-name", ID: "checked-1", Port: 1, Tags: []string{"t"}})
		must(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{ID: "of-service", Name: "of service", ServiceID: "checked-1", AgentServiceCheck: api.AgentServiceCheck{TTL: "10m", Status: api.HealthPassing}}))
		found := check(t, c, "of-service")
		want(t, "service id", found.ServiceID, "checked-1")
		want(t, "service name", found.ServiceName, "checked-name")
		eventually(t, func() error {
			checks, _, err := c.Health().Checks("checked-name", nil)
			if err != nil {
				return err
			}
			if len(checks) != 1 {
				return same("checks", len(checks), 1)
			}
			return same("tags", checks[0].ServiceTags, []string{"t"})
		})
		must(t, c.Agent().ServiceDeregister("checked-1"))
		want(t, "check of a service that is gone", checkOrNil(t, c, "of-service") == nil, true)
		refused(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{Name: "orphan", ServiceID: "nobody", AgentServiceCheck: api.AgentServiceCheck{TTL: "1m"}}), "404", "nobody")
	}},
	{"a service that is to go when it has failed for long stays until then", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "reaped", Port: 1, Check: &api.AgentServiceCheck{TTL: "10m", DeregisterCriticalServiceAfter: "1h"}})
		want(t, "status", check(t, c, "service:reaped").Status, api.HealthCritical)
	}},
	{"several checks of a service are numbered", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "numbered", Port: 1, Checks: api.AgentServiceChecks{{TTL: "10m"}, {TTL: "10m", Name: "named"}, {TTL: "10m", CheckID: "third"}}})
		want(t, "first", check(t, c, "service:numbered:1").Name, "Service 'numbered' check")
		want(t, "second", check(t, c, "service:numbered:2").Name, "named")
		want(t, "third", check(t, c, "third").ServiceID, "numbered")
	}},
	{"filters", func(t *testing.T, c *api.Client) {
		checked(t, c, &api.AgentCheckRegistration{Name: "to-filter", AgentServiceCheck: api.AgentServiceCheck{TTL: "10m", Status: api.HealthWarning}}, api.HealthWarning)
		found, err := c.Agent().ChecksWithFilter(`CheckID == "to-filter" and Status == "warning"`)
		must(t, err)
		want(t, "checks", len(found), 1)
		found, err = c.Agent().ChecksWithFilter(`CheckID == "to-filter" and Status != "warning"`)
		must(t, err)
		want(t, "checks of another status", len(found), 0)
	}},
	{"what cannot be is refused", func(t *testing.T, c *api.Client) {
		for name, bad := range map[string]api.AgentServiceCheck{
			"nothing to do":           {},
			"an interval of no kind":  {TTL: "soon"},
			"two kinds":               {TTL: "1m", HTTP: "http://127.0.0.1/", Interval: "1s"},
			"no interval":             {HTTP: "http://127.0.0.1/"},
			"a status there is not":   {TTL: "1m", Status: "fine"},
			"thresholds upside down":  {TCP: "127.0.0.1:1", Interval: "1s", FailuresBeforeWarning: 3, FailuresBeforeCritical: 1},
			"an alias with something": {AliasService: "x", Interval: "1s", HTTP: "http://127.0.0.1/"},
		} {
			t.Run(name, func(t *testing.T) {
				refused(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{Name: "bad", AgentServiceCheck: bad}), "400")
				want(t, "nothing half applied", checkOrNil(t, c, "bad") == nil, true)
			})
		}
		refused(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{AgentServiceCheck: api.AgentServiceCheck{TTL: "1m"}}), "400", "Missing check name")
		wantCode(t, c.Agent().CheckDeregister("nobody"), 404, "")
	}},
	{"a request that is given up is not waited for", func(t *testing.T, c *api.Client) {
		register(t, c, &api.AgentServiceRegistration{Name: "given-up", Port: 1})
		now, _, err := c.Agent().Service("given-up", nil)
		must(t, err)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		options := &api.QueryOptions{WaitHash: now.ContentHash, WaitTime: patience}
		_, _, err = c.Agent().Service("given-up", options.WithContext(ctx))
		refused(t, err, "context deadline exceeded")
	}},
}

func checkOrNil(t *testing.T, c *api.Client, id string) *api.AgentCheck {
	t.Helper()
	checks, err := c.Agent().Checks()
	must(t, err)
	return checks[id]
}

func check(t *testing.T, c *api.Client, id string) *api.AgentCheck {
	t.Helper()
	found := checkOrNil(t, c, id)
	if found == nil {
		t.Fatalf("no check %q", id)
	}
	return found
}
