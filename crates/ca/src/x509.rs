//! Reads certificates strictly, and shows keys, roots and serial numbers as the mesh does.
//!
//! Reading does not decide whether a certificate is acceptable: [`crate::verify`] does that. [`build`] makes
//! certificates. Names are kept as the original bytes, so that issuer and subject match whatever string types they use.

use std::fmt;

use aws_lc_rs::digest;
use concord_model::Timestamp;
use rustls_pki_types::CertificateDer;

use crate::der::{self, DerError, Reader};
use crate::hex::colon_hex;
use crate::key::{KeyRefusal, PublicKey};
use crate::limits::{ALTERNATIVE_NAMES_MAX, CERTIFICATE_BYTES_MAX, EXTENSIONS_MAX, SERIAL_BYTES_MAX};
use crate::oid;
use crate::pem::{self, PemError};

pub mod build;

#[cfg(test)]
mod tests;

/// Why bytes are not a certificate.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// Not PEM, or not PEM of a certificate.
    #[error("certificate: {0}")]
    Pem(#[from] PemError),
    /// Not DER, or DER that does not have the structure of a certificate.
    #[error("certificate: {0}")]
    Der(#[from] DerError),
    /// More than [`CERTIFICATE_BYTES_MAX`] bytes.
    #[error("certificate is longer than 32 KiB")]
    TooLong,
    /// Not an X.509 certificate of version 3.
    #[error("certificate is not of X.509 version 3")]
    Version,
    /// A serial number of more than 20 bytes.
    #[error("certificate's serial number is longer than 20 bytes")]
    Serial,
    /// The same extension twice.
    #[error("certificate has extension {0} twice")]
    DuplicateExtension(String),
    /// More than [`EXTENSIONS_MAX`] extensions or [`ALTERNATIVE_NAMES_MAX`] names.
    #[error("certificate has too many extensions or names")]
    TooMany,
    /// A key that the mesh does not accept.
    #[error("certificate: {0}")]
    Key(#[from] KeyRefusal),
    /// The signed part names another signature algorithm than the outer part.
    #[error("certificate names two different signature algorithms")]
    Algorithm,
}

/// Bits of the KeyUsage extension. The first bit is the highest.
pub mod usage {
    /// `digitalSignature`.
    pub const DIGITAL_SIGNATURE: u16 = 0x8000;
    /// `keyEncipherment`.
    pub const KEY_ENCIPHERMENT: u16 = 0x2000;
    /// `dataEncipherment`.
    pub const DATA_ENCIPHERMENT: u16 = 0x1000;
    /// `keyAgreement`.
    pub const KEY_AGREEMENT: u16 = 0x0800;
    /// `keyCertSign`.
    pub const CERT_SIGN: u16 = 0x0400;
    /// `cRLSign`.
    pub const CRL_SIGN: u16 = 0x0200;
}

/// A subject alternative name as bytes, which may be any characters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GeneralName {
    /// `uniformResourceIdentifier`.
    Uri(Vec<u8>),
    /// `dNSName`.
    Dns(Vec<u8>),
    /// `rfc822Name`.
    Email(Vec<u8>),
    /// `iPAddress`.
    Ip(Vec<u8>),
    /// Any other kind, with its tag number. 0 is `otherName`.
    Other(u8),
}

/// The SubjectAlternativeName extension.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AlternativeNames {
    /// Whether it is marked critical.
    pub critical: bool,
    /// The names, in order.
    pub names: Vec<GeneralName>,
}

/// The BasicConstraints extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// Whether it is marked critical.
    pub critical: bool,
    /// Whether the holder may issue certificates.
    pub ca: bool,
    /// How many intermediates may follow below it.
    pub path_len: Option<u8>,
}

/// The KeyUsage extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage {
    /// Whether it is marked critical.
    pub critical: bool,
    /// Bits, as in [`usage`].
    pub bits: u16,
}

