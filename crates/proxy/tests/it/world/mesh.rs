//! A mesh: an authority that signs real requests, its roots, a clock, an owner of tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use concord_ca::limits::CROSS_SIGNED_LIFE;
use concord_ca::provider::{CaChain, chain_pem};
use concord_ca::testing::{Held, World as TrustWorld};
use concord_ca::x509::build::{
    LeafTemplate, RootTemplate, Serial, Validity, build_leaf, build_root, common_name, cross_sign,
};
use concord_ca::{Certificate, Csr, TrustBundle};
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::{Datacenter, ServiceIdentity, ServiceName, ServiceRef, SpiffeId, Stamp, Timestamp};
use concord_runtime::{Clock as _, Scope, World};
use parking_lot::Mutex;

use super::TestClock;
use super::telemetry;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

pub(crate) fn service(name: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(name).unwrap())
}

pub(crate) fn dc(name: &str) -> Datacenter {
    Datacenter::parse(name).unwrap()
}

pub(crate) struct Mesh {
    /// The authority with everything that can be wrong about certificates.
    pub(crate) trust: TrustWorld,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) scope: Scope,
    pub(crate) leaf_life: Mutex<Duration>,
    roots: Mutex<Vec<Held>>,
    crossed: Mutex<Option<Certificate>>,
    serial: AtomicU64,
}

impl Mesh {
    pub(crate) fn new() -> Arc<Self> {
        telemetry();
        let clock = Arc::new(TestClock::at(NOW.nanos()));
        let trust = TrustWorld::at(NOW);
        Arc::new(Self {
            roots: Mutex::new(vec![trust.root.clone()]),
            crossed: Mutex::default(),
            scope: Scope::new("test", Arc::clone(&clock) as _),
            clock,
            trust,
            leaf_life: Mutex::new(Duration::from_secs(72 * 3600)),
            serial: AtomicU64::new(100),
        })
    }

    pub(crate) fn world(&self) -> World {
        World { clock: Arc::clone(&self.clock) as _, ..World::tokio() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.clock.wall_nanos())
    }

    pub(crate) fn identity(&self, name: &str) -> ServiceIdentity {
        self.trust.service(name).service().unwrap().clone()
    }

    /// The root that signs.
    pub(crate) fn active(&self) -> Held {
        self.roots.lock().last().unwrap().clone()
    }

    /// Makes another root, signed by the old one as well, and lets it sign; the old one stays trusted.
    pub(crate) fn rotate(&self) {
        let signer = self.trust.key();
        let domain = &self.trust.trust_domain;
        let template = RootTemplate {
            common_name: &common_name("pri", "next", domain),
            trust_domain: domain,
            validity: Validity::backdated(self.now(), Duration::from_secs(86_400 * 3650)),
            serial: self.serial(),
        };
        let certificate = build_root(template, &*signer).unwrap();
        let old = self.active();
        let life = Validity::backdated(self.now(), CROSS_SIGNED_LIFE);
        let crossed = cross_sign(&certificate, domain, old.authority(), life, self.serial()).unwrap();
        *self.crossed.lock() = Some(crossed);
        self.roots.lock().push(Held { certificate, signer });
    }

    /// Trusts only the root that signs.
    pub(crate) fn prune(&self) {
        let mut roots = self.roots.lock();
        let active = roots.pop().unwrap();
        *roots = vec![active];
    }

    pub(crate) fn roots(&self) -> CaRoots {
        let roots = self.roots.lock();
        let record = |held: &Held| {
            let chain = CaChain { root: held.certificate.clone(), intermediates: Vec::new() };
            chain.record("root", &self.trust.trust_domain).unwrap()
        };
        let mut records: Vec<_> = roots.iter().map(record).collect();
        let active = records.last_mut().unwrap();
        active.active = true;
        active.intermediate_certs = self.crossed.lock().iter().map(Certificate::pem).collect();
        let active_root_id = active.id.clone();
        CaRoots { active_root_id, trust_domain: self.trust.trust_domain.clone(), roots: records, index: 1 }
    }

    pub(crate) fn bundle(&self) -> TrustBundle {
        TrustBundle::from_roots(&self.roots()).unwrap()
    }

    /// Signs a request for a service, from the identity it is entitled to.
    pub(crate) fn sign(&self, csr: &str, of: &ServiceRef) -> LeafCertificate {
        let csr = Csr::parse(csr).unwrap();
        let identity = SpiffeId::Service(self.identity(of.name.as_str()));
        let active = self.active();
        let template = LeafTemplate {
            identity: &identity,
            dns_names: &[],
            addresses: &[],
            public_key: &csr.public_key,
            validity: Validity::backdated(self.now(), *self.leaf_life.lock()),
            serial: self.serial(),
        };
        let leaf = build_leaf(template, active.authority()).unwrap();
        LeafCertificate {
            serial: leaf.serial_text(),
            cert_pem: chain_pem(&leaf, self.roots().active().unwrap()),
            uri: identity.to_string(),
            valid_after: leaf.not_before(),
            valid_before: leaf.not_after(),
            authority_key_id: leaf.authority_key_id_text(),
            stamp: Stamp::default(),
        }
    }

    /// A number nobody else has.
    pub(crate) fn number(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    fn serial(&self) -> Serial {
        Serial::from_counter(self.number()).unwrap()
    }
}
