//! Why a call of a provider failed.

use concord_model::TrustDomain;

use crate::csr::CsrRefusal;
use crate::key::KeyError;
use crate::seal::SealError;
use crate::verify::{AuthorityFault, Refusal};
use crate::x509::CertificateError;
use crate::x509::build::BuildError;

/// Why a call of a provider failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// The provider has no root or no intermediate yet.
    #[error("the CA provider has not been initialised")]
    NotInitialised,
    /// The provider cannot cross-sign another root.
    #[error("the CA provider cannot cross-sign")]
    NoCrossSigning,
    /// A setting of this kind alone is not usable.
    #[error("{key}: {why}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The reason and the remedy.
        why: String,
    },
    /// A root that cannot be used here.
    #[error("RootCert: {0}")]
    RootCert(#[from] RootCertFault),
    /// The supplied intermediate does not match the provider's key, or its root did not sign it.
    #[error("the intermediate is not for this provider's key")]
    ForeignIntermediate,
    /// The signing certificate has expired.
    #[error("the CA's signing certificate has expired; rotate the root or renew the intermediate")]
    Expired,
    /// An intermediate that some verifiers would refuse.
    #[error("intermediate: {0}")]
    Intermediate(AuthorityFault),
    /// A trial leaf was refused by a verifier that trusts only the root.
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
    /// A certificate could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A private key could not be made, loaded or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What the provider keeps could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The provider's external system did not answer, or refused.
    #[error("the CA provider is not reachable or busy: {0}")]
    Unreachable(Unreachable),
}

impl ProviderError {
    /// Whether the same call may succeed when it is repeated later.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(Unreachable::NoAnswer | Unreachable::RateLimited))
    }
}

/// How a provider's external system failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unreachable {
    /// No connection, or no answer in time.
    #[error("no answer")]
    NoAnswer,
    /// The system asked us to send fewer requests.
    #[error("rate limited")]
    RateLimited,
    /// The system does not know us, or does not permit the request.
    #[error("not permitted")]
    NotPermitted,
}

/// Why a root is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RootCertFault {
    /// Some verifiers would not accept it as an authority.
    #[error(transparent)]
    Authority(#[from] AuthorityFault),
    /// Its subjectAltName is not exactly the URI of the cluster's trust domain.
    #[error("it must have exactly one name in its subjectAltName, the URI spiffe://{0}")]
    TrustDomain(TrustDomain),
    /// It is not valid now.
    #[error("it is not valid now")]
    NotValidNow,
    /// It ends before a leaf that it would sign now.
    #[error("it ends before a leaf that it signs now (LeafCertTTL is {leaf}); supply one that lives longer")]
    EndsTooSoon {
        /// The life of a leaf.
        leaf: String,
    },
    /// Its key is of a kind that a CA cannot have here.
    #[error("its key must be ec 256, ec 384 or rsa 2048")]
    KeyKind,
}
