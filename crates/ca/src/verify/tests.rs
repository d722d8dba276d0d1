//! Chains that Consul and concord issue are accepted; each chain of the table is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use concord_model::TrustDomain;
use concord_model::ca::KeyKind;
use rustls_pki_types::CertificateDer;

use super::*;
use crate::key::{KeyMaker, OsKeys, Signer};
use crate::testing::{Held, World, matrix};
use crate::x509::build::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn world() -> World {
    World::at(NOW)
}

#[track_caller]
fn accepted(bundle: &TrustBundle, chain: &[CertificateDer<'_>]) {
    for usage in [Usage::Client, Usage::Server] {
        verify_chain(chain, bundle, NOW, usage).expect("a good chain");
    }
}

#[test]
fn n_85_every_row_of_the_matrix_is_refused_with_its_reason() {
    let world = world();
    let cases = matrix(&world);
    assert!(cases.len() >= 60, "{}", cases.len());
    let mut names = BTreeSet::new();
    for case in &cases {
        assert!(names.insert(&case.name), "{} stands twice", case.name);
        for usage in [Usage::Client, Usage::Server] {
            let outcome = verify_service(&case.chain, &world.bundle, NOW, usage);
            assert_eq!(outcome.as_ref().err(), Some(&case.expected), "{} ({usage:?})", case.name);
        }
    }
}

#[test]
fn n_85_every_reason_is_given_by_some_row() {
    let world = world();
    let seen: BTreeSet<&str> = matrix(&world).iter().map(|case| case.expected.label()).collect();
    // Other tests cover these reasons. The table cannot contain an empty chain or an unexpected server. The last three
    // need an authority with faults that aws-lc cannot produce.
    let elsewhere =
        ["no_certificate", "wrong_service", "path_too_complex", "intermediate_key", "intermediate_malformed"];
    let missing: Vec<&&str> = Refusal::LABELS
        .iter()
        .filter(|label| !seen.contains(**label) && !elsewhere.contains(label))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(Refusal::LABELS.iter().collect::<BTreeSet<_>>().len(), Refusal::LABELS.len());
}

#[test]
fn n_85_an_empty_chain_is_refused() {
    let world = world();
    assert_eq!(verify_chain(&[], &world.bundle, NOW, Usage::Client), Err(Refusal::NoCertificate));
}

#[test]
fn what_the_mesh_issues_is_accepted() {
    let world = world();
    let web = world.service("web");
    let direct = world.leaf(&web, &world.root);
    accepted(&world.bundle, &[direct.der().clone()]);
    let verified = verify_service(&[direct.der().clone()], &world.bundle, NOW, Usage::Client).unwrap();
    assert_eq!(SpiffeId::Service(verified.id), web);
    assert_eq!((verified.not_after, verified.serial), (direct.not_after(), direct.serial_text()));
    let below = world.leaf(&web, &world.intermediate);
    let intermediate = world.intermediate.certificate.der().clone();
    accepted(&world.bundle, &[below.der().clone(), intermediate.clone()]);
    // Chains that also contain the root, or the same intermediate twice.
    let root = world.root.certificate.der().clone();
    accepted(&world.bundle, &[below.der().clone(), intermediate.clone(), root]);
    accepted(&world.bundle, &[below.der().clone(), intermediate.clone(), intermediate]);
}

#[test]
fn intermediates_may_come_from_the_published_roots() {
    let world = world();
    let leaf = world.leaf(&world.service("web"), &world.intermediate);
    let mut bundle = TrustBundle::default();
    bundle
        .add(
            &world.trust_domain,
            world.root.certificate.clone(),
            std::slice::from_ref(&world.intermediate.certificate),
        )
        .unwrap();
    accepted(&bundle, &[leaf.der().clone()]);
}

#[test]
fn other_identities_are_accepted_where_services_are_not_asked_for() {
    let world = world();
    for path in ["/agent/client/dc/dc1/id/n", "/agent/server/dc/dc1", "/gateway/mesh/dc/dc1"] {
        let id = SpiffeId::parse(&format!("spiffe://{}{path}", world.trust_domain)).unwrap();
        accepted(&world.bundle, &[world.leaf(&id, &world.root).der().clone()]);
    }
}

#[test]
fn names_derived_by_the_ca_beside_the_identity_are_accepted() {
    let world = world();
    let id = world.service("gateway");
    let template = LeafTemplate {
        identity: &id,
        dns_names: &["*.ingress.consul".to_owned(), "localhost".to_owned()],
        addresses: &["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
        public_key: world.leaf_key.public_key(),
        validity: Validity::backdated(NOW, DAY),
        serial: Serial::from_counter(1).unwrap(),
    };
    let leaf = build_leaf(template, world.root.authority()).unwrap();
    accepted(&world.bundle, &[leaf.der().clone()]);
}

#[test]
fn every_kind_of_key_is_accepted_at_every_place() {
    let trust_domain = world().trust_domain;
    for (ca_kind, leaf_kind) in [
        (KeyKind::EcP256, KeyKind::Rsa2048),
        (KeyKind::EcP384, KeyKind::EcP256),
        (KeyKind::Rsa2048, KeyKind::EcP384),
    ] {
        let root = root_of(OsKeys.make(ca_kind).unwrap(), &trust_domain, "kind");
        let holder = OsKeys.make(leaf_kind).unwrap();
        let leaf = leaf_of(&root, holder.public_key());
        let mut bundle = TrustBundle::default();
        bundle.add(&trust_domain, root.certificate.clone(), &[]).unwrap();
        accepted(&bundle, &[leaf.der().clone()]);
    }
}

#[test]
fn a_cross_signed_root_leads_from_the_old_bundle_to_new_leaves() {
    let world = world();
    let new = root_of(world.key(), &world.trust_domain, "new");
    let validity = Validity::backdated(NOW, DAY * 7);
    let serial = Serial::from_counter(3).unwrap();
    let crossed =
        cross_sign(&new.certificate, &world.trust_domain, world.root.authority(), validity, serial).unwrap();
    let leaf = leaf_of(&new, world.leaf_key.public_key());
    let chain = [leaf.der().clone(), crossed.der().clone()];
    accepted(&world.bundle, &chain);
    let mut only_new = TrustBundle::default();
    only_new.add(&world.trust_domain, new.certificate, &[]).unwrap();
    accepted(&only_new, &chain);
    // Without the cross-signed certificate, peers that know only the old root refuse the leaf.
    assert_eq!(verify_chain(&chain[..1], &world.bundle, NOW, Usage::Server), Err(Refusal::UnknownIssuer));
    // Without the old root, its leaves are refused.
    let old = world.leaf(&world.service("web"), &world.root);
    assert_eq!(
        verify_chain(&[old.der().clone()], &only_new, NOW, Usage::Server),
        Err(Refusal::UnknownIssuer)
    );
}

#[test]
fn only_authorities_become_roots() {
    let world = world();
    let leaf = world.leaf(&world.service("web"), &world.root);
    let id = leaf.id();
    let added = TrustBundle::default().add(&world.trust_domain, leaf, &[]);
    assert_eq!(added, Err(BundleError::NotAnAuthority(id)));
}

fn root_of(signer: Arc<dyn Signer>, trust_domain: &TrustDomain, id: &str) -> Held {
    let template = RootTemplate {
        common_name: &common_name("pri", id, trust_domain),
        trust_domain,
        validity: Validity::from_now(NOW, DAY * 3650),
        serial: Serial::from_counter(1).unwrap(),
    };
    let certificate = build_root(template, &*signer).unwrap();
    Held { certificate, signer }
}

fn leaf_of(issuer: &Held, holder: &crate::key::PublicKey) -> Certificate {
    let id =
        SpiffeId::parse("spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/api")
            .unwrap();
    let template = LeafTemplate {
        identity: &id,
        dns_names: &[],
        addresses: &[],
        public_key: holder,
        validity: Validity::backdated(NOW, DAY * 3),
        serial: Serial::from_counter(5).unwrap(),
    };
    build_leaf(template, issuer.authority()).unwrap()
}

#[test]
fn n_85_no_byte_of_a_leaf_can_be_changed() {
    let world = world();
    let good = world.leaf(&world.service("web"), &world.root);
    for at in 0..good.der().len() {
        let mut bent = good.der().as_ref().to_vec();
        bent[at] ^= 0x10;
        let chain = [CertificateDer::from(bent)];
        assert!(verify_chain(&chain, &world.bundle, NOW, Usage::Server).is_err(), "byte {at}");
    }
}
