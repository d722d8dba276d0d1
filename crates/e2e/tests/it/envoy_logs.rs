//! The access logs of real Envoys: what is in them, and that they follow the entry.

use std::path::Path;
use std::time::Duration;

use concord_e2e::{Agent, World, all_answer, eventually};
use serde_json::{Value, json};

use crate::envoy_routes::{Three, judge, write};
use crate::envoy_sidecar::{Pair, envoys_by_feeds, intention, refused_nothing};

/// Envoy writes what it logs at least once in a second.
const FLUSHED: Duration = Duration::from_millis(1500);

/// The lines of a log, as far as it has been written.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
}

/// Does something until the log has a line with these fields about it. Once would not do: it may meet an instance that
/// has not opened the log, or a listener that is being drained.
#[track_caller]
fn has_line(path: &Path, fields: &[(&str, Value)], again: impl Fn()) -> Value {
    let fits = |line: &Value| fields.iter().all(|(name, value)| &line[*name] == value);
    eventually(&format!("{} has a line with {fields:?}", path.display()), || {
        again();
        lines(path).into_iter().find(fits)
    })
}

/// A line that says in this field that the intentions denied it.
fn denied_by_rules(path: &Path, field: &str) -> Option<Value> {
    let fits = |line: &Value| line[field].as_str().is_some_and(|why| why.starts_with("rbac_access_denied"));
    lines(path).into_iter().find(fits)
}

fn logged(agent: &Agent, protocol: &str, logs: Value) {
    let config = json!({ "protocol": protocol });
    let entry = json!({ "Kind": "proxy-defaults", "Name": "global", "Config": config, "AccessLogs": logs });
    write(agent, &entry);
}

#[test]
fn a_file_has_a_line_for_each_request_and_follows_the_entry() {
    for (envoy, feed) in envoys_by_feeds("a_file_has_a_line_for_each_request_and_follows_the_entry") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let three = Three::start(&world, &agent, &envoy, feed);
        let (first, second) = (world.path("first.log"), world.path("second.log"));
        all_answer("a request goes through", Some(200), || three.status("/"));
        logged(&agent, "http", json!({ "Enabled": true, "Type": "file", "Path": first }));
        let permission =
            |action: &str, path: &str| json!({ "Action": action, "HTTP": { "PathPrefix": path } });
        judge(&agent, json!([permission("allow", "/yes"), permission("deny", "/")]));
        let ask = |path: &str| Some(three.ask("GET", path, &[("user-agent", "us")])?.status);
        eventually("the log is opened", || first.exists().then_some(()));
        all_answer("/no is denied", Some(403), || ask("/no"));
        all_answer("/yes is allowed", Some(200), || ask("/yes"));
        let inbound = json!("local_app");
        let line = has_line(
            &first,
            &[
                ("path", json!("/yes")),
                ("response_code", json!(200)),
                ("upstream_cluster", inbound),
                ("user_agent", json!("us")),
            ],
            || {
                ask("/yes");
            },
        );
        assert_eq!((&line["method"], &line["protocol"]), (&json!("GET"), &json!("HTTP/1.1")));
        let denied = has_line(&first, &[("path", json!("/no")), ("response_code", json!(403))], || {
            ask("/no");
        });
        eventually(&format!("the reason of {denied} is told"), || {
            ask("/no");
            denied_by_rules(&first, "response_code_details")
        });
        let mut round = 0;
        eventually("each request has its line", || {
            round += 1;
            let paths: Vec<_> = (0..20).map(|at| format!("/yes/{round}/{at}")).collect();
            assert!(paths.iter().all(|path| ask(path) == Some(200)));
            std::thread::sleep(FLUSHED);
            let told = lines(&first);
            let is_told = |path: &String| {
                told.iter().any(|line| line["path"] == *path && line["upstream_cluster"] == "local_app")
            };
            paths.iter().all(is_told).then_some(())
        });

        let format = r#"{"where": "%REQ(:PATH)%", "code": "%RESPONSE_CODE%"}"#;
        let other = json!({ "Enabled": true, "Type": "file", "Path": second, "JSONFormat": format });
        logged(&agent, "http", other);
        eventually("the other log is opened", || second.exists().then_some(()));
        eventually("the other log has the line", || {
            three.ask("GET", "/yes/2", &[]);
            lines(&second).into_iter().find(|line| *line == json!({ "where": "/yes/2", "code": 200 }))
        });
        logged(&agent, "http", json!({ "Enabled": false }));
        eventually("no log is written any more", || {
            let before = std::fs::metadata(&second).expect("it is there").len();
            three.ask("GET", "/yes/3", &[]);
            std::thread::sleep(FLUSHED);
            (std::fs::metadata(&second).expect("it is there").len() == before).then_some(())
        });
        refused_nothing(&agent, &three.envoys);
    }
}

#[test]
fn a_file_has_a_line_for_each_connection() {
    for (envoy, feed) in envoys_by_feeds("a_file_has_a_line_for_each_connection") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let log = world.path("access.log");
        logged(&agent, "tcp", json!({ "Enabled": true, "Type": "file", "Path": log }));
        let pair = Pair::start(&world, &agent, &envoy, feed);
        eventually("a message goes through", || pair.call().ok());
        let line = has_line(&log, &[("upstream_cluster", json!("local_app"))], || ());
        assert_eq!(line["bytes_received"], 5, "{line}");
        intention(&agent, "deny");
        pair.refuses_all();
        eventually("the reason is told", || {
            let _ = pair.call();
            denied_by_rules(&log, "connection_termination_details")
        });
        refused_nothing(&agent, &pair.envoys);
    }
}
