//! The limits of this crate, with the reason for each value.

use std::time::Duration;

/// Maximum length of a certificate request, in bytes of PEM. An RSA-8192 request has about 4 KiB.
pub const CSR_BYTES_MAX: usize = 16 * 1024;
/// Maximum number of attributes of a request. We use one; other software sends a few.
pub const CSR_ATTRIBUTES_MAX: usize = 8;
/// Maximum length of a certificate, in bytes of DER. A large RSA certificate with many names has about 8 KiB.
pub const CERTIFICATE_BYTES_MAX: usize = 32 * 1024;
/// Maximum number of extensions of a certificate or a request. Ours have six, public ones about ten.
pub const EXTENSIONS_MAX: usize = 32;
/// Maximum number of subject alternative names. Gateways have a few for each listener.
pub const ALTERNATIVE_NAMES_MAX: usize = 256;
/// Maximum length of a peer's chain: leaf, two cross-signed roots, two intermediates, root, and two in reserve.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;
/// Maximum number of certificates in one PEM text. The roots during a rotation are far fewer.
pub const PEM_BLOCKS_MAX: usize = 64;
/// Maximum length of a serial number, in bytes (RFC 5280 §4.1.2.2).
pub const SERIAL_BYTES_MAX: usize = 20;
/// Maximum length of an authority's key id, in bytes. Ours have 32; no common hash is longer than 64.
pub const KEY_ID_BYTES_MAX: usize = 64;
/// Smallest RSA modulus, in bits (NIST SP 800-131A).
pub const RSA_BITS_MIN: usize = 2048;
/// Largest RSA modulus, in bits. Verifying with a larger one takes milliseconds.
pub const RSA_BITS_MAX: usize = 8192;
/// Smallest RSA public exponent (FIPS 186-5).
pub const RSA_EXPONENT_MIN: u64 = 65_537;

/// Certificates are dated back by this time, so that clocks that are slightly slow accept them (Consul: one minute).
pub const BACKDATE: Duration = Duration::from_secs(60);
/// The life of a cross-signed root (Consul: seven days).
pub const CROSS_SIGNED_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Maximum wait of a signing request for its turn; then it is refused (Consul: 500 ms).
pub const CSR_WAIT_MAX: Duration = Duration::from_millis(500);

/// How many key-encryption keys are tried for one envelope: the current one and those that are being replaced.
pub const KEKS_MAX: usize = 8;

/// A leaf is renewed at a random time after this share of its life, in percent.
pub const RENEW_FROM_PERCENT: u32 = 60;
/// A leaf is renewed at a random time before this share of its life, in percent.
pub const RENEW_UNTIL_PERCENT: u32 = 90;
/// A leaf with a shorter life than this is renewed without such a window (Consul: ten minutes).
pub const RENEW_AT_ONCE_BELOW: Duration = Duration::from_secs(600);
/// Minimum time before a new leaf is renewed, so that a signer of leaves that are too old is not asked in a loop.
pub const RENEW_PAUSE_MIN: Duration = Duration::from_secs(1);
/// After a change of the root each leaf is re-issued at a random time within this time (Consul: 30 s).
pub const ROOT_CHANGE_JITTER: Duration = Duration::from_secs(30);
/// First pause after a failed attempt. It doubles up to [`RETRY_MAX`].
pub const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest pause after failed attempts. It is short compared to the last tenth of the shortest leaf's life (6 min).
pub const RETRY_MAX: Duration = Duration::from_secs(60);
/// An attempt without a signature after this time has failed.
pub const SIGN_TIMEOUT: Duration = Duration::from_secs(30);
/// The operator is told after this number of failures in a row.
pub const ALARM_AFTER_FAILURES: u32 = 5;

/// An inactive root is removed this number of leaf lives after it was rotated out (Consul: two).
pub const PRUNE_AFTER_LEAF_LIVES: u32 = 2;
/// Maximum number of inactive roots that are kept: enough for a rotation every two hours with leaves of three days.
/// Each answer with the roots and each record of a rotation contains all of them, about 4 KiB each.
pub const INACTIVE_ROOTS_MAX: usize = 32;
/// A root that we made is replaced after this share of its life, in percent: long before it shortens leaves.
pub const ROOT_RENEW_PERCENT: u32 = 70;
/// The operator is told about an old root from this share of its life on, in percent.
pub const ROOT_ALARM_PERCENT: u32 = 80;
/// Pause after a failed replacement of an old root.
pub const ROOT_RENEW_RETRY: Duration = Duration::from_secs(3600);
/// Pause after a failed replacement while the active root is not valid: nothing can be signed during that time.
pub const ROOT_REPLACE_RETRY: Duration = Duration::from_secs(15);
/// If the wall clock is off by this time between two checks, somebody has set it; it has not drifted.
pub const CLOCK_STEP_MIN: Duration = Duration::from_secs(600);
/// No root is removed for this time after the clock was set: the clock may be wrong, and removal is final.
pub const PRUNE_AFTER_STEP: Duration = Duration::from_secs(24 * 3600);
/// Time after which a failed step of a rotation is retried.
pub const ROTATION_RETRY: Duration = Duration::from_secs(5);
/// How often the leader checks for roots to prune (Consul: hourly).
pub const PRUNE_CHECK: Duration = Duration::from_secs(3600);
/// Maximum wait for proxies to confirm a new root; then it becomes active anyway. A proxy that was away trusts the new
/// root through the cross-signed certificate in the chain that peers present.
pub const DISTRIBUTION_WAIT_MAX: Duration = Duration::from_secs(30);
/// The same wait for a new root that the old root could not cross-sign. It is long, because a proxy that has not
/// confirmed the new root cannot verify it.
pub const DISTRIBUTION_WAIT_FORCED: Duration = Duration::from_secs(600);
/// Maximum number of cross-signed certificates that a new root takes over from the previous one. Peers that know only
/// the first root can verify two quick rotations, and chains stay below [`CHAIN_CERTIFICATES_MAX`].
pub const CARRIED_CROSS_SIGNATURES_MAX: usize = 2;
