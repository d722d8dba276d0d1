//! Certificates of the mesh: X.509 built, parsed and verified; certificate requests; sealed keys;
//! the leaf manager, the provider interface and root rotation as machines that emit effects.
//!
//! Nothing here reads a clock, opens a socket or a file, or draws randomness on its own: times are
//! arguments, serial numbers are passed in, and keys come from the [`KeyMaker`] port. The server
//! hosts providers that do I/O; agent and proxy host the leaf manager.
//!
//! DER is written and read by [`der`], strictly: what the mesh issues is fixed to the byte, names
//! are copied from certificate to certificate unchanged, and what it reads may be no other encoding
//! of the same thing. Paths are built and signatures checked by webpki and aws-lc.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod csr;
pub mod der;
pub mod hex;
pub mod key;
pub mod leaf;
pub mod limiter;
pub mod limits;
pub mod oid;
pub mod pem;
pub mod provider;
pub mod rotation;
pub mod seal;
pub mod tls;
pub mod verify;
pub mod x509;

#[cfg(feature = "testing")]
pub mod testing;

pub use crate::csr::{Csr, CsrRefusal, ParsedCsr};
pub use crate::key::{KeyError, KeyMaker, OsKeys, PublicKey, Signer};
pub use crate::verify::{Refusal, TrustBundle, Usage, Verified, verify_chain, verify_service};
pub use crate::x509::Certificate;
