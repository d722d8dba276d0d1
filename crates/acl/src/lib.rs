//! Who may do what: the ACL rule language, the merge of policies, and the authorizer that answers.
//!
//! ```text
//! rules text ──► Policy ─┐
//! rules text ──► Policy ─┼─ Authorizer::new ──► check(&Right) ──► Access
//! default policy ────────┘
//! ```
//!
//! Of all rules for one resource the most specific decides: the exact name before any prefix, a longer
//! prefix before a shorter one. Where several policies speak at the same specificity, deny wins, then the
//! highest level. Nothing said means the default policy.
//!
//! What this crate is not: it knows no token, role or identity record, resolves no secret and reads no clock.

#![forbid(unsafe_code)]

mod authorizer;
mod denied;
pub mod identity;
mod policy;
mod right;
mod table;

pub use authorizer::{Access, Authorizer, DefaultPolicy};
pub use denied::{ANONYMOUS_ACCESSOR_ID, PermissionDenied, TokenError};
pub use policy::{Fault, POLICY_BYTES_MAX, Policy, PolicyError, PolicyFault, Rule, Scope};
pub use right::{Grant, Labelled, Level, Right, Scalar};
