//! Checks the form of a leaf, which webpki does not do, and explains why there is no path.

use concord_model::{SpiffeId, Timestamp};
use rustls_pki_types::CertificateDer;

use super::refusal::Refusal;
use crate::oid;
use crate::x509::{AlternativeNames, Certificate, CertificateError, Extensions, GeneralName, usage};

/// The identity, life and numbers of a verified leaf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verified<I = SpiffeId> {
    /// The identity.
    pub id: I,
    /// First second of the leaf's life.
    pub not_before: Timestamp,
    /// Last second of the leaf's life.
    pub not_after: Timestamp,
    /// The leaf's serial number as colon-separated hexadecimal.
    pub serial: String,
    /// Key id of the leaf's issuer as colon-separated hexadecimal.
    pub authority_key_id: String,
}

/// Reads a leaf. Refuses certificates that are not a leaf of the mesh.
pub(super) fn read(leaf: &CertificateDer<'_>) -> Result<(Certificate, Verified), Refusal> {
    let certificate = Certificate::parse(leaf).map_err(|error| match error {
        CertificateError::Key(why) => Refusal::WeakKey(why),
        CertificateError::DuplicateExtension(oid) => Refusal::DuplicateExtension(oid),
        _ => Refusal::Malformed,
    })?;
    let extensions = certificate.extensions();
    if let Some(unknown) = &extensions.unknown_critical {
        return Err(Refusal::CriticalExtension(unknown.clone()));
    }
    check_constraints(extensions)?;
    check_usage(extensions)?;
    let names = extensions.alternative_names.as_ref().ok_or(Refusal::NoAlternativeNames)?;
    let id = identity(names)?;
    let verified = Verified {
        id,
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        serial: certificate.serial_text(),
        authority_key_id: certificate.authority_key_id_text(),
    };
    Ok((certificate, verified))
}

fn check_constraints(extensions: &Extensions) -> Result<(), Refusal> {
    let constraints = extensions.basic_constraints.ok_or(Refusal::NoBasicConstraints)?;
    let signs = extensions.key_usage.is_some_and(|usage| usage.any(usage::CERT_SIGN));
    match (constraints.ca, signs) {
        (true, true) => Err(Refusal::AuthorityAsLeaf),
        (true, false) => Err(Refusal::LeafIsAuthority),
        (false, _) if constraints.path_len.is_some() => Err(Refusal::PathLengthOnLeaf),
        (false, _) => Ok(()),
    }
}

fn check_usage(extensions: &Extensions) -> Result<(), Refusal> {
    let usage = extensions.key_usage.ok_or(Refusal::NoKeyUsage)?;
    if !usage.critical {
        return Err(Refusal::KeyUsageNotCritical);
    }
    if usage.any(usage::CERT_SIGN) {
        return Err(Refusal::LeafMaySignCertificates);
    }
    if usage.any(usage::CRL_SIGN) {
        return Err(Refusal::LeafMaySignCrls);
    }
    if !usage.any(usage::DIGITAL_SIGNATURE) {
        return Err(Refusal::NoDigitalSignature);
    }
    // A leaf of the mesh is for both roles; a certificate for one role was made for another purpose.
    let purposes = extensions.extended_key_usage.as_ref().ok_or(Refusal::NoExtendedKeyUsage)?;
    let has = |purpose: &[u8]| purposes.iter().any(|own| own == purpose);
    if !has(oid::CLIENT_AUTH) {
        return Err(Refusal::NotForClients);
    }
    if !has(oid::SERVER_AUTH) {
        return Err(Refusal::NotForServers);
    }
    Ok(())
}

fn identity(names: &AlternativeNames) -> Result<SpiffeId, Refusal> {
    let mut uris: Vec<&[u8]> = Vec::new();
    for name in &names.names {
        let bytes = match name {
            GeneralName::Other(kind) => return Err(Refusal::OtherName(*kind)),
            GeneralName::Email(_) => return Err(Refusal::EmailName),
            GeneralName::Ip(_) => continue,
            GeneralName::Dns(bytes) => bytes,
            GeneralName::Uri(bytes) => {
                uris.push(bytes);
                bytes
            }
        };
        if bytes.iter().any(u8::is_ascii_control) {
            return Err(Refusal::ControlCharacter);
        }
    }
    let uri = match uris.as_slice() {
        [] => return Err(Refusal::NoUri),
        [uri] => *uri,
        several => return Err(Refusal::SeveralUris(several.len())),
    };
    let text = std::str::from_utf8(uri).ok().filter(|text| text.is_ascii()).ok_or(Refusal::UriNotAscii)?;
    match SpiffeId::parse(text).map_err(Refusal::Identity)? {
        SpiffeId::Signing(_) => Err(Refusal::RootPathIdentity),
        id => Ok(id),
    }
}

/// Explains why no path leads to a trusted root, by following the issuers' names from the leaf.
pub(super) fn diagnose(leaf: &Certificate, presented: &[CertificateDer<'_>]) -> Refusal {
    if leaf.issuer() == leaf.subject() && leaf.is_signed_by(leaf.public_key()) {
        return Refusal::SelfSigned;
    }
    let others: Vec<Certificate> = presented.iter().filter_map(|der| Certificate::parse(der).ok()).collect();
    let mut path: Vec<&Certificate> = vec![leaf];
    while let Some(issuer) =
        path.last().and_then(|below| others.iter().find(|other| other.subject() == below.issuer()))
    {
        if issuer.issuer() == issuer.subject() {
            return Refusal::UntrustedRoot;
        }
        if path.iter().any(|seen| seen.subject() == issuer.subject()) {
            return Refusal::ChainLoop;
        }
        path.push(issuer);
    }
    Refusal::UnknownIssuer
}
