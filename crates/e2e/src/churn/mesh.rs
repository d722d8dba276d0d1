//! The mesh of a churn: two services, their Envoys, and how each change is made and seen to have arrived.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::change::{Change, Now};
use super::history::{History, Intention, Said};
use super::load::answer;
use crate::agent::{Agent, AgentOptions};
use crate::envoy::EnvoyProcess;
use crate::http::Http;
use crate::mesh::Mesh;
use crate::oracle;
use crate::patience::{eventually, pick_port};
use crate::teller::Teller;
use crate::world::World;

/// The token of the operator.
const ROOT: &str = "b0000000-0000-4000-8000-000000000001";
/// The token of both Envoys.
const PROXIES: &str = "b0000000-0000-4000-8000-000000000002";
/// How many answers in a row must be new until nothing old is expected any more.
const SETTLED: usize = 3;
/// A port where nobody listens.
const NOWHERE: u16 = 9;
const SERVICES: [&str; 2] = ["web", "api"];
/// Open connections end quickly when a listener is replaced, so that a fault shows.
const ARGS: [&str; 5] = ["--drain-time-s", "2", "--drain-strategy", "immediate", "--disable-hot-restart"];

/// Everything that runs.
pub(super) struct Meshed {
    agent: Agent,
    api: Teller,
    _web: Teller,
    envoys: Vec<EnvoyProcess>,
    upstream: SocketAddr,
    port: u16,
    policy: String,
    history: History,
    /// The further instances, and whether each takes connections.
    instances: BTreeMap<u8, bool>,
}

impl Meshed {
    pub(super) fn start(world: &World, envoy: &Path) -> Self {
        let hcl = format!(
            "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" agent = \"{ROOT}\" }} }}"
        );
        let agent = world.agent("n1", AgentOptions { dev: true, hcl: vec![hcl], ..AgentOptions::default() });
        let (api, web) = (Teller::new("api"), Teller::new("web"));
        let upstream = SocketAddr::from(([127, 0, 0, 1], pick_port()));
        let mut mesh = Self {
            agent,
            api,
            _web: web,
            envoys: Vec::new(),
            upstream,
            port: pick_port(),
            policy: String::new(),
            history: History::new(),
            instances: BTreeMap::new(),
        };
        mesh.furnish();
        for service in SERVICES {
            mesh.envoys.push(EnvoyProcess::start_as(world, &mesh.agent, envoy, &flags(service), &ARGS));
        }
        mesh.envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        mesh.settle();
        mesh
    }

    fn furnish(&mut self) {
        let made =
            self.http().put("/v1/acl/policy", &json!({ "Name": "proxies", "Rules": rights(0) })).json();
        self.policy = made["ID"].as_str().expect("a policy has an id").to_owned();
        let token = json!({ "SecretID": PROXIES, "Policies": [{ "ID": self.policy }] });
        self.http().put("/v1/acl/token", &token).ok();
        self.entry("proxy-defaults", "global", json!({ "Config": { "protocol": "http" } }));
        self.intend(Intention::All);
        let mut api = Mesh::service("api", self.api.addr(), json!([]));
        api["Connect"]["SidecarService"]["Port"] = json!(self.port);
        api["Connect"]["SidecarService"]["Proxy"]["Config"] = json!({ "bind_address": "0.0.0.0" });
        self.http().put("/v1/agent/service/register", &api).ok();
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": self.upstream.port() }]);
        let web = Mesh::service("web", self._web.addr(), upstreams);
        self.http().put("/v1/agent/service/register", &web).ok();
    }

    fn http(&self) -> Http {
        self.agent.http().with_token(ROOT)
    }

    pub(super) fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    pub(super) fn history(&self) -> History {
        self.history.clone()
    }

