//! Whether a certificate can be an authority of the mesh by its form; asked before it becomes one.
//!
//! Leaves below it are judged by our verifier and by others' (Envoy, Go, OpenSSL), and an authority that one of them
//! refuses takes the mesh down once the one before it is gone. So only what all of them accept passes: RFC 5280 where
//! it is strictest, and no extension that limits what may stand below, because verifiers read such limits in different
//! ways. `crates/e2e/tests/it/authorities.rs` holds these rules against the others.

use crate::der::{self, DerError, Reader};
use crate::key::signature_algorithm;
use crate::limits::KEY_ID_BYTES_MAX;
use crate::oid;
use crate::x509::{Certificate, RawExtension, usage};
use concord_model::ca::KeyKind;

#[cfg(test)]
mod tests;

/// Why a certificate cannot be an authority of the mesh.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthorityFault {
    /// No basic constraints, or they say that it is no authority.
    #[error("it is not a CA's certificate: basicConstraints must say CA:TRUE")]
    NotAnAuthority,
    /// Basic constraints that are not critical.
    #[error("its basicConstraints must be critical")]
    ConstraintsNotCritical,
    /// No key usage, or one without `keyCertSign`.
    #[error("it may not sign certificates: keyUsage must have keyCertSign")]
    MayNotSign,
    /// An extended key usage without one of the roles of TLS.
    #[error(
        "its extendedKeyUsage holds for all leaves below it: name both serverAuth and clientAuth, or leave it out"
    )]
    Purposes,
    /// An extension that limits what may stand below, or that not everybody reads alike.
    #[error(
        "it has the extension {0}, which limits what is valid below it or is not read alike by all; supply one without"
    )]
    Extension(String),
    /// A critical extension nobody here knows.
    #[error("its critical extension {0} is unknown here and to its verifiers; supply one without")]
    CriticalExtension(String),
    /// It is not signed with its own key.
    #[error("it is not signed with its own key; supply a self-signed root")]
    NotSelfSigned,
    /// A signature that is weak, or that not everybody verifies.
    #[error(
        "its signature is of a kind that cannot be used; sign it with ECDSA or RSA (PKCS #1) and SHA-256, SHA-384 or SHA-512"
    )]
    SignatureAlgorithm,
    /// A subject without a name.
    #[error("its subject is empty")]
    EmptySubject,
    /// A subject that not everybody reads.
    #[error("its subject must be text in UTF8String, PrintableString or IA5String, without empty parts")]
    SubjectForm,
    /// No key id, a critical one, or one that is no key id.
    #[error("it needs a subjectKeyIdentifier of 1 to 64 bytes that is not critical")]
    SubjectKeyId,
    /// It names an issuer's key that is not the one above it.
    #[error(
        "its authorityKeyIdentifier must name the key that signed it by its key id alone and not be critical; \
         on a root it may be left out"
    )]
    AuthorityKeyId,
    /// It has the name and the key id of another root.
    #[error(
        "it has the subject and the subjectKeyIdentifier of a root that is still published, but another key, and \
         verifiers take one for the other; supply one with a key id of its own"
    )]
    TakenForAnother,
    /// Serial number 0.
    #[error("its serial number must be positive")]
    Serial,
}

/// Judges a root: an authority that is signed with its own key.
pub fn check_root(root: &Certificate) -> Result<(), AuthorityFault> {
    check(root)?;
    if root.issuer() != root.subject() || !root.is_signed_by(root.public_key()) {
        return Err(AuthorityFault::NotSelfSigned);
    }
    check_authority_key_id(root, root)
}

/// Judges an intermediate below `issuer`, which has been judged.
pub fn check_intermediate(intermediate: &Certificate, issuer: &Certificate) -> Result<(), AuthorityFault> {
    check(intermediate)?;
    check_authority_key_id(intermediate, issuer)?;
    match intermediate.extensions().authority_key_id {
        Some(_) => Ok(()),
        // Only a root may leave it out (RFC 5280 §4.2.1.1).
        None => Err(AuthorityFault::AuthorityKeyId),
    }
}

/// Judges a root beside one that stays published. Where name and key id are alike OpenSSL, for one, tries the first
/// of the two and no other: leaves below the second are refused.
pub fn check_beside(root: &Certificate, published: &Certificate) -> Result<(), AuthorityFault> {
    let alike = root.subject() == published.subject() && root.key_id() == published.key_id();
    if alike && root.public_key() != published.public_key() {
        return Err(AuthorityFault::TakenForAnother);
    }
    Ok(())
}

