//! Real Envoys as sidecars: the oldest and the newest that there is to be had.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use concord_e2e::{
    Agent, Echo, EnvoyProcess, Feed, HANG, Load, Mesh, Scrape, World, all_answer, eventually, figure,
    foreign, pick_port,
};
use serde_json::{Value, json};

use crate::chains::rotate;

/// How long Envoy lets open connections be when it gets other intentions.
pub(crate) const DRAIN: [&str; 5] =
    ["--drain-time-s", "2", "--drain-strategy", "immediate", "--disable-hot-restart"];
/// Number of connections that stay open through a test.
const LONG: usize = 4;
const PER_SECOND: u64 = 50;

/// The Envoys that there are; the others are reported as skipped.
pub(crate) fn envoys(test: &str) -> Vec<PathBuf> {
    let find = |variable: &str| foreign(test, variable, "envoy", &["--version"]);
    ["CONCORD_TEST_ENVOY", "CONCORD_TEST_ENVOY_OLDEST"].into_iter().filter_map(find).collect()
}

/// Each of them with each feed.
pub(crate) fn envoys_and_feeds(test: &str) -> impl Iterator<Item = (PathBuf, Feed)> {
    envoys(test).into_iter().flat_map(|envoy| Feed::ALL.map(|feed| (envoy.clone(), feed)))
}

/// Each of them with a feed of its own, for what comes after the feeds have become one.
pub(crate) fn envoys_by_feeds(test: &str) -> impl Iterator<Item = (PathBuf, Feed)> {
    envoys(test).into_iter().zip([Feed::Catalog, Feed::Agent])
}

/// `web` calls `api`, through two Envoys.
pub(crate) struct Pair {
    upstream: SocketAddr,
    api: Echo,
    _web: Echo,
    pub(crate) envoys: Vec<EnvoyProcess>,
}

impl Pair {
    pub(crate) fn start(world: &World, agent: &Agent, envoy: &Path, feed: Feed) -> Self {
        let (api, web, port) = (Echo::new(), Echo::new(), pick_port());
        feed.register(&agent.http(), &Mesh::service("api", api.addr(), json!([])));
        let upstreams = json!([{ "DestinationName": "api", "LocalBindPort": port }]);
        feed.register(&agent.http(), &Mesh::service("web", web.addr(), upstreams));
        let start = |service| feed.start(world, agent, envoy, service, &DRAIN);
        let mut envoys = vec![start("api"), start("web")];
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        Self { upstream: SocketAddr::from(([127, 0, 0, 1], port)), api, _web: web, envoys }
    }

    fn open(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.upstream, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(HANG))?;
        Ok(stream)
    }

    pub(crate) fn call(&self) -> std::io::Result<()> {
        self.open().and_then(|mut stream| Mesh::say(&mut stream))
    }

    /// No new connection carries anything.
    #[track_caller]
    pub(crate) fn refuses_all(&self) {
        all_answer("nothing comes back", true, || self.call().is_err());
        // Envoy connects to the service before it decides, so the service sees that somebody comes.
        let bytes = self.api.bytes();
        (0..20).for_each(|_| assert!(self.call().is_err(), "nothing comes back"));
        assert_eq!(self.api.bytes(), bytes, "not a byte reaches the service");
    }

    #[track_caller]
    fn refused_nothing(&self, agent: &Agent) {
        refused_nothing(agent, &self.envoys);
    }
}

/// Nobody refused anything that it was told.
#[track_caller]
pub(crate) fn refused_nothing(agent: &Agent, envoys: &[EnvoyProcess]) {
    for envoy in envoys {
        let now = envoy.metrics();
        for name in
            ["envoy_cluster_manager_cds_update_rejected", "envoy_listener_manager_lds_update_rejected"]
        {
            assert_eq!(now.sum(name, ""), 0.0, "{:?}\n{}", now.lines(name), envoy.log());
        }
    }
    let told = agent.http().get("/v1/agent/metrics?format=prometheus").ok().body.clone();
    assert_eq!(Scrape::new(told).lines("concord_xds_rejected_total"), Vec::<&str>::new());
}

pub(crate) fn intention(agent: &Agent, action: &str) {
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    agent.http().put(path, &json!({ "Action": action })).ok();
}

