//! Entries of the configuration: written where there is none, before anything is served.

use std::sync::Arc;

use concord_model::entry::Entry;
use concord_model::intention::Action;
use concord_raft::Storage;
use concord_rpc::request::{ApplyEntry, CheckIntention, DeleteEntry, ReadEntry};
use concord_runtime::MemoryDisk;
use concord_server::LiveSettings;

use crate::intention::entry;
use crate::world::{Host, Setup, named, target};

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
        #[allow(unreachable_patterns, reason = "with a single kind there is no other")]
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
    // An entry that could never be written changes nothing.
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
    let verdict = host.ask_as(crate::world::ROOT, request).await.unwrap();
    assert!(verdict.allowed, "default deny, and the entry allows");
    host.stop().await;
}
