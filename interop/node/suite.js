"use strict";

// The client `consul` of npm against the agents named by INTEROP_ADDR (no ACLs) and INTEROP_ACL_ADDR (with
// INTEROP_TOKEN). Run by Node's own test runner.

const assert = require("node:assert/strict");
const http = require("node:http");
const net = require("node:net");
const test = require("node:test");

const Consul = require("consul");

const PATIENCE = 40_000;

function client(variable, defaults) {
  const [host, port] = process.env[variable].split(":");
  return new Consul({ host, port: Number(port), defaults });
}

const consul = client("INTEROP_ADDR");
const acl = client("INTEROP_ACL_ADDR", { token: process.env.INTEROP_TOKEN });
const anonymous = client("INTEROP_ACL_ADDR");

// Tries until an assertion holds. A guard against hangs, nothing is measured.
async function eventually(attempt) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

async function refused(status, says, call) {
  await assert.rejects(call, (error) => {
    assert.match(error.message, says);
    assert.equal(error.statusCode, status);
    return true;
  });
}

async function registered(t, service) {
  await consul.agent.service.register(service);
  t.after(() => consul.agent.service.deregister(service.id || service.name));
}

async function outside(t, node, service) {
  await consul.catalog.register({ node, address: "192.0.2.10", service });
  t.after(() => consul.catalog.deregister({ node }));
}

test("self", async () => {
  const self = await consul.agent.self();
  assert.equal(self.Config.Datacenter, "dc1");
});

test("members", async () => {
  const members = await consul.agent.members();
  assert.deepEqual(members.map((one) => one.Name), ["n1"]);
});

test("reload", async () => {
  await consul.agent.reload();
});

test("leader and peers", async () => {
  assert.deepEqual(await consul.status.peers(), [await consul.status.leader()]);
});

test("maintenance of the node", async (t) => {
  t.after(() => consul.agent.maintenance(false));
  await consul.agent.maintenance({ enable: true, reason: "new disk" });
  const found = (await consul.agent.checks())._node_maintenance;
  assert.equal(found.Notes, "new disk");
  await consul.agent.maintenance(false);
  assert.equal((await consul.agent.checks())._node_maintenance, undefined);
});

test("all that a registration says is read back", async (t) => {
  await registered(t, {
    name: "js-full",
    id: "js-1",
    address: "10.0.0.7",
    port: 80,
    tags: ["a", "b"],
    meta: { k: "v" },
    taggedaddresses: { wan: { address: "192.0.2.7", port: 8080 } },
    weights: { passing: 5, warning: 2 },
    enabletagoverride: true,
  });
  const found = (await consul.agent.services())["js-1"];
  assert.equal(found.Service, "js-full");
  assert.deepEqual([found.Address, found.Port, found.Tags], ["10.0.0.7", 80, ["a", "b"]]);
  assert.deepEqual(found.Meta, { k: "v" });
  assert.deepEqual(found.TaggedAddresses.wan, { Address: "192.0.2.7", Port: 8080 });
});

test("a sidecar and the instances of the mesh", async (t) => {
  await registered(t, {
    name: "js-web",
    port: 80,
    connect: { sidecarservice: { port: 21996, proxy: { destinationservicename: "js-web", upstreams: [{ destinationname: "js-api", localbindport: 9191 }] } } },
  });
  const proxy = (await consul.agent.services())["js-web-sidecar-proxy"];
  assert.equal(proxy.Proxy.Upstreams[0].DestinationName, "js-api");
  await eventually(async () => assert.equal((await consul.catalog.connect.nodes("js-web")).length, 1));
});

test("maintenance of a service", async (t) => {
  await registered(t, { name: "js-m", port: 1 });
  await consul.agent.service.maintenance({ id: "js-m", enable: true, reason: "broken" });
  assert.equal((await consul.agent.checks())["_service_maintenance:js-m"].Notes, "broken");
  await consul.agent.service.maintenance({ id: "js-m", enable: false });
  assert.equal((await consul.agent.checks())["_service_maintenance:js-m"], undefined);
});

