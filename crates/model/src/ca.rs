//! Records of the certificate authority: roots, configuration, sealed keys.

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
    /// Reads `PrivateKeyType` and `PrivateKeyBits`; `None` if there is no such key here.
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

/// A root of trust that is or was active.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CaRoot {
    /// SHA-1 of the certificate, colon-separated hexadecimal.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its serial number, cut to 64 bits.
    pub serial: u64,
    /// Subject key id of the certificate that signs leaves, colon-separated hexadecimal.
    pub signing_key_id: String,
    /// The cluster's id: the trust domain without `.consul`.
    pub external_trust_domain: String,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// The certificate, PEM.
    pub root_cert: String,
    /// Cross-signed roots first, the signing intermediate last; PEM.
    #[serde(default)]
    pub intermediate_certs: Vec<String>,
    /// Whether new leaves are signed under it. Exactly one root is active.
    pub active: bool,
    /// When it stopped being active; it stays trusted until pruned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_out_at: Option<Timestamp>,
    /// Kind of its key.
    pub key_kind: KeyKind,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// The published set of roots.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CaRoots {
    /// Id of the active root.
    pub active_root_id: String,
    /// The trust domain all of them vouch for.
    pub trust_domain: TrustDomain,
    /// All trusted roots.
    pub roots: Vec<CaRoot>,
    /// Index at which the set last changed.
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
    /// The cluster's id, generated once; never changes by rotation.
    pub cluster_id: Uuid,
    /// The kind of provider.
    pub provider: String,
    /// The provider's settings, without secrets.
    #[serde(default)]
    pub settings: Settings,
    /// What the provider keeps, without secrets.
    #[serde(default)]
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot sign the new one.
    #[serde(default)]
    pub force_without_cross_signing: bool,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// What a provider keeps in the log for one root. Only its kind of provider knows what is sealed there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProviderRecord {
    /// Id of the root.
    pub id: String,
    /// The kind of provider. Empty in records from before they named it.
    #[serde(default)]
    pub kind: String,
    /// What it keeps. Earlier versions called it `key`, and kept the root beside it, which is published anyway.
    #[serde(alias = "key")]
    pub sealed: Sealed,
    /// When it changed.
    #[serde(default)]
    pub stamp: Stamp,
}

/// An envelope: data under a key of its own, that key wrapped once per key-encryption key.
///
/// AES-256-GCM throughout; the additional data binds the envelope to what it is for.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sealed {
    /// What the envelope is for; part of the authenticated data.
    pub purpose: String,
    /// Nonce of the data.
    pub nonce: Vec<u8>,
    /// The data, encrypted and authenticated.
    pub ciphertext: Vec<u8>,
    /// The data's key, once per key-encryption key.
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
    /// The data key, encrypted and authenticated.
    pub ciphertext: Vec<u8>,
}

/// A signed leaf, without its private key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeafCertificate {
    /// Serial number, colon-separated hexadecimal.
    pub serial: String,
    /// The leaf, then the intermediates up to but not including the root; PEM.
    pub cert_pem: String,
    /// The identity it speaks for, as in its SAN.
    pub uri: String,
    /// Start of its validity.
    pub valid_after: Timestamp,
    /// End of its validity.
    pub valid_before: Timestamp,
    /// Key id of the certificate that signed it, colon-separated hexadecimal.
    pub authority_key_id: String,
    /// Index of the log entry that recorded its issue.
    #[serde(default)]
    pub stamp: Stamp,
}

/// Life of certificates where nothing else is configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CertificateLife {
    /// Of leaves.
    pub leaf: Duration,
    /// Of intermediates.
    pub intermediate: Duration,
    /// Of roots.
    pub root: Duration,
}

impl Default for CertificateLife {
    /// Consul's defaults: 72 h, 8760 h, 87600 h.
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Self { leaf: hours(72), intermediate: hours(8760), root: hours(87_600) }
    }
}
