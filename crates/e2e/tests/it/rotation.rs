//! Rotations of the root under traffic: no handshake fails and no connection is reset.

use std::net::SocketAddr;
use std::time::Duration;

use concord_e2e::{
    Agent, AgentOptions, Http, Identity, Load, Mesh, ProxyOptions, World, authority_of, eventually, figure,
    number_from_env, uris_of,
};
use serde_json::json;

use crate::chains::rotate;

/// Number of connections which stay open through all rotations.
const LONG: usize = 8;

/// The key id of the active root.
fn signer(http: &Http) -> String {
    let roots = http.get("/v1/agent/connect/ca/roots").json();
    let all = roots["Roots"].as_array().cloned().unwrap_or_default();
    let active = all.iter().find(|root| root["Active"] == true).expect("an active root");
    active["SigningKeyID"].as_str().expect("a key id").to_owned()
}

/// The key id of the authority which signed the certificate that a sidecar presents, and the certificate's URI.
fn presented(http: &Http, public: SocketAddr) -> Option<(String, String)> {
    let leaf = http.get("/v1/agent/connect/ca/leaf/web").json();
    let (_, presented) = Identity::of_leaf(&leaf).dial(public).ok()?;
    Some((authority_of(&presented.chain[0]), uris_of(&presented.chain[0]).concat()))
}

/// Waits until both sidecars present a leaf of the active root.
fn both_renewed(agent: &Agent, mesh: &Mesh, old: &str) {
    let http = agent.http();
    for (sidecar, name) in [(&mesh.api_sidecar, "api"), (&mesh.web_sidecar, "web")] {
        eventually(&format!("{name} presents a leaf of the new root"), || {
            let signer = signer(&http);
            let (authority, uri) = presented(&http, sidecar.public())?;
            assert!(uri.ends_with(&format!("/svc/{name}")), "{uri}");
            (signer != old && authority == signer).then_some(())
        });
    }
}

#[test]
fn rotations_under_traffic_fail_no_connection() {
    let rotations = number_from_env("CONCORD_E2E_ROTATIONS", 2);
    let per_second = number_from_env("CONCORD_E2E_RATE", 50);
    let world = World::new();
    let hcl = vec!["performance { raft_multiplier = 1 }".to_owned()];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let mesh = Mesh::start(&world, &agent, &ProxyOptions::default());
    let path = "/v1/connect/intentions/exact?source=web&destination=api";
    agent.http().put(path, &json!({ "Action": "allow" })).ok();
    let refusals = mesh.refusals();

    let load = Load::start(mesh.upstream(), per_second, LONG);
    for rotation in 0..rotations {
        let old = signer(&agent.http());
        let began = std::time::Instant::now();
        rotate(&agent.http());
        if rotation == rotations / 2 {
            // In the middle of a rotation: the new root is active, the new leaves are not issued yet.
            agent.kill9();
            let before = load.opened();
            eventually("traffic goes on without the agent", || {
                (load.opened() > before + per_second / 2).then_some(())
            });
            agent.restart();
        }
        both_renewed(&agent, &mesh, &old);
        figure(
            &format!("rotation {}, both sidecars renewed", rotation + 1),
            began.elapsed().as_secs_f64(),
            "s",
        );
        let after = load.opened();
        eventually("traffic goes on", || (load.opened() > after + per_second / 2).then_some(()));
    }
    let outcome = load.finish();
    figure("new connections under rotations", outcome.opened as f64, "");
    figure("messages on long connections", outcome.beats as f64, "");
    figure("new connection, median", outcome.millis.0, "ms");
    figure("new connection, p99", outcome.millis.1, "ms");
    figure("new connection, longest", outcome.millis.2, "ms");
    assert!(outcome.failures.is_empty(), "{:#?}", outcome.failures);
    assert!(outcome.opened > per_second && outcome.beats > 0, "{outcome:?}");
    assert!(
        mesh.refusals() <= refusals,
        "a sidecar refused: {:?}",
        mesh.api_sidecar.metrics().lines("concord_proxy_")
    );
}

#[test]
fn both_roots_are_published_while_old_leaves_live() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let http = agent.http();
    let old = http.get("/v1/connect/ca/roots").json()["ActiveRootID"].clone();
    let new = rotate(&http);
    let roots = http.get("/v1/connect/ca/roots").json();
    let all = roots["Roots"].as_array().expect("roots");
    assert_eq!(all.len(), 2, "{roots}");
    let active = |id: &str| all.iter().find(|root| root["ID"] == id).map(|root| root["Active"].clone());
    assert_eq!(active(&new), Some(json!(true)));
    assert_eq!(active(old.as_str().expect("an id")), Some(json!(false)));
    // A configuration which changes nothing creates no root.
    let same = http.get("/v1/connect/ca/configuration").json();
    let body = json!({ "Provider": "consul", "Config": same["Config"] });
    http.put("/v1/connect/ca/configuration", &body).ok();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(http.get("/v1/connect/ca/roots").json()["ActiveRootID"], json!(new));
}