    /// What there is now.
    pub(super) fn now(&self) -> Now<'_> {
        Now { instances: &self.instances, denies: self.history.now().intention == Intention::Nobody }
    }

    /// Makes a change and waits until it has arrived.
    #[track_caller]
    pub(super) fn make(&mut self, at: usize, change: &Change) {
        match change {
            Change::Up(instance) => self.come(*instance, true),
            Change::Dead(instance) => self.come(*instance, false),
            Change::Down(instance) => self.go(*instance),
            Change::Intention(intention) => {
                self.say(Said { intention: *intention, ..self.history.now() }, |mesh| mesh.intend(*intention));
            }
            Change::Router(true) => self.say(Said { header: Some(at), ..self.history.now() }, |mesh| {
                let set = json!({ "Set": { "x-said": at.to_string() } });
                let route = json!({ "Match": { "HTTP": { "PathPrefix": "/" } }, "Destination": { "RequestHeaders": set } });
                mesh.entry("service-router", "api", json!({ "Routes": [route] }));
            }),
            Change::Router(false) => {
                self.say(Said { header: None, ..self.history.now() }, |mesh| mesh.delete("service-router"));
            }
            Change::Resolver(Some(seconds)) => {
                self.entry("service-resolver", "api", json!({ "ConnectTimeout": format!("{seconds}s") }));
            }
            Change::Resolver(None) => self.delete("service-resolver"),
            Change::Splitter(true) => {
                let part = json!({ "Weight": 30, "ResponseHeaders": { "Set": { "x-part": at.to_string() } } });
                self.entry("service-splitter", "api", json!({ "Splits": [part, { "Weight": 70 }] }));
            }
            Change::Splitter(false) => self.delete("service-splitter"),
            Change::Defaults(seconds) => {
                let millis = u64::from(*seconds) * 1000;
                self.entry("service-defaults", "api", json!({ "Protocol": "http", "LocalConnectTimeoutMs": millis }));
            }
            Change::Policy => self.judge(&rights(at)),
            Change::Revoked => self.revoke(at),
            Change::Token => self.token(),
            Change::Rotation => self.rotate(),
        }
    }

    fn entry(&self, kind: &str, name: &str, mut rest: Value) {
        (rest["Kind"], rest["Name"]) = (json!(kind), json!(name));
        self.http().put("/v1/config", &rest).ok();
    }

    fn delete(&self, kind: &str) {
        self.http().send("DELETE", &format!("/v1/config/{kind}/api"), None).ok();
    }

    fn intend(&self, intention: Intention) {
        let allow = json!({ "Action": "allow", "HTTP": { "PathPrefix": "/" } });
        let deny = json!({ "Action": "deny", "HTTP": { "PathPrefix": "/private" } });
        let permissions = match intention {
            Intention::All => json!([allow]),
            Intention::Public => json!([deny, allow]),
            // The default denies.
            Intention::Nobody => return self.delete("service-intentions"),
        };
        let source = json!({ "Name": "web", "Permissions": permissions });
        self.entry("service-intentions", "api", json!({ "Sources": [source] }));
    }

    fn say(&self, said: Said, how: impl FnOnce(&Self)) {
        self.history.begin(said);
        how(self);
        self.settle();
    }

    /// Waits until requests are answered as was said last.
    #[track_caller]
    fn settle(&self) {
        let said = self.history.now();
        let http = Http::new(self.upstream);
        let is_new = |path: &str| {
            http.try_send("GET", path, None).is_ok_and(|reply| answer(&reply) == said.answer(path))
        };
        eventually(&format!("requests are answered by {said:?}"), || {
            (0..SETTLED).all(|_| is_new("/a") && is_new("/private/a")).then_some(())
        });
        self.history.settle();
    }

    fn come(&mut self, instance: u8, is_alive: bool) {
        let id = format!("api-{instance}");
        let mut body = Mesh::service("api", self.api.addr(), json!([]));
        body["ID"] = json!(id);
        let sidecar = &mut body["Connect"]["SidecarService"];
        sidecar["Address"] = json!(format!("127.0.0.{instance}"));
        sidecar["Port"] = json!(if is_alive { self.port } else { NOWHERE });
        sidecar["Checks"] = match is_alive {
            true => json!([{ "Name": "service", "AliasService": id }]),
            false => json!([{ "Name": "fails", "TTL": "10h", "Status": "critical" }]),
        };
        self.http().put("/v1/agent/service/register", &body).ok();
        self.instances.insert(instance, is_alive);
        self.await_instances();
    }

    fn go(&mut self, instance: u8) {
        let path = format!("/v1/agent/service/deregister/api-{instance}");
        self.http().put(&path, &Value::Null).ok();
        self.instances.remove(&instance);
        self.await_instances();
    }

    /// Waits until the Envoy of `web` knows exactly the instances that there are.
    #[track_caller]
    fn await_instances(&self) {
        let place = |address: &str, port: u16| format!("{address}:{port}");
        let mut expected: BTreeMap<_, _> = [(place("127.0.0.1", self.port), true)].into();
        for (at, is_alive) in &self.instances {
            let port = if *is_alive { self.port } else { NOWHERE };
            expected.insert(place(&format!("127.0.0.{at}"), port), *is_alive);
        }
        let mut last = BTreeMap::new();
        eventually(&format!("Envoy knows {expected:?}"), || {
            last = known_instances(&self.envoys[0]);
            (last == expected).then_some(())
        });
    }

    fn judge(&self, rules: &str) {
        let body = json!({ "Name": "proxies", "Rules": rules });
        self.http().put(&format!("/v1/acl/policy/{}", self.policy), &body).ok();
    }

    /// The Envoys lose their rights, and get them again.
    fn revoke(&self, at: usize) {
        let is_connected = || {
            let state = |envoy: &EnvoyProcess| envoy.metrics().sum("envoy_control_plane_connected_state", "");
            self.envoys.iter().map(state).sum::<f64>()
        };
        self.judge("");
        eventually("the streams end", || (is_connected() == 0.0).then_some(()));
        self.judge(&rights(at));
        eventually("the streams begin again", || (is_connected() == 2.0).then_some(()));
    }

    fn token(&self) {
        let made = self.http().put("/v1/acl/token", &json!({ "Description": "nobody's" })).json();
        let path = format!("/v1/acl/token/{}", made["AccessorID"].as_str().unwrap_or_default());
        self.http().send("DELETE", &path, None).ok();
    }

    fn rotate(&self) {
        let http = self.http();
        let active = || http.get("/v1/connect/ca/roots").json()["ActiveRootID"].clone();
        let (before, mut config) = (active(), http.get("/v1/connect/ca/configuration").json());
        let bits = if config["Config"]["PrivateKeyBits"] == json!(384) { 256 } else { 384 };
        (config["Config"]["PrivateKeyType"], config["Config"]["PrivateKeyBits"]) = (json!("ec"), json!(bits));
        let body = json!({ "Provider": "consul", "Config": config["Config"] });
        http.put("/v1/connect/ca/configuration", &body).ok();
        eventually("the new root is active", || (active() != before).then_some(()));
    }

    /// In what each Envoy differs from one that is started now, and what they refused.
    pub(super) fn compare_with_fresh(&mut self, world: &World, envoy: &Path) -> Vec<String> {
        let grpc = self.agent.grpc_addr().port();
        let mut found = Vec::new();
        for (service, old) in SERVICES.into_iter().zip(&self.envoys) {
            let mut fresh = EnvoyProcess::start_as(world, &self.agent, envoy, &flags(service), &ARGS);
            fresh.await_ready();
            let differences = oracle::differences(old, &fresh, grpc);
            found.extend(differences.into_iter().map(|one| format!("{service}: {one}")));
            for name in
                ["envoy_cluster_manager_cds_update_rejected", "envoy_listener_manager_lds_update_rejected"]
            {
                if old.metrics().sum(name, "") > 0.0 {
                    found.push(format!("{service}: {:?}\n{}", old.metrics().lines(name), old.log()));
                }
            }
        }
        found
    }
}

