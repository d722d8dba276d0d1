//! The ACL rule language, the merge of policies, and the authorizer that decides about rights.
//!
//! ```text
//! rules text ──► Policy ─┐
//! rules text ──► Policy ─┼─ Authorizer::new ──► check(&Right) ──► Access
//! default policy ────────┘
//! ```
//!
//! The most specific rule for a resource decides: an exact name before a prefix, and a longer prefix before a shorter
//! one. If several policies have rules of the same specificity, deny wins; otherwise the highest level wins. If no rule
//! applies, the default policy decides.
//!
//! This crate does not know tokens, roles or identity records. It resolves no secrets and reads no clock.

#![forbid(unsafe_code)]

mod authorizer;
mod denied;
pub mod identity;
mod policy;
mod right;
mod table;

pub use authorizer::{Access, Authorizer};
pub use denied::{ANONYMOUS_ACCESSOR_ID, PermissionDenied, TokenError};
pub use policy::{Fault, POLICY_BYTES_MAX, Policy, PolicyError, PolicyFault, Rule, Scope};
pub use right::{Grant, Labelled, Level, Right, Scalar};
