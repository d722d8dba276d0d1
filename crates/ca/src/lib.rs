//! The certificates of the mesh: building, parsing and verifying X.509, certificate requests, sealed keys, the leaf
//! manager, the interface of CA providers, and root rotation. The leaf manager and root rotation are state machines
//! that emit effects.
//!
//! This crate reads no clock, opens no socket and no file, and draws randomness only in [`OsKeys`]. Times and serial
//! numbers are arguments, and keys come from a [`KeyMaker`]. The server hosts providers that do I/O; the agent and the
//! proxy host the leaf manager.
//!
//! [`der`] reads and writes DER strictly. It accepts only one encoding of each value. Certificates that the mesh issues
//! are determined to the byte, and names are copied from certificate to certificate unchanged. webpki and aws-lc build
//! paths and check signatures.

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
pub mod pair;
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
