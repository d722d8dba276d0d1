//! Providers: who holds the CA's key and signs with it.
//!
//! The interface is Consul's. The built-in provider implements it here, pure: what
//! it must remember is given out as a record with the key sealed. Providers that talk to other
//! systems are hosted by the server behind the same trait.

use std::collections::BTreeMap;
use std::fmt;

use concord_model::Timestamp;
use concord_model::ca::{CaRoot, KeyKind};
use concord_model::{SpiffeId, TrustDomain};

use crate::csr::CsrRefusal;
use crate::key::{KeyError, PublicKey};
use crate::seal::SealError;
use crate::verify::{AuthorityFault, Refusal};
use crate::x509::build::{BuildError, Serial};
use crate::x509::{Certificate, CertificateError};

pub mod builtin;
pub mod settings;
mod trial;

pub use self::builtin::BuiltinProvider;
pub use self::settings::{CaSettings, ParsedSettings, SettingFault};

#[cfg(test)]
mod tests;

/// The built-in provider's name in configurations.
pub const BUILTIN: &str = "consul";

/// Why a provider did not do what it was asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// The provider has no root or intermediate yet.
    #[error("the CA provider has not been initialised")]
    NotInitialised,
    /// The provider is of a kind that is not built in.
    #[error("not available yet: CA provider {0:?}")]
    Unavailable(String),
    /// It cannot sign another root.
    #[error("the CA provider cannot cross-sign")]
    NoCrossSigning,
    /// What the user supplied as root cannot be one here.
    #[error("RootCert: {0}")]
    RootCert(#[from] RootCertFault),
    /// What was supplied as intermediate does not fit.
    #[error("the intermediate is not for this provider's key")]
    ForeignIntermediate,
    /// The signing certificate has expired.
    #[error("the CA's signing certificate has expired; rotate the root or renew the intermediate")]
    Expired,
    /// An intermediate that not all verifiers accept.
    #[error("intermediate: {0}")]
    Intermediate(AuthorityFault),
    /// A leaf that it signs is not accepted below its root alone.
    #[error(
        "a leaf that this CA signs would be refused ({0}), so nothing was changed; supply another root or key"
    )]
    Trial(Refusal),
    /// The request is not accepted.
    #[error(transparent)]
    Csr(#[from] CsrRefusal),
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A certificate was not built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The sealed key cannot be opened, or the key not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The provider's system did not answer, or refused for now.
    #[error("the CA provider is not reachable or busy: {0}")]
    Unreachable(Unreachable),
}

/// In which way a provider's system failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreachable {
    /// No connection, or no answer in time.
    #[error("no answer")]
    NoAnswer,
    /// It asked us to slow down.
    #[error("rate limited")]
    RateLimited,
    /// It does not know us, or does not let us.
    #[error("not permitted")]
    NotPermitted,
}

/// Why a root supplied by the user is not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RootCertFault {
    /// A certificate without its key.
    #[error("PrivateKey is required with RootCert")]
    NoPrivateKey,
    /// The key is not the certificate's.
    #[error("PrivateKey does not belong to it")]
    WrongKey,
    /// Not an authority that all verifiers accept.
    #[error(transparent)]
    Authority(#[from] AuthorityFault),
    /// It does not name the cluster's trust domain, and that alone.
    #[error("it must have exactly one name in its subjectAltName, the URI spiffe://{0}")]
    TrustDomain(TrustDomain),
    /// It is not valid now.
    #[error("it is not valid now")]
    NotValidNow,
    /// It ends before the leaves it would sign.
    #[error("it ends before a leaf that it signs now (LeafCertTTL is {leaf}); supply one that lives longer")]
    EndsTooSoon {
        /// How long a leaf lives.
        leaf: String,
    },
    /// Its key is of a kind that cannot be used for a CA here.
    #[error("its key must be ec 256, ec 384 or rsa 2048")]
    KeyKind,
}

/// When a certificate is issued, and under which serial number.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The leader's clock.
    pub now: Timestamp,
    /// Next of the cluster's counter.
    pub serial: Serial,
}

/// A leaf to be signed: what the server has authorised.
#[derive(Clone, Debug)]
pub struct LeafRequest<'a> {
    /// Who it is for.
    pub identity: &'a SpiffeId,
    /// DNS names that follow from the identity's kind.
    pub dns_names: &'a [String],
    /// Addresses that follow from the identity's kind.
    pub addresses: &'a [std::net::IpAddr],
    /// The key, taken from a request that proved its possession.
    pub public_key: &'a PublicKey,
}

/// The certificates of a CA, as published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaChain {
    /// The root.
    pub root: Certificate,
    /// What stands between the root and leaves, the one that signs leaves last.
    pub intermediates: Vec<Certificate>,
}

impl CaChain {
    /// The certificate that signs leaves.
    pub fn signing(&self) -> &Certificate {
        self.intermediates.last().unwrap_or(&self.root)
    }

    /// The record of a root, not active yet.
    pub fn record(&self, name: &str, trust_domain: &TrustDomain, key_kind: KeyKind) -> CaRoot {
        let domain = trust_domain.as_str();
        CaRoot {
            id: self.root.id(),
            name: name.to_owned(),
            serial: self.root.serial_u64(),
            signing_key_id: self.signing().key_id_text(),
            external_trust_domain: domain.strip_suffix(".consul").unwrap_or(domain).to_owned(),
            not_before: self.root.not_before(),
            not_after: self.root.not_after(),
            root_cert: self.root.pem(),
            intermediate_certs: self.intermediates.iter().map(Certificate::pem).collect(),
            active: false,
            rotated_out_at: None,
            key_kind,
            stamp: concord_model::Stamp::default(),
        }
    }
}

/// Holds a CA's key and signs with it.
pub trait Provider: fmt::Debug + Send {
    /// Its name in configurations.
    fn name(&self) -> &'static str;

    /// What it keeps in the configuration record; never secrets.
    fn state(&self) -> BTreeMap<String, String>;

    /// In a primary: its root, made on the first call, the same ever after.
    fn generate_ca_chain(&mut self, issue: Issue) -> Result<CaChain, ProviderError>;

    /// In a secondary: a request for an intermediate, to be signed by the primary.
    fn generate_intermediate_csr(&mut self) -> Result<String, ProviderError>;

    /// In a secondary: takes the intermediate over and signs leaves with it from now on.
    fn set_intermediate(&mut self, intermediate: Certificate, root: Certificate)
    -> Result<(), ProviderError>;

    /// The certificate that signs leaves.
    fn active_leaf_signing_cert(&self) -> Result<Certificate, ProviderError>;

    /// Signs a leaf.
    fn sign(&mut self, request: &LeafRequest<'_>, issue: Issue) -> Result<Certificate, ProviderError>;

    /// In a primary: signs a secondary's request for an intermediate.
    fn sign_intermediate(&mut self, csr: &str, issue: Issue) -> Result<Certificate, ProviderError>;

    /// Signs another root, so that those who trust only this one follow.
    fn cross_sign_ca(&mut self, new_root: &Certificate, issue: Issue) -> Result<Certificate, ProviderError>;

    /// Whether it can do that.
    fn supports_cross_signing(&self) -> bool;

    /// Lets go of what it holds elsewhere, after another configuration has replaced it.
    fn cleanup(&mut self) -> Result<(), ProviderError>;
}

/// The PEM of a leaf as it is handed out: the leaf, then the root's intermediates, never the root.
pub fn chain_pem(leaf: &Certificate, active: &CaRoot) -> String {
    let mut out = leaf.pem();
    for text in &active.intermediate_certs {
        out.push_str(text);
        if !text.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}