#[test]
fn envoys_carry_what_intentions_allow_and_nothing_else() {
    for (envoy, feed) in envoys_and_feeds("envoys_carry_what_intentions_allow_and_nothing_else") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let pair = Pair::start(&world, &agent, &envoy, feed);
        eventually("a message goes through", || pair.call().ok());
        let mut live = pair.open().expect("a connection");
        Mesh::say(&mut live).expect("it carries");

        intention(&agent, "deny");
        let denied = Instant::now();
        eventually("new connections are refused", || pair.call().is_err().then_some(()));
        figure("deny to the refusal of a new connection, Envoy", denied.elapsed().as_secs_f64() * 1e3, "ms");
        assert!(matches!(live.read(&mut [0u8; 1]), Ok(0) | Err(_)), "the open connection ends");
        figure("deny to the end of an open connection, Envoy", denied.elapsed().as_secs_f64() * 1e3, "ms");
        pair.refuses_all();

        intention(&agent, "allow");
        all_answer("a message goes through again", true, || pair.call().is_ok());
        pair.refused_nothing(&agent);
    }
}

#[test]
fn a_rotation_costs_envoys_no_connection() {
    for (envoy, feed) in envoys_by_feeds("a_rotation_costs_envoys_no_connection") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let pair = Pair::start(&world, &agent, &envoy, feed);
        eventually("a message goes through", || pair.call().ok());
        let load = Load::start(pair.upstream, PER_SECOND, LONG);
        let serials = |envoy: &EnvoyProcess| {
            let all = envoy.admin().get("/certs").json();
            let chains = all["certificates"].as_array().cloned().unwrap_or_default();
            let of = |one: &Value| one["cert_chain"][0]["serial_number"].as_str().map(str::to_owned);
            chains.iter().filter_map(of).collect::<std::collections::BTreeSet<_>>()
        };
        let before: Vec<_> = pair.envoys.iter().map(serials).collect();
        let began = Instant::now();
        rotate(&agent.http());
        for (envoy, before) in pair.envoys.iter().zip(&before) {
            eventually("Envoy presents a new leaf", || {
                let now = serials(envoy);
                (!now.is_empty() && now.is_disjoint(before)).then_some(())
            });
        }
        figure("rotation, both Envoys renewed", began.elapsed().as_secs_f64(), "s");
        let after = load.opened();
        eventually("traffic goes on", || (load.opened() > after + PER_SECOND).then_some(()));
        let outcome = load.finish();
        assert_eq!(outcome.failures, Vec::<String>::new());
        assert!(outcome.beats > 0);
        pair.refused_nothing(&agent);
    }
}

#[test]
fn traffic_follows_the_instances_and_outlives_the_agent() {
    for envoy in envoys("traffic_follows_the_instances_and_outlives_the_agent") {
        let world = World::new();
        let mut agent = world.agent("n1", concord_e2e::AgentOptions::default());
        let pair = Pair::start(&world, &agent, &envoy, Feed::Agent);
        eventually("a message goes through", || pair.call().ok());
        let load = Load::start(pair.upstream, PER_SECOND, LONG);
        let second = Echo::new();
        let mut body = Mesh::service("api", second.addr(), json!([]));
        body["ID"] = json!("api-2");
        // It is checked, so that nobody is sent to it before its Envoy listens.
        body["Connect"]["SidecarService"].as_object_mut().expect("an object").remove("Checks");
        agent.http().put("/v1/agent/service/register", &body).ok();
        let mut more = EnvoyProcess::start(&world, &agent, &envoy, "api-2", &DRAIN);
        more.await_ready();
        eventually("the second instance gets connections", || (second.connections() > 5).then_some(()));

        let version =
            |envoy: &EnvoyProcess| envoy.metrics().sum("envoy_listener_manager_listener_modified", "");
        let modified: Vec<_> = pair.envoys.iter().map(version).collect();
        agent.kill9();
        let before = load.opened();
        eventually("traffic goes on without the agent", || {
            (load.opened() > before + PER_SECOND).then_some(())
        });
        agent.restart();
        for envoy in &pair.envoys {
            eventually("Envoy is connected again", || {
                let state = envoy.metrics();
                (state.sum("envoy_control_plane_connected_state", "") == 1.0).then_some(())
            });
        }
        let before = load.opened();
        eventually("traffic goes on", || (load.opened() > before + PER_SECOND).then_some(()));
        assert_eq!(pair.envoys.iter().map(version).collect::<Vec<_>>(), modified, "no listener was replaced");
        let outcome = load.finish();
        assert_eq!(outcome.failures, Vec::<String>::new());
        pair.refused_nothing(&agent);
    }
}
