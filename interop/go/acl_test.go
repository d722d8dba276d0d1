package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/testutil"
)

const management = "5a2bbd57-bd55-4bd4-8e0f-4c8f2f1cbb5f"

// What can be done with an agent with ACLs, whose first token the configuration names.
func TestAgentWithACLs(t *testing.T) {
	server := start(t, func(c *testutil.TestServerConfig) {
		c.PrimaryDatacenter = "dc1"
		c.ACL.Enabled = true
		c.ACL.DefaultPolicy = "deny"
		c.ACL.Tokens.InitialManagement = management
		c.ACL.Tokens.Agent = management
		c.ACL.TokenTTL = "1s"
	})
	server.WaitForLeader(t)
	server.WaitForSerfCheck(t)
	server.WaitForActiveCARoot(t)
	anonymous := connect(t, &api.Config{Address: server.HTTPAddr})
	t.Run("without a token", func(t *testing.T) {
		for _, one := range anonymousParts {
			t.Run(one.name, func(t *testing.T) { one.run(t, anonymous) })
		}
	})
	t.Run("a bearer's token counts too", func(t *testing.T) {
		bearer := connect(t, &api.Config{Address: server.HTTPAddr})
		bearer.SetHeaders(map[string][]string{"Authorization": {"Bearer " + management}})
		_, err := bearer.Agent().Self()
		must(t, err)
	})
	all(t, clientOf(t, server), map[string][]part{"policies": policyParts, "tokens": tokenParts, "rights": rightParts})
}

// An agent whose first token is made by whoever asks first.
func TestBootstrap(t *testing.T) {
	server := start(t, func(c *testutil.TestServerConfig) { c.ACL.Enabled, c.ACL.DefaultPolicy = true, "deny" })
	client := connect(t, &api.Config{Address: server.HTTPAddr})
	var first *api.ACLToken
	eventually(t, func() (err error) { first, _, err = client.ACL().Bootstrap(); return err })
	t.Run("gives a management token", func(t *testing.T) {
		self, _, err := client.ACL().TokenReadSelf(&api.QueryOptions{Token: first.SecretID})
		must(t, err)
		want(t, "policy", self.Policies[0].Name, "global-management")
	})
	t.Run("once", func(t *testing.T) {
		_, _, err := client.ACL().Bootstrap()
		wantCode(t, err, 403, "ACL bootstrap no longer allowed")
	})
	t.Run("tokens of the agent are set while it runs", func(t *testing.T) {
		options := &api.WriteOptions{Token: first.SecretID}
		_, err := client.Agent().UpdateAgentACLToken(first.SecretID, options)
		must(t, err)
		_, err = client.Agent().UpdateDefaultACLToken(first.SecretID, options)
		must(t, err)
		// From now on who has no token has the agent's.
		_, err = client.Agent().Self()
		must(t, err)
		_, err = client.Agent().UpdateConfigFileRegistrationToken(first.SecretID, options)
		must(t, err)
		_, err = client.Agent().UpdateReplicationACLToken("x", options)
		refused(t, err, "501")
	})
	server.WaitForLeader(t)
}

var anonymousParts = []part{
	{"the agent says nothing", func(t *testing.T, c *api.Client) {
		_, err := c.Agent().Self()
		wantCode(t, err, 403, "Permission denied")
	}},
	{"nothing is registered", func(t *testing.T, c *api.Client) {
		wantCode(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x"}), 403, "service:write")
		refused(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{Name: "x", AgentServiceCheck: api.AgentServiceCheck{TTL: "1m"}}), "403")
		_, err := c.Catalog().Register(&api.CatalogRegistration{Node: "x", Address: "192.0.2.1"}, nil)
		refused(t, err, "403")
	}},
	{"lists are empty", func(t *testing.T, c *api.Client) {
		services, _, err := c.Catalog().Services(nil)
		must(t, err)
		want(t, "services", len(services), 0)
		nodes, _, err := c.Catalog().Nodes(nil)
		must(t, err)
		want(t, "nodes", len(nodes), 0)
	}},
	{"no leaf, no intention, no entry, no token", func(t *testing.T, c *api.Client) {
		_, _, err := c.Agent().ConnectCALeaf("web", nil)
		wantCode(t, err, 403, "")
		_, err = c.Connect().IntentionUpsert(intention("a", "b", api.IntentionActionDeny), nil)
		refused(t, err, "403")
		_, _, err = c.ConfigEntries().Set(intentionsEntry("a", &api.SourceIntention{Name: "b", Action: api.IntentionActionDeny}), nil)
		refused(t, err, "403")
		_, _, err = c.ACL().TokenList(nil)
		wantCode(t, err, 403, "")
		_, _, err = c.Connect().CAGetConfig(nil)
		wantCode(t, err, 403, "")
	}},
	{"roots are for everybody", func(t *testing.T, c *api.Client) {
		roots, _, err := c.Agent().ConnectCARoots(nil)
		must(t, err)
		want(t, "roots", len(roots.Roots) > 0, true)
	}},
	{"who names a token that is not there is told so", func(t *testing.T, c *api.Client) {
		_, _, err := c.Catalog().Nodes(&api.QueryOptions{Token: "9b8b6c5e-0000-4444-8888-000000000000"})
		wantCode(t, err, 403, "ACL not found")
	}},
}

