//! Tests of rotations: both roots are published, leaves of both verify, and the old root is removed when nobody needs
//! it.

use concord_ca::testing::Forge;
use concord_ca::x509::build::{RootTemplate, Serial, Validity, build_root};
use concord_ca::{Certificate, Signer, der, oid};
use concord_model::Timestamp;
use concord_raft::Storage;
use concord_rpc::RpcError;
use concord_rpc::request::{ReadCaRoots, SetCaConfig};
use concord_server::CaStart;

use crate::ca::{change, key, settings};
use crate::world::{HOUR, Host, ROOT, SECOND, Setup};

const QUICK: &str = r#"{"LeafCertTTL": "1h", "PrivateKeyBits": 384}"#;

/// A root for the cluster that was created outside.
async fn supplied(host: &Host, from: Timestamp) -> (Certificate, std::sync::Arc<dyn Signer>) {
    let signer = key();
    let trust_domain = host.roots().await.trust_domain;
    let template = RootTemplate {
        common_name: "house root",
        trust_domain: &trust_domain,
        validity: Validity::from_now(from, HOUR * 1000),
        serial: Serial::from_counter(77).unwrap(),
    };
    (build_root(template, &*signer).unwrap(), signer)
}

/// Offers a root that can sign leaves but no other root, after a modification.
async fn offer(host: &Host, bend: impl FnOnce(Forge) -> Forge) -> Result<(), RpcError> {
    let signer = key();
    let trust_domain = host.roots().await.trust_domain;
    let root = bend(Forge::root_for_leaves(&trust_domain, &*signer, host.now())).sign(&*signer);
    let root = concord_ca::pem::encode(concord_ca::pem::CERTIFICATE, &root);
    let key = signer.private_key().unwrap();
    let json = serde_json::json!({ "RootCert": root, "PrivateKey": key.expose() }).to_string();
    host.configure(&json).await
}

