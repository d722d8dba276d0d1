//! What configuration means: which connection may be made, by which rule, and what would change it.
//!
//! Pure: configuration in, meaning out. How entries are stored is the business of `state`, how they
//! are written in JSON that of `api`, how a decision is enforced that of `proxy` and `xds`. All of
//! them ask the one evaluator in [`intention`], so that no two faces of the mesh disagree.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod entry;
pub mod explain;
pub mod intention;