impl KeyUsage {
    /// Whether at least one of these bits is set.
    pub fn any(self, bits: u16) -> bool {
        self.bits & bits != 0
    }
}

/// The extensions that the mesh knows. Of the others only the first critical one is recorded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extensions {
    /// BasicConstraints.
    pub basic_constraints: Option<BasicConstraints>,
    /// KeyUsage.
    pub key_usage: Option<KeyUsage>,
    /// The identifiers in ExtendedKeyUsage.
    pub extended_key_usage: Option<Vec<Vec<u8>>>,
    /// SubjectAlternativeName.
    pub alternative_names: Option<AlternativeNames>,
    /// SubjectKeyIdentifier.
    pub subject_key_id: Option<Vec<u8>>,
    /// The key id in AuthorityKeyIdentifier.
    pub authority_key_id: Option<Vec<u8>>,
    /// The dotted identifier of the first critical extension that is not listed here.
    pub unknown_critical: Option<String>,
}

/// An extension as a certificate contains it.
#[derive(Clone, Copy, Debug)]
pub struct RawExtension<'a> {
    /// Its encoded identifier.
    pub identifier: &'a [u8],
    /// Whether it is marked critical.
    pub critical: bool,
    /// Its contents.
    pub body: &'a [u8],
}

/// A parsed certificate.
#[derive(Clone, Eq, PartialEq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    serial: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    not_before: Timestamp,
    not_after: Timestamp,
    public_key: PublicKey,
    extensions: Extensions,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate(serial {}, {} bytes)", self.serial_text(), self.der.len())
    }
}

