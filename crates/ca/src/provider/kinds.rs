//! The table of the kinds of providers.

use std::sync::Arc;

use concord_model::ca::ProviderRecord;

use super::{Kind, builtin};

/// Kinds that Consul has and concord does not have yet.
const NOT_YET: [&str; 2] = ["vault", "aws-pca"];

/// The kinds of providers that a server has. The first is the default: it is used if the configuration names no kind,
/// and for old records without a kind.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<Arc<dyn Kind>>);

/// A kind of provider that this server does not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnknownKind {
    /// Consul has this kind.
    #[error("CA provider {0:?}")]
    NotYet(String),
    /// Consul does not have this kind either.
    #[error("Provider: {name:?} is unknown; {default:?} is the built-in one")]
    Unknown {
        /// The name in the configuration.
        name: String,
        /// The name of the default kind.
        default: &'static str,
    },
}

impl Default for Kinds {
    fn default() -> Self {
        Self(vec![Arc::new(builtin::Builtin)])
    }
}

impl Kinds {
    /// Adds a kind.
    #[must_use]
    pub fn with(mut self, kind: Arc<dyn Kind>) -> Self {
        self.0.push(kind);
        self
    }

    /// The default kind.
    pub fn default_kind(&self) -> &Arc<dyn Kind> {
        &self.0[0]
    }

    /// Finds a kind by its name.
    pub fn find(&self, name: &str) -> Result<&Arc<dyn Kind>, UnknownKind> {
        self.0.iter().find(|kind| kind.name() == name).ok_or_else(|| {
            if NOT_YET.contains(&name) {
                UnknownKind::NotYet(name.to_owned())
            } else {
                UnknownKind::Unknown { name: name.to_owned(), default: self.default_kind().name() }
            }
        })
    }

    /// Finds the kind of a record.
    pub fn of_record(&self, record: &ProviderRecord) -> Result<&Arc<dyn Kind>, UnknownKind> {
        if record.kind.is_empty() { Ok(self.default_kind()) } else { self.find(&record.kind) }
    }
}
