//! Secrets: values that cannot be printed or serialised by accident. They are wiped when dropped.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A secret text, such as a token or a private key in PEM.
///
/// It has no `Display` and no serde form, and its `Debug` does not reveal it. Only [`Secret::expose`] reads it.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text as secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself. It must not get into logs, errors or metrics.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in a time that depends only on the length.
    pub fn matches(&self, other: &str) -> bool {
        let (own, other) = (self.0.as_bytes(), other.as_bytes());
        own.len() == other.len() && own.iter().zip(other).fold(0u8, |acc, (a, b)| acc | (a ^ b)) == 0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(<hidden>)")
    }
}

/// Secret bytes, such as a private key in DER or a key-encryption key.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Wraps bytes as secret.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies the bytes from a buffer and wipes the buffer.
    pub fn take_from(buffer: &mut [u8]) -> Self {
        let own = Self::new(buffer.to_vec());
        buffer.zeroize();
        own
    }

    /// The bytes themselves. They must not get into logs, errors or metrics.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(<hidden>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("correct horse".to_owned());
        assert!(!format!("{secret:?}").contains("horse"));
        assert!(!format!("{:?}", SecretBytes::new(b"horse".to_vec())).contains("horse"));
    }

    #[test]
    fn a_secret_matches_itself_only() {
        let secret = Secret::new("abc".to_owned());
        assert!(secret.matches("abc"));
        assert!(!secret.matches("abd") && !secret.matches("ab") && !secret.matches("abcd"));
    }
}