impl Certificate {
    /// Reads a certificate from DER.
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let mut outer = der::only(bytes, der::SEQUENCE)?;
        let mut tbs = outer.nested(der::SEQUENCE)?;
        let algorithm = outer.element(der::SEQUENCE)?.raw;
        outer.octets_in_bits()?;
        outer.end()?;
        let mut version = tbs.nested(der::constructed(0)).map_err(|_| CertificateError::Version)?;
        if version.small()? != 2 || !version.at_end() {
            return Err(CertificateError::Version);
        }
        let serial = tbs.unsigned()?.to_vec();
        if serial.len() > SERIAL_BYTES_MAX {
            return Err(CertificateError::Serial);
        }
        if tbs.element(der::SEQUENCE)?.raw != algorithm {
            return Err(CertificateError::Algorithm);
        }
        let issuer = tbs.element(der::SEQUENCE)?.raw.to_vec();
        let mut validity = tbs.nested(der::SEQUENCE)?;
        let (not_before, not_after) = (der::time::read(&mut validity)?, der::time::read(&mut validity)?);
        validity.end()?;
        let subject = tbs.element(der::SEQUENCE)?.raw.to_vec();
        let public_key = PublicKey::parse(tbs.element(der::SEQUENCE)?.raw)?;
        let extensions = match tbs.optional(der::constructed(3))? {
            Some(list) => Extensions::read(der::only(list, der::SEQUENCE)?)?,
            None => Extensions::default(),
        };
        tbs.end()?;
        let der = CertificateDer::from(bytes.to_vec());
        Ok(Self { der, serial, issuer, subject, not_before, not_after, public_key, extensions })
    }

    /// Reads a PEM text with exactly one certificate.
    pub fn parse_pem(text: &str) -> Result<Self, CertificateError> {
        Self::parse(&pem::decode_one(pem::CERTIFICATE, text)?)
    }

    /// Reads a PEM text with one or more certificates.
    pub fn parse_pem_chain(text: &str) -> Result<Vec<Self>, CertificateError> {
        pem::decode_all(pem::CERTIFICATE, text)?.iter().map(|bytes| Self::parse(bytes)).collect()
    }

    /// The DER encoding, as it was signed.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as PEM.
    pub fn pem(&self) -> String {
        pem::encode(pem::CERTIFICATE, &self.der)
    }

    /// The issuer's name, encoded.
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The subject's name, encoded.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The subject's first common name, if it is text.
    pub fn common_name(&self) -> Option<String> {
        let mut names = der::only(&self.subject, der::SEQUENCE).ok()?;
        while !names.at_end() {
            let mut set = names.nested(der::SET).ok()?;
            while !set.at_end() {
                let mut pair = set.nested(der::SEQUENCE).ok()?;
                if pair.body(der::OID).ok()? == oid::COMMON_NAME {
                    return String::from_utf8(pair.any().ok()?.body.to_vec()).ok();
                }
            }
        }
        None
    }

    /// First second of its life.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Last second of its life.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether `now` is within its life.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The holder's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Its extensions.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// The key id in the certificate. If there is none, the key's id by the mesh's rule.
    pub fn key_id(&self) -> Vec<u8> {
        self.extensions.subject_key_id.clone().unwrap_or_else(|| self.public_key.key_id().to_vec())
    }

    /// The key id in Consul's form: hexadecimal bytes separated by colons.
    pub fn key_id_text(&self) -> String {
        colon_hex(&self.key_id())
    }

    /// The issuer's key id in Consul's form. Empty if the certificate does not contain it.
    pub fn authority_key_id_text(&self) -> String {
        self.extensions.authority_key_id.as_deref().map(colon_hex).unwrap_or_default()
    }

    /// The serial number, big-endian.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The serial number in Consul's form, such as `08` or `01:a3`.
    pub fn serial_text(&self) -> String {
        colon_hex(&self.serial)
    }

    /// The lowest 64 bits of the serial number.
    pub fn serial_u64(&self) -> u64 {
        self.serial.iter().fold(0u64, |all, byte| (all << 8) | u64::from(*byte))
    }

    /// Consul's id of a root: the SHA-1 of the certificate, hexadecimal bytes separated by colons.
    pub fn id(&self) -> String {
        colon_hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der).as_ref())
    }

    /// Those URIs among its alternative names that are UTF-8.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.extensions.alternative_names.iter().flat_map(|names| &names.names).filter_map(
            |name| match name {
                GeneralName::Uri(bytes) => std::str::from_utf8(bytes).ok(),
                _ => None,
            },
        )
    }

    /// Whether this key signed the certificate.
    pub fn is_signed_by(&self, issuer: &PublicKey) -> bool {
        self.signature_verifies(issuer).unwrap_or(false)
    }

    /// The encoded AlgorithmIdentifier of its signature.
    pub fn signature_algorithm(&self) -> Result<&[u8], DerError> {
        let mut outer = der::only(&self.der, der::SEQUENCE)?;
        outer.element(der::SEQUENCE)?;
        Ok(outer.element(der::SEQUENCE)?.raw)
    }

    /// All extensions, unparsed.
    pub fn raw_extensions(&self) -> Result<Vec<RawExtension<'_>>, DerError> {
        let mut tbs = der::only(&self.der, der::SEQUENCE)?.nested(der::SEQUENCE)?;
        let mut found = Vec::new();
        while !tbs.at_end() {
            let part = tbs.any()?;
            if part.tag != der::constructed(3) {
                continue;
            }
            let mut list = der::only(part.body, der::SEQUENCE)?;
            while !list.at_end() {
                let mut extension = list.nested(der::SEQUENCE)?;
                let identifier = extension.body(der::OID)?;
                let critical = extension.default_false()?;
                let body = extension.body(der::OCTET_STRING)?;
                found.push(RawExtension { identifier, critical, body });
            }
        }
        Ok(found)
    }

    fn signature_verifies(&self, issuer: &PublicKey) -> Result<bool, DerError> {
        let mut outer = der::only(&self.der, der::SEQUENCE)?;
        let tbs = outer.element(der::SEQUENCE)?.raw;
        let algorithm = outer.nested(der::SEQUENCE)?.body(der::OID)?;
        Ok(issuer.verifies(algorithm, tbs, outer.octets_in_bits()?))
    }
}

