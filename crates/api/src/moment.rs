//! Times as Go prints them: RFC 3339 in UTC. Year one stands for "never set".

use std::fmt;

use concord_model::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A time or none. Go writes none as `0001-01-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(pub Option<Timestamp>);

const ZERO: &str = "0001-01-01T00:00:00Z";

/// The text is not a time between the years 1678 and 2262.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:?} is not a time; write it as 2006-01-02T15:04:05Z, from the year 1678 to 2262")]
pub struct MomentError(String);

impl Moment {
    /// Parses RFC 3339 with any offset. The empty text and Go's zero time give none.
    pub fn parse(text: &str) -> Result<Self, MomentError> {
        if text.is_empty() || text == ZERO {
            return Ok(Self(None));
        }
        let refused = || MomentError(text.chars().take(64).collect());
        let time: jiff::Timestamp = text.parse().map_err(|_| refused())?;
        let nanos = i64::try_from(time.as_nanosecond()).map_err(|_| refused())?;
        Ok(Self(Some(Timestamp::from_nanos(nanos))))
    }

    /// Whether there is none.
    pub fn is_zero(&self) -> bool {
        self.0.is_none()
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(Some(time))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(ZERO),
            Some(time) => match jiff::Timestamp::from_nanosecond(i128::from(time.nanos())) {
                Ok(time) => time.fmt(f),
                Err(_) => f.write_str(ZERO),
            },
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(nanos: i64, text: &str) {
        let moment = Moment::from(Timestamp::from_nanos(nanos));
        assert_eq!(moment.to_string(), text);
        assert_eq!(Moment::parse(text), Ok(moment));
    }

    #[test]
    fn print_and_parse_agree() {
        check(0, "1970-01-01T00:00:00Z");
        check(1_500_000_000, "1970-01-01T00:00:01.5Z");
        check(1_760_000_000_123_456_789, "2025-10-09T08:53:20.123456789Z");
        check(-1, "1969-12-31T23:59:59.999999999Z");
        assert_eq!(Moment::default().to_string(), ZERO);
        assert_eq!(Moment::parse(ZERO), Ok(Moment(None)));
        assert_eq!(Moment::parse("2025-10-09T10:53:20+02:00").unwrap().to_string(), "2025-10-09T08:53:20Z");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["yesterday", "2025-10-09", "9999-01-01T00:00:00Z"] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
    }
}
