//! Tests of the rules between configuration entries, when they are applied.

use std::collections::BTreeMap;

use concord_model::Stamp;
use concord_model::entry::*;
use concord_model::intention::{
    Action, Decision, HttpPermission, JwtProviderRequirement, JwtRequirement, Permission, ServiceIntentions,
    SourceIntention,
};
use concord_state::command::{
    DeleteEntry, DeleteIntention, EditIntention, SetEntry, SetRuleSet, UpsertIntention,
};
use concord_state::{RULE_SET, Store};

use crate::samples::*;

fn current() -> Log {
    let mut log = Log::new();
    log.changed(SetRuleSet { rule_set: RULE_SET });
    log
}

fn by_request(from: &str) -> SourceIntention {
    let http = HttpPermission { methods: vec!["GET".to_owned()], ..HttpPermission::default() };
    let permission = Permission { action: Action::Allow, http: Some(http), jwt: None };
    SourceIntention { decision: Decision::Requests(vec![permission]), ..intention(from, Action::Allow) }
}

fn permissions(to: &str) -> UpsertIntention {
    UpsertIntention { destination: destination(to), intention: by_request("cache") }
}

fn whole(to: &str, sources: Vec<SourceIntention>) -> SetEntry {
    let (jwt, meta, stamp) = (None, BTreeMap::new(), Stamp::default());
    let own = ServiceIntentions { destination: destination(to), sources, jwt, meta, stamp };
    SetEntry { entry: Entry::ServiceIntentions(own), cas: None }
}

fn defaults(name: &str, protocol: Protocol) -> SetEntry {
    let scope = EntryName::parse(EntryKind::ServiceDefaults, name).unwrap().scope;
    let said = ServiceDefaults { protocol, ..ServiceDefaults::default() };
    let own = Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() };
    SetEntry { entry: Entry::ServiceDefaults(own), cas: None }
}

fn removal(kind: EntryKind, name: &str) -> DeleteEntry {
    DeleteEntry { entry: EntryName::parse(kind, name).unwrap(), cas: None }
}

fn told(log: &mut Log, command: impl Into<concord_state::Command>) -> String {
    log.refused(command).to_string()
}

const BYTES: &str =
    r#"service "web" has protocol "tcp", which is incompatible with L7 intentions permissions"#;

#[test]
fn n_174_permissions_without_requests_are_refused_however_they_come() {
    let mut log = current();
    assert!(told(&mut log, permissions("web")).starts_with(BYTES));
    assert!(told(&mut log, whole("web", vec![by_request("cache")])).starts_with(BYTES));
    let (remove, put) = (None, Some(by_request("cache")));
    let edit = EditIntention { destination: destination("web"), cas: 0, remove, put };
    assert!(told(&mut log, edit).starts_with(BYTES));
    assert!(log.store.view().read().intention_head(&destination("web")).is_none());

    log.changed(defaults("web", Protocol::Http));
    log.changed(permissions("web"));
    log.changed(whole("web", vec![by_request("cache"), intention("*", Action::Deny)]));
}

#[test]
fn a_destination_keeps_its_requests_while_somebody_looks_at_them() {
    let mut log = current();
    log.changed(defaults("web", Protocol::Http));
    log.changed(permissions("web"));
    assert!(told(&mut log, defaults("web", Protocol::Tcp)).starts_with(BYTES));
    assert!(told(&mut log, removal(EntryKind::ServiceDefaults, "web")).starts_with(BYTES));
    log.changed(defaults("db", Protocol::Tcp));
    // Nobody reads the requests any more, in each way in which that can happen.
    log.changed(UpsertIntention {
        destination: destination("web"),
        intention: intention("cache", Action::Deny),
    });
    log.changed(defaults("web", Protocol::Tcp));
    log.changed(defaults("web", Protocol::Grpc));
    log.changed(permissions("web"));
    log.changed(DeleteIntention { destination: destination("web"), source: source("cache") });
    log.changed(defaults("web", Protocol::Tcp));
    log.changed(defaults("web", Protocol::Http2));
    log.changed(whole("web", vec![by_request("cache")]));
    assert!(told(&mut log, removal(EntryKind::ServiceDefaults, "web")).starts_with(BYTES));
    log.changed(removal(EntryKind::ServiceIntentions, "web"));
    log.changed(removal(EntryKind::ServiceDefaults, "web"));
}

#[test]
fn the_rules_of_before_look_at_nothing_and_what_they_let_in_stays() {
    let mut log = Log::new();
    log.changed(permissions("web"));
    log.changed(SetRuleSet { rule_set: RULE_SET });
    assert_eq!(log.store.view().read().intention_head(&destination("web")).unwrap().by_request, 1);
    log.changed(defaults("web", Protocol::Tcp));
    assert!(told(&mut log, permissions("other")).contains("other"));
}

fn splitter(name: &str, to: &str) -> SetEntry {
    let scope = EntryName::parse(EntryKind::ServiceSplitter, name).unwrap().scope;
    let split = Split { weight: Weight::WHOLE, service: Some(to.parse().unwrap()), ..Split::default() };
    let said = ServiceSplitter { splits: vec![split] };
    let own = Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() };
    SetEntry { entry: Entry::ServiceSplitter(own), cas: None }
}