impl Extensions {
    /// Reads a list of extensions. A known extension that cannot be read is an error, even if it is not critical.
    pub(crate) fn read(mut list: Reader<'_>) -> Result<Self, CertificateError> {
        let mut own = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        while !list.at_end() {
            let mut extension = list.nested(der::SEQUENCE)?;
            let identifier = extension.body(der::OID)?;
            let critical = extension.default_false()?;
            let body = extension.body(der::OCTET_STRING)?;
            extension.end()?;
            if seen.contains(&identifier) {
                return Err(CertificateError::DuplicateExtension(oid::text(identifier)));
            }
            if seen.len() == EXTENSIONS_MAX {
                return Err(CertificateError::TooMany);
            }
            seen.push(identifier);
            own.take(identifier, critical, body)?;
        }
        Ok(own)
    }

    fn take(&mut self, identifier: &[u8], critical: bool, body: &[u8]) -> Result<(), CertificateError> {
        match identifier {
            oid::BASIC_CONSTRAINTS => {
                let mut reader = der::only(body, der::SEQUENCE)?;
                let ca = reader.default_false()?;
                let path_len = if reader.at_end() { None } else { Some(reader.small()?) };
                reader.end()?;
                self.basic_constraints = Some(BasicConstraints { critical, ca, path_len });
            }
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage { critical, bits: read_bits(body)? }),
            oid::EXTENDED_KEY_USAGE => {
                let mut reader = der::only(body, der::SEQUENCE)?;
                let mut purposes = Vec::new();
                while !reader.at_end() {
                    purposes.push(reader.body(der::OID)?.to_vec());
                }
                self.extended_key_usage = Some(purposes);
            }
            oid::SUBJECT_ALT_NAME => {
                self.alternative_names = Some(AlternativeNames { critical, names: read_names(body)? })
            }
            oid::SUBJECT_KEY_ID => {
                let mut reader = Reader::new(body);
                self.subject_key_id = Some(reader.body(der::OCTET_STRING)?.to_vec());
                reader.end()?;
            }
            oid::AUTHORITY_KEY_ID => {
                let mut reader = der::only(body, der::SEQUENCE)?;
                self.authority_key_id = reader.optional(der::primitive(0))?.map(<[u8]>::to_vec);
            }
            other if critical && self.unknown_critical.is_none() => {
                self.unknown_critical = Some(oid::text(other))
            }
            _ => {}
        }
        Ok(())
    }
}

fn read_bits(body: &[u8]) -> Result<u16, DerError> {
    let mut reader = Reader::new(body);
    let bits = reader.body(der::BIT_STRING)?;
    reader.end()?;
    match *bits {
        [0] => Ok(0),
        [unused @ 0..=7, high] if high.trailing_zeros() == u32::from(unused) => {
            Ok(u16::from_be_bytes([high, 0]))
        }
        [unused @ 0..=7, high, low] if low.trailing_zeros() == u32::from(unused) => {
            Ok(u16::from_be_bytes([high, low]))
        }
        _ => Err(DerError::Value("BIT STRING")),
    }
}

fn read_names(body: &[u8]) -> Result<Vec<GeneralName>, CertificateError> {
    let mut reader = der::only(body, der::SEQUENCE)?;
    let mut names = Vec::new();
    while !reader.at_end() {
        let element = reader.any()?;
        if names.len() == ALTERNATIVE_NAMES_MAX {
            return Err(CertificateError::TooMany);
        }
        let bytes = || element.body.to_vec();
        names.push(match element.tag {
            0x81 => GeneralName::Email(bytes()),
            0x82 => GeneralName::Dns(bytes()),
            0x86 => GeneralName::Uri(bytes()),
            0x87 => GeneralName::Ip(bytes()),
            tag => GeneralName::Other(tag & 0x1f),
        });
    }
    Ok(names)
}
