//! Rotations, interrupted at every step; the cluster checks the invariant at every instant.

use std::time::Duration;

use concord_ca::rotation::{Failure, PROGRESS_KEY, RequestId};

use crate::cluster::{Cluster, Fault, HOUR};

const SECOND: Duration = Duration::from_secs(1);
const PEERS: usize = 4;

#[test]
fn a_rotation_goes_through_and_the_old_root_is_pruned() {
    let mut cluster = Cluster::new(1, PEERS, SECOND * 5, None);
    assert!(cluster.is_steady() && cluster.all_present_the_active_root());
    let old = cluster.active();
    cluster.configure(1, "{}", false, true);
    cluster.run_for(SECOND * 60);
    assert_eq!(cluster.answers, [(RequestId(1), Ok(()))]);
    let new = cluster.active();
    assert_ne!(new.id, old.id);
    assert!(cluster.all_present_the_active_root(), "re-issued within the jitter");
    assert_eq!(new.intermediate_certs.len(), 1, "the old root's signature");
    assert_eq!(cluster.roots().roots.len(), 2);
    cluster.run_for(HOUR * 143);
    assert_eq!(cluster.roots().roots.len(), 2, "not before twice the life of a leaf");
    cluster.run_for(HOUR * 3);
    assert_eq!(cluster.roots().roots.len(), 1);
    assert_eq!(cluster.records(), [new.id]);
    assert!(
        cluster.active().intermediate_certs.is_empty(),
        "a signature of a root that is gone leads nowhere"
    );
    cluster.run_for(HOUR * 200);
    assert!(cluster.checks > 100, "{}", cluster.checks);
}

#[test]
fn a_rotation_interrupted_at_every_step_ends_well() {
    let faults = [Fault::CrashBefore, Fault::CrashAfter, Fault::FailBefore, Fault::FailAfter];
    let effects = {
        let mut whole = Cluster::new(2, PEERS, SECOND * 5, None);
        whole.configure(1, "{}", false, true);
        whole.run_for(HOUR * 150);
        whole.performed
    };
    assert!(effects > 12, "{effects}");
    for at in 0..effects {
        for fault in faults {
            let mut cluster = Cluster::new(2, PEERS, SECOND * 5, Some((at, fault)));
            cluster.run_for(SECOND * 120);
            let old = cluster.active();
            cluster.configure(1, "{}", false, true);
            cluster.run_for(HOUR * 150);
            let context = format!("{fault:?} at effect {at}");
            assert!(cluster.is_steady(), "{context}");
            assert!(cluster.all_present_the_active_root(), "{context}");
            let new = cluster.active();
            assert_eq!(cluster.roots().roots.len(), 1, "{context}");
            assert_eq!(cluster.records(), std::slice::from_ref(&new.id), "{context}");
            // An operator who was told "done" has a new root.
            if cluster.answers.contains(&(RequestId(1), Ok(()))) {
                assert_ne!(new.id, old.id, "{context}");
            }
            // And one who was not can ask again.
            cluster.configure(2, "{}", false, true);
            cluster.run_for(SECOND * 120);
            assert!(cluster.answers.contains(&(RequestId(2), Ok(()))), "{context}");
            assert_ne!(cluster.active().id, new.id, "{context}");
        }
    }
}

#[test]
fn peers_that_hear_of_roots_a_day_late_verify_all_the_same() {
    for seed in 0..6 {
        let mut cluster = Cluster::new(seed, PEERS, SECOND * 5, None);
        cluster.set_lag(HOUR * 24);
        let old = cluster.active();
        cluster.configure(1, "{}", false, true);
        cluster.run_for(SECOND * 60);
        assert_ne!(cluster.active().id, old.id, "activated without waiting for the late");
        cluster.run_for(HOUR * 400);
        assert!(cluster.all_present_the_active_root());
        assert_eq!(cluster.roots().roots.len(), 1);
    }
}

#[test]
fn rotations_shortly_after_another_stay_verifiable() {
    for seed in 0..4 {
        let mut cluster = Cluster::new(seed, PEERS, SECOND * 5, None);
        cluster.set_lag(HOUR * 2);
        for request in 1..=3 {
            cluster.configure(request, "{}", false, true);
            cluster.run_for(SECOND * 300);
        }
        assert_eq!(cluster.answers.iter().filter(|(_, outcome)| outcome.is_ok()).count(), 3);
        assert_eq!(cluster.roots().roots.len(), 4);
        assert!(cluster.longest_chain() <= 4);
        cluster.run_for(HOUR * 400);
        assert_eq!(cluster.roots().roots.len(), 1);
    }
}

