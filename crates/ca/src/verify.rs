//! Verifies the chain that a peer presents against the roots of its trust domain.
//!
//! The checks come in this order: limits; the form of the leaf, which webpki does not check (key usages, basic
//! constraints, names); its identity; its life; the path, which webpki builds; and the parts of the path that webpki
//! does not check (the root's life and path length, an intermediate's key usage). Each reason for a failure has its own
//! [`Refusal`] (N-85). Host names are not used: a SPIFFE id is compared as a whole, and common names and DNS names are
//! never an identity.

use std::cell::RefCell;

use concord_model::{ServiceIdentity, SpiffeId, Timestamp};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error as PathError, KeyUsage as PathUsage, VerifiedPath};

use crate::limits::CHAIN_CERTIFICATES_MAX;
use crate::x509::{Certificate, CertificateError, usage};

mod authority;
mod bundle;
mod leaf;
mod refusal;

#[cfg(test)]
mod tests;

pub use self::authority::{AuthorityFault, check_beside, check_intermediate, check_root};
pub use self::bundle::{BundleError, Bundles, TrustBundle};
pub use self::leaf::Verified;
pub use self::refusal::Refusal;

use self::bundle::Pool;

/// The TLS role of the peer that presented the chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Usage {
    /// The peer is a client, and we are the server.
    Client,
    /// The peer is a server, and we are the client.
    Server,
}