var policyParts = []part{
	{"create, read, change, list, delete", func(t *testing.T, c *api.Client) {
		made, _, err := c.ACL().PolicyCreate(&api.ACLPolicy{Name: "pol", Description: "d", Rules: `service "web" { policy = "write" }`, Datacenters: []string{"dc1"}}, nil)
		must(t, err)
		want(t, "hash", len(made.Hash) > 0, true)
		by, _, err := c.ACL().PolicyReadByName("pol", nil)
		must(t, err)
		want(t, "by name", by, made)
		byID, _, err := c.ACL().PolicyRead(made.ID, nil)
		must(t, err)
		want(t, "by id", byID, made)
		made.Description, made.Rules = "other", `node_prefix "" { policy = "read" }`
		changed, _, err := c.ACL().PolicyUpdate(made, nil)
		must(t, err)
		want(t, "description", changed.Description, "other")
		want(t, "another hash", string(changed.Hash) == string(by.Hash), false)
		list, _, err := c.ACL().PolicyList(nil)
		must(t, err)
		names := []string{}
		for _, one := range list {
			names = append(names, one.Name)
		}
		want(t, "listed", strings.Contains(strings.Join(names, " "), "pol"), true)
		want(t, "built in", strings.Contains(strings.Join(names, " "), "global-management"), true)
		_, err = c.ACL().PolicyDelete(made.ID, nil)
		must(t, err)
		gone, _, err := c.ACL().PolicyReadByName("pol", nil)
		must(t, err)
		want(t, "gone", gone == nil, true)
	}},
	{"what cannot be is refused", func(t *testing.T, c *api.Client) {
		_, _, err := c.ACL().PolicyCreate(&api.ACLPolicy{Name: "bad", Rules: `service "web" { policy = "own" }`}, nil)
		refused(t, err)
		_, _, err = c.ACL().PolicyCreate(&api.ACLPolicy{Name: "bad name"}, nil)
		refused(t, err, "Invalid Policy")
		_, _, err = c.ACL().PolicyCreate(&api.ACLPolicy{}, nil)
		refused(t, err, "Invalid Policy")
		_, _, err = c.ACL().PolicyCreate(&api.ACLPolicy{Name: "twice"}, nil)
		must(t, err)
		_, _, err = c.ACL().PolicyCreate(&api.ACLPolicy{Name: "twice"}, nil)
		refused(t, err, `A Policy with Name "twice" already exists`)
		_, err = c.ACL().PolicyDelete("00000000-0000-0000-0000-000000000001", nil)
		refused(t, err, "500")
	}},
}

func policy(t *testing.T, c *api.Client, name, rules string) *api.ACLPolicy {
	t.Helper()
	made, _, err := c.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	must(t, err)
	return made
}

