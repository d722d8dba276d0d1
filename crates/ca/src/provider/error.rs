//! Why a provider did not do what it was asked for.

use concord_model::TrustDomain;

use crate::csr::CsrRefusal;
use crate::key::KeyError;
use crate::seal::SealError;
use crate::verify::{AuthorityFault, Refusal};
use crate::x509::CertificateError;
use crate::x509::build::BuildError;

/// Why a provider did not do what it was asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// The provider has no root or intermediate yet.
    #[error("the CA provider has not been initialised")]
    NotInitialised,
    /// It cannot sign another root.
    #[error("the CA provider cannot cross-sign")]
    NoCrossSigning,
    /// A setting that only its kind has cannot be used.
    #[error("{key}: {why}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Why, with the remedy.
        why: String,
    },
    /// A root that cannot be one here.
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
    /// What it keeps cannot be opened, or not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The provider's system did not answer, or refused for now.
    #[error("the CA provider is not reachable or busy: {0}")]
    Unreachable(Unreachable),
}

impl ProviderError {
    /// Whether the same call may succeed a moment later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(Unreachable::NoAnswer | Unreachable::RateLimited))
    }
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

/// Why a root is not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RootCertFault {
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
