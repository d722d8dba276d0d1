//! Identifiers of 128 bits in the text form of a UUID.
//!
//! The bits are random, not a UUID version of RFC 9562. Consul's clients expect `8-4-4-4-12` hexadecimal digits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 128 bits, printed as `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Uuid(pub [u8; 16]);

/// Why a text is not an identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a UUID: expected 8-4-4-4-12 hexadecimal digits")]
pub struct UuidError(pub String);

const DASHES: [usize; 4] = [8, 13, 18, 23];

impl Uuid {
    /// Reads the text form, in upper or lower case.
    pub fn parse(text: &str) -> Result<Self, UuidError> {
        let refused = || UuidError(text.chars().take(64).collect());
        let bytes = text.as_bytes();
        if bytes.len() != 36 || DASHES.iter().any(|at| bytes[*at] != b'-') {
            return Err(refused());
        }
        let mut out = [0u8; 16];
        let digits = bytes.iter().enumerate().filter(|(at, _)| !DASHES.contains(at)).map(|(_, b)| *b);
        for (at, digit) in digits.enumerate() {
            let value = char::from(digit).to_digit(16).ok_or_else(refused)?;
            out[at / 2] = (out[at / 2] << 4) | u8::try_from(value).map_err(|_| refused())?;
        }
        Ok(Self(out))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bits_agree() {
        let text = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        assert_eq!(Uuid::parse(&text.to_uppercase()).unwrap().to_string(), text);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in ["", "root", "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8fg"] {
            assert!(Uuid::parse(text).is_err(), "{text}");
        }
    }
}
