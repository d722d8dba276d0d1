//! Builds the certificates of the mesh, each in the fixed form that Consul documents and issues.
//!
//! A builder takes the identity or trust domain, the life, the serial number and a key. The only part of a request that
//! enters a certificate is its public key.

use std::net::IpAddr;
use std::time::Duration;

use concord_model::{SpiffeId, Timestamp, TrustDomain};

use super::{Certificate, CertificateError, usage};
use crate::der;
use crate::key::{KeyError, PublicKey, Signer, signature_algorithm};
use crate::limits::{BACKDATE, SERIAL_BYTES_MAX};
use crate::oid;

/// Why a certificate could not be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The serial number is zero or longer than 20 bytes.
    #[error("a serial number must be positive and at most 20 bytes long")]
    Serial,
    /// The validity ends before it begins.
    #[error("a certificate must not end before it begins")]
    Validity,
    /// The issuer's certificate and key do not belong together.
    #[error("the CA's private key does not belong to its certificate")]
    WrongKey,
    /// A name that cannot be used in a certificate.
    #[error("{0:?} cannot be a DNS name in a certificate")]
    DnsName(String),
    /// The finished certificate cannot be read again.
    #[error("the certificate built cannot be read back: {0}")]
    ReadBack(#[from] CertificateError),
}

/// The life of a certificate, including both ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Starts at `now` and lasts for `life`.
    pub fn from_now(now: Timestamp, life: Duration) -> Self {
        Self { not_before: now, not_after: now.plus(life) }
    }

    /// Starts a minute before `now` and lasts for `life`, for peers whose clock is slightly slow. It never starts
    /// before 1970, where a machine without a battery starts, because not all verifiers can read such times.
    pub fn backdated(now: Timestamp, life: Duration) -> Self {
        Self::from_now(now.minus(BACKDATE).max(Timestamp::EPOCH), life)
    }
}

/// A serial number: positive, at most 20 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Builds it from a counter.
    pub fn from_counter(count: u64) -> Result<Self, BuildError> {
        Self::from_bytes(&count.to_be_bytes())
    }

    /// Builds it from big-endian bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildError> {
        let skip = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = &bytes[skip..];
        // The encoding may need one more byte for the sign.
        if digits.is_empty() || digits.len() >= SERIAL_BYTES_MAX {
            return Err(BuildError::Serial);
        }
        Ok(Self(digits.to_vec()))
    }
}

/// A certificate authority that signs: its certificate and its private key.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a> {
    certificate: &'a Certificate,
    signer: &'a dyn Signer,
}

impl<'a> Authority<'a> {
    /// Combines a certificate and its key. Fails if the key is not the certificate's.
    pub fn try_new(certificate: &'a Certificate, signer: &'a dyn Signer) -> Result<Self, BuildError> {
        if certificate.public_key() != signer.public_key() {
            return Err(BuildError::WrongKey);
        }
        Ok(Self { certificate, signer })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &'a Certificate {
        self.certificate
    }
}

/// The contents of a root.
#[derive(Clone, Debug)]
pub struct RootTemplate<'a> {
    /// Its common name, see [`common_name`].
    pub common_name: &'a str,
    /// The trust domain of its leaves.
    pub trust_domain: &'a TrustDomain,
    /// Its life.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Serial,
}

/// The contents of an intermediate.
#[derive(Clone, Debug)]
pub struct IntermediateTemplate<'a> {
    /// Its common name, see [`common_name`].
    pub common_name: &'a str,
    /// The trust domain of its leaves.
    pub trust_domain: &'a TrustDomain,
    /// Its key.
    pub public_key: &'a PublicKey,
    /// Its life.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Serial,
}

/// The contents of a leaf: the identity that the server has authorised, never the text of a request.
#[derive(Clone, Debug)]
pub struct LeafTemplate<'a> {
    /// Its identity.
    pub identity: &'a SpiffeId,
    /// DNS names that the identity's kind determines; none for services.
    pub dns_names: &'a [String],
    /// Addresses that the identity's kind determines; none for services.
    pub addresses: &'a [IpAddr],
    /// Its key, the only part that comes from the request.
    pub public_key: &'a PublicKey,
    /// Its life.
    pub validity: Validity,
    /// Its serial number.
    pub serial: Serial,
}

