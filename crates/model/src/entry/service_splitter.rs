//! `service-splitter`: how requests for a service are split by weight.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::headers::HeaderModifiers;
use crate::is_default;
use crate::name::serde_text::some_text;
use crate::name::{Namespace, Partition, ServiceName};

/// How requests for a service are split.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ServiceSplitter {
    /// The parts. The sum of their weights is 100.
    pub splits: Vec<Split>,
}

/// One part of the requests.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Split {
    /// Its share.
    pub weight: Weight,
    /// The service to which it goes. Without it, the one with the splitter.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The subset of the service. Then the service's splitter does not apply.
    #[serde(skip_serializing_if = "is_default")]
    pub service_subset: String,
    /// The service's namespace.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Namespace>,
    /// The service's partition.
    #[serde(deserialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// Changes of the request's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<HeaderModifiers>,
    /// Changes of the response's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderModifiers>,
}

/// A share of requests, in hundredths of a percent. The API writes percents, and everything between two hundredths is
/// rounded.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Weight(i32);

impl Weight {
    /// All requests.
    pub const WHOLE: Self = Self(100 * 100);

    /// Builds it from hundredths of a percent.
    pub const fn from_hundredths(hundredths: i32) -> Self {
        Self(hundredths)
    }

    /// Builds it from percents. It rounds as Consul does, whose weights are numbers of single precision.
    pub fn from_percents(percents: f32) -> Self {
        Self(f64::from(percents * 100.0).round() as i32)
    }

    /// The hundredths of a percent.
    pub const fn hundredths(self) -> i32 {
        self.0
    }

    /// The percents.
    pub fn percents(self) -> f32 {
        self.0 as f32 / 100.0
    }

    /// The share of this share: what a part of a part weighs.
    #[must_use]
    pub fn of(self, whole: Self) -> Self {
        Self::from_percents(whole.percents() * self.percents() / 100.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.percents().fmt(f)
    }
}

impl Serialize for Weight {
    /// A whole number where it is one, as in Go.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            return serializer.serialize_i32(self.0 / 100);
        }
        serializer.serialize_f64(f64::from(self.0) / 100.0)
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(|percents| Self::from_percents(percents as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_weight_is_read_as_it_is_written() {
        for hundredths in 0..=10_000 {
            let weight = Weight::from_hundredths(hundredths);
            let text = serde_json::to_string(&weight).unwrap();
            assert_eq!(serde_json::from_str::<Weight>(&text).unwrap(), weight, "{text}");
        }
        assert_eq!(serde_json::to_string(&Weight::WHOLE).unwrap(), "100");
        assert_eq!(serde_json::to_string(&Weight::from_percents(33.33)).unwrap(), "33.33");
    }

    #[test]
    fn shares_of_shares_are_rounded() {
        let of =
            |part: f32, whole: f32| Weight::from_percents(part).of(Weight::from_percents(whole)).to_string();
        assert_eq!(of(50.0, 50.0), "25");
        assert_eq!(of(33.33, 33.33), "11.11");
        assert_eq!(of(0.01, 50.0), "0.01");
        assert_eq!(of(0.01, 49.0), "0");
    }
}