#[test]
fn n_186_a_change_that_breaks_a_chain_is_refused_where_it_is_applied() {
    let mut log = current();
    let bytes = r#"discovery chain "web" uses a protocol "tcp""#;
    assert!(told(&mut log, splitter("web", "api")).starts_with(bytes));
    log.changed(defaults("api", Protocol::Http));
    log.changed(splitter("web", "api"));
    assert!(told(&mut log, defaults("api", Protocol::Tcp)).starts_with(bytes));
    assert!(told(&mut log, removal(EntryKind::ServiceDefaults, "api")).starts_with(bytes));
    let circle = told(&mut log, splitter("api", "web"));
    assert!(circle.starts_with("detected circular reference: ["), "{circle}");
    log.changed(removal(EntryKind::ServiceSplitter, "web"));
    log.changed(removal(EntryKind::ServiceDefaults, "api"));
}

#[test]
fn what_depends_on_a_service_is_known_after_a_restart() {
    let mut log = current();
    log.changed(defaults("web", Protocol::Http));
    log.changed(permissions("web"));
    let snapshot = log.store.view().snapshot(1).unwrap();
    let mut restored = Store::new();
    restored.restore(&snapshot).unwrap();
    log.store = restored;
    assert!(told(&mut log, defaults("web", Protocol::Tcp)).starts_with(BYTES));
}

#[test]
fn an_entry_that_says_the_same_is_not_written_again() {
    let mut log = current();
    let applied = log.changed(defaults("web", Protocol::Http));
    assert!(!applied.changes.is_empty());
    log.unchanged(defaults("web", Protocol::Http));
    let name = EntryName::parse(EntryKind::ServiceDefaults, "web").unwrap();
    let stamp = |log: &Log| log.store.view().read().entry(&name).unwrap().stamp();
    let first = stamp(&log);
    assert_eq!(first.create, first.modify);
    log.changed(defaults("web", Protocol::Grpc));
    let second = stamp(&log);
    assert_eq!(second.create, first.create);
    assert!(second.modify > first.modify);
    // An entry of another kind with the same name, and the list of the kind.
    let mut reader = log.store.view().read();
    assert_eq!(reader.entry_rows(EntryKind::ServiceDefaults).len(), 1);
    let read = reader.finish();
    let applied = log.changed(UpsertIntention {
        destination: destination("web"),
        intention: intention("a", Action::Deny),
    });
    assert!(!read.touched_by(&applied.changes), "intentions are no news to who reads defaults");
    let applied = log.changed(defaults("db", Protocol::Http));
    assert!(read.touched_by(&applied.changes));
}

/// An issuer of tokens.
fn issuer(name: &str) -> SetEntry {
    let scope = EntryName::parse(EntryKind::JwtProvider, name).unwrap().scope;
    let own = Record { scope, said: JwtProvider::default(), meta: BTreeMap::new(), stamp: Stamp::default() };
    SetEntry { entry: Entry::JwtProvider(own), cas: None }
}

fn with_token(from: &str, provider: &str) -> SourceIntention {
    let provider = JwtProviderRequirement { name: provider.to_owned(), verify_claims: Vec::new() };
    let jwt = Some(JwtRequirement { providers: vec![provider] });
    let permission = Permission { action: Action::Allow, http: None, jwt };
    SourceIntention { decision: Decision::Requests(vec![permission]), ..intention(from, Action::Allow) }
}

#[test]
fn n_190_tokens_need_an_issuer_however_they_come() {
    let missing = "Referenced JWT Provider does not exist. Provider Name: okta";
    let kept = "cannot delete jwt provider config entry referenced by an intention. Provider name: okta";
    let mut log = current();
    log.changed(defaults("web", Protocol::Http));
    let one = || UpsertIntention { destination: destination("web"), intention: with_token("cache", "okta") };
    assert!(told(&mut log, one()).starts_with(missing));
    assert!(told(&mut log, whole("web", vec![with_token("cache", "okta")])).starts_with(missing));
    let (remove, put) = (None, Some(with_token("cache", "okta")));
    let edit = EditIntention { destination: destination("web"), cas: 0, remove, put };
    assert!(told(&mut log, edit).starts_with(missing));

    log.changed(issuer("okta"));
    log.changed(issuer("other"));
    log.changed(one());
    assert!(told(&mut log, removal(EntryKind::JwtProvider, "okta")).starts_with(kept));
    log.changed(removal(EntryKind::JwtProvider, "other"));
    log.changed(DeleteIntention { destination: destination("web"), source: source("cache") });
    log.changed(removal(EntryKind::JwtProvider, "okta"));
}

#[test]
fn the_rule_set_before_asks_for_no_issuer() {
    let mut log = Log::new();
    log.changed(SetRuleSet { rule_set: 4 });
    log.changed(defaults("web", Protocol::Http));
    log.changed(UpsertIntention { destination: destination("web"), intention: with_token("cache", "okta") });
    log.changed(SetRuleSet { rule_set: 5 });
    let next = UpsertIntention { destination: destination("web"), intention: with_token("api", "okta") };
    assert!(told(&mut log, next).starts_with("Referenced JWT Provider does not exist"));
}
