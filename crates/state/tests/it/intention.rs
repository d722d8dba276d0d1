//! Configuration entries and intentions.

use std::collections::BTreeMap;

use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::{Action, Decision, ServiceIntentions};
use concord_model::{PeerName, ServiceRef, Stamp};
use concord_state::CommandReply;
use concord_state::command::{DeleteEntry, DeleteIntention, SetEntry, UpsertIntention};

use crate::samples::*;

fn upsert(from: &str, to: &str, action: Action) -> UpsertIntention {
    UpsertIntention { destination: destination(to), intention: intention(from, action) }
}

fn delete(from: &str, to: &str) -> DeleteIntention {
    DeleteIntention { destination: destination(to), source: source(from) }
}

fn entry(to: &str, from: &[&str]) -> Entry {
    Entry::ServiceIntentions(ServiceIntentions {
        destination: destination(to),
        sources: from.iter().map(|from| intention(from, Action::Allow)).collect(),
        jwt: None,
        meta: BTreeMap::new(),
        stamp: Stamp::default(),
    })
}

fn name(to: &str) -> EntryName {
    EntryName::intentions(&destination(to))
}

/// The sources of a destination's entry, with what they decide.
fn sources(log: &Log, to: &str) -> Vec<(String, Decision)> {
    let mut reader = log.store.view().read();
    let Some(head) = reader.intention_head(&destination(to)) else { return Vec::new() };
    let entry = reader.whole(&head);
    entry.sources.iter().map(|own| (own.source.to_string(), own.decision.clone())).collect()
}

#[test]
fn one_source_is_edited_at_a_time() {
    let mut log = Log::new();
    log.changed(upsert("*", "api", Action::Deny));
    log.changed(upsert("web", "api", Action::Allow));
    log.unchanged(upsert("web", "api", Action::Allow));
    log.changed(upsert("web", "api", Action::Deny));
    let (deny, by_precedence) = (Decision::Connection(Action::Deny), ["web", "*"]);
    assert_eq!(sources(&log, "api"), by_precedence.map(|from| (from.to_owned(), deny.clone())));
    let stamp = log.store.view().read().entry(&name("api")).unwrap().stamp();
    assert_eq!((stamp.create, stamp.modify), (1, 4));

    log.unchanged(delete("db", "api"));
    log.unchanged(delete("web", "db"));
    log.changed(delete("*", "api"));
    log.changed(delete("web", "api"));
    assert!(log.store.view().read().intentions().is_empty());
    log.unchanged(delete("web", "api"));
}

#[test]
fn an_entry_is_stored_only_over_the_one_that_was_read() {
    let mut log = Log::new();
    let set = |entry, cas| SetEntry { entry, cas };
    assert_eq!(log.write(set(entry("api", &["web"]), Some(5))).reply, CommandReply::CasFailed { current: 0 });
    log.changed(set(entry("api", &["web"]), Some(0)));
    assert_eq!(log.write(set(entry("api", &["db"]), Some(0))).reply, CommandReply::CasFailed { current: 2 });
    log.unchanged(set(entry("api", &["web"]), Some(2)));
    log.changed(set(entry("api", &["db"]), Some(2)));
    let remove = |cas| DeleteEntry { entry: name("api"), cas };
    assert_eq!(log.write(remove(Some(2))).reply, CommandReply::CasFailed { current: 5 });
    log.changed(remove(Some(5)));
    log.unchanged(remove(None));
}

#[test]
fn the_entries_of_a_destination_are_its_own_and_the_wild_ones() {
    let mut log = Log::new();
    for to in ["api", "db", "*"] {
        log.changed(upsert("web", to, Action::Allow));
    }
    let to = |name: &str| {
        let entries = log.store.view().read().intentions_to(&service_ref(name));
        entries.into_iter().map(|entry| EntryName::intentions(&entry.destination)).collect::<Vec<_>>()
    };
    assert_eq!(to("api"), [name("api"), name("*")]);
    assert_eq!(to("other"), [name("*")]);
    let peered = ServiceRef { peer: Some(PeerName::parse("p").unwrap()), ..service_ref("api") };
    assert!(log.store.view().read().intentions_to(&peered).is_empty());
}

#[test]
fn the_entries_of_a_source_are_those_that_cover_it() {
    let mut log = Log::new();
    log.changed(upsert("web", "api", Action::Allow));
    log.changed(upsert("*", "api", Action::Deny));
    log.changed(upsert("*", "db", Action::Deny));
    log.changed(upsert("other", "cache", Action::Allow));
    let from = |name: &str| {
        let entries = log.store.view().read().intentions_from(&service_ref(name));
        entries.into_iter().map(|entry| EntryName::intentions(&entry.destination)).collect::<Vec<_>>()
    };
    assert_eq!(from("web"), [name("api"), name("db")]);
    assert_eq!(from("other"), [name("api"), name("cache"), name("db")]);
}

#[test]
fn waiting_for_a_destination_is_not_disturbed_by_others() {
    let mut log = Log::new();
    log.changed(upsert("web", "api", Action::Allow));
    let mut reader = log.store.view().read();
    reader.intentions_to(&service_ref("api"));
    let read = reader.finish();
    assert!(!read.touched_by(&log.changed(upsert("web", "db", Action::Allow)).changes));
    assert!(read.touched_by(&log.changed(upsert("web", "*", Action::Allow)).changes));
    assert_eq!(log.store.view().read().entry_rows(EntryKind::ServiceIntentions).len(), 3);
}
