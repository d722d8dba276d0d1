//! What becomes of rows.

use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::Action;
use concord_model::token::AclPolicy;
use concord_model::{NodeName, ServiceName, Stamp, Timestamp, Uuid};
use concord_rpc::{Basis, Rights, SnapshotEvent};
use concord_runtime::ManualClock;

use super::*;

fn seat(ledger: &Ledger, proxy: &str, service: &str) -> Seat {
    let seat = ledger.begin(proxy.to_owned(), ProxyKind::BuiltIn);
    let service = ServiceRef::local(ServiceName::parse(service).unwrap());
    let basis = Basis::new(service, NodeName::parse("n1").unwrap());
    seat.account().take(SnapshotEvent::Basis(Arc::new(basis)), seat.now()).unwrap();
    seat.changed();
    seat
}

fn reads(rules: &str) -> Caller {
    let policy = AclPolicy {
        id: Uuid([1; 16]),
        name: "narrow".to_owned(),
        description: String::new(),
        rules: rules.to_owned(),
        datacenters: Vec::new(),
        stamp: Stamp::default(),
    };
    Caller { accessor: Some(Uuid([9; 16])), rights: Rights::of([&policy], Action::Deny), token: None }
}

#[test]
fn n_313_of_ended_streams_the_last_are_kept_and_the_rest_is_counted() {
    let ledger = Ledger::new(Arc::new(ManualClock::new(0)));
    for at in 0..ENDED_MAX + 3 {
        seat(&ledger, &format!("web-{at:04}"), "web").ends(format!("reason {at}"));
    }
    let all = ledger.proxies(&Caller::unrestricted(None), "n1", None).value;
    assert_eq!((all.ended.len(), all.forgotten), (ENDED_MAX, 3));
    assert_eq!(all.ended[0].reason, format!("reason {}", ENDED_MAX + 2), "the last one first");
    assert_eq!(all.ended.last().unwrap().proxy, "web-0003");
    let other = ledger.proxies(&reads(r#"service "db" { policy = "read" }"#), "n1", None);
    assert_eq!((other.value.ended.len(), other.value.forgotten, other.filtered), (0, 0, true));
}

#[test]
fn a_proxy_that_is_back_has_not_ended() {
    let ledger = Ledger::new(Arc::new(ManualClock::new(0)));
    let everybody = Caller::unrestricted(None);
    drop(seat(&ledger, "web-1", "web"));
    drop(seat(&ledger, "web-1", "web"));
    let told = || ledger.proxies(&everybody, "n1", None).value;
    assert_eq!((told().proxies.len(), told().ended.len()), (0, 1));
    let index = ledger.index(&everybody, None);
    let _back = seat(&ledger, "web-1", "web");
    assert_eq!((told().proxies.len(), told().ended.len()), (1, 0));
    assert!(ledger.index(&everybody, None) > index);
    // A change of another proxy is none of this one.
    let (own, _other) = (ledger.index(&everybody, Some("web-1")), seat(&ledger, "db-1", "db"));
    assert_eq!(ledger.index(&everybody, Some("web-1")), own);
}

#[test]
fn nobody_sees_a_proxy_whose_service_is_not_known_yet() {
    let ledger = Ledger::new(Arc::new(ManualClock::new(0)));
    let _seat = ledger.begin("web-1".to_owned(), ProxyKind::BuiltIn);
    let shown = ledger.proxies(&Caller::unrestricted(None), "n1", None);
    assert_eq!((shown.value.proxies.len(), shown.filtered), (0, false));
}

#[test]
fn the_age_of_an_entry_is_told_if_its_time_is_known() {
    let wall = 1_700_000_000;
    let ledger = Ledger::new(Arc::new(ManualClock::new(wall * 1_000_000_000)));
    let age = |at: Option<i64>| {
        let name = EntryName::only(EntryKind::Mesh);
        let entry = Accepted { name, index: 7, at: at.map(Timestamp::from_secs) };
        ledger.delivery(&Caller::unrestricted(None), "n1", &entry).value.accepted_ago
    };
    assert_eq!(age(Some(wall - 90)), "1m30s");
    assert_eq!(age(None), "");
    assert_eq!(age(Some(wall + 5)), "0s", "the leader's clock is ahead of ours");
}
