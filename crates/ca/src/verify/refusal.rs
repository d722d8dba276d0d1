//! The reasons for which a chain is refused, one variant each.

use concord_model::{ServiceIdentity, SpiffeError, Timestamp, TrustDomain};

use crate::key::KeyRefusal;

macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $variant:ident $(($($field:ty),+))? $({ $($(#[doc = $inner:literal])+ $name:ident: $type:ty),+ $(,)? })? = $label:literal, $text:literal;)+) => {
        /// Why a presented chain is refused: one variant for each reason (N-85).
        ///
        /// The list is long but complete: tests, metrics and the proxy's log use one name for each reason.
        #[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
        pub enum Refusal {
            $($(#[doc = $doc])+ #[error($text)] $variant $(($($field),+))? $({ $($(#[doc = $inner])+ $name: $type),+ })?,)+
        }

        impl Refusal {
            /// A short, constant name for metrics and logs.
            pub fn label(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $label,)+
                }
            }

            /// The names of all reasons.
            pub const LABELS: &'static [&'static str] = &[$($label),+];
        }
    };
}

refusals! {
    /// No certificate was presented.
    NoCertificate = "no_certificate", "no certificate was presented";
    /// More certificates than [`crate::limits::CHAIN_CERTIFICATES_MAX`].
    ChainTooLong(usize) = "chain_too_long", "chain has {0} certificates; at most 8 are read";
    /// The leaf is not a certificate.
    Malformed = "malformed", "leaf is not a DER-encoded X.509 v3 certificate";
    /// The leaf has an extension twice.
    DuplicateExtension(String) = "duplicate_extension", "leaf has extension {0} twice";
    /// The leaf's key is of a kind that is not accepted, or too weak.
    WeakKey(KeyRefusal) = "weak_key", "leaf: {0}";
    /// The leaf has an unknown critical extension.
    CriticalExtension(String) = "critical_extension", "leaf has unknown critical extension {0}";
    /// The leaf has no basic constraints.
    NoBasicConstraints = "no_basic_constraints", "leaf has no basicConstraints";
    /// The leaf is marked as an authority.
    LeafIsAuthority = "leaf_is_authority", "leaf is marked CA:TRUE";
    /// An authority's certificate was presented as the leaf.
    AuthorityAsLeaf = "authority_as_leaf", "a CA's certificate was presented as leaf";
    /// The leaf has a path length but is not an authority.
    PathLengthOnLeaf = "path_length_on_leaf", "leaf has a path length but is no CA";
    /// The leaf has no key usage.
    NoKeyUsage = "no_key_usage", "leaf has no keyUsage";
    /// The leaf's key usage is not critical.
    KeyUsageNotCritical = "key_usage_not_critical", "leaf's keyUsage is not critical";
    /// The leaf may sign certificates.
    LeafMaySignCertificates = "leaf_may_sign_certificates", "leaf's keyUsage has keyCertSign";
    /// The leaf may sign revocation lists.
    LeafMaySignCrls = "leaf_may_sign_crls", "leaf's keyUsage has cRLSign";
    /// The leaf may not sign a handshake.
    NoDigitalSignature = "no_digital_signature", "leaf's keyUsage lacks digitalSignature";
    /// The leaf has no extended key usage.
    NoExtendedKeyUsage = "no_extended_key_usage", "leaf has no extendedKeyUsage";
    /// The leaf is for servers only.
    NotForClients = "not_for_clients", "leaf's extendedKeyUsage lacks clientAuth";
    /// The leaf is for clients only.
    NotForServers = "not_for_servers", "leaf's extendedKeyUsage lacks serverAuth";
    /// The leaf has no alternative names; a common name is not an identity.
    NoAlternativeNames = "no_alternative_names", "leaf has no subjectAltName";
    /// The leaf has alternative names, but no URI; a DNS name is not an identity.
    NoUri = "no_uri", "leaf's subjectAltName has no URI";
    /// The leaf has more than one URI.
    SeveralUris(usize) = "several_uris", "leaf's subjectAltName has {0} URIs";
    /// The leaf has a name of a kind that the mesh does not use.
    OtherName(u8) = "other_name", "leaf's subjectAltName has a name of kind {0}, which the mesh does not use";
    /// The leaf has an e-mail address.
    EmailName = "email_name", "leaf's subjectAltName has an e-mail address";
    /// The leaf's URI is not ASCII, as its type requires.
    UriNotAscii = "uri_not_ascii", "leaf's URI holds bytes outside ASCII";
    /// A name of the leaf contains NUL or another control character.
    ControlCharacter = "control_character", "a name of the leaf holds a control character";
    /// The leaf's URI is not an identity of the mesh.
    Identity(SpiffeError) = "identity", "leaf: {0}";
    /// The leaf's URI is a trust domain without a path, which identifies an authority.
    RootPathIdentity = "root_path_identity", "leaf's SPIFFE id has no path";
    /// The identity is not that of a service.
    NotAService(&'static str) = "not_a_service", "SPIFFE id is of kind {0:?}, not a service";
    /// The server is a service, but not an expected one.
    WrongService {
        /// The expected services.
        expected: Box<[ServiceIdentity]>,
        /// The service that answered.
        presented: Box<ServiceIdentity>,
    } = "wrong_service", "the server is {presented}, which is not the service asked for";
    /// The leaf is not valid yet.
    NotYetValid {
        /// The beginning of its life.
        not_before: Timestamp,
    } = "not_yet_valid", "leaf is not valid yet";
    /// The leaf has expired.
    Expired {
        /// The end of its life.
        not_after: Timestamp,
    } = "expired", "leaf has expired";
    /// No roots are known for the leaf's trust domain.
    UnknownTrustDomain(TrustDomain) = "unknown_trust_domain", "trust domain {0} is not trusted here";
    /// The leaf names one trust domain, but the roots of another one issued it.
    IssuedByOtherTrustDomain {
        /// The trust domain that the leaf names.
        claimed: TrustDomain,
        /// The trust domain whose roots issued it.
        issuer: TrustDomain,
    } = "issued_by_other_trust_domain", "leaf names trust domain {claimed} but was issued by {issuer}";
    /// No path leads to a trusted root.
    UnknownIssuer = "unknown_issuer", "no path leads from the leaf to a trusted root";
    /// The chain ends in a root that is not trusted.
    UntrustedRoot = "untrusted_root", "the chain ends in a root that is not trusted";
    /// The leaf is signed with its own key.
    SelfSigned = "self_signed", "leaf is self-signed";
    /// The chain's certificates sign each other in a loop.
    ChainLoop = "chain_loop", "the chain's certificates form a loop";
    /// Building a path would take too many steps.
    PathTooComplex = "path_too_complex", "the chain allows too many paths";
    /// The path has more authorities than one of them allows.
    PathLengthExceeded = "path_length_exceeded", "the chain is longer than a CA on it allows";
    /// A signature on the path is wrong.
    BadSignature = "bad_signature", "a certificate's signature is not its issuer's";
    /// A signature on the path uses an algorithm that is not accepted.
    SignatureAlgorithm = "signature_algorithm", "a certificate is signed with an algorithm that is not accepted";
    /// An authority's name constraints exclude the leaf, or cannot be checked.
    NameConstraints = "name_constraints", "a CA's name constraints exclude the leaf or cannot be checked";
    /// The issuer of a certificate on the path is not an authority.
    IssuerIsNoAuthority = "issuer_is_no_authority", "the issuer's certificate is not a CA's";
    /// An intermediate's key usage lacks `keyCertSign`.
    IntermediateMayNotSign = "intermediate_may_not_sign", "an intermediate's keyUsage lacks keyCertSign";
    /// An intermediate's extended key usage excludes this role.
    IntermediateUsage = "intermediate_usage", "an intermediate's extendedKeyUsage excludes this use";
    /// An intermediate has expired.
    IntermediateExpired = "intermediate_expired", "an intermediate has expired";
    /// An intermediate is not valid yet.
    IntermediateNotYetValid = "intermediate_not_yet_valid", "an intermediate is not valid yet";
    /// An intermediate has an unknown critical extension.
    IntermediateCriticalExtension = "intermediate_critical_extension", "an intermediate has an unknown critical extension";
    /// An intermediate's key is of a kind that is not accepted, or too weak.
    IntermediateKey(KeyRefusal) = "intermediate_key", "intermediate: {0}";
    /// An intermediate belongs to another trust domain.
    IntermediateOfOtherTrustDomain(String) = "intermediate_of_other_trust_domain", "an intermediate is {0}'s";
    /// An intermediate cannot be read.
    IntermediateMalformed = "intermediate_malformed", "an intermediate is not a valid certificate";
    /// The root has expired.
    RootExpired = "root_expired", "the root has expired";
    /// The root is not valid yet.
    RootNotYetValid = "root_not_yet_valid", "the root is not valid yet";
}

impl Refusal {
    /// The reason in an error of the TLS library, if the error is one of ours.
    pub fn in_tls_error(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) => {
                other.0.downcast_ref()
            }
            _ => None,
        }
    }

    /// Converts to an error of the TLS library. The peer learns only that its certificate was not accepted.
    pub fn into_tls_error(self) -> rustls::Error {
        rustls::CertificateError::Other(rustls::OtherError(std::sync::Arc::new(self))).into()
    }
}
