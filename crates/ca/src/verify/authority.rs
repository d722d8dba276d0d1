//! Checks whether a certificate is fit to be an authority of the mesh, before it becomes one.
//!
//! Both our verifier and others (Envoy, Go, OpenSSL) verify the leaves below an authority. If one of them refuses the
//! authority, the mesh fails once the previous authority is gone. So a certificate passes only if all of them accept
//! it: we apply the strictest rules of RFC 5280, and refuse extensions that limit what is valid below the authority,
//! because verifiers interpret them differently. `crates/e2e/tests/it/authorities.rs` tests these rules against other
//! verifiers.

use crate::der::{self, DerError, Reader};
use crate::key::signature_algorithm;
use crate::limits::KEY_ID_BYTES_MAX;
use crate::oid;
use crate::x509::{Certificate, RawExtension, usage};
use concord_model::ca::KeyKind;

#[cfg(test)]
mod tests;

/// Why a certificate is not fit to be an authority of the mesh.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AuthorityFault {
    /// Basic constraints are missing or lack `CA:TRUE`.
    #[error("it is not a CA's certificate: basicConstraints must say CA:TRUE")]
    NotAnAuthority,
    /// The basic constraints are not critical.
    #[error("its basicConstraints must be critical")]
    ConstraintsNotCritical,
    /// Key usage is missing or lacks `keyCertSign`.
    #[error("it may not sign certificates: keyUsage must have keyCertSign")]
    MayNotSign,
    /// An extended key usage that lacks one of the roles of TLS.
    #[error(
        "its extendedKeyUsage holds for all leaves below it: name both serverAuth and clientAuth, or leave it out"
    )]
    Purposes,
    /// An extension that limits what is valid below, or that verifiers interpret differently.
    #[error(
        "it has the extension {0}, which limits what is valid below it or is not read alike by all; supply one without"
    )]
    Extension(String),
    /// A critical extension that we do not know.
    #[error("its critical extension {0} is unknown here and to its verifiers; supply one without")]
    CriticalExtension(String),
    /// It is not signed with its own key.
    #[error("it is not signed with its own key; supply a self-signed root")]
    NotSelfSigned,
    /// A signature algorithm that is weak or that some verifiers do not support.
    #[error(
        "its signature is of a kind that cannot be used; sign it with ECDSA or RSA (PKCS #1) and SHA-256, SHA-384 or SHA-512"
    )]
    SignatureAlgorithm,
    /// An empty subject.
    #[error("its subject is empty")]
    EmptySubject,
    /// A subject that some verifiers cannot read.
    #[error("its subject must be text in UTF8String, PrintableString or IA5String, without empty parts")]
    SubjectForm,
    /// The key id is missing, critical, or not 1 to 64 bytes long.
    #[error("it needs a subjectKeyIdentifier of 1 to 64 bytes that is not critical")]
    SubjectKeyId,
    /// The authority key id does not match the key that signed the certificate.
    #[error(
        "its authorityKeyIdentifier must name the key that signed it by its key id alone and not be critical; \
         on a root it may be left out"
    )]
    AuthorityKeyId,
    /// It has the name and the key id of another published root, but another key.
    #[error(
        "it has the subject and the subjectKeyIdentifier of a root that is still published, but another key, and \
         verifiers take one for the other; supply one with a key id of its own"
    )]
    TakenForAnother,
    /// Serial number 0.
    #[error("its serial number must be positive")]
    Serial,
}

/// Checks a root: an authority signed with its own key.
pub fn check_root(root: &Certificate) -> Result<(), AuthorityFault> {
    check(root)?;
    if root.issuer() != root.subject() || !root.is_signed_by(root.public_key()) {
        return Err(AuthorityFault::NotSelfSigned);
    }
    check_authority_key_id(root, root)
}

/// Checks an intermediate below `issuer`, which must have passed already.
pub fn check_intermediate(intermediate: &Certificate, issuer: &Certificate) -> Result<(), AuthorityFault> {
    check(intermediate)?;
    check_authority_key_id(intermediate, issuer)?;
    match intermediate.extensions().authority_key_id {
        Some(_) => Ok(()),
        // Only a root may omit it (RFC 5280 §4.2.1.1).
        None => Err(AuthorityFault::AuthorityKeyId),
    }
}

/// Checks a root against a root that stays published. If name and key id are equal but the keys differ, some verifiers
/// (such as OpenSSL) try only the first of the two and refuse leaves below the second.
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

/// Allows only extensions that all verifiers interpret the same way, or that none of them evaluates.
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

/// Whether a verifier may evaluate this extension.
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
    // Some verifiers compare the issuer's name and serial number, others do not. So they are refused.
    if named != Some(&issuer.key_id()[..]) || !reader.at_end() {
        return Err(AuthorityFault::AuthorityKeyId);
    }
    Ok(())
}

/// Checks that a name is not empty and that all libraries can read it.
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

/// Whether all verifiers accept this signature algorithm, in its standard encoding.
fn is_usual_signature(algorithm: &[u8]) -> bool {
    let ecdsa = [oid::ECDSA_SHA256, oid::ECDSA_SHA384, oid::ECDSA_SHA512]
        .map(|identifier| der::sequence(&[der::value(der::OID, identifier)]));
    let rsa = [oid::SHA384_RSA, oid::SHA512_RSA]
        .map(|identifier| der::sequence(&[der::value(der::OID, identifier), der::value(der::NULL, &[])]));
    ecdsa.iter().chain(&rsa).any(|usual| usual == algorithm)
        || signature_algorithm(KeyKind::Rsa2048) == algorithm
}