/// Installs a root that can sign leaves but no other root.
async fn take_root_for_leaves(host: &Host) {
    offer(host, |forge| forge).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn n_140_a_root_that_others_refuse_changes_nothing() {
    let host = Setup::guarded().start().await.with_ca().await;
    let stands = (host.roots().await, host.config().await);
    let purpose = |last: u8| [&oid::SERVER_AUTH[..7], &[last]].concat();
    let elsewhere = der::sequence(&[der::value(der::primitive(6), b"elsewhere.consul")]);
    let constraints = der::sequence(&[der::wrap(der::constructed(0), &[elsewhere])]);
    let outcomes = [
        (offer(&host, |forge| forge.with(oid::NAME_CONSTRAINTS, true, &constraints)).await, "2.5.29.30"),
        (offer(&host, |forge| forge.purposes(&[&purpose(3)])).await, "serverAuth and clientAuth"),
        (offer(&host, |forge| forge.with(&[0x2a, 0x03], true, &[5, 0])).await, "1.2.3"),
    ];
    for (outcome, part) in outcomes {
        match outcome {
            Err(RpcError::Invalid(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    assert_eq!((host.roots().await, host.config().await), stands);
    assert!(host.leaf(ROOT, "web").await.is_ok());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_root_with_the_name_and_key_id_of_another_is_refused() {
    let host = Setup::guarded().start().await.with_ca().await;
    let key_id = |forge: Forge, id: &[u8]| {
        let id = der::value(der::OCTET_STRING, id);
        forge.with(oid::SUBJECT_KEY_ID, false, &id)
    };
    offer(&host, |forge| key_id(forge, b"one")).await.unwrap();
    let stands = (host.roots().await, host.config().await);
    match offer(&host, |forge| key_id(forge, b"one")).await {
        Err(RpcError::Invalid(text)) => assert!(text.contains("another key"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((host.roots().await, host.config().await), stands);
    // With its own key id it would be accepted, except that the previous root signs no roots.
    match offer(&host, |forge| key_id(forge, b"two")).await {
        Err(RpcError::Invalid(text)) => assert!(text.contains("cross-sign"), "{text}"),
        other => panic!("{other:?}"),
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_publishes_both_roots_and_breaks_nobody() {
    let host = Setup::guarded().start().await.with_ca().await;
    let before = host.roots().await;
    let old_leaf = host.leaf(ROOT, "web").await.unwrap();
    for (json, fresh) in [
        (r#"{"PrivateKeyBits": 384}"#, true),
        (r#"{"PrivateKeyBits": 384}"#, false),
        (r#"{"PrivateKeyType": "rsa", "PrivateKeyBits": 2048}"#, true),
        (r#"{"PrivateKeyType": "rsa", "PrivateKeyBits": 2048, "LeafCertTTL": "24h"}"#, false),
    ] {
        let last = host.roots().await;
        host.configure(json).await.unwrap();
        let now = host.roots().await;
        assert_eq!(now.active_root_id != last.active_root_id, fresh, "{json}");
        assert_eq!(host.config().await.settings, settings(json));
    }
    let after = host.roots().await;
    assert_eq!(after.roots.len(), 3);
    assert_eq!(after.trust_domain, before.trust_domain);
    let out: Vec<_> = after.roots.iter().filter(|root| !root.active).collect();
    assert!(out.len() == 2 && out.iter().all(|root| root.rotated_out_at.is_some()));
    let active = after.active().unwrap();
    let crossed = Certificate::parse_pem(&active.intermediate_certs[0]).unwrap();
    let root = Certificate::parse_pem(&active.root_cert).unwrap();
    assert_eq!((crossed.subject(), crossed.public_key()), (root.subject(), root.public_key()));
    let new_leaf = host.leaf(ROOT, "web").await.unwrap();
    assert_eq!(new_leaf.authority_key_id, active.signing_key_id);
    for (leaf, bundle, what) in [
        (&old_leaf, &before, "old leaf, old bundle"),
        (&old_leaf, &after, "old leaf, new bundle"),
        (&new_leaf, &before, "new leaf, old bundle"),
        (&new_leaf, &after, "new leaf, new bundle"),
    ] {
        assert!(host.verifies(leaf, bundle), "{what}");
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_old_root_and_its_key_go_after_two_lives_of_a_leaf() {
    let ca = CaStart { settings: settings(r#"{"LeafCertTTL": "1h"}"#), ..CaStart::default() };
    let host = Setup { ca, ..Setup::guarded() }.start().await.with_ca().await;
    let old = host.roots().await;
    let old_leaf = host.leaf(ROOT, "web").await.unwrap();
    host.configure(QUICK).await.unwrap();
    tokio::time::sleep(HOUR + SECOND * 3_000).await;
    let both = host.roots().await;
    assert_eq!(both.roots.len(), 2, "not before two lives of a leaf are over");
    tokio::time::sleep(HOUR + SECOND * 700).await;
    let one = host.roots().await;
    assert_eq!(one.roots.len(), 1);
    assert_eq!(one.active_root_id, both.active_root_id);
    assert!(one.roots[0].intermediate_certs.is_empty(), "a signature of a root that is gone leads nowhere");
    assert!(!host.verifies(&old_leaf, &one));
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(host.verifies(&leaf, &one) && !host.verifies(&leaf, &old));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_root_supplied_by_the_operator_takes_over() {
    let host = Setup::guarded().start().await.with_ca().await;
    let before = host.roots().await;
    let old_leaf = host.leaf(ROOT, "web").await.unwrap();
    let (root, signer) = supplied(&host, host.now()).await;
    let pem = signer.private_key().unwrap();
    let json = serde_json::json!({ "RootCert": root.pem(), "PrivateKey": pem.expose() }).to_string();
    host.configure(&json).await.unwrap();
    let after = host.roots().await;
    assert_eq!(after.active_root_id, root.id());
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(
        host.verifies(&leaf, &before) && host.verifies(&leaf, &after) && host.verifies(&old_leaf, &after)
    );
    // The same settings again do not change the root.
    host.configure(&json).await.unwrap();
    assert_eq!(host.roots().await.active_root_id, root.id());
    assert_eq!(host.roots().await.roots.len(), 2);

    // A certificate that cannot be a root of this cluster is refused before anything is written.
    let stands = host.roots().await;
    let other = key();
    let others = other.private_key().unwrap();
    let (fresh, own) = supplied(&host, host.now()).await;
    let own = own.private_key().unwrap();
    let (late, late_key) = supplied(&host, host.now().plus(HOUR)).await;
    let late_key = late_key.private_key().unwrap();
    for (root, key, part) in [
        (fresh.pem(), None, "PrivateKey is required"),
        (fresh.pem(), Some(others.expose()), "does not belong"),
        (host.leaf(ROOT, "web").await.unwrap().cert_pem, Some(own.expose()), "RootCert"),
        (late.pem(), Some(late_key.expose()), "not valid now"),
    ] {
        let json = match key {
            Some(key) => serde_json::json!({ "RootCert": root, "PrivateKey": key }),
            None => serde_json::json!({ "RootCert": root }),
        };
        match host.configure(&json.to_string()).await {
            Err(RpcError::Invalid(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{part}: {other:?}"),
        }
        assert_eq!(host.roots().await, stands, "{part}");
        tokio::time::sleep(SECOND * 10).await;
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_cross_signing_the_old_root_signs_until_the_new_one_is_known() {
    let host = Setup::guarded().start().await.with_ca().await;
    take_root_for_leaves(&host).await;
    let old = host.roots().await.active_root_id;
    match host.configure(QUICK).await {
        Err(RpcError::Invalid(text)) => assert!(text.contains("ForceWithoutCrossSigning"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(host.roots().await.roots.len(), 2);
    let forced = || SetCaConfig { force_without_cross_signing: true, ..change(QUICK) };
    host.ask_as(ROOT, forced()).await.unwrap();
    let staged = host.roots().await;
    assert_eq!((staged.active_root_id.as_str(), staged.roots.len()), (old.as_str(), 3));
    let active = staged.active().unwrap();
    assert_eq!(active.id, old);
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert_eq!(leaf.authority_key_id, active.signing_key_id, "no leaf of a root not known");
    assert!(matches!(host.ask_as(ROOT, forced()).await, Err(RpcError::Busy(_))));
    tokio::time::sleep(SECOND * 590).await;
    assert_eq!(host.roots().await.active_root_id, old);
    tokio::time::sleep(SECOND * 80).await;
    let after = host.roots().await;
    assert_ne!(after.active_root_id, old);
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(host.verifies(&leaf, &staged) && host.verifies(&leaf, &after));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn f_28_a_root_of_our_own_is_replaced_before_it_ends() {
    let lives = r#"{"LeafCertTTL": "1h", "IntermediateCertTTL": "3h", "RootCertTTL": "10h"}"#;
    let ca = CaStart { settings: settings(lives), ..CaStart::default() };
    let host = Setup { ca, ..Setup::guarded() }.start().await.with_ca().await;
    let old = host.roots().await.active_root_id;
    tokio::time::sleep(HOUR * 7 - SECOND * 120).await;
    assert_eq!(host.roots().await.active_root_id, old);
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    tokio::time::sleep(SECOND * 300).await;
    let after = host.roots().await;
    assert_ne!(after.active_root_id, old);
    assert!(host.verifies(&leaf, &after));
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(host.verifies(&leaf, &after));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn f_28_a_root_of_the_operators_that_is_over_signs_nothing_and_says_so() {
    let host = Setup::guarded().start().await.with_ca().await;
    offer(&host, |forge| forge.life(host_start(), host_start().plus(HOUR * 80))).await.unwrap();
    let own = host.roots().await.active_root_id;
    tokio::time::sleep(HOUR * 81).await;
    match host.leaf(ROOT, "web").await {
        Err(RpcError::CaNotReady(text)) => assert!(text.contains("has expired"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(host.roots().await.active_root_id, own, "not ours to replace");
    // Undo the change, which is what an operator does first.
    host.configure("{}").await.unwrap();
    tokio::time::sleep(SECOND * 2).await;
    let after = host.roots().await;
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(after.active_root_id != own && host.verifies(&leaf, &after));
    host.stop().await;
}

fn host_start() -> Timestamp {
    Timestamp::from_secs(crate::world::NEW_YEAR)
}

#[tokio::test(start_paused = true)]
async fn n_145_rotations_without_end_keep_a_bounded_number_of_roots() {
    let host = Setup::guarded().start().await.with_ca().await;
    let json =
        |round: u32| format!(r#"{{"PrivateKeyBits": {}}}"#, if round.is_multiple_of(2) { 384 } else { 256 });
    for round in 0..40 {
        host.configure(&json(round)).await.unwrap();
        assert!(host.roots().await.roots.len() <= 33);
        tokio::time::sleep(SECOND).await;
    }
    // Now each root signs a leaf, so that none is unused when the last one has to make room.
    let mut round = 40;
    let refused = loop {
        host.leaf(ROOT, "web").await.unwrap();
        match host.configure(&json(round)).await {
            Ok(()) => round += 1,
            Err(refused) => break refused,
        }
        tokio::time::sleep(SECOND).await;
        assert!(round < 80, "never refused");
    };
    match refused {
        RpcError::Invalid(text) => assert!(text.contains("ForceWithoutOldestRoot"), "{text}"),
        other => panic!("{other:?}"),
    }
    let stands = host.roots().await;
    assert_eq!(stands.roots.len(), 33);
    let forced = SetCaConfig { force_without_oldest_root: true, ..change(&json(round)) };
    host.ask_as(ROOT, forced).await.unwrap();
    let after = host.roots().await;
    assert_eq!(after.roots.len(), 33);
    assert_ne!(after.active_root_id, stands.active_root_id);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_under_way_goes_on_after_a_restart() {
    let setup = Setup { storage: Storage::Disk, ..Setup::guarded() };
    let host = setup.start().await.with_ca().await;
    take_root_for_leaves(&host).await;
    let old = host.roots().await.active_root_id;
    let forced = SetCaConfig { force_without_cross_signing: true, ..change(QUICK) };
    host.ask_as(ROOT, forced).await.unwrap();
    let staged = host.roots().await;
    host.stop().await;
    let host = setup.start().await;
    assert_eq!(host.roots().await, staged);
    assert_eq!(staged.active_root_id, old);
    tokio::time::sleep(SECOND * 670).await;
    let after = host.roots().await;
    assert_ne!(after.active_root_id, old);
    assert_eq!(host.config().await.settings, settings(QUICK));
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(host.verifies(&leaf, &staged));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn signatures_go_on_while_roots_are_rotated() {
    let host = Setup::guarded().start().await.with_ca().await;
    let api = host.api.clone();
    let configs = tokio::spawn(async move {
        use concord_rpc::ServerApiExt;
        for round in 0..6 {
            let json = format!(r#"{{"PrivateKeyBits": {}}}"#, if round % 2 == 0 { 384 } else { 256 });
            api.call(crate::world::with(ROOT), change(&json)).await.unwrap();
            tokio::time::sleep(SECOND).await;
        }
    });
    let mut bundles = vec![host.roots().await];
    let mut leaves = Vec::new();
    while !configs.is_finished() {
        let leaf = host.leaf(ROOT, "web").await.unwrap();
        let seen = host.ask(ReadCaRoots {}).await.unwrap().value;
        assert!(host.verifies(&leaf, &seen));
        if bundles.last() != Some(&seen) {
            bundles.push(seen);
        }
        leaves.push(leaf);
        tokio::time::sleep(SECOND / 20).await;
    }
    configs.await.unwrap();
    assert!(leaves.len() > 50 && bundles.len() >= 6, "{} {}", leaves.len(), bundles.len());
    let last = host.roots().await;
    assert!(leaves.iter().all(|leaf| host.verifies(leaf, &last)));
    host.stop().await;
}
