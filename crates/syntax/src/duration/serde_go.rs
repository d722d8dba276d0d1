//! Durations in serde fields: read from `"10s"` or from integer nanoseconds, written as `"10s"`.
//!
//! Use `#[serde(with = "concord_syntax::duration::serde_go", default)]` on a `Duration`, and `serde_go::option` on an
//! `Option<Duration>`, where an empty string means `None`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

use super::{format, parse};

/// Reads a duration from Go's notation or from a number of nanoseconds.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(GoDuration).map(Option::unwrap_or_default)
}

/// Writes a duration in Go's notation.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// The same for an optional duration.
pub mod option {
    use super::{Deserializer, Duration, GoDuration, Serializer, format};

    /// Reads a duration. `null` and an empty string become `None`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        deserializer.deserialize_any(GoDuration)
    }

    /// Writes a duration in Go's notation, or `null`.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&format(*duration)),
            None => serializer.serialize_none(),
        }
    }
}

struct GoDuration;

impl<'de> Visitor<'de> for GoDuration {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"10s\" or a number of nanoseconds")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() {
            return Ok(None);
        }
        parse(text).map(Some).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, nanos: u64) -> Result<Self::Value, E> {
        Ok(Some(Duration::from_nanos(nanos)))
    }

    fn visit_i64<E: Error>(self, nanos: i64) -> Result<Self::Value, E> {
        let nanos = u64::try_from(nanos).map_err(|_| E::invalid_value(Unexpected::Signed(nanos), &self))?;
        self.visit_u64(nanos)
    }

    fn visit_f64<E: Error>(self, nanos: f64) -> Result<Self::Value, E> {
        if nanos.fract() != 0.0 || !(0.0..9.2e18).contains(&nanos) {
            return Err(E::invalid_value(Unexpected::Float(nanos), &self));
        }
        self.visit_u64(nanos as u64)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}
