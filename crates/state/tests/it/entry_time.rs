//! Tests of when entries were accepted.

use std::collections::BTreeMap;

use concord_model::entry::*;
use concord_model::intention::Action;
use concord_model::{Stamp, Timestamp};
use concord_state::command::{DeleteEntry, DeleteIntention, SetEntry, SetRuleSet, UpsertIntention};
use concord_state::{RULE_SET, Store};

use crate::samples::*;

fn named(name: &str) -> EntryName {
    EntryName::parse(EntryKind::ServiceDefaults, name).unwrap()
}

fn defaults(name: &str, team: &str) -> SetEntry {
    let (meta, stamp) = (BTreeMap::from([("team".to_owned(), team.to_owned())]), Stamp::default());
    let own = Record { scope: named(name).scope, said: ServiceDefaults::default(), meta, stamp };
    SetEntry { entry: Entry::ServiceDefaults(own), cas: None }
}

/// The index of an entry's last change, and the second of it.
fn accepted(store: &Store, name: &EntryName) -> Option<(u64, Option<i64>)> {
    let (stamp, at) = store.view().read().entry_time(name)?;
    Some((stamp.modify, at.map(Timestamp::secs)))
}

fn at(log: &mut Log, second: i64) {
    log.now = Timestamp::from_secs(second);
}

fn current() -> Log {
    let mut log = Log::new();
    log.changed(SetRuleSet { rule_set: RULE_SET });
    log
}

#[test]
fn an_entry_has_the_time_of_its_last_change() {
    let mut log = current();
    let (web, db) = (named("web"), named("db"));
    at(&mut log, 100);
    log.changed(defaults("web", "shop"));
    at(&mut log, 200);
    log.changed(defaults("db", "shop"));
    assert_eq!(accepted(&log.store, &web), Some((2, Some(100))));
    assert_eq!(accepted(&log.store, &db), Some((3, Some(200))));
    at(&mut log, 300);
    log.unchanged(defaults("web", "shop"));
    assert_eq!(accepted(&log.store, &web), Some((2, Some(100))), "it was accepted as it is then");
    log.changed(defaults("web", "other"));
    assert_eq!(accepted(&log.store, &web), Some((5, Some(300))));
    // The clock of a new leader may be behind.
    at(&mut log, 250);
    log.changed(defaults("db", "other"));
    assert_eq!(accepted(&log.store, &db), Some((6, Some(300))), "no earlier than what came before");
    log.changed(DeleteEntry { entry: web.clone(), cas: None });
    assert_eq!(accepted(&log.store, &web), None);
}

#[test]
fn intentions_have_the_time_of_the_last_change_of_a_source() {
    let mut log = current();
    let name = EntryName::intentions(&destination("api"));
    for (second, from) in [(100, "web"), (200, "db")] {
        at(&mut log, second);
        log.changed(UpsertIntention {
            destination: destination("api"),
            intention: intention(from, Action::Allow),
        });
        assert_eq!(accepted(&log.store, &name), Some((log.index, Some(second))));
    }
    at(&mut log, 300);
    log.changed(DeleteIntention { destination: destination("api"), source: source("db") });
    assert_eq!(accepted(&log.store, &name), Some((log.index, Some(300))));
    log.changed(DeleteIntention { destination: destination("api"), source: source("web") });
    assert_eq!(accepted(&log.store, &name), None);
}

#[test]
fn a_time_outlives_a_snapshot_and_goes_with_its_entry() {
    let mut log = current();
    at(&mut log, 100);
    log.changed(defaults("web", "shop"));
    log.changed(defaults("db", "shop"));
    log.changed(DeleteEntry { entry: named("db"), cas: None });
    let bytes = log.store.view().snapshot(4).unwrap();
    let mut restored = Store::new();
    restored.restore(&bytes).unwrap();
    assert_eq!(accepted(&restored, &named("web")), Some((2, Some(100))));
    assert_eq!(restored.view().snapshot(4).unwrap(), bytes);
}

#[test]
fn what_was_accepted_under_older_rules_has_no_time_until_it_changes() {
    let mut log = Log::new();
    log.changed(SetRuleSet { rule_set: 5 });
    at(&mut log, 100);
    log.changed(defaults("web", "shop"));
    assert_eq!(accepted(&log.store, &named("web")), Some((2, None)));
    at(&mut log, 200);
    log.changed(SetRuleSet { rule_set: 6 });
    log.unchanged(defaults("web", "shop"));
    assert_eq!(accepted(&log.store, &named("web")), Some((2, None)));
    log.changed(defaults("web", "other"));
    assert_eq!(accepted(&log.store, &named("web")), Some((5, Some(200))));
}
