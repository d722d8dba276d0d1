//! `inline-certificate`: a certificate, with its key, that API gateways show to their clients.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Secret;

/// A certificate in an entry.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct InlineCertificate {
    /// The certificate and those that lead to its authority, in PEM.
    pub certificate: String,
    /// Its key.
    pub private_key: KeyText,
}

/// A private key in PEM. It is in the log and in answers to who may read the mesh's configuration, as in Consul.
/// `Debug` does not show it.
#[derive(Clone)]
pub struct KeyText(pub Secret);

impl Default for KeyText {
    fn default() -> Self {
        Self(Secret::new(String::new()))
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for KeyText {
    fn eq(&self, other: &Self) -> bool {
        self.0.matches(other.0.expose())
    }
}

impl Eq for KeyText {}

impl Serialize for KeyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}