/// The common name of a CA made by concord: `<kind>-<id>.consul.ca.<trust domain, first 8>.consul`.
///
/// `kind` is `pri` for a primary's root and `sec` for a secondary's intermediate. `id` is random text that makes
/// subjects unique; at most eight of its letters and digits are used.
pub fn common_name(kind: &str, id: &str, trust_domain: &TrustDomain) -> String {
    let clean = |text: &str| -> String {
        text.chars().map(|c| c.to_ascii_lowercase()).filter(char::is_ascii_alphanumeric).take(8).collect()
    };
    format!("{kind}-{}.consul.ca.{}.consul", clean(id), clean(trust_domain.as_str()))
}

/// Builds a self-signed root.
pub fn build_root(template: RootTemplate<'_>, signer: &dyn Signer) -> Result<Certificate, BuildError> {
    let name = subject(template.common_name);
    let key_id = signer.public_key().key_id();
    let body = Body {
        serial: &template.serial,
        issuer: &name,
        validity: template.validity,
        subject: &name,
        public_key: signer.public_key(),
        extensions: ca_extensions(template.trust_domain, None, signer.public_key(), &key_id),
    };
    body.sign(signer)
}

/// Builds an intermediate that may sign leaves, but no further intermediates.
pub fn build_intermediate(
    template: IntermediateTemplate<'_>,
    issuer: Authority<'_>,
) -> Result<Certificate, BuildError> {
    let body = Body {
        serial: &template.serial,
        issuer: issuer.certificate.subject(),
        validity: template.validity,
        subject: &subject(template.common_name),
        public_key: template.public_key,
        extensions: ca_extensions(
            template.trust_domain,
            Some(0),
            template.public_key,
            &issuer.certificate.key_id(),
        ),
    };
    body.sign(issuer.signer)
}

/// Cross-signs: the old root signs a certificate with the new root's name and key, for peers that know only the old
/// one.
pub fn cross_sign(
    new_root: &Certificate,
    trust_domain: &TrustDomain,
    issuer: Authority<'_>,
    validity: Validity,
    serial: Serial,
) -> Result<Certificate, BuildError> {
    let path_len = new_root.extensions().basic_constraints.and_then(|constraints| constraints.path_len);
    let mut extensions =
        ca_extensions(trust_domain, path_len, new_root.public_key(), &issuer.certificate.key_id());
    // The key id must be the new root's, even if another tool made that root.
    extensions.subject_key_id = new_root.key_id();
    let body = Body {
        serial: &serial,
        issuer: issuer.certificate.subject(),
        validity,
        subject: new_root.subject(),
        public_key: new_root.public_key(),
        extensions,
    };
    body.sign(issuer.signer)
}

/// Builds a leaf. It does not outlive its issuer.
pub fn build_leaf(template: LeafTemplate<'_>, issuer: Authority<'_>) -> Result<Certificate, BuildError> {
    let mut names = vec![der::value(der::primitive(6), template.identity.to_string().as_bytes())];
    for name in template.dns_names {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'*');
        if name.is_empty() || name.len() > 253 || !name.bytes().all(plain) {
            return Err(BuildError::DnsName(name.clone()));
        }
        names.push(der::value(der::primitive(2), name.as_bytes()));
    }
    for address in template.addresses {
        names.push(match address {
            IpAddr::V4(address) => der::value(der::primitive(7), &address.octets()),
            IpAddr::V6(address) => der::value(der::primitive(7), &address.octets()),
        });
    }
    let Validity { not_before, not_after } = template.validity;
    let validity = Validity { not_before, not_after: not_after.min(issuer.certificate.not_after()) };
    let body = Body {
        serial: &template.serial,
        issuer: issuer.certificate.subject(),
        validity,
        subject: &der::sequence::<&[u8]>(&[]),
        public_key: template.public_key,
        extensions: ExtensionList {
            key_usage: usage::DIGITAL_SIGNATURE
                | usage::KEY_ENCIPHERMENT
                | usage::DATA_ENCIPHERMENT
                | usage::KEY_AGREEMENT,
            extended: true,
            ca: None,
            subject_key_id: template.public_key.key_id().to_vec(),
            authority_key_id: issuer.certificate.key_id(),
            // The subject is empty, so the names are critical (RFC 5280 §4.2.1.6).
            names_critical: true,
            names,
        },
    };
    body.sign(issuer.signer)
}

