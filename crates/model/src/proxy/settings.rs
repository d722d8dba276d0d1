//! Free-form settings. There is one set for each upstream of each proxy, most have one key or none, and they are copied
//! from registrations to snapshots: so a set has no room to spare, and copies share it.

use std::ops::Index;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Free-form settings as the user wrote them, by key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings(
    /// In the order of the keys, each once; `None` if there are none.
    Option<Arc<[(String, Value)]>>,
);

impl Settings {
    /// No settings.
    pub const fn new() -> Self {
        Self(None)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let all = self.all();
        all.binary_search_by(|(own, _)| own.as_str().cmp(key)).ok().map(|at| &all[at].1)
    }

    /// Whether there is a value for the key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.iter().map(|(_, value)| value)
    }

    /// All settings, in the order of their keys.
    pub fn iter(&self) -> Pairs<'_> {
        self.all().iter().map(|(key, value)| (key, value))
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Sets a key.
    pub fn insert(&mut self, key: String, value: Value) {
        *self = self.clone().into_iter().chain([(key, value)]).collect();
    }

    /// Takes a key out. Returns its value.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let value = self.get(key)?.clone();
        *self = self.clone().into_iter().filter(|(own, _)| own != key).collect();
        Some(value)
    }

    fn all(&self) -> &[(String, Value)] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// The value of a key that is there.
impl Index<&str> for Settings {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        self.get(key).expect("the caller knows that the key is there")
    }
}

impl Extend<(String, Value)> for Settings {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, settings: I) {
        *self = self.clone().into_iter().chain(settings).collect();
    }
}

/// Settings, in the order of their keys.
pub type Pairs<'a> =
    std::iter::Map<std::slice::Iter<'a, (String, Value)>, fn(&'a (String, Value)) -> (&'a String, &'a Value)>;

/// Of a key that is there several times, the last value counts.
impl FromIterator<(String, Value)> for Settings {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(settings: I) -> Self {
        let mut all: Vec<_> = settings.into_iter().collect();
        // The order of equal keys stays: `dedup_by` keeps the first, so the last has to come first.
        all.reverse();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(a, _), (b, _)| a == b);
        Self((!all.is_empty()).then(|| all.into()))
    }
}

impl<const N: usize> From<[(String, Value); N]> for Settings {
    fn from(settings: [(String, Value); N]) -> Self {
        settings.into_iter().collect()
    }
}

impl IntoIterator for Settings {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.all().to_vec().into_iter()
    }
}

impl<'a> IntoIterator for &'a Settings {
    type Item = (&'a String, &'a Value);
    type IntoIter = Pairs<'a>;

    fn into_iter(self) -> Pairs<'a> {
        self.iter()
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;

        impl<'de> Visitor<'de> for Map {
            type Value = Settings;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Settings, A::Error> {
                std::iter::from_fn(|| map.next_entry().transpose()).collect()
            }
        }

        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(pairs: &[(&str, i32)]) -> Settings {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect()
    }

    #[test]
    fn they_are_in_order_and_found_by_key() {
        let own = settings(&[("c", 1), ("a", 2), ("b", 3)]);
        assert_eq!(own.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        let found = ["a", "b", "c", "d", ""].map(|key| own.get(key).and_then(Value::as_i64));
        assert_eq!(found, [Some(2), Some(3), Some(1), None, None]);
        assert!(own.contains_key("c") && !own.contains_key("aa"));
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let mut own = settings(&[("a", 1), ("b", 2), ("a", 3)]);
        assert_eq!(own, settings(&[("a", 3), ("b", 2)]));
        own.insert("b".to_owned(), json!(4));
        assert_eq!(own, settings(&[("a", 3), ("b", 4)]));
        own.extend(settings(&[("a", 5), ("c", 6)]));
        assert_eq!(own, settings(&[("a", 5), ("b", 4), ("c", 6)]));
        assert_eq!((own.remove("b"), own.remove("b")), (Some(json!(4)), None));
        assert_eq!(own, settings(&[("a", 5), ("c", 6)]));
        assert_eq!(own["c"], 6);
    }

    #[test]
    fn none_are_one_thing() {
        assert_eq!(settings(&[]), Settings::new());
        assert!(Settings::default().is_empty());
        assert_eq!(Settings::new().iter().len(), 0);
    }

    #[test]
    fn they_are_written_and_read_as_a_map() {
        let own = settings(&[("b", 1), ("a", 2)]);
        assert_eq!(serde_json::to_string(&own).unwrap(), r#"{"a":2,"b":1}"#);
        assert_eq!(serde_json::from_str::<Settings>(r#"{"b":1,"a":0,"a":2}"#).unwrap(), own);
        serde_json::from_str::<Settings>("[1]").unwrap_err();
    }
}
