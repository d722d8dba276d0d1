//! Tests of intentions and entries: writing, reading, decisions, and rights.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_mesh::explain::reached::{Answer, Decided};
use concord_mesh::explain::request::{ASKED_BYTES_MAX, AskedRequest};
use concord_mesh::explain::route::{Judged, Way};
use concord_model::entry::{Entry, EntryKind, Protocol};
use concord_model::intention::{
    Action, Decision, Destination, HttpPermission, JwtProviderRequirement, JwtRequirement, PathMatch,
    Permission, ServiceIntentions, Source, SourceIntention,
};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef, Stamp};
use concord_rpc::request::{
    ApplyEntry, CheckIntention, DeleteEntry, DeleteIntention, ExplainIntention, ExplainRequest, ListEntries,
    ListIntentions, MATCHES_MAX, MatchBy, MatchIntentions, Matched, ReadEntry, ReadPair, ReadStatus,
    UpsertIntention,
};
use concord_rpc::{Head, RpcError, ServerApiExt};

use crate::chain::write;
use crate::world::{Host, ROOT, Setup, named, register, target, with};

fn pattern(text: &str) -> Pattern<ServiceName> {
    Pattern::parse(text).unwrap()
}

pub(crate) fn to(name: &str) -> Destination {
    Destination {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        name: pattern(name),
    }
}

pub(crate) fn from(name: &str) -> Source {
    Source {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        peer: None,
        name: pattern(name),
    }
}

pub(crate) fn upsert(source: &str, destination: &str, action: Action) -> UpsertIntention {
    UpsertIntention {
        destination: to(destination),
        intention: single(source, action),
        meta: BTreeMap::new(),
        jwt: None,
    }
}

fn single(source: &str, action: Action) -> SourceIntention {
    SourceIntention {
        source: from(source),
        decision: Decision::Connection(action),
        description: String::new(),
        legacy: None,
    }
}

pub(crate) fn entry(destination: &str, sources: &[(&str, Action)]) -> Entry {
    Entry::ServiceIntentions(ServiceIntentions {
        destination: to(destination),
        sources: sources.iter().map(|(source, action)| single(source, *action)).collect(),
        jwt: None,
        meta: BTreeMap::new(),
        stamp: Stamp::default(),
    })
}

async fn allowed(host: &Host, source: &str, destination: &str) -> bool {
    let check =
        CheckIntention { source: (source != "*").then(|| target(source)), destination: target(destination) };
    host.ask_as(ROOT, check).await.unwrap().allowed
}

fn read(name: &str) -> ReadEntry {
    ReadEntry { name: named(name) }
}

fn denied<T>(answer: Result<T, RpcError>) -> bool {
    matches!(answer, Err(RpcError::Denied(_)))
}

