//! Rotations that are interrupted at each step. The cluster checks the invariant after each change.

use std::time::Duration;

use concord_ca::limits::INACTIVE_ROOTS_MAX;
use concord_ca::rotation::{Failure, PROGRESS_KEY, RequestId};
use concord_model::Timestamp;

use crate::cluster::{Cluster, Fault, HOUR, Random, START};

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
            // After a successful answer there is a new root.
            if cluster.answers.contains(&(RequestId(1), Ok(()))) {
                assert_ne!(new.id, old.id, "{context}");
            }
            // After any other answer the operator can ask again.
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
fn f_28_a_root_of_our_own_is_replaced_at_seventy_percent_of_its_life() {
    let mut cluster = Cluster::new(9, PEERS, SECOND * 5, None);
    cluster.configure(1, r#"{"RootCertTTL": "9000h"}"#, false, true);
    cluster.run_for(HOUR * 6_299);
    let old = cluster.active();
    assert_eq!(cluster.roots().roots.len(), 1);
    cluster.run_for(HOUR * 2);
    assert_ne!(cluster.active().id, old.id);
    assert!(cluster.all_present_the_active_root());
    assert!(cluster.alarms.is_empty(), "nobody had to look: {:?}", cluster.alarms);
    // The next renewals also come without a failed handshake.
    let (active, checks) = (cluster.active().id, cluster.checks);
    cluster.run_for(HOUR * 6_310);
    assert!(cluster.all_present_the_active_root() && cluster.checks > checks + 100);
    assert_ne!(cluster.active().id, active);
}

#[test]
fn f_28_an_old_root_that_cannot_be_replaced_alarms_from_eighty_percent_on() {
    let mut cluster = Cluster::new(9, PEERS, SECOND * 5, None);
    cluster.configure(1, r#"{"RootCertTTL": "9000h"}"#, false, true);
    cluster.run_for(SECOND * 60);
    cluster.forbid_cross_signing();
    cluster.run_for(HOUR * 7_190);
    assert!(cluster.alarms.is_empty(), "{:?}", cluster.alarms);
    cluster.run_for(HOUR * 20);
    assert!(!cluster.alarms.is_empty() && cluster.alarms.iter().all(|alarm| *alarm == "root_ending"));
    // An expired root is replaced even without a cross-signature: no peer can verify anything through it.
    cluster.forgive();
    cluster.run_for(HOUR * 1_800);
    assert!(cluster.all_present_the_active_root() && cluster.all_accept_all());
}

#[test]
fn n_143_a_root_made_under_a_wrong_clock_is_replaced() {
    // A machine without a battery starts in 1970; its clock is set while it runs.
    let mut cluster = Cluster::new(11, PEERS, SECOND * 5, None);
    cluster.set_clocks(Timestamp::EPOCH);
    cluster.run_for(SECOND * 120);
    let (first, today) = (cluster.active(), START);
    assert!(cluster.all_accept_all(), "in 1970");
    assert!(first.not_after < today, "its root is over before today");
    cluster.set_clocks(today);
    cluster.run_for(SECOND * 60);
    assert_ne!(cluster.active().id, first.id);
    assert!(cluster.all_accept_all() && cluster.all_present_the_active_root(), "today");
    // The opposite case: the root was made when the clock was ahead.
    let ahead = cluster.active();
    for back in [HOUR * 24, HOUR * 24 * 3650] {
        cluster.set_clocks(cluster.wall().minus(back));
        cluster.run_for(SECOND * 60);
        assert_ne!(cluster.active().id, ahead.id);
        assert!(cluster.all_accept_all() && cluster.all_present_the_active_root(), "{back:?} back");
    }
    for told in ["clock_set", "root_expired", "root_not_yet_valid"] {
        assert!(cluster.alarms.contains(&told), "{:?}", cluster.alarms);
    }
}

#[test]
fn f_8_clocks_set_at_random_by_up_to_ten_years_leave_nobody_without_a_leaf() {
    for seed in 0..6 {
        let mut cluster = Cluster::new(seed, PEERS, SECOND * 5, None);
        let mut random = Random::of(seed);
        for step in 0..12 {
            let by = Duration::from_secs(random.next() % (10 * 365 * 86_400));
            let to = if random.next().is_multiple_of(2) {
                cluster.wall().plus(by)
            } else {
                cluster.wall().minus(by)
            };
            cluster.set_clocks(to);
            // A running rotation ends first.
            cluster.run_for(SECOND * 120);
            assert!(cluster.all_accept_all(), "seed {seed}, step {step}, at {:?}", cluster.wall());
            cluster.run_for(Duration::from_secs(random.next() % 86_400));
        }
        assert!(cluster.roots().roots.len() <= 33);
    }
}

#[test]
fn f_8_a_year_far_away_is_a_year_like_any_other() {
    // 2262 is the last year that a timestamp can represent.
    for year in ["1970", "2038-01-19", "2049-12-31 23:59", "2262"] {
        let at = match year {
            "1970" => Timestamp::EPOCH,
            "2038-01-19" => Timestamp::from_secs(i64::from(i32::MAX) - 30),
            "2049-12-31 23:59" => Timestamp::from_secs(2_524_607_970),
            _ => Timestamp::FAR_FUTURE.minus(HOUR * 24 * 40),
        };
        let mut cluster = Cluster::new(12, PEERS, SECOND * 5, None);
        cluster.set_clocks(at);
        cluster.run_for(SECOND * 120);
        assert!(cluster.all_accept_all(), "{year}");
        cluster.configure(1, "{}", false, true);
        cluster.run_for(HOUR * 100);
        assert!(cluster.all_accept_all() && cluster.all_present_the_active_root(), "{year}");
    }
}

#[test]
fn n_144_a_root_is_kept_while_the_clock_may_be_wrong() {
    let mut cluster = Cluster::new(13, PEERS, SECOND * 5, None);
    cluster.configure(1, "{}", false, true);
    cluster.run_for(HOUR);
    let right = cluster.wall();
    // The clock is a year ahead for two hours. By that clock the old root should have been removed long ago.
    cluster.set_clocks(right.plus(HOUR * 24 * 365));
    cluster.run_for(HOUR * 2);
    assert_eq!(cluster.roots().roots.len(), 2, "not removed on the word of a clock that was set");
    cluster.set_clocks(right.plus(HOUR * 2));
    cluster.run_for(HOUR * 140);
    assert_eq!(cluster.roots().roots.len(), 2);
    cluster.run_for(HOUR * 3);
    assert_eq!(cluster.roots().roots.len(), 1);
}

#[test]
fn n_145_rotations_without_end_keep_thirty_two_roots() {
    let mut cluster = Cluster::new(14, 1, SECOND, None);
    for request in 1..=80 {
        cluster.rotate_idle(request);
        cluster.run_for(SECOND * 2);
        assert!(cluster.roots().roots.len() <= 1 + INACTIVE_ROOTS_MAX, "{}", cluster.roots().roots.len());
    }
    assert!(cluster.answers.iter().all(|(_, outcome)| outcome.is_ok()));
    assert_eq!(cluster.records().len(), 1 + INACTIVE_ROOTS_MAX);
    let bytes = cluster
        .roots()
        .roots
        .iter()
        .flat_map(|root| &root.intermediate_certs)
        .map(String::len)
        .sum::<usize>();
    assert!(bytes < 256 * 1024, "{bytes}");
}

#[test]
fn n_145_a_rotation_waits_while_leaves_depend_on_every_root() {
    let mut cluster = Cluster::new(15, PEERS, SECOND, None);
    for request in 1..=INACTIVE_ROOTS_MAX as u64 {
        cluster.configure(request, "{}", false, true);
        cluster.run_for(SECOND * 60);
    }
    assert!(cluster.answers.iter().all(|(_, outcome)| outcome.is_ok()));
    let (stands, oldest) = (cluster.roots().clone(), cluster.roots().roots[0].id.clone());
    cluster.configure(50, "{}", false, true);
    cluster.run_for(SECOND * 10);
    let Some((RequestId(50), Err(why @ Failure::RootsInUse { free_at }))) = cluster.answers.last().copied()
    else {
        panic!("{:?}", cluster.answers.last());
    };
    assert!(why.to_string().contains("ForceWithoutOldestRoot"), "{why}");
    assert_eq!(*cluster.roots(), stands, "nothing changed");
    // A forced rotation removes the oldest root. After enough time no force is needed.
    cluster.rotate_without_oldest(51);
    cluster.run_for(SECOND * 60);
    assert_eq!(cluster.answers.last(), Some(&(RequestId(51), Ok(()))));
    assert!(cluster.roots().roots.iter().all(|root| root.id != oldest));
    assert_eq!(cluster.roots().roots.len(), 1 + INACTIVE_ROOTS_MAX);
    cluster.run_for(free_at.since(cluster.wall()) + SECOND * 61);
    cluster.configure(52, "{}", false, true);
    cluster.run_for(SECOND * 60);
    assert_eq!(cluster.answers.last(), Some(&(RequestId(52), Ok(()))));
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
