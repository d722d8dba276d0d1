//! The roots that we trust in each trust domain, and the intermediates published with them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use concord_model::TrustDomain;
use concord_model::ca::CaRoots;
use rustls_pki_types::{CertificateDer, TrustAnchor};

use crate::x509::{Certificate, CertificateError, usage};

/// Returns the current trust bundle. Each handshake calls it.
pub trait Bundles: fmt::Debug + Send + Sync {
    /// The current bundle.
    fn current(&self) -> Arc<TrustBundle>;
}

impl Bundles for arc_swap::ArcSwap<TrustBundle> {
    fn current(&self) -> Arc<TrustBundle> {
        self.load_full()
    }
}

/// A bundle that never changes.
impl Bundles for TrustBundle {
    fn current(&self) -> Arc<TrustBundle> {
        Arc::new(self.clone())
    }
}

/// Why a certificate cannot become a trusted root.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It is not an authority's certificate, or it may not sign certificates.
    #[error("root {0} is not a CA's certificate")]
    NotAnAuthority(String),
    /// webpki cannot use it as a trust anchor.
    #[error("root {0} cannot be used as trust anchor")]
    Anchor(String),
}

/// The trusted roots of each trust domain.
#[derive(Clone, Debug, Default)]
pub struct TrustBundle {
    pools: BTreeMap<TrustDomain, Pool>,
}

/// The roots of one trust domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    trust_domain: Option<TrustDomain>,
    roots: Vec<Certificate>,
    /// One anchor for each root, in the same order.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    pub(super) intermediates: Vec<CertificateDer<'static>>,
}

impl TrustBundle {
    /// The bundle of a cluster's published roots, including inactive ones.
    pub fn from_roots(roots: &CaRoots) -> Result<Self, BundleError> {
        let mut own = Self::default();
        for root in &roots.roots {
            let certificate = Certificate::parse_pem(&root.root_cert)?;
            let mut intermediates = Vec::new();
            for text in &root.intermediate_certs {
                intermediates.extend(Certificate::parse_pem_chain(text)?);
            }
            own.add(&roots.trust_domain, certificate, &intermediates)?;
        }
        Ok(own)
    }

    /// Trusts a root for one trust domain. Paths may also use the intermediates.
    pub fn add(
        &mut self,
        trust_domain: &TrustDomain,
        root: Certificate,
        intermediates: &[Certificate],
    ) -> Result<(), BundleError> {
        let extensions = root.extensions();
        let ca = extensions.basic_constraints.is_some_and(|constraints| constraints.ca);
        if !ca || !extensions.key_usage.is_some_and(|usage| usage.any(usage::CERT_SIGN)) {
            return Err(BundleError::NotAnAuthority(root.id()));
        }
        let anchor = webpki::anchor_from_trusted_cert(root.der())
            .map_err(|_| BundleError::Anchor(root.id()))?
            .to_owned();
        let pool = self.pools.entry(trust_domain.clone()).or_default();
        pool.trust_domain = Some(trust_domain.clone());
        if !pool.roots.contains(&root) {
            pool.roots.push(root);
            pool.anchors.push(anchor);
        }
        for intermediate in intermediates {
            if !pool.intermediates.contains(intermediate.der()) {
                pool.intermediates.push(intermediate.der().clone());
            }
        }
        Ok(())
    }

    /// The trust domains that have roots here.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.pools.keys()
    }

    /// The roots of a trust domain.
    pub fn roots(&self, trust_domain: &TrustDomain) -> &[Certificate] {
        self.pools.get(trust_domain).map_or(&[], |pool| &pool.roots)
    }

    pub(super) fn pool(&self, trust_domain: &TrustDomain) -> Option<&Pool> {
        self.pools.get(trust_domain)
    }

    pub(super) fn others(&self, trust_domain: &TrustDomain) -> impl Iterator<Item = (&TrustDomain, &Pool)> {
        self.pools.iter().filter(move |(other, _)| *other != trust_domain)
    }
}

impl Pool {
    /// The root from which an anchor was made.
    pub(super) fn root_of(&self, anchor: &TrustAnchor<'_>) -> Option<&Certificate> {
        let at = self.anchors.iter().position(|own| own == anchor)?;
        self.roots.get(at)
    }

    /// Whether an authority with this URI may belong to the trust domain. Only SPIFFE ids matter.
    pub(super) fn vouches_for(&self, uri: &str) -> bool {
        let host = uri.strip_prefix("spiffe://");
        host.is_none() || host == self.trust_domain.as_ref().map(TrustDomain::as_str)
    }
}