/// Verifies a chain, leaf first. A trust domain without a path is refused. For mesh traffic see [`verify_service`].
pub fn verify_chain(
    chain: &[CertificateDer<'_>],
    bundle: &TrustBundle,
    now: Timestamp,
    usage: Usage,
) -> Result<Verified, Refusal> {
    let [leaf, presented @ ..] = chain else {
        return Err(Refusal::NoCertificate);
    };
    if chain.len() > CHAIN_CERTIFICATES_MAX {
        return Err(Refusal::ChainTooLong(chain.len()));
    }
    let (certificate, verified) = leaf::read(leaf)?;
    if now < verified.not_before {
        return Err(Refusal::NotYetValid { not_before: verified.not_before });
    }
    if verified.not_after < now {
        return Err(Refusal::Expired { not_after: verified.not_after });
    }
    let trust_domain = verified.id.trust_domain();
    let pool = bundle.pool(trust_domain).ok_or_else(|| Refusal::UnknownTrustDomain(trust_domain.clone()))?;
    match find_path(leaf, presented, pool, now, usage) {
        Ok(()) => Ok(verified),
        Err(Refusal::UnknownIssuer) => {
            let elsewhere = bundle
                .others(trust_domain)
                .find(|(_, other)| find_path(leaf, presented, other, now, usage).is_ok());
            Err(match elsewhere {
                Some((issuer, _)) => Refusal::IssuedByOtherTrustDomain {
                    claimed: trust_domain.clone(),
                    issuer: issuer.clone(),
                },
                None => leaf::diagnose(&certificate, presented),
            })
        }
        Err(refusal) => Err(refusal),
    }
}

/// Verifies a chain and accepts only a service's identity: agents, servers and gateways may not use mesh ports.
pub fn verify_service(
    chain: &[CertificateDer<'_>],
    bundle: &TrustBundle,
    now: Timestamp,
    usage: Usage,
) -> Result<Verified<ServiceIdentity>, Refusal> {
    verify_chain(chain, bundle, now, usage)?.into_service()
}

/// Reads a leaf's identity without verifying its chain or life, after [`verify_chain`] has accepted it in a handshake.
pub fn read_verified_leaf(leaf: &CertificateDer<'_>) -> Result<Verified, Refusal> {
    leaf::read(leaf).map(|(_, verified)| verified)
}

impl Verified {
    /// The same if the identity is a service's. Refuses other identities.
    pub fn into_service(self) -> Result<Verified<ServiceIdentity>, Refusal> {
        let Self { id, not_before, not_after, serial, authority_key_id } = self;
        match id {
            SpiffeId::Service(id) => Ok(Verified { id, not_before, not_after, serial, authority_key_id }),
            other => Err(Refusal::NotAService(other.kind())),
        }
    }
}

/// The signature algorithms accepted on certificates.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA384,
    webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA512,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::aws_lc_rs::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

fn find_path(
    leaf: &CertificateDer<'_>,
    presented: &[CertificateDer<'_>],
    pool: &Pool,
    now: Timestamp,
    usage: Usage,
) -> Result<(), Refusal> {
    let end_entity = EndEntityCert::try_from(leaf).map_err(|_| Refusal::Malformed)?;
    let known =
        pool.intermediates.iter().filter(|own| !presented.iter().any(|der| der.as_ref() == own.as_ref()));
    let intermediates: Vec<CertificateDer<'_>> =
        presented.iter().chain(known).map(|der| CertificateDer::from(der.as_ref())).collect();
    let time = UnixTime::since_unix_epoch(now.since(Timestamp::EPOCH));
    let purpose = match usage {
        Usage::Client => PathUsage::client_auth(),
        Usage::Server => PathUsage::server_auth(),
    };
    // The reason why the last complete path was refused. webpki's own error type cannot carry it.
    let objection = RefCell::new(None);
    let judge = |path: &VerifiedPath<'_>| {
        judge_path(path, pool, now).map_err(|refusal| {
            *objection.borrow_mut() = Some(refusal);
            PathError::CertDistrusted
        })
    };
    end_entity
        .verify_for_usage(ALGORITHMS, &pool.anchors, &intermediates, time, purpose, None, Some(&judge))
        .map(|_| ())
        .map_err(|error| objection.take().unwrap_or_else(|| refusal_of(error)))
}

/// The checks on a path that webpki does not make.
fn judge_path(path: &VerifiedPath<'_>, pool: &Pool, now: Timestamp) -> Result<(), Refusal> {
    let root = pool.root_of(path.anchor()).ok_or(Refusal::UnknownIssuer)?;
    if now < root.not_before() {
        return Err(Refusal::RootNotYetValid);
    }
    if root.not_after() < now {
        return Err(Refusal::RootExpired);
    }
    let below = path.intermediate_certificates().count();
    let allowed = root.extensions().basic_constraints.and_then(|constraints| constraints.path_len);
    if allowed.is_some_and(|allowed| below > usize::from(allowed)) {
        return Err(Refusal::PathLengthExceeded);
    }
    for intermediate in path.intermediate_certificates() {
        let certificate = match Certificate::parse(&intermediate.der()) {
            Ok(certificate) => certificate,
            Err(CertificateError::Key(why)) => return Err(Refusal::IntermediateKey(why)),
            Err(_) => return Err(Refusal::IntermediateMalformed),
        };
        if !certificate.extensions().key_usage.is_some_and(|usage| usage.any(usage::CERT_SIGN)) {
            return Err(Refusal::IntermediateMayNotSign);
        }
        if let Some(uri) = certificate.uris().find(|uri| !pool.vouches_for(uri)) {
            return Err(Refusal::IntermediateOfOtherTrustDomain(uri.chars().take(128).collect()));
        }
    }
    Ok(())
}

/// Maps an error of webpki. The leaf was already checked, so the error concerns the rest of the path.
fn refusal_of(error: PathError) -> Refusal {
    match error {
        PathError::UnknownIssuer => Refusal::UnknownIssuer,
        PathError::CertExpired { .. } => Refusal::IntermediateExpired,
        PathError::CertNotValidYet { .. } => Refusal::IntermediateNotYetValid,
        PathError::EndEntityUsedAsCa => Refusal::IssuerIsNoAuthority,
        PathError::PathLenConstraintViolated => Refusal::PathLengthExceeded,
        PathError::InvalidSignatureForPublicKey => Refusal::BadSignature,
        PathError::RequiredEkuNotFoundContext(_) | PathError::EmptyEkuExtension => Refusal::IntermediateUsage,
        PathError::UnsupportedCriticalExtension => Refusal::IntermediateCriticalExtension,
        PathError::NameConstraintViolation | PathError::MalformedNameConstraint => Refusal::NameConstraints,
        PathError::MaximumPathDepthExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumSignatureChecksExceeded
        | PathError::MaximumNameConstraintComparisonsExceeded => Refusal::PathTooComplex,
        PathError::UnsupportedSignatureAlgorithmContext(_)
        | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Refusal::SignatureAlgorithm,
        _ => Refusal::IntermediateMalformed,
    }
}
