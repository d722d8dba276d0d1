//! The access logs of real Envoys: what is in them, and that they follow the entry.

use std::path::Path;

use concord_e2e::{Agent, World, eventually};
use serde_json::{Value, json};

use crate::envoy_routes::{Three, judge, write};
use crate::envoy_sidecar::{Pair, envoys, intention, refused_nothing};

/// The lines of a log, as far as it has been written.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
}

/// Waits for a line with these fields.
#[track_caller]
fn has_line(path: &Path, fields: &[(&str, Value)]) -> Value {
    let fits = |line: &Value| fields.iter().all(|(name, value)| &line[*name] == value);
    eventually(&format!("{} has a line with {fields:?}", path.display()), || {
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
    for envoy in envoys("a_file_has_a_line_for_each_request_and_follows_the_entry") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let three = Three::start(&world, &agent, &envoy);
        let (first, second) = (world.path("first.log"), world.path("second.log"));
        eventually("a request goes through", || (three.ask("GET", "/", &[])?.status == 200).then_some(()));
        logged(&agent, "http", json!({ "Enabled": true, "Type": "file", "Path": first }));
        let permission =
            |action: &str, path: &str| json!({ "Action": action, "HTTP": { "PathPrefix": path } });
        judge(&agent, json!([permission("allow", "/yes"), permission("deny", "/")]));
        let asked = |path: &str, expected: u16| {
            eventually(&format!("{path} is answered by {expected}"), || {
                (three.ask("GET", path, &[("user-agent", "us")])?.status == expected).then_some(())
            });
        };
        eventually("the log is opened", || first.exists().then_some(()));
        asked("/no", 403);
        asked("/yes", 200);
        asked("/no", 403);
        let inbound = json!("local_app");
        let line = has_line(
            &first,
            &[
                ("path", json!("/yes")),
                ("response_code", json!(200)),
                ("upstream_cluster", inbound),
                ("user_agent", json!("us")),
            ],
        );
        assert_eq!((&line["method"], &line["protocol"]), (&json!("GET"), &json!("HTTP/1.1")));
        let denied = has_line(&first, &[("path", json!("/no")), ("response_code", json!(403))]);
        eventually(&format!("the reason of {denied} is told"), || {
            denied_by_rules(&first, "response_code_details")
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
            // Envoy writes at least once in a second.
            std::thread::sleep(std::time::Duration::from_millis(1500));
            (std::fs::metadata(&second).expect("it is there").len() == before).then_some(())
        });
        refused_nothing(&agent, &three.envoys);
    }
}

#[test]
fn a_file_has_a_line_for_each_connection() {
    for envoy in envoys("a_file_has_a_line_for_each_connection") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let log = world.path("access.log");
        logged(&agent, "tcp", json!({ "Enabled": true, "Type": "file", "Path": log }));
        let pair = Pair::start(&world, &agent, &envoy);
        eventually("a message goes through", || pair.call().ok());
        let line = has_line(&log, &[("upstream_cluster", json!("local_app"))]);
        assert_eq!(line["bytes_received"], 5, "{line}");
        intention(&agent, "deny");
        eventually("connections are refused", || pair.call().is_err().then_some(()));
        eventually("the reason is told", || denied_by_rules(&log, "connection_termination_details"));
        refused_nothing(&agent, &pair.envoys);
    }
}
