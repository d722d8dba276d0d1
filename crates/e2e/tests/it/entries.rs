//! Configuration entries of every kind in a server with a data directory.

use std::collections::BTreeMap;
use std::fs;

use concord_e2e::{Agent, AgentOptions, Authority, Http, World, entry_examples, eventually};
use serde_json::{Value, json};

/// The entries of a kind, as the API shows them.
fn listed(http: &Http, kind: &str) -> Value {
    http.get(&format!("/v1/config/{kind}?consistent")).ok().json()
}

/// Writes the example of each page. One that needs another is written after it.
fn write_examples(world: &World, agent: &Agent) -> Vec<String> {
    let mut left = entry_examples();
    let mut kinds = Vec::new();
    agent
        .http()
        .put("/v1/config", &json!({ "Kind": "service-defaults", "Name": "db", "Protocol": "tcp" }))
        .ok();
    // The resolver's example has failover to another datacenter, which no exported service may have.
    let exports = left.iter_mut().find(|(kind, _)| kind == "exported-services").expect("it has a page");
    exports.1 = exports.1.replace("\"web\"", "\"exported\"");
    // The splitter's example has subsets of its own.
    let splitter = left.iter_mut().find(|(kind, _)| kind == "service-splitter").expect("it has a page");
    splitter.1 = splitter.1.replace("v2", "v1");
    // Its example is refused: a page shows no key.
    left.retain(|(kind, _)| kind != "inline-certificate");
    while !left.is_empty() {
        let (before, mut refusals) = (left.len(), Vec::new());
        left.retain(|(kind, text)| {
            let file = world.write("entry.hcl", text);
            let ran = agent.cli(&["config", "write", file.to_str().expect("a path in UTF-8")]);
            match ran.status.success() {
                true => kinds.push(kind.clone()),
                false => refusals.push(String::from_utf8_lossy(&ran.stderr).into_owned()),
            }
            !ran.status.success()
        });
        assert!(left.len() < before, "these cannot be written: {refusals:?}");
    }
    kinds
}

fn write_certificate(world: &World, http: &Http) {
    let (certificate, key) = Authority::new(world.dir(), "shop").issue("edge");
    let text = |path| fs::read_to_string(path).expect("it was written");
    let said = json!({ "Kind": "inline-certificate", "Name": "shown",
        "Certificate": text(&certificate), "PrivateKey": text(&key) });
    http.put("/v1/config", &said).ok();
}

fn stat(http: &Http, key: &str) -> u64 {
    let stats = http.get("/v1/agent/self").ok().json();
    stats["Stats"]["raft"][key].as_str().and_then(|text| text.parse().ok()).expect("a number")
}

#[test]
fn each_kind_outlives_a_restart_and_a_snapshot() {
    let world = World::new();
    let hcl = vec![
        "raft_snapshot_threshold = 8 raft_snapshot_interval = \"1s\" raft_trailing_logs = 1".to_owned(),
        "performance { raft_multiplier = 1 }".to_owned(),
    ];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let http = agent.http();
    let mut kinds = write_examples(&world, &agent);
    write_certificate(&world, &http);
    kinds.extend(["inline-certificate", "bound-api-gateway"].map(str::to_owned));
    assert!(kinds.len() > 16, "{kinds:?}");
    // The leader writes this one, and the status of gateways and routes, after the others.
    eventually("what the leader derives", || {
        let bound = listed(&http, "bound-api-gateway");
        let route = &listed(&http, "http-route")[0]["Status"]["Conditions"];
        (bound.as_array().is_some_and(|all| !all.is_empty()) && route.is_array()).then_some(())
    });
    let all = |http: &Http| -> BTreeMap<String, Value> {
        kinds.iter().map(|kind| (kind.clone(), listed(http, kind))).collect()
    };
    let before = all(&http);
    assert!(
        before.values().all(|entries| entries.as_array().is_some_and(|all| !all.is_empty())),
        "{before:?}"
    );
    // From the log.
    agent.kill9();
    agent.restart();
    assert_eq!(all(&http), before);
    // From a snapshot that has them all: what is written later pushes them out of the log.
    let last = stat(&http, "last_log_index");
    let mut serial = 0;
    eventually("a snapshot of all entries", || {
        serial += 1;
        http.put("/v1/config", &json!({ "Kind": "service-defaults", "Name": format!("later-{serial}") }))
            .ok();
        http.send("DELETE", &format!("/v1/config/service-defaults/later-{serial}"), None).ok();
        (stat(&http, "last_snapshot_index") > last).then_some(())
    });
    agent.kill9();
    agent.restart();
    assert_eq!(all(&http), before);
}