func tokenFor(t *testing.T, c *api.Client, name, rules string) *api.ACLToken {
	t.Helper()
	policy(t, c, name, rules)
	made, _, err := c.ACL().TokenCreate(&api.ACLToken{Description: name, Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
	must(t, err)
	return made
}

var tokenParts = []part{
	{"create, read, change, clone, list, delete", func(t *testing.T, c *api.Client) {
		made := tokenFor(t, c, "tok", `service "tok" { policy = "write" }`)
		want(t, "policy's name", made.Policies[0].Name, "tok")
		read, _, err := c.ACL().TokenRead(made.AccessorID, nil)
		must(t, err)
		want(t, "read", read.SecretID, made.SecretID)
		want(t, "time", time.Since(read.CreateTime) < time.Hour, true)
		read.Description = "changed"
		changed, _, err := c.ACL().TokenUpdate(read, nil)
		must(t, err)
		want(t, "description", changed.Description, "changed")
		want(t, "policies", len(changed.Policies), 1)
		clone, _, err := c.ACL().TokenClone(made.AccessorID, "clone", nil)
		must(t, err)
		want(t, "another secret", clone.SecretID == made.SecretID, false)
		want(t, "policies of the clone", clone.Policies[0].Name, "tok")
		list, _, err := c.ACL().TokenListFiltered(api.ACLTokenFilterOptions{Policy: made.Policies[0].ID}, nil)
		must(t, err)
		want(t, "tokens of the policy", len(list), 2)
		all, _, err := c.ACL().TokenList(nil)
		must(t, err)
		want(t, "anonymous and management besides", len(all) >= 4, true)
		for _, one := range []string{clone.AccessorID, made.AccessorID} {
			_, err = c.ACL().TokenDelete(one, nil)
			must(t, err)
		}
		_, _, err = c.ACL().TokenRead(made.AccessorID, nil)
		wantCode(t, err, 403, "ACL not found")
	}},
	{"with ids and secret of one's own", func(t *testing.T, c *api.Client) {
		sent := &api.ACLToken{AccessorID: "11111111-1111-4111-8111-111111111111", SecretID: "22222222-2222-4222-8222-222222222222", Local: true}
		made, _, err := c.ACL().TokenCreate(sent, nil)
		must(t, err)
		want(t, "accessor", made.AccessorID, sent.AccessorID)
		want(t, "secret", made.SecretID, sent.SecretID)
		want(t, "local", made.Local, true)
		_, _, err = c.ACL().TokenCreate(sent, nil)
		refused(t, err)
	}},
	{"that are a service and a node", func(t *testing.T, c *api.Client) {
		made, _, err := c.ACL().TokenCreate(&api.ACLToken{
			ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "id-web"}},
			NodeIdentities:    []*api.ACLNodeIdentity{{NodeName: "id-node", Datacenter: "dc1"}},
		}, nil)
		must(t, err)
		read, _, err := c.ACL().TokenRead(made.AccessorID, nil)
		must(t, err)
		want(t, "service", read.ServiceIdentities[0].ServiceName, "id-web")
		want(t, "node", *read.NodeIdentities[0], api.ACLNodeIdentity{NodeName: "id-node", Datacenter: "dc1"})
		with := &api.QueryOptions{Token: made.SecretID}
		for _, name := range []string{"id-web", "id-web-sidecar-proxy"} {
			must(t, c.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{Name: name, Port: 1}, api.ServiceRegisterOpts{Token: made.SecretID}))
			must(t, c.Agent().ServiceDeregisterOpts(name, with))
		}
		_, _, err = c.Agent().ConnectCALeaf("id-web", with)
		must(t, err)
		_, _, err = c.Agent().ConnectCALeaf("id-other", with)
		wantCode(t, err, 403, "service:write")
		_, err = c.Catalog().Register(&api.CatalogRegistration{Node: "id-node", Address: "192.0.2.9"}, &api.WriteOptions{Token: made.SecretID})
		must(t, err)
		_, err = c.Catalog().Register(&api.CatalogRegistration{Node: "id-other", Address: "192.0.2.9"}, &api.WriteOptions{Token: made.SecretID})
		refused(t, err, "403")
		list, _, err := c.ACL().TokenListFiltered(api.ACLTokenFilterOptions{ServiceName: "id-web"}, nil)
		must(t, err)
		want(t, "tokens of the service", len(list), 1)
	}},
	{"that expire", func(t *testing.T, c *api.Client) {
		made, _, err := c.ACL().TokenCreate(&api.ACLToken{ExpirationTTL: time.Hour}, nil)
		must(t, err)
		left := time.Until(*made.ExpirationTime)
		want(t, "its end", left > 50*time.Minute && left <= time.Hour, true)
		_, _, err = c.ACL().TokenCreate(&api.ACLToken{ExpirationTTL: time.Second}, nil)
		refused(t, err)
	}},
	{"one's own", func(t *testing.T, c *api.Client) {
		self, _, err := c.ACL().TokenReadSelf(nil)
		must(t, err)
		want(t, "secret", self.SecretID, management)
		made := tokenFor(t, c, "own", `key "a" { policy = "read" }`)
		self, _, err = c.ACL().TokenReadSelf(&api.QueryOptions{Token: made.SecretID})
		must(t, err)
		want(t, "accessor", self.AccessorID, made.AccessorID)
	}},
	{"with all it may do", func(t *testing.T, c *api.Client) {
		made := tokenFor(t, c, "expanded", `service "expanded" { policy = "read" }`)
		expanded, _, err := c.ACL().TokenReadExpanded(made.AccessorID, nil)
		must(t, err)
		want(t, "policies", len(expanded.ExpandedPolicies), 1)
		want(t, "rules", strings.Contains(expanded.ExpandedPolicies[0].Rules, "expanded"), true)
		want(t, "default", expanded.AgentACLDefaultPolicy, "deny")
	}},
	{"what is not there is refused", func(t *testing.T, c *api.Client) {
		_, _, err := c.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: "nobody"}}}, nil)
		refused(t, err, "nobody")
		_, err = c.ACL().TokenDelete("00000000-0000-0000-0000-000000000002", nil)
		refused(t, err, "anonymous")
	}},
	{"roles, methods and login are not built", func(t *testing.T, c *api.Client) {
		_, _, err := c.ACL().RoleList(nil)
		refused(t, err, "501", "ACL roles")
		_, _, err = c.ACL().AuthMethodList(nil)
		refused(t, err, "501", "auth methods")
		_, _, err = c.ACL().BindingRuleList("", nil)
		refused(t, err, "501", "binding rules")
		_, _, err = c.ACL().Login(&api.ACLLoginParams{AuthMethod: "x", BearerToken: "y"}, nil)
		refused(t, err, "501", "ACL login")
		_, _, err = c.ACL().TemplatedPolicyList(nil)
		refused(t, err, "501", "templated policies")
		_, _, err = c.ACL().Replication(nil)
		refused(t, err, "501", "replication")
	}},
}

