//! Names: the types of which keys and identities consist.
//!
//! Names are compared byte for byte, even where Consul ignores case. Two spellings are two names, in the catalog as in
//! intentions, certificates and ACL rules, so that another spelling cannot bypass a rule.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Maximum length of a name, in bytes. A SPIFFE id may have 2048 bytes, so five names of this length fit.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a text is not a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("{what} must not be empty")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// The text is longer than [`NAME_BYTES_MAX`].
    #[error("{what} is {len} bytes long; at most {NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// Length of the refused text in bytes.
        len: usize,
    },
    /// The text is the wildcard, but an exact name is needed.
    #[error("{what} must name one thing; the wildcard \"*\" is not allowed here")]
    Wildcard {
        /// The kind of name.
        what: &'static str,
    },
    /// The text contains a character that this kind of name does not allow.
    #[error("{what} {text:?} contains {bad:?}; {allowed}")]
    Character {
        /// The kind of name.
        what: &'static str,
        /// The refused text.
        text: String,
        /// The first refused character.
        bad: char,
        /// The allowed characters, for the error message.
        allowed: &'static str,
    },
}

/// All printable characters except the slash, which separates the components of keys.
fn plain(c: char) -> bool {
    !c.is_control() && c != '/' && c != '\u{2028}' && c != '\u{2029}'
}

/// Lower-case letters, digits, dash and underscore.
fn lower_label(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

/// Letters, digits, dash and underscore.
fn label(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// As `label`, and the slash: the name of a policy is the last component of its key.
fn label_or_slash(c: char) -> bool {
    label(c) || c == '/'
}

const PLAIN: &str = "printable characters without \"/\" are allowed";
const LOWER_LABEL: &str = "lower-case letters, digits, \"-\" and \"_\" are allowed";

fn check(
    what: &'static str,
    text: &str,
    ok: fn(char) -> bool,
    allowed: &'static str,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { what, len: text.len() });
    }
    if text == "*" {
        return Err(NameError::Wildcard { what });
    }
    match text.chars().find(|c| !ok(*c)) {
        Some(bad) => Err(NameError::Character { what, text: text.to_owned(), bad, allowed }),
        None => Ok(()),
    }
}

/// The text of the most frequent partition and namespace, shared by all of them.
static DEFAULT_TEXT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(DEFAULT));

fn text_of(text: &str) -> Arc<str> {
    if text == DEFAULT { Arc::clone(&DEFAULT_TEXT) } else { Arc::from(text) }
}

/// Deserializes a value that is parsed from text, without copying the text.
struct Parsed<T>(&'static str, PhantomData<T>);

impl<T: std::str::FromStr<Err = NameError>> de::Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $ok:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Reads a name from text. Refuses characters that this kind of name does not allow.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                check($what, text, $ok, $allowed)?;
                Ok(Self(text_of(text)))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed(concat!("a ", $what), PhantomData))
            }
        }
    };
}

name!(
    /// The name of a service, for calls, identities and intentions.
    ServiceName, "service name", plain, PLAIN
);
name!(
    /// The id of one instance of a service on its node; by default the service's name.
    InstanceId, "service id", plain_or_slash, "printable characters are allowed"
);
name!(
    /// The name of a node.
    NodeName, "node name", plain, PLAIN
);
name!(
    /// The id of a health check on its node.
    CheckId, "check id", plain_or_slash, "printable characters are allowed"
);
name!(
    /// The name of a datacenter.
    Datacenter, "datacenter", lower_label, LOWER_LABEL
);
name!(
    /// The name of an admin partition.
    Partition, "partition", lower_label, LOWER_LABEL
);
name!(
    /// The name of a namespace.
    Namespace, "namespace", lower_label, LOWER_LABEL
);
name!(
    /// The local name of a peered cluster.
    PeerName, "peer name", lower_label, LOWER_LABEL
);
name!(
    /// The name of a service or node in a token's identity, with Consul's strict rules.
    IdentityName, "name of an identity", lower_label, LOWER_LABEL
);
name!(
    /// The name of an ACL policy.
    PolicyName, "policy name", label_or_slash, "letters, digits, \"-\", \"_\" and one \"/\" are allowed"
);

/// An id is the last component of its key, so a slash does no harm, and users have such ids.
fn plain_or_slash(c: char) -> bool {
    !c.is_control()
}

// === impl Partition, Namespace ===

/// The name of the partition and of the namespace that always exist.
pub const DEFAULT: &str = "default";

impl Default for Partition {
    fn default() -> Self {
        Self(text_of(DEFAULT))
    }
}

impl Partition {
    /// Whether this is the partition that always exists.
    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(text_of(DEFAULT))
    }
}

