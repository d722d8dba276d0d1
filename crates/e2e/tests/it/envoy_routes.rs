//! Real Envoys send requests where configuration entries say: subsets, parts, routes, redirects and failover. And they
//! judge requests by intentions.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use concord_e2e::{
    Agent, EnvoyProcess, Feed, Mesh, Teller, Told, World, all_answer, ask, eventually, figure, pick_port,
};
use serde_json::{Value, json};

use crate::envoy_sidecar::{DRAIN, envoys_and_feeds, refused_nothing};

/// How many requests a share is measured by.
const SAMPLE: usize = 1_000;

/// `web` calls `api`, of which there are two versions; `db` is a third service.
pub(crate) struct Three {
    upstream: SocketAddr,
    _services: Vec<Teller>,
    pub(crate) envoys: Vec<EnvoyProcess>,
    /// How `db` is registered.
    db: Value,
}

impl Three {
    pub(crate) fn start(world: &World, agent: &Agent, envoy: &Path, feed: Feed) -> Self {
        write(
            agent,
            &json!({ "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": "http" } }),
        );
        let (mut services, port) = (Vec::new(), pick_port());
        let (mut envoys, mut db) = (Vec::new(), Value::Null);
        for (id, name, version) in
            [("api-v1", "api", "1"), ("api-v2", "api", "2"), ("db", "db", "1"), ("web", "web", "1")]
        {
            let service = Teller::new(id);
            let upstreams = match id {
                "web" => json!([{ "DestinationName": "api", "LocalBindPort": port }]),
                _ => json!([]),
            };
            let mut body = Mesh::service(name, service.addr(), upstreams);
            (body["ID"], body["Meta"]) = (json!(id), json!({ "v": version }));
            body["Connect"]["SidecarService"]["Checks"] = json!([{ "Name": "service", "AliasService": id }]);
            feed.register(&agent.http(), &body);
            envoys.push(feed.start(world, agent, envoy, id, &DRAIN));
            services.push(service);
            if id == "db" {
                db = body;
            }
        }
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        Self { upstream, _services: services, envoys, db }
    }

    /// The status with which a request for a path is answered.
    pub(crate) fn status(&self, path: &str) -> Option<u16> {
        self.ask("GET", path, &[]).map(|told| told.status)
    }

    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Told> {
        ask(self.upstream, method, path, headers).ok()
    }

    /// Who answers; nobody if the answer is no success.
    fn who(&self, path: &str, headers: &[(&str, &str)]) -> Option<String> {
        let told = self.ask("GET", path, headers).filter(|told| told.status == 200)?;
        told.said["name"].as_str().map(str::to_owned)
    }

    /// Waits until all requests are answered by this one.
    #[track_caller]
    fn all_go_to(&self, what: &str, path: &str, name: &str) {
        let began = Instant::now();
        all_answer(what, Some(name.to_owned()), || self.who(path, &[]));
        figure(&format!("{what}, entry to traffic, Envoy"), began.elapsed().as_secs_f64() * 1e3, "ms");
    }
}

pub(crate) fn write(agent: &Agent, entry: &Value) {
    agent.http().put("/v1/config", entry).ok();
}

#[test]
fn requests_go_where_entries_say() {
    for (envoy, feed) in envoys_and_feeds("requests_go_where_entries_say") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let three = Three::start(&world, &agent, &envoy, feed);
        eventually("a request goes through", || three.who("/", &[]));

        let subset = |version: u8| json!({ "Filter": format!("Service.Meta.v == {version}") });
        let resolver = json!({ "Kind": "service-resolver", "Name": "api", "DefaultSubset": "v1",
            "Subsets": { "v1": subset(1), "v2": subset(2) } });
        write(&agent, &resolver);
        three.all_go_to("a default subset", "/", "api-v1");

        let part = |weight: u8, subset: &str| json!({ "Weight": weight, "ServiceSubset": subset });
        let splits = json!([part(80, "v1"), part(20, "v2")]);
        write(&agent, &json!({ "Kind": "service-splitter", "Name": "api", "Splits": splits }));
        eventually("a part goes to the other version", || (three.who("/", &[])? == "api-v2").then_some(()));
        let of_v2 = (0..SAMPLE).filter(|_| three.who("/", &[]).as_deref() == Some("api-v2")).count();
        // Six standard deviations of a fair draw.
        assert!((124..=276).contains(&of_v2), "{of_v2} of {SAMPLE} instead of a fifth");

        let to = |service: &str, rest: Value| {
            let mut destination = rest;
            destination["Service"] = json!(service);
            destination
        };
        let http = |http: Value| json!({ "HTTP": http });
        let routes = json!([
            { "Match": http(json!({ "PathPrefix": "/admin/", "Methods": ["GET"] })),
              "Destination": to("db", json!({ "PrefixRewrite": "/",
                  "RequestHeaders": { "Set": { "x-route": "admin" }, "Remove": ["x-secret"] } })) },
            { "Match": http(json!({ "Header": [{ "Name": "x-version", "Exact": "2" }] })),
              "Destination": { "ServiceSubset": "v2" } },
            { "Match": http(json!({ "PathPrefix": "/slow/" })),
              "Destination": { "ServiceSubset": "v1", "RequestTimeout": "200ms" } },
            { "Match": http(json!({ "PathPrefix": "/status/" })),
              "Destination": { "ServiceSubset": "v1", "NumRetries": 2, "RetryOnStatusCodes": [503] } },
        ]);
        write(&agent, &json!({ "Kind": "service-router", "Name": "api", "Routes": routes }));
        three.all_go_to("a route", "/admin/x", "db");
        let told = three.ask("GET", "/admin/x?y=1", &[("x-secret", "s")]).expect("an answer").said;
        assert_eq!((&told["path"], &told["headers"]["x-route"]), (&json!("/x?y=1"), &json!("admin")));
        assert_eq!(told["headers"]["x-secret"], Value::Null);
        let posted = three.ask("POST", "/admin/x", &[]).expect("an answer").said;
        assert_ne!(posted["name"], "db", "another method is not for this route");
        let second = || three.who("/", &[("x-version", "2")]);
        all_answer("a route by a header", Some("api-v2".to_owned()), second);
        assert_eq!(three.ask("GET", "/slow/3000", &[]).expect("an answer").status, 504, "its time is over");
        assert_eq!(three.ask("GET", "/status/503", &[]).expect("an answer").status, 503);
        let web = &three.envoys[3];
        let retries = web.metrics().sum("envoy_cluster_upstream_rq_retry", "v1.api");
        assert!(retries >= 2.0, "{:?}", web.metrics().lines("envoy_cluster_upstream_rq_retry"));

        write(
            &agent,
            &json!({ "Kind": "service-resolver", "Name": "db",
            "Failover": { "*": { "Service": "api", "ServiceSubset": "v2" } } }),
        );
        three.all_go_to("a target with failover", "/admin/x", "db");
        feed.set_up(&agent.http(), &three.db, false);
        three.all_go_to("failover", "/admin/x", "api-v2");
        feed.set_up(&agent.http(), &three.db, true);
        three.all_go_to("the way back", "/admin/x", "db");

        write(
            &agent,
            &json!({ "Kind": "service-resolver", "Name": "db",
            "Redirect": { "Service": "api", "ServiceSubset": "v1" } }),
        );
        three.all_go_to("a redirect", "/admin/x", "api-v1");
        refused_nothing(&agent, &three.envoys);
    }
}

