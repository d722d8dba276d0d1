//! The table of the kinds of providers, a row each.

use std::sync::Arc;

use concord_model::ca::ProviderRecord;

use super::{Kind, builtin};

/// Kinds that Consul has and that are not there yet.
const NOT_YET: [&str; 2] = ["vault", "aws-pca"];

/// The kinds of providers that a server has. The first is the default: it signs where the configuration names none,
/// and to it belong the records from before they named their kind.
#[derive(Clone, Debug)]
pub struct Kinds(Vec<Arc<dyn Kind>>);

/// A kind of provider that this server does not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnknownKind {
    /// Consul has it.
    #[error("CA provider {0:?}")]
    NotYet(String),
    /// Nobody has it.
    #[error("Provider: {name:?} is unknown; {default:?} is the built-in one")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The default.
        default: &'static str,
    },
}

impl Default for Kinds {
    fn default() -> Self {
        Self(vec![Arc::new(builtin::Builtin)])
    }
}

impl Kinds {
    /// The same and one more.
    #[must_use]
    pub fn with(mut self, kind: Arc<dyn Kind>) -> Self {
        self.0.push(kind);
        self
    }

    /// The default.
    pub fn default_kind(&self) -> &Arc<dyn Kind> {
        &self.0[0]
    }

    /// The kind of that name.
    pub fn find(&self, name: &str) -> Result<&Arc<dyn Kind>, UnknownKind> {
        self.0.iter().find(|kind| kind.name() == name).ok_or_else(|| {
            if NOT_YET.contains(&name) {
                UnknownKind::NotYet(name.to_owned())
            } else {
                UnknownKind::Unknown { name: name.to_owned(), default: self.default_kind().name() }
            }
        })
    }

    /// The kind whose record this is.
    pub fn of_record(&self, record: &ProviderRecord) -> Result<&Arc<dyn Kind>, UnknownKind> {
        if record.kind.is_empty() { Ok(self.default_kind()) } else { self.find(&record.kind) }
    }
}
