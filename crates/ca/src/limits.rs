//! Every bound of this crate, each with the reason for its size.

use std::time::Duration;

/// Longest certificate request, in bytes of PEM: an RSA-8192 request is about 4 KiB.
pub const CSR_BYTES_MAX: usize = 16 * 1024;
/// Most attributes of a request: one is used; a few are seen in the wild.
pub const CSR_ATTRIBUTES_MAX: usize = 8;
/// Longest certificate, in bytes of DER: a large RSA certificate with many names is about 8 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 32 * 1024;
/// Most extensions of a certificate or a request: ours have six, public ones about ten.
pub const EXTENSIONS_MAX: usize = 32;
/// Most subject alternative names: gateways carry a few per listener.
pub const ALTERNATIVE_NAMES_MAX: usize = 256;
/// Most certificates a peer may present: leaf, two cross-signed roots, two intermediates, the root, and two to spare.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;
/// Most certificates in one PEM text: a root set in rotation stays well below.
pub const PEM_BLOCKS_MAX: usize = 64;
/// Longest serial number, in bytes (RFC 5280 §4.1.2.2).
pub const SERIAL_BYTES_MAX: usize = 20;
/// Longest key id of an authority, in bytes: ours have 32, a hash of any kind has at most 64.
pub const KEY_ID_BYTES_MAX: usize = 64;
/// Smallest RSA modulus, in bits (NIST SP 800-131A).
pub const RSA_BITS_MIN: usize = 2048;
/// Largest RSA modulus, in bits: verification beyond it costs milliseconds.
pub const RSA_BITS_MAX: usize = 8192;
/// Smallest RSA public exponent (FIPS 186-5).
pub const RSA_EXPONENT_MIN: u64 = 65_537;

/// How far certificates are dated back, so that clocks a little behind accept them (Consul: one minute).
pub const BACKDATE: Duration = Duration::from_secs(60);
/// How long a cross-signed root is valid (Consul: seven days).
pub const CROSS_SIGNED_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Longest a signing request waits for its turn before it is refused (Consul: 500 ms).
pub const CSR_WAIT_MAX: Duration = Duration::from_millis(500);

/// Key-encryption keys tried for one envelope: the current one and those being rotated out.
pub const KEKS_MAX: usize = 8;

/// A leaf is renewed at a random moment after this share of its life, in percent.
pub const RENEW_FROM_PERCENT: u32 = 60;
/// A leaf is renewed at a random moment before this share of its life, in percent.
pub const RENEW_UNTIL_PERCENT: u32 = 90;
/// A leaf that lives shorter than this is renewed at once (Consul: ten minutes).
pub const RENEW_AT_ONCE_BELOW: Duration = Duration::from_secs(600);
/// Least time between two attempts of one leaf, whatever its life: a signer that hands out certificates
/// that are stale at once is not asked in a loop.
pub const RENEW_PAUSE_MIN: Duration = Duration::from_secs(1);
/// Leaves are re-issued within this time after the root changed, each at a random moment (Consul: 30 s).
pub const ROOT_CHANGE_JITTER: Duration = Duration::from_secs(30);
/// First pause after a failed signature; doubles up to [`RETRY_MAX`].
pub const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause after failed signatures: short beside the shortest leaf's remaining tenth (6 min).
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// A request for a signature that is not answered in this time counts as failed.
pub const SIGN_TIMEOUT: Duration = Duration::from_secs(30);
/// Failures in a row before the operator is told.
pub const ALARM_AFTER_FAILURES: u32 = 5;

/// An inactive root is removed this many leaf lifetimes after it was rotated out (Consul: two).
pub const PRUNE_AFTER_LEAF_LIVES: u32 = 2;
/// Most inactive roots kept: a rotation every two hours with leaves of three days. Every answer with the roots carries
/// them all, some 4 KiB each, and so does every record of a rotation.
pub const INACTIVE_ROOTS_MAX: usize = 32;
/// A root of our own is replaced after this share of its life, in percent: long before leaves would be cut short.
pub const ROOT_RENEW_PERCENT: u32 = 70;
/// From this share of a root's life on the operator is told, in percent.
pub const ROOT_ALARM_PERCENT: u32 = 80;
/// Pause after a replacement of an old root that did not come through.
pub const ROOT_RENEW_RETRY: Duration = Duration::from_secs(3600);
/// The same while the active root is not valid: nothing can be signed meanwhile.
pub const ROOT_REPLACE_RETRY: Duration = Duration::from_secs(15);
/// A wall clock that is off by this much from one look to the next was set, and did not drift.
pub const CLOCK_STEP_MIN: Duration = Duration::from_secs(600);
/// No root is removed for this long after the clock was set: the clock may be wrong, and a root that is gone is gone.
pub const PRUNE_AFTER_STEP: Duration = Duration::from_secs(24 * 3600);
/// How often a step of a rotation that failed is tried again.
pub const ROTATION_RETRY: Duration = Duration::from_secs(5);
/// How often the leader looks for roots to prune (Consul: hourly).
pub const PRUNE_CHECK: Duration = Duration::from_secs(3600);
/// Longest wait for proxies to confirm a new root before it is activated all the same: a proxy that
/// was away learns the old root's signature over the new one from the chain it is shown.
pub const DISTRIBUTION_WAIT_MAX: Duration = Duration::from_secs(30);
/// The same for a new root that the old one could not sign: without that signature nobody follows who
/// has not confirmed, so the wait is long.
pub const DISTRIBUTION_WAIT_FORCED: Duration = Duration::from_secs(600);
/// Most cross-signed certificates carried on from the root before: two rotations shortly after another
/// stay verifiable for those who know the first root only, and chains stay below [`CHAIN_CERTIFICATES_MAX`].
pub const CARRIED_CROSS_SIGNATURES_MAX: usize = 2;