fn check(certificate: &Certificate) -> Result<(), AuthorityFault> {
    let extensions = certificate.extensions();
    let constraints = extensions.basic_constraints.filter(|constraints| constraints.ca);
    match constraints {
        None => return Err(AuthorityFault::NotAnAuthority),
        Some(constraints) if !constraints.critical => return Err(AuthorityFault::ConstraintsNotCritical),
        Some(_) => {}
    }
    if !extensions.key_usage.is_some_and(|usage| usage.any(usage::CERT_SIGN)) {
        return Err(AuthorityFault::MayNotSign);
    }
    if certificate.serial().iter().all(|byte| *byte == 0) {
        return Err(AuthorityFault::Serial);
    }
    if let Some(purposes) = &extensions.extended_key_usage {
        let both = [oid::SERVER_AUTH, oid::CLIENT_AUTH];
        let named = both.iter().all(|role| purposes.iter().any(|purpose| purpose == role));
        if !named || !purposes.iter().all(|purpose| oid::is_plain(purpose)) {
            return Err(AuthorityFault::Purposes);
        }
    }
    check_extensions(certificate)?;
    let key_id = extensions.subject_key_id.as_ref();
    if !key_id.is_some_and(|id| (1..=KEY_ID_BYTES_MAX).contains(&id.len())) {
        return Err(AuthorityFault::SubjectKeyId);
    }
    check_name(certificate.subject())?;
    if certificate.signature_algorithm().is_ok_and(is_usual_signature) {
        Ok(())
    } else {
        Err(AuthorityFault::SignatureAlgorithm)
    }
}

/// Only extensions that all verifiers read alike, or that none of them reads.
fn check_extensions(certificate: &Certificate) -> Result<(), AuthorityFault> {
    let all = certificate.raw_extensions().map_err(|_| AuthorityFault::Extension("?".to_owned()))?;
    for RawExtension { identifier, critical, .. } in all {
        match identifier {
            oid::BASIC_CONSTRAINTS | oid::KEY_USAGE | oid::EXTENDED_KEY_USAGE | oid::SUBJECT_ALT_NAME => {}
            oid::SUBJECT_KEY_ID if critical => return Err(AuthorityFault::SubjectKeyId),
            oid::AUTHORITY_KEY_ID if critical => return Err(AuthorityFault::AuthorityKeyId),
            oid::SUBJECT_KEY_ID | oid::AUTHORITY_KEY_ID => {}
            oid::NETSCAPE_COMMENT if !critical => {}
            other if is_interpreted(other) || !oid::is_plain(other) => {
                return Err(AuthorityFault::Extension(oid::text(other)));
            }
            other if critical => return Err(AuthorityFault::CriticalExtension(oid::text(other))),
            _ => {}
        }
    }
    Ok(())
}

/// Whether verifiers may make something of an extension.
fn is_interpreted(identifier: &[u8]) -> bool {
    [oid::CERTIFICATE_EXTENSIONS, oid::INTERNET_EXTENSIONS, oid::NETSCAPE_EXTENSIONS]
        .iter()
        .any(|family| identifier.starts_with(family))
}

fn check_authority_key_id(certificate: &Certificate, issuer: &Certificate) -> Result<(), AuthorityFault> {
    let bad = |_: DerError| AuthorityFault::AuthorityKeyId;
    let all = certificate.raw_extensions().map_err(bad)?;
    let Some(own) = all.iter().find(|one| one.identifier == oid::AUTHORITY_KEY_ID) else {
        return Ok(());
    };
    let mut reader = der::only(own.body, der::SEQUENCE).map_err(bad)?;
    let named = reader.optional(der::primitive(0)).map_err(bad)?;
    // An issuer's name and serial number beside it are compared by some and not by others.
    if named != Some(&issuer.key_id()[..]) || !reader.at_end() {
        return Err(AuthorityFault::AuthorityKeyId);
    }
    Ok(())
}

/// A name that is not empty and that all libraries read.
fn check_name(name: &[u8]) -> Result<(), AuthorityFault> {
    let read = || -> Result<bool, DerError> {
        let mut sets = der::only(name, der::SEQUENCE)?;
        let mut plain = true;
        while !sets.at_end() {
            let mut pairs = sets.nested(der::SET)?;
            plain &= !pairs.at_end();
            while !pairs.at_end() {
                let mut pair = pairs.nested(der::SEQUENCE)?;
                plain &= oid::is_plain(pair.body(der::OID)?) && is_plain_text(&mut pair)?;
                pair.end()?;
            }
        }
        Ok(plain)
    };
    match der::only(name, der::SEQUENCE) {
        Ok(inner) if inner.at_end() => Err(AuthorityFault::EmptySubject),
        _ if read() == Ok(true) => Ok(()),
        _ => Err(AuthorityFault::SubjectForm),
    }
}

fn is_plain_text(reader: &mut Reader<'_>) -> Result<bool, DerError> {
    let text = reader.any()?;
    let printable = |byte: &u8| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(byte);
    let fits = match text.tag {
        der::UTF8_STRING => {
            std::str::from_utf8(text.body).is_ok_and(|text| !text.chars().any(char::is_control))
        }
        der::PRINTABLE_STRING => text.body.iter().all(printable),
        der::IA5_STRING => text.body.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_control()),
        _ => false,
    };
    Ok(fits && !text.body.is_empty())
}

/// The signatures that all verifiers accept, encoded as their standards write them.
fn is_usual_signature(algorithm: &[u8]) -> bool {
    let ecdsa = [oid::ECDSA_SHA256, oid::ECDSA_SHA384, oid::ECDSA_SHA512]
        .map(|identifier| der::sequence(&[der::value(der::OID, identifier)]));
    let rsa = [oid::SHA384_RSA, oid::SHA512_RSA]
        .map(|identifier| der::sequence(&[der::value(der::OID, identifier), der::value(der::NULL, &[])]));
    ecdsa.iter().chain(&rsa).any(|usual| usual == algorithm)
        || signature_algorithm(KeyKind::Rsa2048) == algorithm
}
