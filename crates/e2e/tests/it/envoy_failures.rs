//! What docs/envoy-failures.md says: what the user sees of a failure with Envoy, and what traffic does.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use concord_e2e::{
    Agent, AgentOptions, EnvoyProcess, Feed, Http, Mesh, Process, Scrape, Teller, World, all_answer, ask,
    binary, eventually, pick_port, ran,
};
use serde_json::{Value, json};

use crate::chains::rotate;
use crate::envoy_sidecar::{DRAIN, envoys, envoys_by_feeds};

const PAGE: &str = include_str!("../../../../docs/envoy-failures.md");
const ROOT: &str = "9d1a1c1e-7a0e-4f0b-9a53-4a1f6f0e8c11";

/// `web` calls `api` over HTTP.
struct Two {
    upstream: SocketAddr,
    http: Http,
    _services: Vec<Teller>,
    envoys: Vec<EnvoyProcess>,
}

impl Two {
    fn start(world: &World, agent: &Agent, envoy: &Path, feed: Feed, tokens: [&str; 2]) -> Self {
        let http = match tokens {
            ["", _] => agent.http(),
            _ => agent.http().with_token(ROOT),
        };
        http.put("/v1/config", &json!({ "Kind": "service-defaults", "Name": "api", "Protocol": "http" }))
            .ok();
        let (mut services, mut envoys, port) = (Vec::new(), Vec::new(), pick_port());
        for (name, token) in ["api", "web"].into_iter().zip(tokens) {
            let service = Teller::new(name);
            let upstreams = match name {
                "web" => json!([{ "DestinationName": "api", "LocalBindPort": port }]),
                _ => json!([]),
            };
            feed.register(&http, &Mesh::service(name, service.addr(), upstreams));
            envoys.push(start(world, agent, envoy, feed, name, token));
            services.push(service);
        }
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        let two =
            Self { upstream: SocketAddr::from(([127, 0, 0, 1], port)), http, _services: services, envoys };
        eventually("a request goes through", || two.call());
        two
    }

    fn call(&self) -> Option<()> {
        let told = ask(self.upstream, "GET", "/", &[]).ok()?;
        (told.status == 200).then_some(())
    }

    /// Twenty requests, none of which fails.
    #[track_caller]
    fn serves(&self) {
        (0..20).for_each(|at| assert!(self.call().is_some(), "request {at} fails"));
    }

    fn write(&self, entry: &Value) {
        self.http.put("/v1/config", entry).ok();
    }

    /// What the agent tells of a proxy, when it fits.
    fn status(&self, proxy: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the status of {proxy}"), || {
            let all = self.http.get(&format!("/v1/agent/proxies?proxy-id={proxy}")).json();
            fits(&all).then_some(all)
        })
    }
}

fn start(world: &World, agent: &Agent, envoy: &Path, feed: Feed, service: &str, token: &str) -> EnvoyProcess {
    let mut who = feed.sidecar(service);
    who.push(format!("-token={token}"));
    EnvoyProcess::start_as(world, agent, envoy, &who, &DRAIN)
}

/// A router that sets a header to something that Envoy must fill in.
fn router(value: &str) -> Value {
    let headers = json!({ "Set": { "x-from": value } });
    json!({ "Kind": "service-router", "Name": "api", "Routes": [{
        "Match": { "HTTP": { "PathPrefix": "/" } },
        "Destination": { "Service": "api", "RequestHeaders": headers },
    }]})
}

fn strict(world: &World) -> Agent {
    let hcl = vec![format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    )];
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

/// A token for the proxies of a service: its accessor and its secret.
fn token(agent: &Agent, service: &str) -> (String, String) {
    let identity = json!({ "ServiceIdentities": [{ "ServiceName": service }] });
    let made = agent.http().with_token(ROOT).put("/v1/acl/token", &identity).json();
    let text = |key: &str| made[key].as_str().expect("a text").to_owned();
    (text("AccessorID"), text("SecretID"))
}

