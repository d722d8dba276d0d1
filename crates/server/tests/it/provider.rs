//! Tests that a slow, absent or busy provider delays nobody, and that hanging calls are given up in time.

use std::time::Duration;

use concord_ca::Csr;
use concord_ca::provider::Unreachable;
use concord_ca::testing::{Gate, Gated, Op};
use concord_model::ca::{KeyKind, LeafCertificate};
use concord_raft::Storage;
use concord_rpc::request::{ListNodes, SetCaConfig, SignLeaf};
use concord_rpc::{RpcError, ServerApiExt};
use concord_server::CaStart;
use tokio::task::JoinHandle;

use crate::ca::{change, identity, key, settings};
use crate::world::{HOUR, Host, ROOT, SECOND, Setup, register, with};

const OTHER_ROOT: &str = r#"{"PrivateKeyBits": 384}"#;

type Pending<T> = JoinHandle<Result<T, RpcError>>;

/// A server whose CA provider the test can block.
fn behind(gated: &Gated) -> Setup {
    let ca = CaStart { kinds: gated.kinds(), provider: Gated::NAME.to_owned(), ..CaStart::default() };
    Setup { ca, ..Setup::guarded() }
}

fn to_gated(json: &str) -> SetCaConfig {
    SetCaConfig { provider: Gated::NAME.to_owned(), ..change(json) }
}

/// Waits until this many calls are running. Returns how many were begun.
#[track_caller]
fn under_way(gated: &Gated, op: Op, count: usize) -> impl Future<Output = usize> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..500 {
            if gated.under_way(op) == count {
                return gated.begun(op);
            }
            tokio::time::sleep(SECOND / 1000).await;
        }
        panic!("{caller}: {} calls of {op:?} under way, not {count}", gated.under_way(op));
    }
}

impl Host {
    /// Requests a leaf without waiting for it.
    async fn leaf_later(&self, of: &str) -> Pending<LeafCertificate> {
        let csr = Csr::build(&*key(), &identity(&self.roots().await.trust_domain, of)).unwrap();
        let api = self.api.clone();
        tokio::spawn(async move { Ok(api.call(with(ROOT), SignLeaf { csr }).await?.value) })
    }

    /// Requests a change without waiting for it.
    fn change_later(&self, request: SetCaConfig) -> Pending<()> {
        let api = self.api.clone();
        tokio::spawn(async move { api.call(with(ROOT), request).await.map(|answer| answer.value) })
    }

    fn uptime(&self) -> Duration {
        self.world.clock.now().since_epoch()
    }
}

