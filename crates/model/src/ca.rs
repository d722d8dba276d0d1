//! Records of the certificate authority: roots, configuration and sealed keys.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::proxy::Settings;
use crate::{Stamp, Timestamp, TrustDomain, Uuid};

/// The kind and size of a CA's key.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Elliptic curve P-256.
    #[default]
    EcP256,
    /// Elliptic curve P-384.
    EcP384,
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
}

impl KeyKind {
    /// Reads `PrivateKeyType` and `PrivateKeyBits`. `None` if such a key is not supported.
    pub fn parse(kind: &str, bits: u32) -> Option<Self> {
        match (kind, bits) {
            ("ec", 256) => Some(Self::EcP256),
            ("ec", 384) => Some(Self::EcP384),
            ("rsa", 2048) => Some(Self::Rsa2048),
            _ => None,
        }
    }

    /// `ec` or `rsa`.
    pub fn type_str(self) -> &'static str {
        match self {
            Self::EcP256 | Self::EcP384 => "ec",
            Self::Rsa2048 => "rsa",
        }
    }

    /// Size in bits.
    pub fn bits(self) -> u32 {
        match self {
            Self::EcP256 => 256,
            Self::EcP384 => 384,
            Self::Rsa2048 => 2048,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_str(), self.bits())
    }
}

/// A root that is active, was active, or is published to become active.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CaRoot {
    /// SHA-1 of the certificate, colon-separated hexadecimal.
    pub id: String,
    /// Its display name.
    pub name: String,
    /// The lowest 64 bits of its serial number.
    pub serial: u64,
    /// Subject key id of the certificate that signs leaves, as colon-separated hexadecimal.
    pub signing_key_id: String,
    /// The cluster's id: the trust domain without `.consul`.
    pub external_trust_domain: String,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// The certificate as PEM.
    pub root_cert: String,
    /// The certificates between the root and leaves as PEM: cross-signed roots first, the signing intermediate last.
    #[serde(default)]
    pub intermediate_certs: Vec<String>,
    /// Whether it signs new leaves. Exactly one root is active.
    pub active: bool,
    /// When it stopped being active. It stays trusted until it is pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_out_at: Option<Timestamp>,
    /// Kind of its key.
    pub key_kind: KeyKind,
    /// When the record changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The published roots.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CaRoots {
    /// Id of the active root.
    pub active_root_id: String,
    /// The trust domain of all these roots.
    pub trust_domain: TrustDomain,
    /// All trusted roots.
    pub roots: Vec<CaRoot>,
    /// Index at which any of these last changed.
    #[serde(default)]
    pub index: u64,
}

impl CaRoots {
    /// The active root.
    pub fn active(&self) -> Option<&CaRoot> {
        self.roots.iter().find(|root| root.active)
    }
}

/// Configuration of the certificate authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CaConfig {
    /// The cluster's id. It is generated once; a rotation does not change it.
    pub cluster_id: Uuid,
    /// The kind of provider.
    pub provider: String,
    /// The provider's settings, without secrets.
    #[serde(default)]
    pub settings: Settings,
    /// The provider's state, without secrets.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot cross-sign the new one.
    #[serde(default)]
    pub force_without_cross_signing: bool,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The record that a provider keeps in the log for one root. Only the kind of provider can interpret its contents.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProviderRecord {
    /// Id of the root.
    pub id: String,
    /// The kind of provider. Empty in records of versions that did not store it.
    #[serde(default)]
    pub kind: String,
    /// The sealed contents. Older versions named the field `key`, and also stored the root, which is published anyway.
    #[serde(alias = "key")]
    pub sealed: Sealed,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// An envelope: data encrypted with its own key, and that key wrapped once for each key-encryption key.
///
/// The cipher is AES-256-GCM. The additional data binds the envelope to its purpose.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sealed {
    /// The purpose of the envelope, which is part of the authenticated data.
    pub purpose: String,
    /// Nonce of the data.
    pub nonce: Vec<u8>,
    /// The encrypted and authenticated data.
    pub ciphertext: Vec<u8>,
    /// The data's key, wrapped once for each key-encryption key.
    pub wraps: Vec<KeyWrap>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({:?}, {} bytes, {} wraps)", self.purpose, self.ciphertext.len(), self.wraps.len())
    }
}

/// A data key wrapped under one key-encryption key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyWrap {
    /// Fingerprint of the key-encryption key.
    pub kek_id: String,
    /// Nonce of the wrap.
    pub nonce: Vec<u8>,
    /// The encrypted and authenticated data key.
    pub ciphertext: Vec<u8>,
}

/// A signed leaf, without its private key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeafCertificate {
    /// Serial number as colon-separated hexadecimal.
    pub serial: String,
    /// The leaf, then the intermediates, without the root, as PEM.
    pub cert_pem: String,
    /// Its identity, as in its SAN.
    pub uri: String,
    /// Start of its validity.
    pub valid_after: Timestamp,
    /// End of its validity.
    pub valid_before: Timestamp,
    /// Key id of the certificate that signed it, as colon-separated hexadecimal.
    pub authority_key_id: String,
    /// Index of the log entry that recorded its issue.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The life of certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateLife {
    /// Life of a leaf.
    pub leaf: Duration,
    /// Life of an intermediate.
    pub intermediate: Duration,
    /// Life of a root.
    pub root: Duration,
}

impl Default for CertificateLife {
    /// Consul's defaults: 72 h, 8760 h, 87600 h.
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Self { leaf: hours(72), intermediate: hours(8760), root: hours(87_600) }
    }
}