#[test]
fn a_refused_resource_is_told_with_its_entry_and_traffic_goes_on_until_a_change_heals_it() {
    for (envoy, feed) in envoys_by_feeds("a_refused_resource_is_told") {
        let world = World::new();
        let mut agent = world.dev_agent("n1");
        let two = Two::start(&world, &agent, &envoy, feed, ["", ""]);
        two.write(&router("%NO_SUCH_FIELD%"));
        let told = two.status("web-sidecar-proxy", |all| all["Proxies"][0]["State"] == "rejected");
        let one = &told["Proxies"][0]["Rejections"][0];
        assert_eq!((&one["Type"], &one["Name"]), (&json!("route"), &json!("api")));
        assert!(one["Words"].as_str().expect("a text").contains("NO_SUCH_FIELD"), "{one}");
        let router_said = json!({ "Kind": "service-router", "Name": "api", "Field": "Routes[0]" });
        assert!(one["MadeFrom"].as_array().expect("a list").contains(&router_said), "{one}");
        two.serves();
        let text = agent.cli_ok(&["proxy", "status", "-entry=service-router/api"]);
        for line in
            ["  in the snapshot of 1 of 1", "  rejected by 1 of 1", "web-sidecar-proxy refuses route \"api\""]
        {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let refuses = "Envoy refuses its configuration and keeps what it has";
        let line = eventually("the agent logs it", || {
            agent.process().log().lines().find(|line| line.contains(refuses)).map(str::to_owned)
        });
        assert!(line.contains("NO_SUCH_FIELD") && line.contains("service-router/api (Routes[0])"), "{line}");
        let metrics = agent.http().get("/v1/agent/metrics?format=prometheus").ok().body.clone();
        assert!(Scrape::new(metrics).sum("concord_xds_rejected_total", "route") >= 1.0);

        two.write(&router("%DOWNSTREAM_LOCAL_PORT%"));
        let told = two.status("web-sidecar-proxy", |all| all["Proxies"][0]["State"] == "acknowledged");
        assert_eq!(told["Proxies"][0]["Rejections"], json!([]));
        eventually("the header comes", || {
            let told = ask(two.upstream, "GET", "/", &[]).ok()?;
            told.said["headers"]["x-from"].is_string().then_some(())
        });
        let text = agent.cli_ok(&["proxy", "status", "-entry=service-router/api"]);
        assert!(text.contains("  acknowledged by 1 of 1") && text.contains("  rejected by 0 of 1"), "{text}");
    }
}

#[test]
fn a_deleted_token_ends_the_stream_and_traffic_goes_on_as_it_was() {
    for (envoy, feed) in envoys_by_feeds("a_deleted_token_ends_the_stream") {
        let world = World::new();
        let agent = strict(&world);
        let ((_, api), (accessor, web)) = (token(&agent, "api"), token(&agent, "web"));
        let root = agent.http().with_token(ROOT);
        let allow = "/v1/connect/intentions/exact?source=web&destination=api";
        root.put(allow, &json!({ "Action": "allow" })).ok();
        let mut two = Two::start(&world, &agent, &envoy, feed, [&api, &web]);
        root.send("DELETE", &format!("/v1/acl/token/{accessor}"), None).ok();
        let told =
            two.status("web-sidecar-proxy", |all| !all["Ended"].as_array().expect("a list").is_empty());
        assert_eq!(told["Proxies"], json!([]));
        assert!(told["Ended"][0]["Reason"].as_str().expect("a text").contains("ACL not found"), "{told}");
        two.serves();
        eventually("Envoy says why it has no stream", || {
            two.envoys[1].log().contains("ACL%20not%20found").then_some(())
        });
        // The other proxy still follows: what it does not allow is refused.
        root.put(allow, &json!({ "Action": "deny" })).ok();
        all_answer("the deny holds", None, || two.call());

        root.put(allow, &json!({ "Action": "allow" })).ok();
        two.envoys[1].process().kill9();
        two.envoys[1] = start(&world, &agent, &envoy, feed, "web", &token(&agent, "web").1);
        two.envoys[1].await_ready();
        all_answer("a request goes through", Some(()), || two.call());
    }
}

#[test]
fn an_envoy_with_a_wrong_token_gets_no_listener_and_says_why() {
    for envoy in envoys("an_envoy_with_a_wrong_token") {
        let world = World::new();
        let agent = strict(&world);
        agent
            .http()
            .with_token(ROOT)
            .put("/v1/agent/service/register", &Mesh::service("web", ([127, 0, 0, 1], 1).into(), json!([])))
            .ok();
        let words = |token: &str| {
            let mut command = Command::new(binary());
            command.args(["connect", "envoy", "-sidecar-for=web", "-bootstrap"]);
            command.args([
                format!("-http-addr={}", agent.http_addr()),
                format!("-grpc-addr={}", agent.grpc_addr()),
            ]);
            command.args([format!("-token={token}"), format!("-admin-bind=127.0.0.1:{}", pick_port())]);
            command
        };
        let wrong = "11111111-7a0e-4f0b-9a53-4a1f6f0e8c11";
        let refused = words(wrong).output().expect("it runs");
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && complaint.contains("ACL not found"), "{complaint}");
        // One that was right when the bootstrap was made.
        let text = ran("connect envoy", &words(ROOT).output().expect("it runs")).replace(ROOT, wrong);
        let bootstrap: Value = serde_json::from_str(&text).expect("JSON");
        let port = bootstrap["admin"]["address"]["socket_address"]["port_value"].as_u64().expect("a port");
        let path = world.write("bootstrap.json", &text);
        let mut command = Command::new(&envoy);
        command.arg("-c").arg(path).args(DRAIN);
        let waiting = Process::start("envoy", &mut command, &world.path("envoy.log"));
        eventually("Envoy says why it has no stream", || {
            waiting.log().contains("ACL%20not%20found").then_some(())
        });
        let admin = Http::new(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port"))));
        let listeners = admin.get("/listeners").ok().body.clone();
        assert!(!listeners.contains("public_listener"), "{listeners}");
        let all = agent.http().with_token(ROOT).get("/v1/agent/proxies").json();
        assert_eq!((&all["Proxies"], &all["Ended"]), (&json!([]), &json!([])));
    }
}

#[test]
fn an_envoy_that_finds_no_agent_waits_for_it() {
    for (envoy, feed) in envoys_by_feeds("an_envoy_that_finds_no_agent") {
        let world = World::new();
        let mut agent = world.agent("n1", AgentOptions::default());
        let two = Two::start(&world, &agent, &envoy, feed, ["", ""]);
        let body = Mesh::service("late", ([127, 0, 0, 1], 1).into(), json!([]));
        two.http.put("/v1/agent/service/register", &body).ok();
        let admin = SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let bootstrap = agent.cli_ok(&[
            "connect",
            "envoy",
            "-sidecar-for=late",
            "-bootstrap",
            &format!("-grpc-addr={}", agent.grpc_addr()),
            &format!("-admin-bind={admin}"),
        ]);
        let path = world.write("bootstrap.json", &bootstrap);
        agent.kill9();
        eventually("Envoy counts that it has no agent", || {
            let connected = two.envoys[1].metrics().sum("envoy_control_plane_connected_state", "");
            (connected == 0.0).then_some(())
        });
        two.serves();
        let mut command = Command::new(&envoy);
        command.arg("-c").arg(path).args(DRAIN);
        let _late = Process::start("envoy of late", &mut command, &world.path("late.log"));
        eventually("Envoy counts that it cannot connect", || {
            Http::new(admin).try_send("GET", "/ready", None).ok()?;
            let failed = Scrape::of(admin, "/stats/prometheus");
            (failed.sum("envoy_cluster_upstream_cx_connect_fail", "local_agent") > 0.0).then_some(())
        });
        let listeners = Http::new(admin).get("/listeners").ok().body.clone();
        assert!(!listeners.contains("public_listener"), "{listeners}");
        agent.restart();
        two.status("late-sidecar-proxy", |all| all["Proxies"][0]["State"] == "acknowledged");
        two.status("web-sidecar-proxy", |all| all["Proxies"][0]["State"] == "acknowledged");
        two.serves();
    }
}

#[test]
fn an_envoy_that_starts_anew_gets_what_has_changed_meanwhile() {
    for (envoy, feed) in envoys_by_feeds("an_envoy_that_starts_anew") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let mut two = Two::start(&world, &agent, &envoy, feed, ["", ""]);
        two.envoys[1].process().kill9();
        let told =
            two.status("web-sidecar-proxy", |all| !all["Ended"].as_array().expect("a list").is_empty());
        assert_eq!(told["Proxies"], json!([]));
        assert!(two.call().is_none(), "its port is closed");
        rotate(&two.http);
        two.write(&router("later"));
        two.envoys[1] = start(&world, &agent, &envoy, feed, "web", "");
        two.envoys[1].await_ready();
        let told = two.status("web-sidecar-proxy", |all| all["Proxies"][0]["State"] == "acknowledged");
        assert_eq!(told["Ended"], json!([]));
        eventually("the router's header comes", || {
            let told = ask(two.upstream, "GET", "/", &[]).ok()?;
            (told.said["headers"]["x-from"] == "later").then_some(())
        });
        two.serves();
    }
}

