//! Builds malformed certificates: starts with a good leaf or authority, of which a test replaces any part.

use concord_model::{Timestamp, TrustDomain};
use rustls_pki_types::CertificateDer;

use crate::der;
use crate::key::{Signer, signature_algorithm};
use crate::oid;
use crate::x509::build::{extension, subject};
use crate::x509::usage;

/// A certificate that is not signed yet.
#[derive(Clone, Debug)]
pub struct Forge {
    /// The `version` field. `None` omits it, which means version 1.
    pub version: Option<u8>,
    /// The serial number as an encoded INTEGER.
    pub serial: Vec<u8>,
    /// The issuer's name, encoded.
    pub issuer: Vec<u8>,
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
    pub not_after: Timestamp,
    /// The subject's name, encoded.
    pub subject: Vec<u8>,
    /// The SubjectPublicKeyInfo, encoded.
    pub spki: Vec<u8>,
    /// Extensions: identifier, critical, contents.
    pub extensions: Vec<(Vec<u8>, bool, Vec<u8>)>,
    /// The algorithm in the signed part. `None`: the signer's.
    pub inner_algorithm: Option<Vec<u8>>,
    /// The algorithm outside the signed part. `None`: the signer's.
    pub outer_algorithm: Option<Vec<u8>>,
}

/// A URI as alternative name.
pub(crate) fn uri(text: &[u8]) -> Vec<u8> {
    der::value(der::primitive(6), text)
}

/// A DNS name as alternative name.
pub(crate) fn dns(text: &[u8]) -> Vec<u8> {
    der::value(der::primitive(2), text)
}

/// A name that consists of one common name.
pub(crate) fn named(common_name: &str) -> Vec<u8> {
    subject(common_name)
}

impl Forge {
    /// A leaf like those that the mesh issues.
    pub fn leaf(identity: &str, holder: &dyn Signer, issuer: &[u8], now: Timestamp) -> Self {
        let purposes = [oid::CLIENT_AUTH, oid::SERVER_AUTH].map(|purpose| der::value(der::OID, purpose));
        let hour = std::time::Duration::from_secs(3600);
        Self {
            version: Some(2),
            serial: der::unsigned(&[9]),
            issuer: issuer.to_vec(),
            not_before: now.minus(hour),
            not_after: now.plus(hour),
            subject: der::sequence::<&[u8]>(&[]),
            spki: holder.public_key().spki().to_vec(),
            extensions: Vec::new(),
            inner_algorithm: None,
            outer_algorithm: None,
        }
        .usage(
            true,
            usage::DIGITAL_SIGNATURE
                | usage::KEY_ENCIPHERMENT
                | usage::DATA_ENCIPHERMENT
                | usage::KEY_AGREEMENT,
        )
        .with(oid::EXTENDED_KEY_USAGE, false, &der::sequence(&purposes))
        .constraints(&[])
        .names(&[uri(identity.as_bytes())])
    }

    /// An authority with this common name and any issuer.
    pub fn authority(common_name: &str, holder: &dyn Signer, issuer: &[u8], now: Timestamp) -> Self {
        let mut own = Self::leaf("", holder, issuer, now);
        own.subject = named(common_name);
        own.extensions.clear();
        own.usage(true, usage::CERT_SIGN | usage::CRL_SIGN | usage::DIGITAL_SIGNATURE)
            .constraints(&[der::value(der::BOOLEAN, &[0xff])])
    }

    /// A root as an operator may supply it: it allows leaves, but no authority below it.
    pub fn root_for_leaves(trust_domain: &TrustDomain, holder: &dyn Signer, from: Timestamp) -> Self {
        let name = "house root for leaves";
        let own = Self::authority(name, holder, &named(name), from)
            .constraints(&[der::value(der::BOOLEAN, &[0xff]), der::unsigned(&[0])])
            .with(oid::SUBJECT_KEY_ID, false, &der::value(der::OCTET_STRING, &holder.public_key().key_id()))
            .names(&[uri(format!("spiffe://{trust_domain}").as_bytes())]);
        own.life(from, from.plus(std::time::Duration::from_secs(1000 * 3600)))
    }

    /// Replaces or adds an extension.
    pub fn with(mut self, identifier: &[u8], critical: bool, body: &[u8]) -> Self {
        match self.extensions.iter_mut().find(|own| own.0 == identifier) {
            Some(own) => *own = (identifier.to_vec(), critical, body.to_vec()),
            None => self.extensions.push((identifier.to_vec(), critical, body.to_vec())),
        }
        self
    }

    /// Repeats an extension.
    pub fn twice(mut self, identifier: &[u8]) -> Self {
        let own = self.extensions.iter().find(|own| own.0 == identifier).cloned();
        self.extensions.extend(own);
        self
    }

    /// Removes an extension.
    pub fn without(mut self, identifier: &[u8]) -> Self {
        self.extensions.retain(|own| own.0 != identifier);
        self
    }

    /// Replaces the alternative names with these encoded names.
    pub fn names(self, names: &[Vec<u8>]) -> Self {
        self.with(oid::SUBJECT_ALT_NAME, true, &der::sequence(names))
    }

    /// Replaces the key usage.
    pub fn usage(self, critical: bool, bits: u16) -> Self {
        self.with(oid::KEY_USAGE, critical, &der::named_bits(bits))
    }

    /// Replaces the extended key usage.
    pub fn purposes(self, purposes: &[&[u8]]) -> Self {
        let list: Vec<Vec<u8>> = purposes.iter().map(|purpose| der::value(der::OID, purpose)).collect();
        self.with(oid::EXTENDED_KEY_USAGE, false, &der::sequence(&list))
    }

    /// Replaces the contents of the basic constraints.
    pub fn constraints(self, parts: &[Vec<u8>]) -> Self {
        self.with(oid::BASIC_CONSTRAINTS, true, &der::sequence(parts))
    }

    /// Replaces the life.
    pub fn life(mut self, not_before: Timestamp, not_after: Timestamp) -> Self {
        (self.not_before, self.not_after) = (not_before, not_after);
        self
    }

    /// Replaces the key.
    pub fn key(mut self, spki: Vec<u8>) -> Self {
        self.spki = spki;
        self
    }

    /// Signs the certificate.
    pub fn sign(&self, signer: &dyn Signer) -> CertificateDer<'static> {
        let own = signature_algorithm(signer.kind());
        let version =
            self.version.map(|version| der::wrap(der::constructed(0), &[der::unsigned(&[version])]));
        let list: Vec<Vec<u8>> = self
            .extensions
            .iter()
            .map(|(identifier, critical, body)| extension(identifier, *critical, body))
            .collect();
        let tbs = der::sequence(&[
            version.unwrap_or_default(),
            self.serial.clone(),
            self.inner_algorithm.clone().unwrap_or_else(|| own.clone()),
            self.issuer.clone(),
            der::sequence(&[der::time::write(self.not_before), der::time::write(self.not_after)]),
            self.subject.clone(),
            self.spki.clone(),
            if list.is_empty() {
                Vec::new()
            } else {
                der::wrap(der::constructed(3), &[der::sequence(&list)])
            },
        ]);
        let signature = signer.sign(&tbs).expect("keys of tests sign");
        let outer = self.outer_algorithm.clone().unwrap_or(own);
        der::sequence(&[tbs, outer, der::octets_in_bits(&signature)]).into()
    }
}
