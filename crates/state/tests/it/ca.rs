//! Roots, configuration, sealed keys, serial numbers.

use concord_model::ca::{CaConfig, CaRoots};
use concord_model::{TrustDomain, Uuid};
use concord_state::command::{
    AllocateSerials, DeleteCaProviderState, SetCaConfig, SetCaProviderState, SetCaRoots,
};
use concord_state::limits::SERIALS_MAX;
use concord_state::reply::CaRefusal;
use concord_state::{Blame, CommandReply, Refusal};

use crate::samples::*;

fn set(roots: CaRoots, cas: u64) -> SetCaRoots {
    SetCaRoots { roots, cas, config: None, provider_state: None }
}

#[test]
fn roots_configuration_and_key_change_together() {
    let mut log = Log::new();
    let all = SetCaRoots {
        config: Some(SetCaConfig { config: ca_config("consul"), cas: Some(0) }),
        provider_state: Some(provider_state("one")),
        ..set(roots(vec![root("a", true)]), 0)
    };
    log.changed(all.clone());
    let mut reader = log.store.view().read();
    assert_eq!(reader.ca_roots().unwrap().index, 1);
    assert_eq!(reader.ca_config().unwrap().stamp.modify, 1);
    assert_eq!(reader.ca_provider_state("one").unwrap().stamp.modify, 1);

    // The configuration has changed in the meantime, so nothing is stored.
    let rotation = SetCaRoots {
        config: Some(SetCaConfig { config: ca_config("vault"), cas: Some(0) }),
        provider_state: Some(provider_state("two")),
        ..set(roots(vec![root("a", false), root("b", true)]), 1)
    };
    let applied = log.write(rotation.clone());
    assert_eq!(applied.reply, CommandReply::CasFailed { current: 1 });
    assert!(applied.changes.is_empty());
    assert!(log.store.view().read().ca_provider_state("two").is_none());

    log.changed(SetCaRoots {
        config: Some(SetCaConfig { config: ca_config("vault"), cas: Some(1) }),
        ..rotation
    });
    let stored = log.store.view().read().ca_roots().unwrap();
    assert_eq!((stored.index, stored.active().unwrap().id.as_str()), (3, "b"));
    assert_eq!((stored.roots[0].stamp.create, stored.roots[0].stamp.modify), (1, 3));
    assert_eq!(log.write(all).reply, CommandReply::CasFailed { current: 3 });
}

#[test]
fn roots_that_say_the_same_change_nothing() {
    let mut log = Log::new();
    log.changed(set(roots(vec![root("a", true)]), 0));
    log.unchanged(set(roots(vec![root("a", true)]), 1));
    assert_eq!(log.store.view().read().ca_roots().unwrap().index, 1);
}

#[test]
fn exactly_one_root_is_active() {
    let mut log = Log::new();
    let mut misnamed = roots(vec![root("a", true), root("b", false)]);
    misnamed.active_root_id = "b".to_owned();
    let wrong = [
        roots(vec![]),
        roots(vec![root("a", false)]),
        roots(vec![root("a", true), root("b", true)]),
        misnamed,
    ];
    for wrong in wrong {
        let refusal = log.refused(set(wrong, 0));
        assert!(matches!(refusal, Refusal::Ca(CaRefusal::ActiveRoots { .. })));
        assert_eq!(refusal.blame(), Blame::Caller);
    }
    let refusal = log.refused(set(roots(vec![root("a", true), root("a", false)]), 0));
    assert!(matches!(refusal, Refusal::Ca(CaRefusal::DuplicateRoot { .. })));
    assert!(log.store.view().read().ca_roots().is_none());
}

#[test]
fn the_trust_domain_and_the_cluster_stay() {
    let mut log = Log::new();
    log.changed(set(roots(vec![root("a", true)]), 0));
    let mut foreign = roots(vec![root("b", true)]);
    foreign.trust_domain = TrustDomain::parse("other.consul").unwrap();
    assert!(matches!(log.refused(set(foreign, 1)), Refusal::Ca(CaRefusal::TrustDomain { .. })));

    log.changed(SetCaConfig { config: ca_config("consul"), cas: None });
    let config = CaConfig { cluster_id: Uuid([1; 16]), ..ca_config("consul") };
    let refusal = log.refused(SetCaConfig { config, cas: None });
    assert!(matches!(refusal, Refusal::Ca(CaRefusal::ClusterId { .. })));
    log.unchanged(SetCaConfig { config: ca_config("consul"), cas: Some(3) });
}

#[test]
fn a_serial_number_is_handed_out_once() {
    let mut log = Log::new();
    assert_eq!(log.store.view().read().next_serial(), 1);
    for (count, first) in [(1, 1), (10, 2), (SERIALS_MAX, 12)] {
        assert_eq!(log.write(AllocateSerials { count }).reply, CommandReply::Serials { first, count });
    }
    assert_eq!(log.store.view().read().next_serial(), 12 + u64::from(SERIALS_MAX));
    for count in [0, SERIALS_MAX + 1] {
        assert!(matches!(log.refused(AllocateSerials { count }), Refusal::Ca(CaRefusal::SerialCount { .. })));
    }
}

#[test]
fn handing_out_serial_numbers_wakes_nobody_who_waits_for_roots() {
    let mut log = Log::new();
    log.changed(set(roots(vec![root("a", true)]), 0));
    let mut reader = log.store.view().read();
    reader.ca_roots();
    let read = reader.finish();
    assert!(!read.touched_by(&log.write(AllocateSerials { count: 1 }).changes));
    assert_eq!(read.index(), 1);
}

#[test]
fn a_former_providers_state_is_forgotten() {
    let mut log = Log::new();
    log.changed(SetCaProviderState { state: provider_state("one") });
    log.unchanged(SetCaProviderState { state: provider_state("one") });
    assert_eq!(log.store.view().read().ca_provider_states().len(), 1);
    log.changed(DeleteCaProviderState { id: "one".to_owned() });
    log.unchanged(DeleteCaProviderState { id: "one".to_owned() });
    assert!(log.store.view().read().ca_provider_state("one").is_none());
}