#[test]
fn without_cross_signing_a_rotation_must_be_forced_and_waits_for_proof() {
    let mut cluster = Cluster::new(5, PEERS, SECOND * 5, None);
    cluster.set_lag(SECOND * 400);
    cluster.forbid_cross_signing();
    let old = cluster.active();
    cluster.configure(1, "{}", false, true);
    cluster.run_for(SECOND * 10);
    assert_eq!(cluster.answers, [(RequestId(1), Err(Failure::NoCrossSigning))]);
    assert_eq!(cluster.roots().roots.len(), 1);
    cluster.configure(2, "{}", true, true);
    cluster.run_for(SECOND * 60);
    assert_eq!(cluster.active().id, old.id, "not all have confirmed");
    cluster.run_for(SECOND * 600);
    assert_ne!(cluster.active().id, old.id);
    assert_eq!(cluster.answers.last(), Some(&(RequestId(2), Ok(()))));
}

#[test]
fn a_root_that_has_expired_is_replaced_at_once() {
    let mut cluster = Cluster::new(9, PEERS, SECOND * 5, None);
    cluster.configure(1, r#"{"RootCertTTL": "9000h"}"#, false, true);
    cluster.run_for(HOUR * 9100);
    let old = cluster.active();
    assert!(!cluster.all_present_the_active_root(), "nothing is signed by a root that is over");
    // Not forced: what an operator does first.
    cluster.configure(2, "{}", false, true);
    cluster.run_for(SECOND * 60);
    assert_eq!(cluster.answers.last(), Some(&(RequestId(2), Ok(()))));
    assert_ne!(cluster.active().id, old.id);
    assert!(cluster.all_present_the_active_root(), "within the jitter, whatever pause there was");
}

#[test]
fn a_change_without_a_new_root_keeps_it() {
    let mut cluster = Cluster::new(6, PEERS, SECOND * 5, None);
    let old = cluster.active();
    cluster.configure(1, r#"{"LeafCertTTL": "24h"}"#, false, false);
    cluster.run_for(SECOND);
    assert_eq!(cluster.answers, [(RequestId(1), Ok(()))]);
    assert_eq!(cluster.active().id, old.id);
}

#[test]
fn a_leaf_life_lowered_before_a_rotation_does_not_prune_early() {
    let mut cluster = Cluster::new(7, PEERS, SECOND * 5, None);
    cluster.configure(1, r#"{"LeafCertTTL": "1h"}"#, false, false);
    cluster.run_for(SECOND * 10);
    cluster.configure(2, r#"{"LeafCertTTL": "1h"}"#, false, true);
    cluster.run_for(HOUR * 100);
    assert_eq!(cluster.roots().roots.len(), 2, "leaves of 72 h may still be out");
    cluster.run_for(HOUR * 50);
    assert_eq!(cluster.roots().roots.len(), 1);
}

#[test]
fn a_second_change_has_to_wait_for_the_first() {
    let mut cluster = Cluster::new(8, PEERS, HOUR, None);
    cluster.run_for(HOUR);
    cluster.configure(1, "{}", false, true);
    cluster.run_for(SECOND);
    cluster.configure(2, "{}", false, true);
    cluster.run_for(SECOND * 60);
    assert_eq!(cluster.answers, [(RequestId(2), Err(Failure::Busy)), (RequestId(1), Ok(()))]);
}

#[test]
fn a_seed_is_a_history() {
    let ids = || {
        let mut cluster = Cluster::new(9, PEERS, SECOND * 5, None);
        cluster.configure(1, "{}", false, true);
        cluster.run_for(HOUR * 80);
        (cluster.active(), cluster.checks, cluster.performed)
    };
    assert_eq!(ids(), ids());
}

#[test]
fn notes_about_a_rotation_are_not_shown() {
    let mut cluster = Cluster::new(10, PEERS, SECOND * 5, None);
    cluster.configure(1, "{}", false, true);
    cluster.run_for(SECOND * 60);
    let config = cluster.config();
    assert!(config.state.contains_key(PROGRESS_KEY));
    assert!(concord_ca::rotation::public_state(&config).is_empty());
}
