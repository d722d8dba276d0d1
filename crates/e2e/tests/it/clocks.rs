//! Processes whose wall clock changes while they run.

use std::time::SystemTime;

use concord_e2e::{Agent, AgentOptions, FakeClock, Mesh, ProxyOptions, World, eventually};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;

fn today() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("a moment")
}

fn agent(world: &World, clock: &FakeClock) -> Agent {
    world.agent("n1", AgentOptions { dev: true, env: clock.env(), ..AgentOptions::default() })
}

/// Sends reads whose answers depend on the time. Each must be answered, and the process must keep running.
fn everything_is_answered(agent: &Agent, when: &str) {
    let http = agent.http();
    for path in [
        "/v1/agent/self",
        "/v1/agent/metrics",
        "/v1/agent/connect/ca/roots",
        "/v1/connect/ca/configuration",
        "/v1/status/leader",
        "/v1/health/service/web?wait=1s&index=1",
    ] {
        let reply =
            http.try_send("GET", path, None).unwrap_or_else(|error| panic!("{when}: {path}: {error}"));
        assert!((200..500).contains(&reply.status), "{when}: {path}: {}", reply.status);
    }
}

#[test]
fn n_142_a_mesh_whose_clocks_are_set_serves_again() {
    let world = World::new();
    let Some(clock) = FakeClock::new("n_142_a_mesh_whose_clocks_are_set_serves_again", &world) else {
        return;
    };
    let agent = agent(&world, &clock);
    let options = ProxyOptions { env: clock.env(), ..ProxyOptions::default() };
    let mesh = Mesh::start(&world, &agent, &options);
    for (off, when) in
        [(-DAY, "a day back"), (-10 * YEAR, "ten years back"), (10 * YEAR, "ten years on"), (0, "today")]
    {
        clock.set_off_by(off);
        eventually(&format!("a message goes through: {when}"), || {
            // The leaf in the agent's cache is renewed too.
            let leaf = agent.http().get("/v1/agent/connect/ca/leaf/web");
            (leaf.status == 200).then_some(())?;
            mesh.call().ok()
        });
        everything_is_answered(&agent, when);
    }
    let log = mesh.web_sidecar.log();
    assert!(log.contains("leaf_not_yet_valid"), "{log}");
}

#[test]
fn n_143_an_agent_that_begins_in_1970_is_told_the_time() {
    let world = World::new();
    let Some(clock) = FakeClock::new("n_143_an_agent_that_begins_in_1970_is_told_the_time", &world) else {
        return;
    };
    clock.set_off_by(30 - today());
    let agent = agent(&world, &clock);
    let leaf = || agent.http().get("/v1/agent/connect/ca/leaf/web");
    eventually("a leaf in 1970", || (leaf().status == 200).then_some(()));
    assert!(leaf().json()["ValidBefore"].as_str().is_some_and(|end| end.starts_with("1970")));
    clock.set_off_by(0);
    eventually("a leaf of today", || {
        let leaf = leaf();
        (leaf.status == 200 && !leaf.json()["ValidBefore"].as_str()?.starts_with("1970")).then_some(())
    });
    everything_is_answered(&agent, "today");
}

#[test]
fn f_8_an_agent_answers_in_every_year() {
    let world = World::new();
    let Some(clock) = FakeClock::new("f_8_an_agent_answers_in_every_year", &world) else { return };
    let agent = agent(&world, &clock);
    // Times in 64-bit nanoseconds end in 2262, and times in certificates end in 9999.
    for year in [1970, 2038, 2049, 2050, 2106, 2262, 2263, 9998] {
        let seconds = (year - 1970) * (YEAR + DAY / 4) + 10 * DAY;
        clock.set_off_by(seconds - today());
        everything_is_answered(&agent, &year.to_string());
        let leaf = agent.http().try_send("GET", "/v1/agent/connect/ca/leaf/web", None);
        assert!(leaf.is_ok(), "{year}: {leaf:?}");
    }
    clock.set_off_by(0);
    eventually("a leaf of today", || {
        (agent.http().get("/v1/agent/connect/ca/leaf/web").status == 200).then_some(())
    });
}