/// An intention for `api` about requests of `web`.
pub(crate) fn judge(agent: &Agent, permissions: Value) {
    let source = json!({ "Name": "web", "Permissions": permissions });
    write(agent, &json!({ "Kind": "service-intentions", "Name": "api", "Sources": [source] }));
}

/// The status that `explain` leads one to expect.
fn explained(agent: &Agent, method: &str, path: &str) -> u16 {
    let told = agent.cli_ok(&["explain", "-format=json", "-method", method, "-path", path, "web", "api"]);
    let told: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"));
    let allowed = told["Allowed"].as_bool().unwrap_or_else(|| panic!("{told}"));
    if allowed { 200 } else { 403 }
}

#[test]
fn the_next_request_on_an_open_connection_is_judged_by_the_new_intentions() {
    for (envoy, feed) in
        envoys_and_feeds("the_next_request_on_an_open_connection_is_judged_by_the_new_intentions")
    {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let three = Three::start(&world, &agent, &envoy, feed);
        write(
            &agent,
            &json!({ "Kind": "service-resolver", "Name": "api", "DefaultSubset": "v1",
            "Subsets": { "v1": { "Filter": "Service.Meta.v == 1" } } }),
        );
        three.all_go_to("a default subset", "/", "api-v1");
        let inbound = || {
            let now = three.envoys[0].metrics();
            let opened = now.sum("envoy_http_downstream_cx_total", "public_listener");
            (opened, now.sum("envoy_listener_manager_listener_modified", ""))
        };
        let before = inbound();
        assert!(before.0 > 0.0, "the connection to the service is counted");

        let path = |prefix: &str| json!({ "PathPrefix": prefix });
        let read = json!({ "Action": "allow", "HTTP": { "PathPrefix": "/public", "Methods": ["GET"] } });
        let deny = json!({ "Action": "deny", "HTTP": path("/") });
        let began = Instant::now();
        judge(&agent, json!([read, deny]));
        eventually("what is not allowed is denied", || (three.status("/x")? == 403).then_some(()));
        figure(
            "L7 deny to the refusal of the next request, Envoy",
            began.elapsed().as_secs_f64() * 1e3,
            "ms",
        );
        all_answer("what is not allowed is always denied", Some(403), || three.status("/x"));
        let asked = [
            ("GET", "/public/a"),
            ("POST", "/public/a"),
            ("GET", "/PUBLIC/a"),
            ("GET", "/public/../x"),
            ("GET", "/public/%2e%2e/x"),
            ("GET", "/public%2f..%2fx"),
            ("GET", "/public/..;/x"),
            ("GET", "//public/a"),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for (method, path) in asked {
            let status = three.ask(method, path, &[]).expect("an answer").status;
            assert_eq!(status, explained(&agent, method, path), "{method} {path}");
            seen.insert(status);
        }
        assert_eq!(seen, [200, 403].into(), "some pass and some do not");
        let all = json!({ "Action": "allow", "HTTP": path("/") });
        judge(&agent, json!([all]));
        all_answer("all is allowed again", Some(200), || three.status("/x"));
        assert_eq!(inbound(), before, "on the connections that were open, and by the same listener");
        refused_nothing(&agent, &three.envoys);
    }
}