test("a registration that cannot be is refused", async () => {
  await refused(400, /bad request|Invalid/i, () => consul.agent.service.register({ name: "x", address: "0.0.0.0" }));
  await refused(404, /not found|unknown service/i, () => consul.agent.service.deregister("js-nobody"));
});

async function checked(t, check, status) {
  await consul.agent.check.register(check);
  // One of a service is gone with it.
  if (!check.serviceid) t.after(() => consul.agent.check.deregister(check.id || check.name));
  await eventually(async () => assert.equal((await consul.agent.checks())[check.id || check.name].Status, status));
}

test("TTL checks: pass, warn, fail", async (t) => {
  await checked(t, { name: "alive", id: "js-ttl", ttl: "10m", notes: "says so itself" }, "critical");
  for (const [report, status] of [["pass", "passing"], ["warn", "warning"], ["fail", "critical"]]) {
    await consul.agent.check[report]({ id: "js-ttl", note: "so & so" });
    const found = (await consul.agent.checks())["js-ttl"];
    assert.deepEqual([found.Status, found.Output], [status, "so & so"]);
  }
  await refused(404, /not found|Unknown check/i, () => consul.agent.check.pass("js-nobody"));
});

test("HTTP checks", async (t) => {
  const server = http.createServer((request, response) => {
    response.statusCode = request.headers["x-asked"] === "by-agent" ? 200 : 500;
    response.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}/`;
  await checked(t, { name: "js-http", http: url, interval: "100ms", header: { "X-Asked": ["by-agent"] }, method: "GET" }, "passing");
  await checked(t, { name: "js-http-bad", http: url, interval: "100ms" }, "critical");
});

test("TCP checks", async (t) => {
  const server = net.createServer((socket) => socket.end());
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  await checked(t, { name: "js-tcp", tcp: `127.0.0.1:${server.address().port}`, interval: "100ms", timeout: "5s" }, "passing");
});

test("gRPC and H2PING checks", async (t) => {
  await checked(t, { name: "js-grpc", grpc: "127.0.0.1:1", grpcusetls: false, interval: "100ms" }, "critical");
  await checked(t, { name: "js-h2", h2ping: "127.0.0.1:1", interval: "100ms" }, "critical");
});

test("script checks", async (t) => {
  await checked(t, { name: "js-script", args: ["sh", "-c", "exit 1"], interval: "100ms" }, "warning");
});

test("an alias is as its service is", async (t) => {
  await registered(t, { name: "js-aliased", port: 1, check: { ttl: "10m", status: "passing" } });
  await checked(t, { name: "js-alias", aliasservice: "js-aliased" }, "passing");
});

test("a check of a service", async (t) => {
  await registered(t, { name: "js-checked", port: 1, checks: [{ ttl: "10m" }, { ttl: "11m", status: "passing" }] });
  await checked(t, { name: "js-more", ttl: "10m", serviceid: "js-checked" }, "critical");
  await eventually(async () => assert.equal((await consul.health.checks("js-checked")).length, 3));
});

test("datacenters", async () => {
  assert.deepEqual(await consul.catalog.datacenters(), ["dc1"]);
});

test("register, read and deregister", async (t) => {
  await outside(t, "js-out", { id: "js-ext-1", service: "js-ext", tags: ["a"], port: 443 });
  await consul.catalog.register({ node: "js-out", address: "192.0.2.10", check: { node: "js-out", checkid: "js-ext", name: "alive", status: "passing", serviceid: "js-ext-1" } });
  const found = await consul.catalog.service.nodes("js-ext");
  assert.deepEqual([found.length, found[0].ServicePort], [1, 443]);
  assert.ok((await consul.catalog.service.list())["js-ext"]);
  assert.ok((await consul.catalog.node.services("js-out")).Services["js-ext-1"]);
  assert.equal((await consul.health.node("js-out")).length, 1);
  await consul.catalog.deregister({ node: "js-out", checkid: "js-ext" });
  await consul.catalog.deregister({ node: "js-out", serviceid: "js-ext-1" });
  assert.deepEqual(await consul.catalog.service.nodes("js-ext"), []);
});

test("nodes by metadata, near and filter", async (t) => {
  await outside(t, "js-far");
  assert.equal((await consul.catalog.node.list({ "node-meta": ["rack:r1"] })).length, 1);
  assert.equal((await consul.catalog.node.list({ near: "n1" })).length, 2);
  assert.equal((await consul.catalog.node.list({ filter: 'Node == "js-far"' })).length, 1);
});

test("consistency", async () => {
  assert.ok((await consul.catalog.node.list({ stale: true })).length > 0);
  assert.ok((await consul.catalog.node.list({ consistent: true })).length > 0);
});

test("instances by health, tag and filter", async (t) => {
  await registered(t, { name: "js-h", id: "js-h-1", port: 1, tags: ["a"], check: { ttl: "10m" } });
  await registered(t, { name: "js-h", id: "js-h-2", port: 2, tags: ["a", "b"] });
  const count = async (options) => (await consul.health.service({ service: "js-h", ...options })).length;
  await eventually(async () => assert.equal(await count({}), 2));
  await eventually(async () => assert.equal(await count({ passing: true }), 1));
  assert.equal(await count({ tag: "b" }), 1);
  assert.equal(await count({ near: "_agent" }), 2);
  assert.equal(await count({ filter: "Service.Port == 2" }), 1);
});

test("checks by state", async () => {
  const passing = await consul.health.state("passing");
  assert.ok(passing.some((check) => check.CheckID === "serfHealth"));
});

test("a watch sees a change", async (t) => {
  const watch = consul.watch({ method: consul.catalog.service.nodes, options: { service: "js-late" }, backoffFactor: 50 });
  t.after(() => watch.end());
  const seen = new Promise((resolve, reject) => {
    watch.on("change", (found) => found.length === 1 && resolve(found));
    watch.on("error", reject);
  });
  await outside(t, "js-late-node", { id: "js-late", service: "js-late" });
  assert.equal((await seen)[0].ServiceID, "js-late");
});

test("answers come with their headers", async () => {
  const [found, response] = await new Promise((resolve, reject) => {
    const call = consul.catalog.node.list({ ctx: Object.assign(new (require("node:events"))(), { includeResponse: true }) });
    call.then((value) => resolve(Array.isArray(value) && value[0].headers ? [value[1], value[0]] : [value, undefined]), reject);
  });
  assert.ok(found.length > 0);
  assert.ok(Number(response.headers["x-consul-index"]) > 0);
});

for (const [name, what, call] of [
  ["the key-value store", /key-value store/, () => consul.kv.get("a")],
  ["writing keys", /key-value store/, () => consul.kv.set("a", "b")],
  ["sessions", /sessions/, () => consul.session.create()],
  ["events", /user events/, () => consul.event.fire("x")],
  ["prepared queries", /prepared queries/, () => consul.query.list()],
  ["transactions", /transactions/, () => consul.transaction.create([{ KV: { Verb: "get", Key: "a" } }])],
  ["joining", /joining a gossip pool/, () => consul.agent.join("127.0.0.1")],
  ["forcing a member out", /removing failed members/, () => consul.agent.forceLeave("x")],
  ["members of other datacenters", /members of other datacenters/, () => consul.agent.members({ wan: true })],
]) {
  test(`not built: ${name}`, () => refused(501, what, call));
}

test("ACLs: nothing without a token", async () => {
  await refused(403, /forbidden|Permission denied/, () => anonymous.agent.self());
  await refused(403, /forbidden|Permission denied/, () => anonymous.agent.service.register({ name: "x" }));
  assert.deepEqual(await anonymous.catalog.node.list(), []);
});

test("ACLs: an unknown token is told so", () =>
  refused(403, /ACL not found/, () => anonymous.catalog.node.list({ token: "00000000-0000-4444-8888-000000000000" })));

test("ACLs: with a token", async (t) => {
  await acl.agent.service.register({ name: "js-acl", port: 1, check: { ttl: "10m" } });
  t.after(() => acl.agent.service.deregister("js-acl"));
  await acl.agent.check.pass("service:js-acl");
  await eventually(async () => assert.equal((await acl.health.service({ service: "js-acl", passing: true })).length, 1));
});

test("ACLs: the old endpoints are gone, as in the reference", async () => {
  await refused(404, /./, () => acl.acl.legacy.list());
});
