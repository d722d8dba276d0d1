"""py-consul against the agents named by INTEROP_ADDR (no ACLs) and INTEROP_ACL_ADDR (with INTEROP_TOKEN).

Prints a line of the Test Anything Protocol for each test, and ends with 1 if one failed.
"""

import http.server
import os
import socket
import sys
import threading
import time
import unittest

import consul
from consul import Check
from consul.exceptions import ACLDisabled, ACLPermissionDenied, BadRequest, ClientError, ConsulException

PATIENCE = 40.0


def client(variable, **options):
    host, port = os.environ[variable].rsplit(":", 1)
    return consul.Consul(host=host, port=int(port), **options)


def eventually(attempt):
    """Tries until an assertion holds. A guard against hangs, nothing is measured."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.025)


class Plain(unittest.TestCase):
    """An agent without ACLs."""

    def setUp(self):
        self.c = client("INTEROP_ADDR")

    def register(self, name, **options):
        self.assertTrue(self.c.agent.service.register(name, **options))
        self.addCleanup(self.c.agent.service.deregister, options.get("service_id") or name)

    def refused(self, kind, says, call, *args, **options):
        with self.assertRaises(kind) as caught:
            call(*args, **options)
        self.assertIn(says, str(caught.exception))


class AgentTests(Plain):
    def test_self(self):
        self.assertEqual(self.c.agent.self()["Config"]["Datacenter"], "dc1")

    def test_members(self):
        (member,) = self.c.agent.members()
        self.assertEqual((member["Name"], member["Status"]), ("n1", 1))

    def test_leader_and_peers(self):
        self.assertEqual(self.c.status.peers(), [self.c.status.leader()])

    def test_metrics(self):
        self.assertIn("Gauges", self.c.agent.metrics())

    def test_reload(self):
        self.assertTrue(self.c.agent.reload())

    def test_maintenance_of_the_node(self):
        self.assertTrue(self.c.agent.maintenance(True, "new disk"))
        self.addCleanup(self.c.agent.maintenance, False)
        self.assertEqual(self.c.agent.checks()["_node_maintenance"]["Notes"], "new disk")
        self.assertTrue(self.c.agent.maintenance(False))
        self.assertNotIn("_node_maintenance", self.c.agent.checks())

    def test_without_acls_there_are_no_tokens(self):
        self.refused(ACLDisabled, "ACL support disabled", self.c.acl.token.list)
        self.refused(ACLDisabled, "ACL support disabled", self.c.agent.token.set_default, "x")


class ServiceTests(Plain):
    def test_all_that_a_registration_says_is_read_back(self):
        self.register(
            "py-full", service_id="py-1", address="10.0.0.7", port=80, tags=["a", "b"], meta={"k": "v"},
            weights={"Passing": 5, "Warning": 2}, enable_tag_override=True,
            tagged_addresses={"wan": {"address": "192.0.2.7", "port": 8080}}, locality={"Region": "r", "Zone": "z"},
        )
        found = self.c.agent.services()["py-1"]
        self.assertEqual((found["Service"], found["Address"], found["Port"]), ("py-full", "10.0.0.7", 80))
        self.assertEqual((found["Tags"], found["Meta"]), (["a", "b"], {"k": "v"}))
        self.assertEqual(found["Weights"], {"Passing": 5, "Warning": 2})
        self.assertEqual(found["TaggedAddresses"]["wan"], {"Address": "192.0.2.7", "Port": 8080})
        self.assertIs(found["EnableTagOverride"], True)
        definition = self.c.agent.service_definition("py-1")
        self.assertEqual(definition["Locality"], {"Region": "r", "Zone": "z"})
        self.assertTrue(definition["ContentHash"])

    def test_a_sidecar(self):
        self.register("py-web", port=80, connect={"sidecar_service": {"port": 21997, "proxy": {"upstreams": [
            {"destination_name": "py-api", "local_bind_port": 9191}]}}})
        proxy = self.c.agent.service_definition("py-web-sidecar-proxy")
        self.assertEqual(proxy["Kind"], "connect-proxy")
        self.assertEqual(proxy["Proxy"]["Upstreams"][0]["DestinationName"], "py-api")
        eventually(lambda: self.assertEqual(len(self.c.health.connect("py-web")[1]), 1))
        eventually(lambda: self.assertEqual(len(self.c.catalog.connect("py-web")[1]), 1))

    def test_a_proxy_of_ones_own(self):
        proxy = {"DestinationServiceName": "py-own", "Mode": "transparent", "Config": {"protocol": "http", "deep": {"x": [1, "y"]}}}
        self.register("py-own-proxy", port=20001, kind="connect-proxy", proxy=proxy)
        found = self.c.agent.service_definition("py-own-proxy")["Proxy"]
        self.assertEqual({key: found[key] for key in proxy}, proxy)

    def test_filters(self):
        self.register("py-f", service_id="py-f-1", port=1, tags=["blue"])
        self.register("py-f", service_id="py-f-2", port=2)
        self.assertEqual(list(self.c.agent.services('Service == "py-f" and "blue" in Tags')), ["py-f-1"])

    def test_maintenance(self):
        self.register("py-m", port=1)
        self.assertTrue(self.c.agent.service.maintenance("py-m", True, "broken"))
        self.assertEqual(self.c.agent.checks()["_service_maintenance:py-m"]["Notes"], "broken")
        self.assertTrue(self.c.agent.service.maintenance("py-m", False))
        self.assertNotIn("_service_maintenance:py-m", self.c.agent.checks())

    def test_checks_are_replaced_where_that_is_asked_for(self):
        self.register("py-r", port=1, check=Check.ttl("10m"), extra_checks=[Check.ttl("11m")])
        self.assertEqual(len(self.c.agent.checks('ServiceID == "py-r"')), 2)
        self.register("py-r", port=1, check=Check.ttl("10m"), replace_existing_checks=True)
        self.assertEqual(len(self.c.agent.checks('ServiceID == "py-r"')), 1)

    def test_what_cannot_be_is_refused(self):
        self.refused(BadRequest, "", self.c.agent.service.register, "")
        self.refused(BadRequest, "", self.c.agent.service.register, "x", address="0.0.0.0")
        self.assertFalse(self.c.agent.service.deregister("py-nobody"))


class CheckTests(Plain):
    def standing(self, name, status, check, **options):
        self.assertTrue(self.c.agent.check.register(name, check=check, **options))
        self.addCleanup(self.c.agent.check.deregister, options.get("check_id") or name)
        eventually(lambda: self.assertEqual(self.c.agent.checks()[options.get("check_id") or name]["Status"], status))
        return self.c.agent.checks()[options.get("check_id") or name]

    def test_ttl(self):
        self.standing("alive", "critical", Check.ttl("10m"), check_id="py-ttl", notes="says so itself")
        for report, status in ((self.c.agent.check.ttl_pass, "passing"), (self.c.agent.check.ttl_warn, "warning"),
                               (self.c.agent.check.ttl_fail, "critical")):
            self.assertTrue(report("py-ttl", "so & so"))
            found = self.c.agent.checks()["py-ttl"]
            self.assertEqual((found["Status"], found["Output"], found["Notes"]), (status, "so & so", "says so itself"))

    def test_http(self):
        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.headers["X-Asked"] == "by-agent" else 500)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/"
        self.standing("py-http", "passing", Check.http(url, "100ms", timeout="5s", header={"X-Asked": ["by-agent"]}))
        self.standing("py-http-bad", "critical", Check.http(url, "100ms", deregister="1h"))

    def test_tcp(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.standing("py-tcp", "passing", Check.tcp("127.0.0.1", listener.getsockname()[1], "100ms", timeout="5s"))

    def test_script(self):
        found = self.standing("py-script", "warning", Check.script(["sh", "-c", "exit 1"], "100ms"))
        self.assertEqual(found["Type"], "script")

    def test_grpc(self):
        self.standing("py-grpc", "critical", Check.grpc("127.0.0.1:1", "100ms", use_tls=True, tls_skip_verify=True))

    def test_docker_is_asked_for_with_a_key_that_the_reference_refuses_too(self):
        self.refused(BadRequest, "script", self.c.agent.check.register, "py-docker", check=Check.docker("abc", "/bin/sh", "true", "1s"))

    def test_of_a_service(self):
        self.register("py-checked", port=1)
        self.standing("of service", "critical", Check.ttl("10m"), check_id="py-of-service", service_id="py-checked")
        eventually(lambda: self.assertEqual(len(self.c.health.checks("py-checked")[1]), 1))

    def test_nobody_is_not_reported(self):
        self.assertFalse(self.c.agent.check.ttl_pass("py-nobody"))


class CatalogTests(Plain):
    def outside(self, node, service=None, **options):
        self.assertTrue(self.c.catalog.register(node, "192.0.2.10", service=service, **options))
        self.addCleanup(self.c.catalog.deregister, node)

    def test_datacenters(self):
        self.assertEqual(self.c.catalog.datacenters(), ["dc1"])

    def test_register_read_and_deregister(self):
        self.outside("py-out", {"Service": "py-ext", "ID": "py-ext-1", "Tags": ["a"], "Port": 443},
                     check={"Node": "py-out", "CheckID": "py-ext", "Name": "alive", "Status": "passing", "ServiceID": "py-ext-1"})
        (found,) = self.c.catalog.service("py-ext")[1]
        self.assertEqual((found["Node"], found["ServicePort"], found["ServiceTags"]), ("py-out", 443, ["a"]))
        self.assertIn("py-ext", self.c.catalog.services()[1])
        self.assertIn("py-ext-1", self.c.catalog.node("py-out")[1]["Services"])
        self.assertEqual(len(self.c.health.node("py-out")[1]), 1)
        self.assertTrue(self.c.catalog.deregister("py-out", check_id="py-ext"))
        self.assertTrue(self.c.catalog.deregister("py-out", service_id="py-ext-1"))
        self.assertEqual(self.c.catalog.service("py-ext")[1], [])

    def test_nodes_by_metadata_near_and_filter(self):
        self.outside("py-far")
        self.assertEqual(len(self.c.catalog.nodes(node_meta={"rack": "r1"})[1]), 1)
        self.assertEqual(len(self.c.catalog.nodes(near="n1")[1]), 2)
        self.assertEqual(len(self.c.catalog.nodes(filter_expr='Node == "py-far"')[1]), 1)

    def test_consistency(self):
        for consistency in ("stale", "consistent", "default"):
            self.assertTrue(self.c.catalog.nodes(consistency=consistency)[1])

    def test_a_wait_ends_at_the_change(self):
        index, found = self.c.catalog.service("py-late")
        self.assertEqual(found, [])
        again, _ = self.c.catalog.service("py-late", index=index, wait="100ms")
        self.assertEqual(again, index)
        seen = []

        def wait():
            at, now = index, []
            while not now:
                at, now = client("INTEROP_ADDR").catalog.service("py-late", index=at, wait="40s")
            seen.append(now)

        waiting = threading.Thread(target=wait)
        waiting.start()
        self.outside("py-late-node", {"Service": "py-late", "ID": "py-late"})
        waiting.join(PATIENCE)
        self.assertEqual(len(seen), 1)

    def test_what_cannot_be_is_refused(self):
        self.refused(BadRequest, "", self.c.catalog.register, "py-x", "")
        self.refused(ConsulException, "No path to datacenter", self.c.catalog.nodes, dc="nowhere")


class HealthTests(Plain):
    def test_instances(self):
        self.register("py-h", service_id="py-h-1", port=1, tags=["a"], check=Check.ttl("10m"))
        self.register("py-h", service_id="py-h-2", port=2, tags=["a", "b"])
        count = lambda **options: len(self.c.health.service("py-h", **options)[1])
        eventually(lambda: self.assertEqual(count(), 2))
        eventually(lambda: self.assertEqual(count(passing=True), 1))
        self.assertEqual(count(tag="b"), 1)
        self.assertEqual(count(tag=["a", "b"]), 1)
        self.assertEqual(count(near="_agent"), 2)
        self.assertEqual(count(filter_expr="Service.Port == 2"), 1)
        self.assertEqual(count(node_meta={"rack": "other"}), 0)

    def test_states(self):
        self.assertTrue(self.c.health.state("any")[1])
        self.assertTrue(any(check["CheckID"] == "serfHealth" for check in self.c.health.state("passing")[1]))

    def test_nobody_has_no_instances(self):
        self.assertEqual(self.c.health.service("py-nobody")[1], [])


class MeshTests(Plain):
    def test_intentions(self):
        intentions = self.c.connect.intentions
        self.assertTrue(intentions.upsert("py-a", "py-b", action="deny", description="not yet"))
        self.assertFalse(intentions.check("py-a", "py-b"))
        self.assertEqual(intentions.read("py-a", "py-b")["Description"], "not yet")
        self.assertEqual(len(intentions.match("destination", "py-b")["py-b"]), 1)
        self.assertEqual(len(intentions.list(filter_expr='DestinationName == "py-b"')), 1)
        self.assertTrue(intentions.delete("py-a", "py-b"))
        self.assertTrue(intentions.check("py-a", "py-b"))
        self.assertIsNone(intentions.read("py-a", "py-b"))
        self.refused(BadRequest, "", intentions.upsert, "py-a", "py-b", action="maybe")

    def test_config_entries(self):
        entry = {"Sources": [{"Name": "web", "Action": "allow"}, {"Name": "*", "Action": "deny"}]}
        self.assertTrue(self.c.config.set("service-intentions", "py-ce", entry))
        self.addCleanup(self.c.config.delete, "service-intentions", "py-ce")
        found = self.c.config.get("service-intentions", "py-ce")
        self.assertEqual([source["Precedence"] for source in found["Sources"]], [9, 8])
        other = {"Sources": [{"Name": "web", "Action": "deny"}]}
        self.assertFalse(self.c.config.set("service-intentions", "py-ce", other, cas=found["ModifyIndex"] + 100))
        self.assertEqual(len(self.c.config.list("service-intentions")), 1)
        self.assertTrue(self.c.config.delete("service-intentions", "py-ce", cas=found["ModifyIndex"]))
        self.assertIsNone(self.c.config.get("service-intentions", "py-ce"))

    def test_roots_and_leaf(self):
        roots = self.c.connect.ca.roots()
        self.assertEqual(self.c.agent.connect.ca.roots()["ActiveRootID"], roots["ActiveRootID"])
        leaf = self.c.agent.connect.ca.leaf("py-leaf")
        self.assertTrue(leaf["ServiceURI"].endswith("/svc/py-leaf"))
        self.assertIn("PRIVATE KEY", leaf["PrivateKeyPEM"])

    def test_the_authoritys_configuration_is_sent_back(self):
        config = self.c.connect.ca.configuration()
        self.assertTrue(self.c.connect.ca.update_configuration(config["Provider"], config["Config"]))

    def test_authorize_is_asked_with_a_method_that_the_reference_refuses_too(self):
        # The client uses PUT, the endpoint is POST's.
        self.refused(ClientError, "405", self.c.agent.connect.authorize, "py-b", "spiffe://x/ns/default/dc/dc1/svc/a", "1")


class Unbuilt(Plain):
    """What is not built says so."""

    def unbuilt(self, says, call, *args, **options):
        self.refused(ConsulException, f"501 not available yet: {says}", call, *args, **options)

    def test_key_value_store(self):
        self.unbuilt("the key-value store", self.c.kv.get, "a")
        self.unbuilt("the key-value store", self.c.kv.put, "a", "b")
        self.unbuilt("the key-value store", self.c.kv.delete, "a")

    def test_sessions(self):
        self.unbuilt("sessions", self.c.session.create)
        self.unbuilt("sessions", self.c.session.list)

    def test_events(self):
        self.unbuilt("user events", self.c.event.fire, "x")

    def test_prepared_queries(self):
        self.unbuilt("prepared queries", self.c.query.list)

    def test_transactions(self):
        self.unbuilt("transactions", self.c.txn.put, [{"KV": {"Verb": "get", "Key": "a"}}])

    def test_coordinates_and_operator(self):
        self.unbuilt("network coordinates", self.c.coordinate.nodes)
        self.unbuilt("operator tools", self.c.operator.raft_config)

    def test_members(self):
        self.unbuilt("joining a gossip pool", self.c.agent.join, "127.0.0.1")
        self.unbuilt("removing failed members", self.c.agent.force_leave, "x")


class AclTests(unittest.TestCase):
    """An agent with ACLs."""

    def setUp(self):
        self.c = client("INTEROP_ACL_ADDR", token=os.environ["INTEROP_TOKEN"])
        self.anonymous = client("INTEROP_ACL_ADDR")

    def token(self, name, rules):
        made = self.c.acl.policy.create(name, rules=rules)
        self.addCleanup(self.c.acl.policy.delete, made["ID"])
        token = self.c.acl.token.create(description=name, policies_name=[name])
        self.addCleanup(self.c.acl.token.delete, token["AccessorID"])
        return token

    def test_nothing_without_a_token(self):
        for call in (self.anonymous.agent.self, self.anonymous.acl.token.list, self.anonymous.acl.policy.list,
                     lambda: self.anonymous.agent.service.register("py-x")):
            with self.assertRaises(ACLPermissionDenied):
                call()
        self.assertEqual(self.anonymous.catalog.nodes()[1], [])

    def test_an_unknown_token_is_told_so(self):
        with self.assertRaises(ACLPermissionDenied) as caught:
            self.anonymous.catalog.nodes(token="00000000-0000-4444-8888-000000000000")
        self.assertIn("ACL not found", str(caught.exception))

    def test_policies(self):
        made = self.c.acl.policy.create("py-pol", description="d", rules={"service": {"web": {"policy": "read"}}})
        self.assertEqual(self.c.acl.policy.read(made["ID"])["Description"], "d")
        changed = self.c.acl.policy.update(made["ID"], "py-pol", description="e", rules={"node_prefix": {"": {"policy": "read"}}})
        self.assertEqual(changed["Description"], "e")
        self.assertIn("py-pol", [policy["Name"] for policy in self.c.acl.policy.list()])
        self.assertTrue(self.c.acl.policy.delete(made["ID"]))
        with self.assertRaises(ConsulException):
            self.c.acl.policy.create("bad name")

    def test_tokens(self):
        made = self.token("py-tok", {"service": {"py-tok": {"policy": "write"}}})
        self.assertEqual(self.c.acl.token.read(made["AccessorID"])["SecretID"], made["SecretID"])
        self.assertEqual(self.c.acl.token.read_self(token=made["SecretID"])["AccessorID"], made["AccessorID"])
        changed = self.c.acl.token.update(made["AccessorID"], description="changed", policies_name=["py-tok"])
        self.assertEqual(changed["Description"], "changed")
        clone = self.c.acl.token.clone(made["AccessorID"], description="clone")
        self.assertNotEqual(clone["SecretID"], made["SecretID"])
        self.assertEqual(len(self.c.acl.token.list(policy=made["Policies"][0]["ID"])), 2)
        self.assertTrue(self.c.acl.token.delete(clone["AccessorID"]))

    def test_tokens_that_are_a_service_and_a_node(self):
        made = self.c.acl.token.create(service_identities=[{"ServiceName": "py-id"}], node_identities=["py-node:dc1"])
        self.addCleanup(self.c.acl.token.delete, made["AccessorID"])
        self.assertEqual(made["ServiceIdentities"][0]["ServiceName"], "py-id")
        self.assertEqual(made["NodeIdentities"], [{"NodeName": "py-node", "Datacenter": "dc1"}])
        self.assertTrue(self.c.agent.connect.ca.leaf("py-id", token=made["SecretID"])["CertPEM"])
        with self.assertRaises(ACLPermissionDenied):
            self.c.agent.connect.ca.leaf("py-other", token=made["SecretID"])

    def test_tokens_with_an_end(self):
        made = self.c.acl.token.create(expiration_ttl="1h", local=True)
        self.assertTrue(made["ExpirationTime"])
        self.assertTrue(self.c.acl.token.delete(made["AccessorID"]))

    def test_rights(self):
        made = self.token("py-web", {"service": {"py-acl": {"policy": "write"}}, "node_prefix": {"": {"policy": "read"}}})
        secret = made["SecretID"]
        self.assertTrue(self.c.agent.service.register("py-acl", port=1, check=Check.ttl("10m"), token=secret))
        self.addCleanup(self.c.agent.service.deregister, "py-acl")
        self.assertTrue(self.c.agent.check.ttl_pass("service:py-acl", token=secret))
        eventually(lambda: self.assertEqual(len(self.c.health.service("py-acl", passing=True, token=secret)[1]), 1))
        self.assertTrue(self.c.agent.connect.ca.leaf("py-acl", token=secret)["CertPEM"])
        with self.assertRaises(ACLPermissionDenied):
            self.c.agent.connect.ca.leaf("py-other", token=secret)
        with self.assertRaises(ACLPermissionDenied):
            self.c.agent.service.register("py-other", token=secret)

    def test_tokens_of_the_agent(self):
        self.assertTrue(self.c.agent.token.set_agent(os.environ["INTEROP_TOKEN"]))
        with self.assertRaises(ConsulException) as caught:
            self.c.agent.token.set_replication("x")
        self.assertIn("501", str(caught.exception))

    def test_bootstrap_is_over(self):
        with self.assertRaises(ACLPermissionDenied):
            self.anonymous.acl.bootstrap()

    def test_roles_and_login_are_not_built(self):
        for says, call in (("ACL roles", self.c.acl.role.list), ("ACL auth methods", self.c.acl.auth_method.list),
                           ("ACL binding rules", self.c.acl.binding_rule.list), ("ACL login", lambda: self.c.acl.login("m", "t"))):
            with self.assertRaises(ConsulException) as caught:
                call()
            self.assertIn(f"501 not available yet: {says}", str(caught.exception))


class Tap(unittest.TestResult):
    """Tells each test as a line of the Test Anything Protocol."""

    def tell(self, line, test, detail=""):
        print(f"{line} {self.testsRun} - {test.id().removeprefix('__main__.')}", flush=True)
        for text in detail.splitlines():
            print(f"# {text}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tell("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell("not ok", test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.tell("not ok", test, self.errors[-1][1])


if __name__ == "__main__":
    result = Tap()
    unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]).run(result)
    print(f"1..{result.testsRun}")
    sys.exit(0 if result.wasSuccessful() else 1)
