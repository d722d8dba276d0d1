//! A small world of roots: a cluster with a root and an intermediate, a peered cluster, and some bad roots.

use std::sync::Arc;
use std::time::Duration;

use concord_model::ca::KeyKind;
use concord_model::{SpiffeId, Timestamp, TrustDomain};

use super::{Forge, SeededKeys};
use crate::key::{KeyMaker, Signer};
use crate::verify::TrustBundle;
use crate::x509::Certificate;
use crate::x509::build::{
    Authority, IntermediateTemplate, LeafTemplate, RootTemplate, Serial, Validity, build_intermediate,
    build_leaf, build_root, common_name,
};

/// The cluster's trust domain.
pub(crate) const OURS: &str = "11111111-2222-3333-4444-555555555555.consul";
/// The peered cluster's trust domain.
pub(crate) const PEER: &str = "99999999-8888-7777-6666-555555555555.consul";
/// A trust domain whose root has expired.
pub(crate) const PAST: &str = "00000000-0000-0000-0000-000000000001.consul";
/// A trust domain whose root is not valid yet.
pub(crate) const FUTURE: &str = "00000000-0000-0000-0000-000000000002.consul";
/// A trust domain whose root allows no intermediates.
pub(crate) const SHORT: &str = "00000000-0000-0000-0000-000000000003.consul";

/// An authority and its key.
#[derive(Clone, Debug)]
pub struct Held {
    /// The certificate.
    pub certificate: Certificate,
    /// Its private key.
    pub signer: Arc<dyn Signer>,
}

impl Held {
    /// The authority for signing certificates.
    pub fn authority(&self) -> Authority<'_> {
        Authority::try_new(&self.certificate, &*self.signer).expect("a pair")
    }
}

/// The roots and keys for the table of cases.
#[derive(Debug)]
pub struct World {
    /// Makes the keys of this world.
    pub keys: SeededKeys,
    /// The current time.
    pub now: Timestamp,
    /// The cluster's trust domain.
    pub trust_domain: TrustDomain,
    /// The peered cluster's trust domain.
    pub peer_domain: TrustDomain,
    /// The cluster's root.
    pub root: Held,
    /// An intermediate below the cluster's root.
    pub intermediate: Held,
    /// The peered cluster's root.
    pub peer_root: Held,
    /// A root that has expired.
    pub past_root: Held,
    /// A root that is not valid yet.
    pub future_root: Held,
    /// A root that allows no intermediates.
    pub short_root: Held,
    /// A root that the cluster does not trust.
    pub stranger: Held,
    /// The roots that the cluster trusts: all of them except `stranger`.
    pub bundle: Arc<TrustBundle>,
    /// The key of the leaves.
    pub leaf_key: Arc<dyn Signer>,
}

fn domain(text: &str) -> TrustDomain {
    TrustDomain::parse(text).expect("a trust domain")
}

impl World {
    /// The world at this time. It is the same for each call.
    pub fn at(now: Timestamp) -> Self {
        let keys = SeededKeys::new(1);
        let (trust_domain, peer_domain) = (domain(OURS), domain(PEER));
        let root = root(&keys, now, &trust_domain, "ours");
        let peer_root = self::root(&keys, now, &peer_domain, "peer");
        let stranger = self::root(&keys, now, &trust_domain, "stranger");
        let day = Duration::from_secs(86_400);
        let bent = |name: &str, bend: &dyn Fn(Forge) -> Forge| {
            let signer = key(&keys);
            let forge = Forge::authority(name, &*signer, &super::forge::named(name), now);
            let certificate = Certificate::parse(&bend(forge).sign(&*signer)).expect("a root");
            Held { certificate, signer }
        };
        let past_root = bent("past", &|forge| forge.life(now.minus(day * 2), now.minus(day)));
        let future_root = bent("future", &|forge| forge.life(now.plus(day), now.plus(day * 2)));
        let short_root = bent("short", &|forge| {
            forge.constraints(&[crate::der::value(crate::der::BOOLEAN, &[0xff]), crate::der::unsigned(&[0])])
        });
        let signer = key(&keys);
        let template = IntermediateTemplate {
            common_name: &common_name("sec", "int", &trust_domain),
            trust_domain: &trust_domain,
            public_key: signer.public_key(),
            validity: Validity::backdated(now.minus(day), day * 365),
            serial: Serial::from_counter(2).expect("positive"),
        };
        let certificate = build_intermediate(template, root.authority()).expect("an intermediate");
        let intermediate = Held { certificate, signer };
        let mut bundle = TrustBundle::default();
        for (of, held) in [
            (OURS, &root),
            (PEER, &peer_root),
            (PAST, &past_root),
            (FUTURE, &future_root),
            (SHORT, &short_root),
        ] {
            bundle.add(&domain(of), held.certificate.clone(), &[]).expect("a root");
        }
        let leaf_key = key(&keys);
        Self {
            keys,
            now,
            trust_domain,
            peer_domain,
            root,
            intermediate,
            peer_root,
            past_root,
            future_root,
            short_root,
            stranger,
            bundle: Arc::new(bundle),
            leaf_key,
        }
    }

    /// The identity of a service of the cluster.
    pub fn service(&self, name: &str) -> SpiffeId {
        SpiffeId::parse(&format!("spiffe://{}/ns/default/dc/dc1/svc/{name}", self.trust_domain))
            .expect("an identity")
    }

    /// A good leaf with the world's leaf key, signed by `issuer`.
    pub fn leaf(&self, identity: &SpiffeId, issuer: &Held) -> Certificate {
        let template = LeafTemplate {
            identity,
            dns_names: &[],
            addresses: &[],
            public_key: self.leaf_key.public_key(),
            validity: Validity::backdated(self.now, Duration::from_secs(72 * 3600)),
            serial: Serial::from_counter(7).expect("positive"),
        };
        build_leaf(template, issuer.authority()).expect("a leaf")
    }

    /// A new key.
    pub fn key(&self) -> Arc<dyn Signer> {
        key(&self.keys)
    }
}

fn key(keys: &SeededKeys) -> Arc<dyn Signer> {
    keys.make(KeyKind::EcP256).expect("a key")
}

/// A root of a cluster, one day old.
fn root(keys: &SeededKeys, now: Timestamp, trust_domain: &TrustDomain, id: &str) -> Held {
    let signer = key(keys);
    let day = Duration::from_secs(86_400);
    let template = RootTemplate {
        common_name: &common_name("pri", id, trust_domain),
        trust_domain,
        validity: Validity::from_now(now.minus(day), day * 3650),
        serial: Serial::from_counter(1).expect("positive"),
    };
    let certificate = build_root(template, &*signer).expect("a root");
    Held { certificate, signer }
}