struct ExtensionList {
    key_usage: u16,
    extended: bool,
    /// `None` for a leaf. For a CA, its path length.
    ca: Option<Option<u8>>,
    subject_key_id: Vec<u8>,
    authority_key_id: Vec<u8>,
    names_critical: bool,
    names: Vec<Vec<u8>>,
}

fn ca_extensions(
    trust_domain: &TrustDomain,
    path_len: Option<u8>,
    public_key: &PublicKey,
    authority_key_id: &[u8],
) -> ExtensionList {
    ExtensionList {
        key_usage: usage::CERT_SIGN | usage::CRL_SIGN | usage::DIGITAL_SIGNATURE,
        extended: false,
        ca: Some(path_len),
        subject_key_id: public_key.key_id().to_vec(),
        authority_key_id: authority_key_id.to_vec(),
        names_critical: false,
        names: vec![der::value(der::primitive(6), format!("spiffe://{trust_domain}").as_bytes())],
    }
}

impl ExtensionList {
    fn write(&self) -> Vec<u8> {
        let mut list = vec![extension(oid::KEY_USAGE, true, &der::named_bits(self.key_usage))];
        if self.extended {
            let purposes = [oid::CLIENT_AUTH, oid::SERVER_AUTH].map(|purpose| der::value(der::OID, purpose));
            list.push(extension(oid::EXTENDED_KEY_USAGE, false, &der::sequence(&purposes)));
        }
        let mut constraints = Vec::new();
        if let Some(path_len) = self.ca {
            constraints.push(der::value(der::BOOLEAN, &[0xff]));
            constraints.extend(path_len.map(|len| der::unsigned(&[len])));
        }
        list.push(extension(oid::BASIC_CONSTRAINTS, true, &der::sequence(&constraints)));
        list.push(extension(
            oid::SUBJECT_KEY_ID,
            false,
            &der::value(der::OCTET_STRING, &self.subject_key_id),
        ));
        let authority = der::sequence(&[der::value(der::primitive(0), &self.authority_key_id)]);
        list.push(extension(oid::AUTHORITY_KEY_ID, false, &authority));
        list.push(extension(oid::SUBJECT_ALT_NAME, self.names_critical, &der::sequence(&self.names)));
        der::sequence(&list)
    }
}

pub(crate) fn extension(identifier: &[u8], critical: bool, body: &[u8]) -> Vec<u8> {
    let mut parts = vec![der::value(der::OID, identifier)];
    if critical {
        parts.push(der::value(der::BOOLEAN, &[0xff]));
    }
    parts.push(der::value(der::OCTET_STRING, body));
    der::sequence(&parts)
}

/// A name that consists of one common name.
pub(crate) fn subject(common_name: &str) -> Vec<u8> {
    let pair = der::sequence(&[
        der::value(der::OID, oid::COMMON_NAME),
        der::value(der::UTF8_STRING, common_name.as_bytes()),
    ]);
    der::sequence(&[der::wrap(der::SET, &[pair])])
}

struct Body<'a> {
    serial: &'a Serial,
    issuer: &'a [u8],
    validity: Validity,
    subject: &'a [u8],
    public_key: &'a PublicKey,
    extensions: ExtensionList,
}

impl Body<'_> {
    fn sign(self, signer: &dyn Signer) -> Result<Certificate, BuildError> {
        let Validity { not_before, not_after } = self.validity;
        if not_after < not_before {
            return Err(BuildError::Validity);
        }
        let algorithm = signature_algorithm(signer.kind());
        let tbs = der::sequence(&[
            &der::wrap(der::constructed(0), &[der::unsigned(&[2])])[..],
            &der::unsigned(&self.serial.0),
            &algorithm,
            self.issuer,
            &der::sequence(&[der::time::write(not_before), der::time::write(not_after)]),
            self.subject,
            self.public_key.spki(),
            &der::wrap(der::constructed(3), &[self.extensions.write()]),
        ]);
        let signature = signer.sign(&tbs)?;
        let bytes = der::sequence(&[tbs, algorithm, der::octets_in_bits(&signature)]);
        Ok(Certificate::parse(&bytes)?)
    }
}