var rightParts = []part{
	{"a service's token has its rights and no others", func(t *testing.T, c *api.Client) {
		made := tokenFor(t, c, "for-web", `service "rweb" { policy = "write" intentions = "read" } service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }`)
		options := api.ServiceRegisterOpts{Token: made.SecretID}
		must(t, c.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{Name: "rweb", Port: 1, Check: &api.AgentServiceCheck{CheckID: "rweb", TTL: "10m"}}, options))
		with := &api.QueryOptions{Token: made.SecretID}
		must(t, c.Agent().UpdateTTLOpts("rweb", "", api.HealthPassing, with))
		eventually(t, func() error {
			found, _, err := c.Health().Service("rweb", "", true, with)
			if err != nil {
				return err
			}
			return same("passing", len(found), 1)
		})
		_, _, err := c.Agent().ConnectCALeaf("rweb", with)
		must(t, err)
		_, _, err = c.Agent().ConnectCALeaf("rapi", with)
		wantCode(t, err, 403, "")
		wantCode(t, c.Agent().ServiceRegisterOpts(&api.AgentServiceRegistration{Name: "rapi", Port: 1}, options), 403, "service:write")
		_, err = c.Connect().IntentionUpsert(intention("a", "rweb", api.IntentionActionDeny), &api.WriteOptions{Token: made.SecretID})
		refused(t, err, "403", "intention:write")
		_, err = c.ACL().TokenDelete(made.AccessorID, nil)
		must(t, err)
		eventually(t, func() error {
			_, _, err := c.Agent().ConnectCALeaf("rweb", with)
			return same("refused", err != nil, true)
		})
		must(t, c.Agent().ServiceDeregister("rweb"))
	}},
	{"what is hidden is said to be", func(t *testing.T, c *api.Client) {
		made := tokenFor(t, c, "blind", `agent_prefix "" { policy = "read" }`)
		nodes, meta, err := c.Catalog().Nodes(&api.QueryOptions{Token: made.SecretID})
		must(t, err)
		want(t, "nodes", len(nodes), 0)
		want(t, "filtered", meta.ResultsFilteredByACLs, true)
		_, meta, err = c.Catalog().Nodes(nil)
		must(t, err)
		want(t, "filtered for who may see all", meta.ResultsFilteredByACLs, false)
	}},
	{"a waiting list ends when its rights go", func(t *testing.T, c *api.Client) {
		made := tokenFor(t, c, "waits", `node_prefix "" { policy = "read" }`)
		_, meta, err := c.Catalog().Nodes(&api.QueryOptions{Token: made.SecretID})
		must(t, err)
		ended := make(chan error, 1)
		go func() {
			for {
				_, _, err := c.Catalog().Nodes(&api.QueryOptions{Token: made.SecretID, WaitIndex: meta.LastIndex, WaitTime: patience})
				if err != nil {
					ended <- err
					return
				}
			}
		}()
		time.Sleep(20 * time.Millisecond)
		_, err = c.ACL().TokenDelete(made.AccessorID, nil)
		must(t, err)
		wantCode(t, <-ended, 403, "ACL not found")
	}},
	{"the authority's configuration is the operator's", func(t *testing.T, c *api.Client) {
		reads, writes := tokenFor(t, c, "reads", `operator = "read"`), tokenFor(t, c, "writes", `operator = "write"`)
		_, _, err := c.Connect().CAGetConfig(&api.QueryOptions{Token: reads.SecretID})
		wantCode(t, err, 403, "operator:write")
		config, _, err := c.Connect().CAGetConfig(&api.QueryOptions{Token: writes.SecretID})
		must(t, err)
		_, err = c.Connect().CASetConfig(config, &api.WriteOptions{Token: reads.SecretID})
		refused(t, err, "403", "operator:write")
		_, err = c.Connect().CASetConfig(config, &api.WriteOptions{Token: writes.SecretID})
		must(t, err)
	}},
}