#[tokio::test(start_paused = true)]
async fn n_179_a_signature_that_hangs_delays_nobody_and_is_made_with_the_root_that_comes() {
    let gated = Gated::default();
    let host = behind(&gated).start().await.with_ca().await;
    let old = host.roots().await;
    gated.set(Op::Sign, Gate::Shut);
    let begun = host.uptime();
    let hanging = host.leaf_later("web").await;
    under_way(&gated, Op::Sign, 1).await;
    host.ask_as(ROOT, register("a", "web")).await.unwrap();
    assert_eq!(host.ask_as(ROOT, ListNodes::default()).await.unwrap().len(), 2);
    assert_eq!(host.roots().await, old);
    // Changes proceed meanwhile: of lifetimes, and to another root.
    host.ask_as(ROOT, to_gated(r#"{"LeafCertTTL": "24h"}"#)).await.unwrap();
    assert_eq!((gated.under_way(Op::Sign), gated.begun(Op::Sign)), (1, 1), "the same provider signs on");
    host.ask_as(ROOT, to_gated(OTHER_ROOT)).await.unwrap();
    let new = host.roots().await;
    assert_ne!(new.active_root_id, old.active_root_id);
    assert_eq!(under_way(&gated, Op::Sign, 1).await, 2, "cut, and asked of the new one");
    assert!(!hanging.is_finished() && host.uptime() - begun < SECOND, "nobody has waited");
    gated.set(Op::Sign, Gate::Open);
    let leaf = hanging.await.unwrap().unwrap();
    assert_eq!(leaf.authority_key_id, new.active().unwrap().signing_key_id);
    assert!(host.verifies(&leaf, &old) && host.verifies(&leaf, &new));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_signature_that_hangs_ends_with_the_server() {
    let gated = Gated::default();
    let host = behind(&gated).start().await.with_ca().await;
    gated.set(Op::Sign, Gate::Shut);
    let hanging = host.leaf_later("web").await;
    under_way(&gated, Op::Sign, 1).await;
    host.stop().await;
    assert_eq!(hanging.await.unwrap(), Err(RpcError::ShuttingDown));
    assert_eq!(gated.under_way(Op::Sign), 0);
}

#[tokio::test(start_paused = true)]
async fn n_179_a_signature_is_tried_again_and_given_up_in_time() {
    let gated = Gated::default();
    let host = behind(&gated).start().await.with_ca().await;
    let signed = |gate| {
        let before = gated.begun(Op::Sign);
        gated.set(Op::Sign, gate);
        let (host, gated) = (&host, &gated);
        async move {
            let begun = host.uptime();
            let outcome = host.leaf(ROOT, "web").await;
            (outcome, gated.begun(Op::Sign) - before, host.uptime() - begun)
        }
    };
    for how in [Unreachable::NoAnswer, Unreachable::RateLimited] {
        let (outcome, calls, _) = signed(Gate::Failing(how, 2)).await;
        assert!(outcome.is_ok() && calls == 3, "{how:?}: {outcome:?} after {calls}");
    }
    let (outcome, calls, took) = signed(Gate::Shut).await;
    let no_answer = RpcError::CaNotReady("the CA provider is not reachable or busy: no answer".to_owned());
    assert_eq!(outcome, Err(no_answer));
    assert!((2..=4).contains(&calls) && took <= SECOND * 20, "{calls} in {took:?}");
    assert_eq!(gated.under_way(Op::Sign), 0);
    // A refusal by the provider is not repeated, because a moment later it would refuse again.
    let (outcome, calls, took) = signed(Gate::Failing(Unreachable::NotPermitted, u32::MAX)).await;
    assert!(matches!(outcome, Err(RpcError::CaNotReady(_))) && calls == 1 && took < SECOND, "{outcome:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_61_signatures_are_made_at_once_and_not_too_many() {
    let gated = Gated::default();
    let setup = behind(&gated);
    let ca = CaStart { settings: settings(r#"{"CSRMaxPerSecond": 0}"#), ..setup.ca };
    let host = Setup { ca, ..setup }.start().await.with_ca().await;
    gated.set(Op::Sign, Gate::Shut);
    let mut all = Vec::new();
    for _ in 0..40 {
        all.push(host.leaf_later("web").await);
    }
    under_way(&gated, Op::Sign, 32).await;
    tokio::time::sleep(SECOND).await;
    assert_eq!((gated.under_way(Op::Sign), gated.begun(Op::Sign)), (32, 32));
    gated.set(Op::Sign, Gate::Open);
    let mut serials = std::collections::BTreeSet::new();
    for call in all {
        assert!(serials.insert(call.await.unwrap().unwrap().serial));
    }
    assert_eq!(gated.begun(Op::Sign), 40);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_179_a_change_that_hangs_delays_nobody_but_other_changes_and_those_not_for_long() {
    let gated = Gated::default();
    let host = behind(&gated).start().await.with_ca().await;
    let old = host.roots().await;
    for op in [Op::Configure, Op::Generate, Op::Trial, Op::CrossSign, Op::NeedsRotation] {
        gated.set(op, Gate::Shut);
        let hanging = host.change_later(to_gated(OTHER_ROOT));
        under_way(&gated, op, 1).await;
        host.ask_as(ROOT, register("a", "web")).await.unwrap();
        let leaf = host.leaf(ROOT, "web").await.unwrap();
        assert!(host.verifies(&leaf, &host.roots().await));
        let begun = host.uptime();
        let second = host.ask_as(ROOT, to_gated("{}")).await;
        assert!(matches!(second, Err(RpcError::Busy(_))), "{op:?}: {second:?}");
        assert!(host.uptime() - begun <= SECOND * 11 && !hanging.is_finished(), "{op:?}");
        gated.set(op, Gate::Open);
        hanging.await.unwrap().unwrap();
        // Back to the first root.
        host.ask_as(ROOT, to_gated("{}")).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    assert_eq!(host.roots().await.trust_domain, old.trust_domain);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_change_whose_authority_is_away_is_given_up_and_changes_nothing() {
    let gated = Gated::default();
    let host = behind(&gated).start().await.with_ca().await;
    let stands = (host.roots().await, host.config().await);
    for (op, gate) in [
        (Op::Configure, Gate::Shut),
        (Op::Generate, Gate::Failing(Unreachable::NoAnswer, u32::MAX)),
        (Op::Trial, Gate::Shut),
    ] {
        gated.set(op, gate);
        let begun = host.uptime();
        let outcome = host.ask_as(ROOT, to_gated(OTHER_ROOT)).await;
        assert!(matches!(outcome, Err(RpcError::CaNotReady(_))), "{op:?}: {outcome:?}");
        assert!(host.uptime() - begun <= SECOND * 120, "{op:?}");
        assert_eq!((host.roots().await, host.config().await), stands, "{op:?}");
        gated.set(op, Gate::Open);
        assert!(host.leaf(ROOT, "web").await.is_ok());
    }
    // The provider returns in time.
    let before = gated.begun(Op::Generate);
    gated.set(Op::Generate, Gate::Failing(Unreachable::RateLimited, 2));
    host.ask_as(ROOT, to_gated(OTHER_ROOT)).await.unwrap();
    assert_eq!(gated.begun(Op::Generate) - before, 3);
    assert_ne!(host.roots().await.active_root_id, stands.0.active_root_id);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_is_away_is_left_by_force() {
    let gated = Gated::default();
    let host = behind(&gated).start().await.with_ca().await;
    gated.set(Op::CrossSign, Gate::Shut);
    match host.ask_as(ROOT, change("{}")).await {
        Err(RpcError::Invalid(text)) => assert!(text.contains("ForceWithoutCrossSigning"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(host.roots().await.roots.len(), 1);
    host.ask_as(ROOT, SetCaConfig { force_without_cross_signing: true, ..change("{}") }).await.unwrap();
    assert_eq!(host.roots().await.roots.len(), 2);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn roots_move_from_one_kind_to_another_and_back_and_outlive_a_restart() {
    let gated = Gated::default();
    let ca = CaStart { kinds: gated.kinds(), ..CaStart::default() };
    let setup = Setup { ca, storage: Storage::Disk, ..Setup::guarded() };
    let host = setup.start().await.with_ca().await;
    let first = host.roots().await;
    let mut leaves = vec![host.leaf(ROOT, "web").await.unwrap()];
    host.ask_as(ROOT, to_gated("{}")).await.unwrap();
    let second = host.roots().await;
    assert_eq!(second.active().unwrap().name, "Gated CA");
    assert_eq!(host.config().await.provider, Gated::NAME);
    leaves.push(host.leaf(ROOT, "web").await.unwrap());
    assert_eq!((gated.begun(Op::Sign), gated.begun(Op::Cleanup)), (1, 0));
    host.stop().await;

    let host = setup.start().await;
    leaves.push(host.leaf(ROOT, "web").await.unwrap());
    assert_eq!((gated.begun(Op::Open), gated.begun(Op::Sign)), (1, 2));
    host.ask_as(ROOT, change("{}")).await.unwrap();
    let third = host.roots().await;
    assert_eq!(third.active().unwrap().name, first.active().unwrap().name);
    leaves.push(host.leaf(ROOT, "web").await.unwrap());
    assert_eq!((gated.begun(Op::Sign), gated.begun(Op::Cleanup)), (2, 1), "it lets go of what it held");
    for leaf in &leaves {
        assert!(host.verifies(leaf, &third));
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_179_a_leader_whose_provider_does_not_open_leads_all_the_same() {
    let gated = Gated::default();
    let setup = Setup { storage: Storage::Disk, ..behind(&gated) };
    let host = setup.start().await.with_ca().await;
    let roots = host.roots().await;
    host.stop().await;
    gated.set(Op::Open, Gate::Shut);
    let host = setup.start().await;
    host.ask_as(ROOT, register("a", "web")).await.unwrap();
    assert_eq!(host.roots().await, roots);
    let begun = host.uptime();
    assert!(matches!(host.leaf(ROOT, "web").await, Err(RpcError::CaNotReady(_))));
    assert!(host.uptime() - begun <= SECOND * 6);
    tokio::time::sleep(HOUR).await;
    match host.leaf(ROOT, "web").await {
        Err(RpcError::CaNotReady(text)) => assert!(text.contains("no answer"), "{text}"),
        other => panic!("{other:?}"),
    }
    gated.set(Op::Open, Gate::Open);
    tokio::time::sleep(SECOND * 30).await;
    assert!(host.leaf(ROOT, "web").await.is_ok(), "and recovers by itself");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn costly_work_is_done_on_other_threads() {
    let json = r#"{"PrivateKeyType": "rsa"}"#;
    let ca = CaStart { settings: settings(json), ..CaStart::default() };
    let host = Setup { ca, aside: true, ..Setup::guarded() }.start().await.with_ca().await;
    let roots = host.roots().await;
    assert_eq!(roots.active().unwrap().key_kind, KeyKind::Rsa2048);
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(host.verifies(&leaf, &roots));
    host.configure(OTHER_ROOT).await.unwrap();
    assert!(host.verifies(&leaf, &host.roots().await));
    host.stop().await;
}
