//! Why an input is refused, and the HTTP status for it.
//!
//! The texts are complete sentences for a person. Where Consul's clients match a text, it is exactly that text.

use std::fmt;

use concord_syntax::{Diagnostic, SyntaxError};

use crate::limits::FAULTS_MAX;

/// Answer of every ACL endpoint while ACLs are off (401).
pub const ACL_DISABLED: &str = "ACL support disabled";
/// Answer to an unknown token (403).
pub const ACL_NOT_FOUND: &str = "ACL not found";
/// The beginning of every refusal for a missing right (403).
pub const PERMISSION_DENIED: &str = "Permission denied";
/// Answer while there is no leader (500).
pub const NO_LEADER: &str = "No cluster leader";
/// Answer for an unknown datacenter (500).
pub const NO_PATH_TO_DATACENTER: &str = "No path to datacenter";
/// Beginning of the answer for a missing entry (404).
pub const CONFIG_ENTRY_NOT_FOUND: &str = "Config entry not found";
/// Answer to a change of a provider's state (400).
pub const CA_STATE_READ_ONLY: &str =
    "Provider State is read-only. It must be omitted or identical to the current value";

/// The error of one field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The field as in the API (`Proxy.Upstreams[2].DestinationName`); empty for the whole input.
    pub field: String,
    /// The error.
    pub problem: Problem,
}

/// The kinds of errors.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// The text is not JSON or HCL, or does not have the expected structure.
    #[error("{0}")]
    Decode(Diagnostic),
    /// The text cannot be parsed.
    #[error("{0}")]
    Syntax(SyntaxError),
    /// A rule is broken; the sentence names the field and the remedy.
    #[error("{0}")]
    Rule(String),
    /// Another namespace or partition than `default`, refused with the words of the community edition.
    #[error("Invalid {field}({value}): {feature} is a Consul Enterprise feature")]
    Enterprise {
        /// The field.
        field: String,
        /// Its value.
        value: String,
        /// `Namespaces` or `Partitions`.
        feature: &'static str,
    },
    /// A part of Consul that is not built yet.
    #[error("not available yet: {0}")]
    NotAvailable(String),
}

/// All errors of one input, in order of appearance, with their context.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Faults {
    /// What was attempted, in Consul's words (`Validation failed`); empty if there is no prefix.
    pub context: &'static str,
    /// At least one fault, at most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
}

// === impl Fault ===

impl Fault {
    /// A broken rule.
    pub fn rule(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self { field: field.into(), problem: Problem::Rule(text.into()) }
    }

    /// Something that is not built yet.
    pub fn not_available(field: impl Into<String>, what: impl Into<String>) -> Self {
        Self { field: field.into(), problem: Problem::NotAvailable(what.into()) }
    }

    /// The same error within a parent field.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.field = match (parent, self.field.as_str()) {
            (parent, "") => parent.to_owned(),
            ("", field) => field.to_owned(),
            (parent, field) => format!("{parent}.{field}"),
        };
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

// === impl Faults ===

impl Faults {
    /// One error without a prefix.
    pub fn one(fault: Fault) -> Self {
        Self { context: "", faults: vec![fault] }
    }

    /// `value` if there are no errors.
    pub fn or<T>(context: &'static str, faults: Vec<Fault>, value: T) -> Result<T, Self> {
        if faults.is_empty() { Ok(value) } else { Err(Self::many(context, faults)) }
    }

    /// Several errors; those beyond [`FAULTS_MAX`] are left out.
    pub fn many(context: &'static str, mut faults: Vec<Fault>) -> Self {
        faults.truncate(FAULTS_MAX);
        Self { context, faults }
    }

    /// Errors of decoding.
    pub fn decode(context: &'static str, diagnostics: Vec<Diagnostic>) -> Self {
        let fault = |found: Diagnostic| Fault { field: found.path.clone(), problem: Problem::Decode(found) };
        Self::many(context, diagnostics.into_iter().map(fault).collect())
    }

    /// A text that cannot be parsed.
    pub fn syntax(context: &'static str, error: SyntaxError) -> Self {
        Self { context, faults: vec![Fault { field: String::new(), problem: Problem::Syntax(error) }] }
    }

    /// 501 if all errors are about parts that are not built yet, else 400.
    pub fn status(&self) -> u16 {
        let missing = |fault: &Fault| matches!(fault.problem, Problem::NotAvailable(_));
        if self.faults.iter().all(missing) { 501 } else { 400 }
    }
}

impl fmt::Display for Faults {
    /// `Validation failed: first; second`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.context.is_empty() {
            write!(f, "{}: ", self.context)?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            f.write_str(if index > 0 { "; " } else { "" })?;
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_missing_is_not_the_callers_fault() {
        let missing = Fault::not_available("Check.HTTP", "HTTP checks");
        assert_eq!(Faults::one(missing.clone()).status(), 501);
        assert_eq!(missing.to_string(), "not available yet: HTTP checks");
        let broken = Fault::rule("Port", "Port must be from 0 to 65535");
        let both = Faults::many("Validation failed", vec![missing, broken]);
        assert_eq!(both.status(), 400);
        assert_eq!(
            both.to_string(),
            "Validation failed: not available yet: HTTP checks; Port must be from 0 to 65535"
        );
    }
}
