//! The crate from outside: other tools read its certificates, rotations survive crashes.

mod cluster;
mod openssl;
mod rotation;
