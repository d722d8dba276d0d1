//! What the servers say of entries for API gateways: the conditions that the leader computes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::name::serde_text::text_or_default;
use crate::name::{Namespace, Partition};
use crate::time::Timestamp;

/// Names an entry, or a part of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default)]
pub struct Reference {
    /// The entry's kind.
    pub kind: String,
    /// The entry's name.
    pub name: String,
    /// The part. Of a gateway: a listener. Empty: the whole.
    pub section_name: String,
    /// The entry's partition.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Partition::is_default")]
    pub partition: Partition,
    /// The entry's namespace.
    #[serde(deserialize_with = "text_or_default", skip_serializing_if = "Namespace::is_default")]
    pub namespace: Namespace,
}

impl Reference {
    /// Names a whole entry.
    pub fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned(), ..Self::default() }
    }

    /// Names a part of the entry.
    #[must_use]
    pub fn section(self, name: &str) -> Self {
        Self { section_name: name.to_owned(), ..self }
    }

    /// Reads references; those that name no kind are of this one.
    pub(super) fn read<'de, D: Deserializer<'de>>(
        deserializer: D,
        kind: &str,
    ) -> Result<Vec<Self>, D::Error> {
        let mut all = Vec::<Self>::deserialize(deserializer)?;
        for own in all.iter_mut().filter(|own| own.kind.is_empty()) {
            own.kind = kind.to_owned();
        }
        Ok(all)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, section_name, .. } = self;
        write!(f, "{kind} {name:?}")?;
        if section_name.is_empty() { Ok(()) } else { write!(f, " section {section_name:?}") }
    }
}

/// What the servers say of an entry. Nobody else can write it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Status {
    /// The conditions, sorted by type and resource.
    pub conditions: Vec<Condition>,
}

impl Status {
    /// Whether nothing has been said yet.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }
}

/// One statement about an entry or a part of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Condition {
    /// What is stated: `Accepted`, `Bound`, `Conflicted` or `ResolvedRefs`.
    pub r#type: String,
    /// `True` or `False`.
    pub status: String,
    /// The reason as one word.
    pub reason: String,
    /// The reason for people.
    pub message: String,
    /// What it is about. Empty: the whole entry.
    pub resource: Reference,
    /// When the statement last changed, by the leader's clock.
    pub last_transition_time: Transition,
}

impl Condition {
    /// Whether both state the same, whenever they began to.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let Self { r#type, status, reason, message, resource, last_transition_time: _ } = self;
        (r#type, status, reason, message, resource)
            == (&other.r#type, &other.status, &other.reason, &other.message, &other.resource)
    }
}

/// When a condition changed. API answers show it as text: their writer recognizes this type by its name.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Transition(pub Timestamp);

impl Transition {
    /// The name of this type in serde.
    pub const NAME: &str = "Transition";
}

impl<'de> Deserialize<'de> for Transition {
    /// A text is no time of ours: whoever sends a status back writes none.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nanos;

        impl<'de> de::Visitor<'de> for Nanos {
            type Value = Transition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<Transition, E> {
                Ok(Transition(Timestamp::from_nanos(nanos)))
            }

            fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<Transition, E> {
                self.visit_i64(i64::try_from(nanos).unwrap_or(i64::MAX))
            }

            fn visit_str<E: de::Error>(self, _: &str) -> Result<Transition, E> {
                Ok(Transition::default())
            }

            fn visit_newtype_struct<T: Deserializer<'de>>(self, inner: T) -> Result<Transition, T::Error> {
                inner.deserialize_any(self)
            }
        }

        deserializer.deserialize_any(Nanos)
    }
}