impl Namespace {
    /// Whether this is the namespace that always exists.
    pub fn is_default(&self) -> bool {
        &*self.0 == DEFAULT
    }
}

/// An exact name, or the wildcard `*`.
///
/// `Any` sorts before every exact name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Pattern<T> {
    /// The wildcard `*`.
    Any,
    /// Exactly this name.
    Exact(T),
}

impl<T> Pattern<T> {
    /// Whether this is the wildcard.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    /// The exact name, unless it is the wildcard.
    pub fn exact(&self) -> Option<&T> {
        match self {
            Self::Any => None,
            Self::Exact(name) => Some(name),
        }
    }
}

impl<T: PartialEq> Pattern<T> {
    /// Whether the pattern matches `name`.
    pub fn matches(&self, name: &T) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => own == name,
        }
    }
}

impl<T: AsRef<str>> Pattern<T> {
    /// The pattern as text: `*` or the name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Exact(name) => name.as_ref(),
        }
    }
}

impl<T: std::str::FromStr<Err = NameError>> Pattern<T> {
    /// Reads `*` or a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::Exact) }
    }
}

impl<T: AsRef<str>> fmt::Display for Pattern<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: AsRef<str>> Serialize for Pattern<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<T: std::str::FromStr<Err = NameError>> std::str::FromStr for Pattern<T> {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl<'de, T: std::str::FromStr<Err = NameError>> Deserialize<'de> for Pattern<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Parsed("a name or \"*\"", PhantomData))
    }
}

/// Deserializes names where an empty text means that there is no name.
pub(crate) mod serde_text {
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, de};

    use super::NameError;

    /// An empty text becomes `None`.
    pub(crate) fn some_text<'de, D: Deserializer<'de>, T: FromStr<Err = NameError>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
        text.map(|text| text.parse()).transpose().map_err(de::Error::custom)
    }

    /// An empty text becomes the default.
    pub(crate) fn text_or_default<'de, D: Deserializer<'de>, T: FromStr<Err = NameError> + Default>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        some_text(deserializer).map(Option::unwrap_or_default)
    }
}

/// A service as seen from one cluster. It is compared with all its components, never by name alone.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ServiceRef {
    /// The service's admin partition.
    #[serde(default)]
    pub partition: Partition,
    /// The service's namespace.
    #[serde(default)]
    pub namespace: Namespace,
    /// The peered cluster from which it is imported. `None` for our own cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerName>,
    /// The service's name.
    pub name: ServiceName,
}

impl ServiceRef {
    /// The service with this name in the default partition and namespace of this cluster.
    pub fn local(name: ServiceName) -> Self {
        Self { partition: Partition::default(), namespace: Namespace::default(), peer: None, name }
    }

    /// A text that is unique for each service: `partition/namespace/peer/name`. The peer is empty for our own cluster.
    pub fn key(&self) -> String {
        let peer = self.peer.as_ref().map_or("", PeerName::as_str);
        format!("{}/{}/{}/{}", self.partition, self.namespace, peer, self.name)
    }
}

impl fmt::Display for ServiceRef {
    /// The shortest unambiguous text: default components are omitted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.partition.is_default() {
            write!(f, "{}/{}/", self.partition, self.namespace)?;
        } else if !self.namespace.is_default() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(self.name.as_str())?;
        match &self.peer {
            Some(peer) => write!(f, " (peer {peer})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_spelling() {
        assert_ne!(ServiceName::parse("Web").unwrap(), ServiceName::parse("web").unwrap());
    }

    #[track_caller]
    fn refused(text: &str) -> NameError {
        ServiceName::parse(text).expect_err("must be refused")
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        assert_eq!(refused(""), NameError::Empty { what: "service name" });
        assert_eq!(refused("*"), NameError::Wildcard { what: "service name" });
        assert!(matches!(refused("a/b"), NameError::Character { bad: '/', .. }));
        assert!(matches!(refused("a\0b"), NameError::Character { bad: '\0', .. }));
        assert!(matches!(refused(&"x".repeat(256)), NameError::TooLong { len: 256, .. }));
        assert!(Datacenter::parse("DC1").is_err());
    }

    #[test]
    fn a_pattern_covers_what_it_says() {
        let any: Pattern<ServiceName> = Pattern::parse("*").unwrap();
        let web: Pattern<ServiceName> = Pattern::parse("web").unwrap();
        let name = ServiceName::parse("web").unwrap();
        let other = ServiceName::parse("web1").unwrap();
        assert!(any.matches(&name) && any.matches(&other));
        assert!(web.matches(&name) && !web.matches(&other));
    }
}
