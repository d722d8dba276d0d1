//! Tests of what all endpoints share: headers, parameters, methods, refusals.

use std::io::Write;
use std::sync::Arc;

use concord_front::http::Settings;
use metrics_exporter_prometheus::PrometheusBuilder;
use parking_lot::Mutex;

use crate::world::{ROOT, Setup, World};

#[tokio::test]
async fn answers_tell_what_is_known_about_them() {
    let world = Setup::default().start().await;
    let nodes = world.get("/v1/catalog/nodes").send().await;
    assert!(nodes.index() >= 1);
    let expected = [
        ("content-type", "application/json"),
        ("x-consul-knownleader", "true"),
        ("x-consul-lastcontact", "0"),
        ("x-consul-effective-consistency", "leader"),
        ("x-consul-query-backend", "blocking-query"),
        ("x-consul-default-acl-policy", "allow"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in expected {
        assert_eq!(nodes.header(name), Some(value), "{name}");
    }
    for (mode, effective) in [("stale", "stale"), ("consistent", "consistent"), ("leader", "leader")] {
        let nodes = world.get(&format!("/v1/catalog/nodes?{mode}")).send().await;
        assert_eq!(nodes.header("x-consul-effective-consistency"), Some(effective));
    }
    // An empty answer also has an index.
    let none = world.get("/v1/health/service/nothing").send().await;
    assert!(none.index() >= 1);
    assert_eq!(none.body, "[]");
    world.stop().await;
}

/// The headers that Consul sends with an answer, path by path.
#[tokio::test]
async fn answers_have_the_headers_consul_sends_with_them() {
    const ABOUT: [&str; 5] = [
        "x-consul-index",
        "x-consul-knownleader",
        "x-consul-lastcontact",
        "x-consul-query-backend",
        "x-consul-effective-consistency",
    ];
    let world = Setup::guarded().start().await;
    world.put("/v1/agent/service/register", r#"{"Name":"web"}"#).token(ROOT).ok().await;
    for (path, sent) in [
        ("/v1/catalog/nodes", &ABOUT[..]),
        ("/v1/catalog/services", &ABOUT),
        ("/v1/catalog/services?filter=ServiceName+%3D%3D+web", &ABOUT),
        ("/v1/catalog/service/web", &ABOUT),
        ("/v1/catalog/connect/web", &ABOUT),
        ("/v1/catalog/node/n1", &ABOUT),
        ("/v1/catalog/node-services/n1", &ABOUT),
        ("/v1/health/node/n1", &ABOUT),
        ("/v1/health/checks/web", &ABOUT),
        ("/v1/health/state/any", &ABOUT),
        ("/v1/health/service/web", &ABOUT),
        ("/v1/health/connect/web", &ABOUT),
        ("/v1/connect/intentions/match?by=destination&name=web", &ABOUT),
        ("/v1/connect/ca/roots", &ABOUT[..4]),
        ("/v1/connect/intentions", &ABOUT[..4]),
        ("/v1/config/service-intentions", &ABOUT[..4]),
        ("/v1/acl/tokens", &ABOUT[..4]),
        ("/v1/acl/policies", &ABOUT[..4]),
        ("/v1/agent/connect/ca/roots", &ABOUT[..4]),
        // More headers than Consul sends, because its Go client otherwise stops before the index.
        ("/v1/agent/connect/ca/leaf/web", &ABOUT[..4]),
        ("/v1/catalog/datacenters", &[]),
        ("/v1/agent/services", &[]),
        ("/v1/status/leader", &[]),
    ] {
        let answer = world.get(path).token(ROOT).send().await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let found: Vec<_> = ABOUT.into_iter().filter(|name| answer.header(name).is_some()).collect();
        assert_eq!(found, sent, "{path}");
        assert_eq!(answer.header("x-consul-default-acl-policy"), Some("deny"), "{path}");
    }
    // A refusal also has the header of the default policy.
    let refused = world.get("/v1/agent/self").send().await;
    assert_eq!((refused.status, refused.header("x-consul-default-acl-policy")), (403, Some("deny")));
    world.stop().await;
}

#[tokio::test]
async fn pretty_is_indented_and_ends_in_a_line() {
    let world = Setup::default().start().await;
    assert_eq!(world.get("/v1/catalog/datacenters").send().await.body, "[\"dc1\"]");
    assert_eq!(world.get("/v1/catalog/datacenters?pretty").send().await.body, "[\n    \"dc1\"\n]\n");
    world.stop().await;
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_kind() {
    let world = Setup::default().start().await;
    for (path, text) in [
        ("/v1/nothing", "Invalid URL path: not a recognized HTTP API endpoint\n"),
        ("/v1/catalog/nodes/", "Invalid URL path: not a recognized HTTP API endpoint\n"),
        (
            "/nothing",
            "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
        ),
    ] {
        let answer = world.get(path).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (404, text), "{path}");
    }
    let index = world.get("/").send().await;
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    world.get("/v1/kv/a/b").refused(501, "not available yet: the key-value store").await;
    world.put("/v1/txn", "[]").refused(501, "not available yet: transactions").await;
    world.get("/v1/coordinate/nodes").refused(501, "not available yet: network coordinates").await;
    for method in ["HEAD", "DELETE", "PATCH", "TRACE"] {
        let answer = world.ask(method, "/v1/catalog/nodes").send().await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("OPTIONS,GET")), "{method}");
    }
    let options = world.ask("OPTIONS", "/v1/connect/intentions/exact").send().await;
    assert_eq!((options.status, options.header("allow")), (200, Some("OPTIONS,GET,PUT,DELETE")));
    assert_eq!((options.body.as_str(), options.header("content-type")), ("", Some("application/json")));
    world.stop().await;
}

#[tokio::test]
async fn names_of_headers_are_written_as_go_writes_them() {
    let world = Setup::default().start().await;
    let answer =
        world.raw(b"GET /v1/catalog/nodes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    for name in [
        "Content-Type",
        "Content-Length",
        "Date",
        "Vary",
        "X-Consul-Default-Acl-Policy",
        "X-Consul-Effective-Consistency",
        "X-Consul-Index",
        "X-Consul-Knownleader",
        "X-Consul-Lastcontact",
        "X-Consul-Query-Backend",
    ] {
        assert_eq!(answer.matches(&format!("\r\n{name}: ")).count(), 1, "{name}: {answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn paths_that_are_not_clean_are_told_where_to_ask() {
    let mut settings = Settings::default();
    settings.section.block_endpoints = vec!["/v1/agent/services".to_owned(), "/v1//agent/checks".to_owned()];
    let world = Setup { settings, ..Setup::default() }.start().await;
    // The rules also apply to the path as it was sent.
    world.get("/v1//agent/checks").refused(403, "blocked").await;
    let stranger = || world.put("//v1/agent/service/register", "{}").header("Sec-Fetch-Site", "cross-site");
    stranger().refused(403, "another origin").await;
    for (path, location) in [
        ("//v1/status/leader", "/v1/status/leader"),
        ("/v1/x/../status/leader?x=1&y=%2F", "/v1/status/leader?x=1&y=%2F"),
        ("/v1//agent/services", "/v1/agent/services"),
        ("//evil.example/..//\\evil.example", "/%5Cevil.example"),
    ] {
        let answer = world.get(path).send().await;
        assert_eq!((answer.status, answer.header("location")), (307, Some(location)), "{path}");
    }
    // Only the clean path has an effect, and the rules for it apply.
    let answer = world.put("//v1/agent/service/register", r#"{"Name":"web"}"#).send().await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("/v1/agent/service/register")));
    assert_eq!(world.get("/v1/agent/checks").send().await.body, "{}");
    world.get("/v1/agent/service/web").refused(404, "unknown service ID").await;
    world.get("/v1/agent/services").refused(403, "blocked").await;
    for target in ["v1/status/leader", "*", "a:80"] {
        assert_eq!(world.get(target).send().await.status, 400, "{target}");
    }
    // An escaped slash or dot is part of a name.
    world.get("/v1/catalog/service/a%2F..%2Fb").refused(400, "contains '/'").await;
    world.get("/v1/%2e%2e/v1/status/leader").refused(404, "Invalid URL path").await;
    world.stop().await;
}

#[tokio::test]
async fn a_path_without_its_name_says_which_name_is_missing() {
    let world = Setup::guarded().start().await;
    for (path, status, text) in [
        ("/v1/catalog/service/", 400, "Missing service name"),
        ("/v1/catalog/connect/", 400, "Missing service name"),
        ("/v1/catalog/node/", 400, "Missing node name"),
        ("/v1/catalog/node-services/", 400, "Missing node name"),
        ("/v1/health/service/", 400, "Missing service name"),
        ("/v1/health/connect/", 400, "Missing service name"),
        ("/v1/health/checks/", 400, "Missing service name"),
        ("/v1/health/node/", 400, "Missing node name"),
        ("/v1/health/state/", 400, "Missing check state"),
        ("/v1/agent/service/", 404, "unknown service ID: "),
        ("/v1/agent/health/service/id/", 400, "Missing serviceID"),
        ("/v1/agent/health/service/name/", 400, "Missing service Name"),
    ] {
        let answer = world.get(path).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (status, text), "{path}");
        let options = world.ask("OPTIONS", path).send().await;
        assert_eq!((options.status, options.header("allow")), (200, Some("OPTIONS,GET")), "{path}");
    }
    world.put("/v1/agent/service/deregister/", "").refused(404, "Unknown service ID \"\"").await;
    for verb in ["pass", "warn", "fail", "update", "deregister"] {
        world.put(&format!("/v1/agent/check/{verb}/"), "").refused(404, "Unknown check ID \"\"").await;
    }
    // Other methods are still refused.
    world.put("/v1/catalog/service/", "").refused(405, "method PUT not allowed").await;
    world.stop().await;
}

#[tokio::test]
async fn answers_without_a_body_say_of_which_kind_they_are() {
    let world = Setup::default().start().await;
    world.put("/v1/agent/service/register", r#"{"Name":"web","Check":{"TTL":"1m"}}"#).ok().await;
    for path in ["/v1/agent/check/pass/service:web", "/v1/agent/service/deregister/web"] {
        let answer = world.put(path, "").send().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused() {
    let world = Setup::default().start().await;
    for (query, status, text) in [
        ("index=x", 400, "Invalid index"),
        ("wait=soon", 400, "Invalid wait time"),
        ("max_stale=old", 400, "Invalid max_stale value \"old\""),
        ("stale&consistent", 400, "conflicting semantics"),
        ("cached&consistent", 400, "conflicting semantics"),
        ("ns=team", 400, "Consul Enterprise feature"),
        ("partition=p", 400, "Consul Enterprise feature"),
        ("dc=other", 500, "No path to datacenter"),
        ("filter=Node+%3D%3D", 500, "filter"),
        ("filter=Nmae+%3D%3D+x", 500, "not valid here"),
        ("x=%zz", 400, "escape"),
    ] {
        world.get(&format!("/v1/catalog/nodes?{query}")).refused(status, text).await;
    }
    world.get("/v1/catalog/nodes?ns=default&near=_agent").ok().await;
    world.get("/v1/catalog/nodes?wait=-5s&max_stale=-1s").ok().await;
    world.get("/v1/catalog/nodes").header("X-Consul-Namespace", "team").refused(400, "Enterprise").await;
    world.get("/v1/connect/intentions?ns=default").ok().await;
    world.get("/v1/health/service/web?peer=p").refused(501, "not available yet: cluster peering").await;
    world.get("/v1/health/service/web?passing=perhaps").refused(400, "passing").await;
    world.stop().await;
}

#[tokio::test]
async fn n_36_what_is_reflected_is_plain_text() {
    let world = Setup::default().start().await;
    let page = "%3Cscript%3Ealert(1)%3Cscript%3E";
    for (path, status) in [
        (format!("/v1/{page}"), 404),
        (format!("/v1/agent/service/{page}"), 404),
        (format!("/v1/config/{page}"), 400),
        (format!("/v1/catalog/nodes?passing={page}&filter={page}"), 500),
        (format!("/v1/connect/intentions/check?source=a/b/c/{page}&destination=a"), 400),
        (format!("/v1/agent/health/service/id/{page}?format=text"), 404),
    ] {
        let answer = world.get(&path).send().await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn n_40_a_page_of_a_stranger_writes_nothing() {
    let world = Setup::default().start().await;
    let register = || world.put("/v1/agent/service/register", r#"{"Name":"web"}"#);
    for (name, value) in
        [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        register().header(name, value).refused(403, "another origin").await;
    }
    // A name made to resolve to us by DNS rebinding is in both headers.
    let text = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n\
                Content-Length: 14\r\nConnection: close\r\n\r\n{\"Name\":\"web\"}";
    assert!(world.raw(text.as_bytes()).await.starts_with("HTTP/1.1 403 "));
    assert_eq!(world.get("/v1/agent/services").send().await.body, "{}");
    register().ok().await;
    world.stop().await;
}

/// Collects the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn n_43_a_token_in_the_query_works_and_is_not_logged() {
    let (log, world): (Log, World) = (Log::default(), Setup::guarded().start().await);
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let logging = tracing::subscriber::set_default(subscriber);
    // A thread of another test, without a subscriber, may have decided that nobody listens.
    tracing::callsite::rebuild_interest_cache();
    // This whole world runs on the test's own thread.
    let recorder = PrometheusBuilder::new().build_recorder();
    let measuring = metrics::set_default_local_recorder(&recorder);
    let token = ROOT;
    world.get(&format!("/v1/agent/self?token={token}")).ok().await;
    let unknown = "0badcafe-0000-4000-8000-000000000001";
    world.get(&format!("/v1/agent/self?token={unknown}")).refused(403, "ACL not found").await;
    drop((logging, measuring));
    let logged = String::from_utf8(log.0.lock().clone()).unwrap();
    // Log and metrics of a request name its endpoint, and nothing more.
    for text in [logged, recorder.handle().render()] {
        assert!(text.contains("/v1/agent/self"), "requests are told of: {text}");
        assert!(!text.contains(token) && !text.contains(unknown), "{text}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_node_to_be_near_to_may_be_gone() {
    let world = Setup::default().start().await;
    world.put("/v1/agent/service/register", r#"{"Name":"web","Port":80}"#).ok().await;
    world.until("/v1/catalog/service/web", "", |answer| answer.body != "[]").await;
    for path in ["/v1/catalog/nodes", "/v1/catalog/service/web", "/v1/health/service/web"] {
        let plain = world.get(path).json().await;
        for near in ["n1", "_agent", "_ip", "nobody", "no+name+at+all"] {
            let asked = world.get(&format!("{path}?near={near}")).json().await;
            assert_eq!(asked, plain, "{path} {near}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn what_caches_are_told_is_read_or_refused() {
    let world = Setup::default().start().await;
    let path = "/v1/health/service/web?cached";
    for wrong in ["max-age=abc", "max-age=-1", "max-age=", "stale-if-error=x", "no-cache, Max-Age=1.5"] {
        let answer = world.get(path).header("Cache-Control", wrong).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (400, "Invalid Cache-Control header."), "{wrong}");
        world.get("/v1/catalog/nodes").header("Cache-Control", wrong).refused(400, "Cache-Control").await;
    }
    for right in ["max-age=10, stale-if-error=60", "no-cache", "private, something=else"] {
        let answer = world.get(path).header("Cache-Control", right).send().await;
        assert_eq!((answer.status, answer.header("x-cache").is_some()), (200, true), "{right}");
    }
    // The servers are asked, whatever the cache has.
    for right in ["must-revalidate", "MAX-AGE=0"] {
        let answer = world.get(path).header("Cache-Control", right).send().await;
        assert_eq!((answer.status, answer.header("x-cache")), (200, None), "{right}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_default_policy_is_told_by_endpoints_alone() {
    let world = Setup::default().start().await;
    let header = "x-consul-default-acl-policy";
    for (path, told) in [
        ("/v1/agent/self", true),
        ("/v1/agent/service/x", true),
        ("/v1/agent/service/", true),
        ("/v1/agent/maintenance", true),
        ("/v1/nope", false),
        ("/nope", false),
    ] {
        assert_eq!(world.get(path).send().await.header(header).is_some(), told, "{path}");
    }
    world.stop().await;
}