/// The proxy of a service, and its token.
fn flags(service: &str) -> [String; 2] {
    [format!("-sidecar-for={service}"), format!("-token={PROXIES}")]
}

/// The rules of the Envoys' policy. The number changes nothing but the text.
fn rights(number: usize) -> String {
    format!(
        "# {number}\nservice_prefix \"\" {{ policy = \"read\" }} service \"web\" {{ policy = \"write\" }} service \"api\" {{ policy = \"write\" }}
        service_prefix \"api\" {{ policy = \"write\" }} node_prefix \"\" {{ policy = \"read\" }} agent_prefix \"\" {{ policy = \"read\" }}"
    )
}

/// The instances of `api` in all clusters of an Envoy, and whether each takes connections.
fn known_instances(envoy: &EnvoyProcess) -> BTreeMap<String, bool> {
    let told = envoy.admin().get("/clusters?format=json").json();
    let clusters = told["cluster_statuses"].as_array().cloned().unwrap_or_default();
    let of_api =
        clusters.iter().filter(|own| own["name"].as_str().is_some_and(|name| name.contains("api.default.")));
    let hosts = of_api.flat_map(|own| own["host_statuses"].as_array().cloned().unwrap_or_default());
    hosts
        .filter_map(|host| {
            let address = &host["address"]["socket_address"];
            let place = format!("{}:{}", address["address"].as_str()?, address["port_value"]);
            Some((place, host["health_status"]["eds_health_status"] == "HEALTHY"))
        })
        .collect()
}
