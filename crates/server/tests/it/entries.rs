//! Tests of entries from the configuration file: written if missing, before anything is served.

use std::sync::Arc;

use concord_model::entry::Entry;
use concord_model::intention::{Action, Decision, HttpPermission, Permission};
use concord_raft::Storage;
use concord_rpc::RpcError;
use concord_rpc::request::{ApplyEntry, CheckIntention, DeleteEntry, ReadEntry, UpsertIntention};
use concord_runtime::MemoryDisk;
use concord_server::LiveSettings;

use crate::intention::entry;
use crate::world::{Host, ROOT, Setup, named, target};

fn with_entries(entries: Vec<Entry>) -> Setup {
    let live = LiveSettings { entries: entries.into(), ..LiveSettings::default() };
    Setup { storage: Storage::Disk, disk: Arc::new(MemoryDisk::new()), live, ..Setup::open() }
}

async fn allowed(host: &Host, destination: &str) -> bool {
    let request = CheckIntention { source: Some(target("web")), destination: target(destination) };
    host.ask(request).await.unwrap().value.allowed
}

async fn sources(host: &Host, name: &str) -> Option<usize> {
    let request = ReadEntry { name: named(name) };
    match &*host.ask(request).await.unwrap().value? {
        Entry::ServiceIntentions(entry) => Some(entry.sources.len()),
        other => panic!("another entry: {other:?}"),
    }
}

async fn delete(host: &Host, name: &str) {
    let request = DeleteEntry { name: named(name), cas: None };
    assert!(host.ask(request).await.unwrap().value);
}

