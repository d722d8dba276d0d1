//! The written forms of configuration: HCL1 and JSON read into one positioned tree, decoding of that tree
//! into typed values, and Go's notation for durations.
//!
//! ```text
//! text ──► hcl::parse / json::parse ──► Node ──► decode::<T> ──► T, or every fault with its place
//! ```
//!
//! What this crate is not: it knows no configuration key, no default and no rule; it opens no file. Callers
//! bound the size of the text, the parsers bound its nesting.

#![forbid(unsafe_code)]

mod cursor;
pub mod decode;
pub mod duration;
pub mod hcl;
pub mod json;
pub mod limits;
pub mod spelling;
mod tree;

pub use decode::{Diagnostic, Fault, Options, decode, decode_exact, decode_with};
pub use tree::{Kind, Member, Node, Object, Pos, SyntaxError, same_key};
