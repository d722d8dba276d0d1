//! For tests and simulation only: reproducible keys, malformed certificates, the table of chains that must be refused
//! (each with its reason), and a kind of provider whose calls a test controls.

mod forge;
mod gated;
mod keys;
mod matrix;
mod roots;
mod world;

pub use self::forge::Forge;
pub use self::gated::{Gate, Gated, Op};
pub use self::keys::SeededKeys;
pub use self::matrix::{Case, matrix};
pub use self::roots::{OfferedRoot, offered_roots};
pub use self::world::{Held, World};
