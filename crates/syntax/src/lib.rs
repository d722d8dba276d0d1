//! The languages of configuration: HCL1 and JSON, read to one tree with positions; decoding of this tree to typed
//! values; and Go's notation for durations.
//!
//! ```text
//! text ──► hcl::parse / json::parse ──► Node ──► decode::<T> ──► T, or all faults with their positions
//! ```
//!
//! This crate knows no configuration keys, defaults or rules. Callers limit a text's length, the parsers its nesting.

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