#[tokio::test(start_paused = true)]
async fn intentions_are_written_matched_decided_by_and_removed() {
    let host = Setup::guarded().start().await;
    assert!(!allowed(&host, "web", "api").await, "default deny");
    host.ask_as(ROOT, upsert("web", "api", Action::Allow)).await.unwrap();
    host.ask_as(ROOT, upsert("*", "api", Action::Deny)).await.unwrap();
    host.ask_as(ROOT, upsert("*", "*", Action::Allow)).await.unwrap();
    assert!(allowed(&host, "web", "api").await);
    assert!(!allowed(&host, "db", "api").await);
    assert!(allowed(&host, "db", "other").await);
    assert!(!allowed(&host, "*", "api").await && allowed(&host, "*", "other").await);
    assert_eq!(host.ask_as(ROOT, ListIntentions {}).await.unwrap().len(), 2);
    let by = |by| MatchIntentions::of(by);
    let to_api = host.ask_as(ROOT, by(MatchBy::Destination(target("api")))).await.unwrap();
    let to_api: Vec<_> = to_api.into_entries().collect();
    assert_eq!(to_api.len(), 2);
    assert_eq!(
        to_api[0].sources.iter().map(|own| own.source.name.as_str()).collect::<Vec<_>>(),
        ["web", "*"]
    );
    let from_db = host.ask_as(ROOT, by(MatchBy::Source(target("db")))).await.unwrap();
    assert_eq!(from_db.entries().count(), 2);

    let pairs = |found: Matched| -> Vec<String> {
        let told = |entry: &ServiceIntentions| {
            let sources: Vec<_> = entry.sources.iter().map(|own| own.source.name.as_str()).collect();
            format!("{} to {}", sources.join(","), entry.destination.name.as_str())
        };
        found.entries().map(told).collect()
    };
    let of_all = pairs(host.ask_as(ROOT, by(MatchBy::AnySource)).await.unwrap());
    assert_eq!(of_all, ["* to *", "* to api"], "nothing of what is said of web alone");
    let to_all = pairs(host.ask_as(ROOT, by(MatchBy::AnyDestination)).await.unwrap());
    assert_eq!(to_all, ["* to *"]);

    let explain = ExplainIntention { source: target("web"), destination: target("api") };
    let explained = host.ask_as(ROOT, explain).await.unwrap();
    assert!(explained.verdict.allowed && !explained.shadows.is_empty());
    assert_eq!(explained.decided().0, Answer::Allowed);
    let explain = |path: String| ExplainRequest {
        source: target("web"),
        destination: target("api"),
        asked: AskedRequest { method: "GET".to_owned(), target: path, ..AskedRequest::default() },
    };
    let explained = host.ask_as(ROOT, explain("/".to_owned())).await.unwrap();
    assert!(explained.verdict.allowed && explained.no_change.is_none());
    let too_large = host.ask_as(ROOT, explain("/".repeat(ASKED_BYTES_MAX + 1))).await;
    assert!(matches!(too_large, Err(RpcError::Invalid(text)) if text.contains("must not exceed")));

    let remove = |source| DeleteIntention { destination: to("api"), source: from(source) };
    host.ask_as(ROOT, remove("web")).await.unwrap();
    assert!(!allowed(&host, "web", "api").await);
    host.ask_as(ROOT, remove("*")).await.unwrap();
    assert!(
        host.ask_as(ROOT, read("api")).await.unwrap().is_none(),
        "the last source takes the entry with it"
    );
    host.ask_as(ROOT, remove("*")).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_match_by_source_tells_nothing_of_other_sources() {
    let host = Setup::guarded().start().await;
    for (source, destination) in [("web", "api"), ("billing", "api"), ("*", "api"), ("billing", "db")] {
        host.ask_as(ROOT, upsert(source, destination, Action::Deny)).await.unwrap();
    }
    let found = host.ask_as(ROOT, MatchIntentions::of(MatchBy::Source(target("web")))).await.unwrap();
    let told = found.entries().flat_map(|entry| {
        let destination = entry.destination.name.as_str();
        entry.sources.iter().map(move |own| (own.source.name.as_str(), destination))
    });
    assert_eq!(told.collect::<Vec<_>>(), [("web", "api"), ("*", "api")]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_written_and_removed_only_as_last_seen() {
    let host = Setup::guarded().start().await;
    let apply = |entry: Entry, cas| ApplyEntry { entry, cas };
    let first = entry("api", &[("web", Action::Allow)]);
    let second = entry("api", &[("web", Action::Deny)]);
    assert!(!host.ask_as(ROOT, apply(first.clone(), Some(5))).await.unwrap());
    assert!(host.ask_as(ROOT, apply(first.clone(), Some(0))).await.unwrap());
    assert!(!host.ask_as(ROOT, apply(second.clone(), Some(0))).await.unwrap());
    for index in [0, 5, 1_000_000] {
        let made = host.ask_as(ROOT, read("api")).await.unwrap();
        assert!(host.ask_as(ROOT, apply(first.clone(), Some(index))).await.unwrap(), "it stands already");
        assert_eq!(host.ask_as(ROOT, read("api")).await.unwrap(), made);
    }
    let seen = host.ask_as(ROOT, read("api")).await.unwrap().unwrap().stamp().modify;
    assert!(host.ask_as(ROOT, apply(second, Some(seen))).await.unwrap());
    assert!(!host.ask_as(ROOT, apply(first, Some(seen))).await.unwrap());
    let delete = |cas| DeleteEntry { name: named("api"), cas };
    assert!(!host.ask_as(ROOT, delete(Some(seen))).await.unwrap());
    assert!(!host.ask_as(ROOT, delete(Some(0))).await.unwrap());
    let seen = host.ask_as(ROOT, read("api")).await.unwrap().unwrap().stamp().modify;
    assert!(host.ask_as(ROOT, delete(Some(seen))).await.unwrap());
    assert!(host.ask_as(ROOT, delete(None)).await.unwrap());
    for index in [0, 7, seen] {
        assert!(host.ask_as(ROOT, delete(Some(index))).await.unwrap(), "what is not there is gone");
    }
    assert!(host.ask_as(ROOT, ListEntries { kind: EntryKind::ServiceIntentions }).await.unwrap().is_empty());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn writing_what_stands_already_does_not_touch_the_log() {
    let host = Setup::guarded().start().await;
    let sources = [("web", Action::Allow), ("db", Action::Deny)];
    host.ask_as(ROOT, ApplyEntry { entry: entry("api", &sources), cas: None }).await.unwrap();
    let log = || async { host.ask(ReadStatus {}).await.unwrap().value.last_log_index };
    let before = log().await;
    let turned = [sources[1], sources[0]];
    let head = with(ROOT);
    let again = host.api.call(head, ApplyEntry { entry: entry("api", &turned), cas: None }).await.unwrap();
    assert!(again.value);
    host.ask_as(ROOT, upsert("web", "api", Action::Allow)).await.unwrap();
    assert_eq!(log().await, before);
    host.ask_as(ROOT, upsert("web", "api", Action::Deny)).await.unwrap();
    assert!(log().await > before);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_intention_is_refused_with_its_field() {
    let host = Setup::guarded().start().await;
    let refused = |request: UpsertIntention, part: &'static str| {
        let host = &host;
        async move {
            match host.ask_as(ROOT, request).await {
                Err(RpcError::Invalid(text)) => assert!(text.contains(part), "{text}"),
                other => panic!("{other:?}"),
            }
        }
    };
    let mut long = upsert("web", "api", Action::Allow);
    long.intention.description = "x".repeat(513);
    refused(long, "Description").await;
    let mut wide = upsert("web", "*", Action::Allow);
    let any = Permission { action: Action::Allow, http: None, jwt: None };
    wide.intention.decision = Decision::Requests(vec![any]);
    refused(wide, "Permissions").await;
    let mut peer = upsert("web", "api", Action::Allow);
    peer.intention.source.peer = Some(concord_model::PeerName::parse("east").unwrap());
    refused(peer, "SourcePeer").await;
    let empty = host.ask_as(ROOT, ApplyEntry { entry: entry("api", &[]), cas: None }).await;
    assert!(matches!(empty, Err(RpcError::Invalid(_))));
    let twice = entry("api", &[("web", Action::Allow), ("web", Action::Deny)]);
    let twice = host.ask_as(ROOT, ApplyEntry { entry: twice, cas: None }).await;
    assert!(matches!(twice, Err(RpcError::Invalid(_))));
    let mut elsewhere = upsert("web", "api", Action::Allow);
    elsewhere.destination.partition = Partition::parse("other").unwrap();
    assert!(matches!(host.ask_as(ROOT, elsewhere).await, Err(RpcError::NotAvailable(_))));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_right_to_the_destination_decides_who_writes() {
    let host = Setup::guarded().start().await;
    let rules = r#"service "api" { policy = "read" intentions = "write" }"#;
    let token = host.token("api", rules).await.secret;
    host.ask_as(&token, upsert("web", "api", Action::Allow)).await.unwrap();
    assert!(denied(host.ask_as(&token, upsert("api", "web", Action::Allow)).await));
    let writer = host.token("plain", r#"service "api" { policy = "write" }"#).await.secret;
    assert!(denied(host.ask_as(&writer, upsert("web", "api", Action::Allow)).await), "never implied");
    assert!(denied(host.ask(upsert("web", "api", Action::Allow)).await));
    let delete = DeleteEntry { name: named("api"), cas: None };
    assert!(denied(host.ask_as(&writer, delete.clone()).await));
    host.ask_as(&token, delete).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_destination_of_all_needs_the_right_to_all() {
    let host = Setup::guarded().start().await;
    let all = r#"service_prefix "" { policy = "read" intentions = "write" }"#;
    let but_one = format!(r#"{all} service "vault" {{ policy = "read" intentions = "read" }}"#);
    let but_one = host.token("but-one", &but_one).await.secret;
    assert!(denied(host.ask_as(&but_one, upsert("web", "*", Action::Allow)).await));
    assert!(denied(
        host.ask_as(&but_one, ApplyEntry { entry: entry("*", &[("a", Action::Deny)]), cas: None }).await
    ));
    let some = host.token("some", r#"service "api" { policy = "read" intentions = "write" }"#).await.secret;
    assert!(denied(host.ask_as(&some, upsert("web", "*", Action::Allow)).await));
    let all = host.token("all", all).await.secret;
    host.ask_as(&all, upsert("web", "*", Action::Allow)).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn readers_see_the_intentions_of_either_side() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, upsert("web", "api", Action::Allow)).await.unwrap();
    host.ask_as(ROOT, upsert("db", "api", Action::Allow)).await.unwrap();
    host.ask_as(ROOT, upsert("db", "other", Action::Allow)).await.unwrap();
    let seen = |rules: &'static str, at: &'static str| {
        let host = &host;
        async move {
            let token = host.token(at, rules).await.secret;
            let answer = host.api.call(with(&token), ListIntentions {}).await.unwrap();
            let pairs: Vec<(String, usize)> = answer
                .value
                .iter()
                .map(|entry| (entry.destination.name.as_str().to_owned(), entry.sources.len()))
                .collect();
            (pairs, answer.filtered)
        }
    };
    assert_eq!(seen(r#"service "api" { policy = "read" }"#, "to").await, (vec![("api".to_owned(), 2)], true));
    assert_eq!(
        seen(r#"service "web" { policy = "read" }"#, "from").await,
        (vec![("api".to_owned(), 1)], true)
    );
    assert_eq!(seen("", "none").await, (vec![], true));
    assert!(!seen(r#"service_prefix "" { policy = "read" }"#, "all").await.1);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_intention_is_read_with_the_right_to_either_side() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, upsert("web", "api", Action::Allow)).await.unwrap();
    host.ask_as(ROOT, upsert("*", "api", Action::Deny)).await.unwrap();
    let pair = |source: &str| ReadPair { destination: to("api"), source: from(source) };
    let told = async |token: &str, source: &str| {
        let found = host.ask_as(token, pair(source)).await.unwrap().unwrap();
        found.sources.iter().map(|own| own.source.name.as_str().to_owned()).collect::<Vec<_>>()
    };
    let callee = host.token("callee", r#"service "api" { policy = "read" }"#).await.secret;
    let caller = host.token("caller", r#"service "web" { policy = "read" }"#).await.secret;
    let (callee, caller) = (callee.as_str(), caller.as_str());
    assert_eq!(told(callee, "web").await, ["web"]);
    assert_eq!(told(caller, "web").await, ["web"]);
    assert_eq!(told(callee, "*").await, ["*"]);
    assert!(told(callee, "db").await.is_empty(), "the entry, without a source it has not");
    // Intentions for every caller also apply to this one, as lists show.
    assert_eq!(told(caller, "*").await, ["*"]);
    assert!(denied(host.ask_as(caller, pair("db")).await));
    assert!(denied(host.ask(pair("web")).await));
    let absent = ReadPair { destination: to("web"), source: from("api") };
    assert!(host.ask_as(ROOT, absent).await.unwrap().is_none());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_explanation_names_no_service_its_reader_may_not_see() {
    let host = Setup::guarded().start().await;
    for name in ["web", "api", "secret"] {
        host.ask_as(ROOT, register("a", name)).await.unwrap();
    }
    host.ask_as(ROOT, upsert("*", "*", Action::Deny)).await.unwrap();
    let explain = || ExplainIntention { source: target("web"), destination: target("api") };
    let rules = r#"service "web" { policy = "read" } service "api" { policy = "read" }"#;
    let token = host.token("two", rules).await.secret;
    let text = format!("{:?}", host.ask_as(&token, explain()).await.unwrap());
    assert!(!text.contains("secret"), "{text}");
    assert!(format!("{:?}", host.ask_as(ROOT, explain()).await.unwrap()).contains("web"));
    let one = host.token("one", r#"service "web" { policy = "read" }"#).await.secret;
    assert!(denied(host.ask_as(&one, explain()).await));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_match_wakes_when_an_entry_that_covers_it_changes() {
    let host = Setup::open().start().await;
    let by = || MatchIntentions::of(MatchBy::Destination(target("api")));
    let seen = host.ask(by()).await.unwrap().index;
    let api = host.api.clone();
    let head = Head { min_index: seen, wait: Some(Duration::from_secs(300)), ..Head::default() };
    let query = tokio::spawn(async move { api.call(head, by()).await });
    host.settle().await;
    host.ask(upsert("web", "other", Action::Allow)).await.unwrap();
    host.settle().await;
    assert!(!query.is_finished());
    host.ask(upsert("web", "*", Action::Allow)).await.unwrap();
    assert_eq!(query.await.unwrap().unwrap().value.entries().count(), 1);
    host.stop().await;
}

/// What is found for each service of a request.
async fn matched(host: &Host, request: &MatchIntentions, head: Head) -> (Vec<Vec<ServiceIntentions>>, u64) {
    let answer = host.api.call(head, request.clone()).await.unwrap();
    let lists = answer.value.lists(request.all().count()).unwrap();
    (lists.map(|list| list.cloned().collect()).collect(), answer.index)
}

#[tokio::test(start_paused = true)]
async fn a_match_of_several_is_what_each_finds_and_wakes_for_any_of_them() {
    let host = Setup::open().start().await;
    for (source, destination) in [("web", "api"), ("web", "db"), ("*", "*")] {
        host.ask(upsert(source, destination, Action::Allow)).await.unwrap();
    }
    let several = MatchIntentions {
        by: MatchBy::Destination(target("api")),
        also: vec![MatchBy::AnySource, MatchBy::Source(target("web")), MatchBy::Destination(target("db"))],
    };
    let (all, index) = matched(&host, &several, Head::default()).await;
    let mut newest = 0;
    for (found, by) in all.iter().zip(several.all()) {
        let (one, at) = matched(&host, &MatchIntentions::of(by.clone()), Head::default()).await;
        assert_eq!(one, std::slice::from_ref(found), "{by:?}");
        newest = newest.max(at);
    }
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1, 3, 2]);
    assert_eq!(index, newest);

    let [first, second] = ["api", "db"].map(|name| MatchBy::Destination(target(name)));
    let two = MatchIntentions { by: first, also: vec![second] };
    let seen = host.ask(two.clone()).await.unwrap().index;
    let api = host.api.clone();
    let head = Head { min_index: seen, wait: Some(Duration::from_secs(300)), ..Head::default() };
    let query = tokio::spawn(async move { api.call(head, two).await });
    host.settle().await;
    host.ask(upsert("web", "other", Action::Deny)).await.unwrap();
    host.settle().await;
    assert!(!query.is_finished());
    let written = host.ask(upsert("web", "db", Action::Deny)).await.unwrap().index;
    assert_eq!(query.await.unwrap().unwrap().index, written);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_match_of_too_many_is_refused() {
    let host = Setup::open().start().await;
    let by = || MatchBy::Destination(target("api"));
    let so_many = |also| host.ask(MatchIntentions { by: by(), also: vec![by(); also] });
    so_many(MATCHES_MAX - 1).await.unwrap();
    let said = "at most 64 names are allowed in one request";
    assert_eq!(so_many(MATCHES_MAX).await.unwrap_err(), RpcError::Invalid(said.to_owned()));
    host.stop().await;
}

/// A mesh in which web's requests to api go to `secret`, which allows web.
async fn led_elsewhere() -> Host {
    let host = Setup::guarded().start().await.with_ca().await;
    write(&host, "proxy-defaults", "global", r#""config": {"protocol": "http"}"#).await;
    let routes = r#"[{"match": {"http": {"path_prefix": "/a"}},
        "destination": {"service": "secret", "prefix_rewrite": "/b"}}]"#;
    write(&host, "service-router", "api", &format!(r#""routes": {routes}"#)).await;
    host.ask_as(ROOT, upsert("web", "secret", Action::Allow)).await.unwrap();
    host
}

fn asks_for(path: &str) -> ExplainRequest {
    let asked = AskedRequest { method: "GET".to_owned(), target: path.to_owned(), ..AskedRequest::default() };
    ExplainRequest { source: target("web"), destination: target("api"), asked }
}

async fn way(host: &Host, token: &str, path: &str) -> Way {
    host.ask_as(token, asks_for(path)).await.unwrap().way.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_explanation_tells_where_a_request_goes_and_what_is_decided_there() {
    let host = led_elsewhere().await;
    let Way::Told(routed) = way(&host, ROOT, "/a/x").await else { panic!("it is not told") };
    assert_eq!(routed.arrives_as, "/b/x");
    assert_eq!(routed.route.as_ref().unwrap().field, "Routes[0]");
    let legs: Vec<_> = routed.legs().map(|leg| (leg.target.service.clone(), leg.judged.allowed())).collect();
    assert_eq!(legs, [(target("secret"), Some(true))]);
    let explained = host.ask_as(ROOT, asks_for("/a/x")).await.unwrap();
    let (answer, Decided::Once(at)) = explained.decided() else { panic!("{explained:?}") };
    assert_eq!((answer, &at.destination), (Answer::Allowed, &target("secret")), "though api itself denies");
    assert_eq!(at.sent.as_ref().unwrap().path, "/b/x");
    assert!(at.changes.iter().all(|one| one.change.destination == to("secret")), "{at:?}");
    let Way::Told(routed) = way(&host, ROOT, "/c").await else { panic!("it is not told") };
    let legs: Vec<_> = routed.legs().map(|leg| (leg.target.service.clone(), leg.judged.allowed())).collect();
    assert_eq!((&routed.route, legs), (&None, vec![(target("api"), Some(false))]));
    // It is told anew when what it says changes.
    let index = host.api.call(with(ROOT), asks_for("/a/x")).await.unwrap().index;
    host.ask_as(ROOT, upsert("web", "secret", Action::Deny)).await.unwrap();
    assert!(host.api.call(with(ROOT), asks_for("/a/x")).await.unwrap().index > index);
    // A destination in a peered cluster has its routes there.
    let peer = Some(concord_model::PeerName::parse("east").unwrap());
    let abroad = ExplainRequest { destination: ServiceRef { peer, ..target("api") }, ..asks_for("/") };
    let way = host.ask_as(ROOT, abroad).await.unwrap().way;
    assert!(matches!(&way, Some(Way::Untold(why)) if why.contains("peered cluster")), "{way:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_250_what_a_target_decides_is_shown_to_who_may_read_its_intentions() {
    let host = led_elsewhere().await;
    let rules = r#"service "web" { policy = "read" } service "api" { policy = "read" }"#;
    let token = host.token("two", rules).await.secret;
    let Way::Told(routed) = way(&host, &token, "/a").await else { panic!("it is not told") };
    assert_eq!(routed.parts[0].legs[0].judged, Judged::Hidden);
    let rules = format!(r#"{rules} service "secret" {{ policy = "deny" intentions = "read" }}"#);
    let token = host.token("three", &rules).await.secret;
    let Way::Told(routed) = way(&host, &token, "/a").await else { panic!("it is not told") };
    assert_eq!(routed.parts[0].legs[0].judged.allowed(), Some(true));
    host.stop().await;
}

fn connection() -> ExplainIntention {
    ExplainIntention { source: target("web"), destination: target("api") }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_explained_where_it_goes() {
    let host = Setup::guarded().start().await.with_ca().await;
    write(&host, "service-resolver", "api", r#""redirect": {"service": "other"}"#).await;
    host.ask_as(ROOT, upsert("web", "api", Action::Allow)).await.unwrap();
    host.ask_as(ROOT, upsert("web", "other", Action::Deny)).await.unwrap();
    let explained = host.ask_as(ROOT, connection()).await.unwrap();
    let (answer, Decided::Once(at)) = explained.decided() else { panic!("{explained:?}") };
    assert_eq!((answer, &at.destination), (Answer::Denied, &target("other")));
    assert_eq!(at.smallest_change.as_ref().unwrap().change.destination, to("other"));
    let index = host.api.call(with(ROOT), connection()).await.unwrap().index;

    let fails_over = r#""failover": {"*": {"service": "other"}}"#;
    write(&host, "service-resolver", "api", fails_over).await;
    assert!(host.api.call(with(ROOT), connection()).await.unwrap().index > index);
    let explained = host.ask_as(ROOT, connection()).await.unwrap();
    let (answer, Decided::Apart(all)) = explained.decided() else { panic!("{explained:?}") };
    let all: Vec<_> = all.iter().map(|one| (one.destination.clone(), one.verdict.allowed)).collect();
    assert_eq!((answer, all), (Answer::Depends, vec![(target("api"), true), (target("other"), false)]));

    // Of a target whose intentions the caller may not read nothing is told.
    let rules = r#"service "web" { policy = "read" } service "api" { policy = "read" }"#;
    let token = host.token("two", rules).await.secret;
    let explained = host.ask_as(&token, connection()).await.unwrap();
    assert_eq!((explained.decided().0, explained.reached.len()), (Answer::Depends, 1));
    let Some(Way::Told(routed)) = explained.way else { panic!("it is not told") };
    assert_eq!(routed.parts[0].legs[1].judged, Judged::Hidden);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_251_where_a_request_goes_is_shown_to_who_may_read_the_service() {
    let host = led_elsewhere().await;
    let rules = r#"service "web" { policy = "read" } service "api" { policy = "deny" intentions = "read" }"#;
    let token = host.token("two", rules).await.secret;
    let explained = host.ask_as(&token, connection()).await.unwrap();
    assert!(matches!(&explained.way, Some(Way::Untold(why)) if why.contains("service:read on \"api\"")));
    assert!(!format!("{explained:?}").contains("secret"));
    let (answer, Decided::Apart(all)) = explained.decided() else { panic!("{explained:?}") };
    assert_eq!((answer, all.len()), (Answer::Unknown, 1));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_252_a_verdict_about_a_request_is_shown_to_who_may_read_the_service() {
    let host = led_elsewhere().await;
    let rules = r#"service "web" { policy = "read" } service "api" { policy = "deny" intentions = "read" }"#;
    let token = host.token("two", rules).await.secret;
    let refused = host.ask_as(&token, asks_for("/a")).await.unwrap_err().to_string();
    assert!(refused.contains("'service:read' on \"api\""), "{refused}");
    let token = host.token("three", r#"service_prefix "" { policy = "read" }"#).await.secret;
    assert_eq!(host.ask_as(&token, asks_for("/a")).await.unwrap().protocol, Protocol::Http);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_253_what_decides_the_protocol_of_a_target_is_shown_to_who_may_read_it() {
    let host = Setup::guarded().start().await.with_ca().await;
    write(&host, "proxy-defaults", "global", r#""config": {"protocol": "http"}"#).await;
    write(&host, "service-defaults", "api", r#""protocol": "tcp""#).await;
    write(&host, "service-defaults", "secret", r#""max_inbound_connections": 1"#).await;
    write(&host, "service-resolver", "api", r#""redirect": {"service": "secret"}"#).await;
    host.ask_as(ROOT, upsert("web", "secret", Action::Allow)).await.unwrap();
    let explained = host.ask_as(ROOT, asks_for("/")).await.unwrap();
    let (_, Decided::Once(at)) = explained.decided() else { panic!("{explained:?}") };
    let note = at.protocol_note.as_deref().unwrap();
    assert_eq!(at.protocol, Protocol::Http, "of all proxies, as the own defaults leave it out");
    assert_eq!(
        note,
        "its proxy takes it as http, by Config.protocol of proxy-defaults \"global\", but its discovery chain says \
         tcp, because service-defaults \"secret\" leaves Protocol out"
    );
    let rules = r#"service "web" { policy = "read" } service "api" { policy = "read" }
        service "secret" { policy = "deny" intentions = "read" }"#;
    let token = host.token("two", rules).await.secret;
    let explained = host.ask_as(&token, asks_for("/")).await.unwrap();
    assert_eq!(explained.decided().0, Answer::Unknown);
    let Some(Way::Told(routed)) = explained.way else { panic!("it is not told") };
    assert_eq!(routed.parts[0].legs[0].judged, Judged::Hidden);
    // Where nothing is left out, the chain says the protocol of all targets, and whoever may read it knows it.
    write(&host, "proxy-defaults", "global", r#""config": {"protocol": "tcp"}"#).await;
    let explained = host.ask_as(&token, asks_for("/")).await.unwrap();
    assert_eq!((explained.decided().0, explained.protocol_note), (Answer::Allowed, None));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn why_no_route_takes_a_request_is_told() {
    let host = led_elsewhere().await;
    let Way::Untold(why) = way(&host, ROOT, "*").await else { panic!("it is told") };
    assert_eq!(why, "no route takes a request whose path does not begin with /");
    assert!(matches!(way(&host, ROOT, "/").await, Way::Told(_)));
    host.stop().await;
}

/// An intention of `api` whose requests need a token of this issuer.
fn with_token(source: &str, provider: &str) -> UpsertIntention {
    let http = HttpPermission { path: Some(PathMatch::Prefix("/".to_owned())), ..HttpPermission::default() };
    let permission = Permission { action: Action::Allow, http: Some(http), jwt: Some(demand(provider)) };
    let intention =
        SourceIntention { decision: Decision::Requests(vec![permission]), ..single(source, Action::Allow) };
    UpsertIntention { intention, ..upsert(source, "api", Action::Allow) }
}

fn demand(provider: &str) -> JwtRequirement {
    let provider = JwtProviderRequirement { name: provider.to_owned(), verify_claims: Vec::new() };
    JwtRequirement { providers: vec![provider] }
}

async fn intentions_of_api(host: &Host) -> ServiceIntentions {
    let entry = host.ask_as(ROOT, read("api")).await.unwrap().unwrap();
    let Entry::ServiceIntentions(own) = &*entry else { panic!("not intentions") };
    own.clone()
}

#[tokio::test(start_paused = true)]
async fn n_246_a_demanded_token_is_kept_and_no_connection_passes_without_it() {
    let host = Setup::guarded().start().await;
    write(&host, "service-defaults", "api", r#""protocol": "http""#).await;
    let missing = host.ask_as(ROOT, with_token("web", "okta")).await;
    assert!(
        matches!(&missing, Err(RpcError::Rejected(text)) if text.starts_with("Referenced JWT Provider does not exist")),
        "{missing:?}"
    );
    let keys = r#""json_web_key_set": {"local": {"jwks": "eyJrZXlzIjpbXX0="}}"#;
    write(&host, "jwt-provider", "okta", keys).await;
    host.ask_as(ROOT, with_token("web", "okta")).await.unwrap();
    assert!(!allowed(&host, "web", "api").await, "a connection shows no request");
    host.ask_as(ROOT, upsert("*", "*", Action::Allow)).await.unwrap();
    assert!(allowed(&host, "db", "api").await);

    // The entry demands one of everybody, also of those whom it does not name.
    let mut own = intentions_of_api(&host).await;
    own.jwt = Some(demand("okta"));
    host.ask_as(ROOT, ApplyEntry { entry: Entry::ServiceIntentions(own), cas: None }).await.unwrap();
    assert!(!allowed(&host, "db", "api").await);
    let asked = CheckIntention { source: None, destination: target("api") };
    assert!(!host.ask_as(ROOT, asked).await.unwrap().allowed, "nor of the wildcard");
    assert!(allowed(&host, "db", "other").await);

    // It stays when one source is written, which may repeat it and not change it.
    for jwt in [None, Some(demand("okta"))] {
        host.ask_as(ROOT, UpsertIntention { jwt, ..upsert("db", "api", Action::Allow) }).await.unwrap();
        assert!(!allowed(&host, "db", "api").await);
    }
    for (destination, provider) in [("api", "other"), ("new", "okta")] {
        let request =
            UpsertIntention { jwt: Some(demand(provider)), ..upsert("db", destination, Action::Allow) };
        match host.ask_as(ROOT, request).await {
            Err(RpcError::Invalid(text)) => assert!(text.starts_with("JWT must not be specified"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    host.ask_as(ROOT, upsert("bad", "api", Action::Deny)).await.unwrap();
    assert_eq!(intentions_of_api(&host).await.jwt, Some(demand("okta")));
    host.stop().await;
}