#[test]
fn a_full_disk_under_the_access_log_costs_no_request() {
    for (envoy, feed) in envoys_by_feeds("a_full_disk_under_the_access_log") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let mut two = Two::start(&world, &agent, &envoy, feed, ["", ""]);
        two.envoys[1].process().kill9();
        let mut who = feed.sidecar("web");
        who.push("-admin-access-log-path=/dev/full".to_owned());
        two.envoys[1] = EnvoyProcess::start_as(&world, &agent, &envoy, &who, &DRAIN);
        two.envoys[1].await_ready();
        all_answer("a request goes through", Some(()), || two.call());
        two.serves();
        let failed = || two.envoys[1].metrics().sum("envoy_filesystem_write_failed", "");
        eventually("it counts what it cannot write", || (failed() > 0.0).then_some(()));
        two.serves();
    }
}

/// That what the page names exists, `cargo xtask tidy` checks.
#[test]
fn each_failure_on_the_page_names_its_test_and_each_test_is_on_the_page() {
    let tests = |section: &str| section.matches("`e2e::it::").count();
    let silent: Vec<_> = PAGE.split("\n## ").skip(1).filter(|section| tests(section) == 0).collect();
    assert_eq!(silent, Vec::<&str>::new());
    let own = include_str!("envoy_failures.rs").split("#[test]\nfn ").skip(1);
    let own: Vec<_> = own.filter_map(|text| text.split_once("() {")).map(|(name, _)| name).collect();
    let named = |name: &str| PAGE.contains(&format!("`e2e::it::envoy_failures::{name}`"));
    let missing: Vec<_> = own.iter().filter(|name| !named(name)).collect();
    assert_eq!(missing, [&"each_failure_on_the_page_names_its_test_and_each_test_is_on_the_page"]);
}