#[tokio::test(start_paused = true)]
async fn n_160_a_deny_of_the_configuration_holds_from_the_first_answer_on() {
    let setup = with_entries(vec![entry("db", &[("web", Action::Deny)])]);
    // `start` returns when the server serves; nothing waits in between.
    let host = setup.start().await;
    assert!(!allowed(&host, "db").await && allowed(&host, "api").await);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_stands_is_left_and_what_is_deleted_comes_back_with_the_next_leadership() {
    let setup = with_entries(vec![entry("db", &[("web", Action::Deny)])]);
    let host = setup.start().await;
    let more = entry("db", &[("web", Action::Allow), ("api", Action::Deny)]);
    host.ask(ApplyEntry { entry: more, cas: None }).await.unwrap();
    host.stop().await;

    let host = setup.start().await;
    assert!(allowed(&host, "db").await, "the operator's entry stands");
    assert_eq!(sources(&host, "db").await, Some(2));
    delete(&host, "db").await;
    tokio::time::sleep(crate::world::HOUR).await;
    assert_eq!(sources(&host, "db").await, None, "it stays deleted while this server leads");
    host.stop().await;

    let host = setup.start().await;
    assert_eq!(sources(&host, "db").await, Some(1));
    assert!(!allowed(&host, "db").await);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_writes_what_is_missing() {
    let setup = with_entries(vec![entry("db", &[("web", Action::Deny)])]);
    let host = setup.start().await;
    delete(&host, "db").await;
    let entries = vec![entry("db", &[("web", Action::Deny)]), entry("api", &[("web", Action::Deny)])];
    let settings = LiveSettings { entries: entries.into(), ..LiveSettings::default() };
    host.server.reload(settings).await.unwrap();
    assert!(!allowed(&host, "db").await && !allowed(&host, "api").await);
    // An entry that can never be written changes nothing.
    let bad = LiveSettings { entries: vec![entry("x", &[])].into(), ..LiveSettings::default() };
    let refused = host.server.reload(bad).await.unwrap_err().to_string();
    assert!(refused.contains("source"), "{refused}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rights_are_not_asked_for_entries_of_the_configuration() {
    let setup = Setup { acl: true, ..with_entries(vec![entry("db", &[("web", Action::Allow)])]) };
    let host = setup.start().await;
    let request = CheckIntention { source: Some(target("web")), destination: target("db") };
    let verdict = host.ask_as(ROOT, request).await.unwrap();
    assert!(verdict.allowed, "default deny, and the entry allows");
    host.stop().await;
}

fn defaults(kind: &str, name: &str, more: &str) -> Entry {
    let body =
        format!("{{\"scope\": {{\"namespace\": \"default\", \"name\": {name:?}}}, \"said\": {{{more}}}}}");
    serde_json::from_str(&format!("{{{kind:?}: {body}}}")).unwrap()
}

fn written(entry: Entry) -> ApplyEntry {
    ApplyEntry { entry, cas: None }
}

fn by_request(destination: &str) -> Entry {
    let mut own = entry(destination, &[("web", Action::Allow)]);
    if let Entry::ServiceIntentions(own) = &mut own {
        let http = HttpPermission { methods: vec!["GET".to_owned()], ..HttpPermission::default() };
        let permission = Permission { action: Action::Allow, http: Some(http), jwt: None };
        own.sources[0].decision = Decision::Requests(vec![permission]);
    }
    own
}

const BYTES: &str =
    r#"service "db" has protocol "tcp", which is incompatible with L7 intentions permissions"#;

#[track_caller]
fn rejected<T: std::fmt::Debug>(answer: Result<T, RpcError>, text: &str) {
    match answer {
        Err(RpcError::Rejected(told)) => assert!(told.starts_with(text), "{told}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn n_174_permissions_need_a_destination_with_requests() {
    let host = Setup::open().start().await;
    rejected(host.ask(written(by_request("db"))).await, BYTES);
    let Entry::ServiceIntentions(own) = by_request("db") else { panic!("not intentions") };
    let (destination, intention) = (own.destination.clone(), own.sources[0].clone());
    let one = UpsertIntention { destination, intention, meta: std::collections::BTreeMap::new(), jwt: None };
    rejected(host.ask(one.clone()).await, BYTES);
    // The next step of the operator.
    let http = defaults("service-defaults", "db", r#""protocol": "http""#);
    assert!(host.ask(written(http.clone())).await.unwrap().value);
    host.ask(one).await.unwrap();
    assert!(host.ask(written(by_request("db"))).await.unwrap().value);
    rejected(host.ask(written(defaults("service-defaults", "db", ""))).await, BYTES);
    rejected(host.ask(DeleteEntry { name: http.name(), cas: None }).await, BYTES);
    host.ask(DeleteEntry { name: named("db"), cas: None }).await.unwrap();
    assert!(host.ask(DeleteEntry { name: http.name(), cas: None }).await.unwrap().value);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn entries_of_the_configuration_may_stand_in_any_order() {
    let http = defaults(
        "proxy-defaults",
        "global",
        r#""config": {"protocol": "http"}, "mutual_tls_mode": "permissive""#,
    );
    let leave = defaults("mesh", "mesh", r#""allow_enabling_permissive_mutual_tls": true"#);
    let host = with_entries(vec![by_request("db"), http, leave]).start().await;
    assert_eq!(sources(&host, "db").await, Some(1));
    host.stop().await;
    // Entries that never fit give an error at the start, and nothing is served.
    let host = Setup::open().start().await;
    let settings = LiveSettings { entries: vec![by_request("db")].into(), ..LiveSettings::default() };
    rejected(host.server.reload(settings).await, BYTES);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_175_each_kind_of_entry_is_written_with_its_right_and_no_other() {
    let host = Setup::guarded().start().await;
    let cases = [
        (defaults("service-defaults", "db", ""), r#"service "db" { policy = "write" }"#),
        (defaults("proxy-defaults", "global", ""), r#"mesh = "write""#),
        (defaults("mesh", "mesh", ""), r#"mesh = "write""#),
        (entry("db", &[("web", Action::Deny)]), r#"service "db" { policy = "read" intentions = "write" }"#),
    ];
    for (at, (entry, rules)) in cases.iter().enumerate() {
        let token = host.token(&format!("own-{at}"), rules).await;
        let secret = token.secret.as_str();
        let others = [
            r#"service_prefix "" { policy = "read" } mesh = "read" operator = "read""#,
            r#"node_prefix "" { policy = "write" } service "db2" { policy = "write" intentions = "write" }"#,
        ];
        for (other, rules) in others.iter().enumerate() {
            let token = host.token(&format!("other-{at}-{other}"), rules).await;
            let secret = token.secret.as_str();
            let (write, delete) = (written(entry.clone()), DeleteEntry { name: entry.name(), cas: None });
            assert!(
                matches!(host.ask_as(secret, write).await, Err(RpcError::Denied(_))),
                "{entry:?} by {rules}"
            );
            assert!(
                matches!(host.ask_as(secret, delete).await, Err(RpcError::Denied(_))),
                "{entry:?} by {rules}"
            );
        }
        assert!(host.ask_as(secret, written(entry.clone())).await.unwrap());
        assert!(host.ask_as(secret, DeleteEntry { name: entry.name(), cas: None }).await.unwrap());
    }
    // The operator right covers the mesh.
    let token = host.token("operator", r#"operator = "write""#).await;
    let secret = token.secret.as_str();
    assert!(host.ask_as(secret, written(defaults("mesh", "mesh", ""))).await.unwrap());
    host.stop().await;
}

/// What a router, splitter or resolver does with the requests of its own service needs the right to write that service,
/// and the right to read each service to which it sends them.
#[tokio::test(start_paused = true)]
async fn n_185_whoever_sends_requests_elsewhere_may_read_where() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, written(defaults("proxy-defaults", "global", r#""config": {"protocol": "http"}"#)))
        .await
        .unwrap();
    let router = r#""routes": [{"destination": {"service": "api"}}, {"destination": {"service": "cache"}}]"#;
    let splitter = r#""splits": [{"weight": 50, "service": "api"}, {"weight": 50, "service": "cache"}]"#;
    let resolver = r#""failover": {"*": {"targets": [{"service": "api"}, {"service": "cache"}]}}"#;
    let kinds = [("service-router", router), ("service-splitter", splitter), ("service-resolver", resolver)];
    let read = |name: &str| format!(r#"service "{name}" {{ policy = "read" }} "#);
    let write = r#"service "db" { policy = "write" } "#;
    let cases = [
        ("all", format!("{write}{}{}", read("api"), read("cache")), true),
        ("first", format!("{write}{}", read("api")), false),
        ("second", format!("{write}{}", read("cache")), false),
        ("own", write.to_owned(), false),
        ("reader", r#"service_prefix "" { policy = "read" }"#.to_owned(), false),
    ];
    for (who, rules, may) in &cases {
        let token = host.token(who, rules).await;
        for (kind, said) in kinds {
            let done = host.ask_as(token.secret.as_str(), written(defaults(kind, "db", said))).await;
            match (may, done) {
                (true, Ok(true)) | (false, Err(RpcError::Denied(_))) => {}
                (_, done) => panic!("{kind} by {who}: {done:?}"),
            }
        }
    }
    // It is removed with the right to its own name.
    let token = host.token("remover", write).await;
    for (kind, said) in kinds {
        let name = defaults(kind, "db", said).name();
        assert!(host.ask_as(token.secret.as_str(), DeleteEntry { name, cas: None }).await.unwrap());
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_186_an_entry_that_would_break_a_chain_is_refused_whichever_way_it_changes() {
    let host = Setup::open().start().await;
    let router = defaults("service-router", "db", r#""routes": [{"destination": {"service": "api"}}]"#);
    let bytes = r#"discovery chain "db" uses a protocol "tcp" that does not permit advanced routing"#;
    rejected(host.ask(written(router.clone())).await, bytes);
    // The next steps of the operator.
    let http = |name| defaults("service-defaults", name, r#""protocol": "http""#);
    for name in ["db", "api"] {
        assert!(host.ask(written(http(name))).await.unwrap().value);
    }
    assert!(host.ask(written(router.clone())).await.unwrap().value);
    let inconsistent =
        r#"discovery chain "db" uses inconsistent protocols; service "api" has "tcp" which is not "http""#;
    rejected(host.ask(written(defaults("service-defaults", "api", ""))).await, inconsistent);
    rejected(host.ask(DeleteEntry { name: http("api").name(), cas: None }).await, inconsistent);
    let subset = defaults(
        "service-resolver",
        "api",
        r#""failover": {"*": {"service": "db", "service_subset": "v1"}}"#,
    );
    rejected(host.ask(written(subset)).await, r#"service "db" does not have a subset named "v1""#);
    // Without the router, nothing is left that could break.
    assert!(host.ask(DeleteEntry { name: router.name(), cas: None }).await.unwrap().value);
    assert!(host.ask(DeleteEntry { name: http("api").name(), cas: None }).await.unwrap().value);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_has_changed_is_not_compared_with_the_others() {
    let host = Setup::open().start().await.with_ca().await;
    let splitter = || defaults("service-splitter", "web", r#""splits": [{"weight": 100, "service": "api"}]"#);
    let write = |entry, cas| host.ask(ApplyEntry { entry, cas });
    rejected(write(splitter(), None).await, r#"discovery chain "web" uses a protocol "tcp""#);
    rejected(write(splitter(), Some(0)).await, r#"discovery chain "web" uses a protocol "tcp""#);
    assert!(!write(splitter(), Some(7)).await.unwrap().value, "it is not there");
    host.stop().await;
}
