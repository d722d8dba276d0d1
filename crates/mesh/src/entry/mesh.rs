//! `mesh`: settings for the whole mesh.

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind, EntryName, Mesh, Record, TlsLimits, TlsVersion};

use super::fault::{Fault, Faults};
use super::graph::{GraphFault, Proposed};

/// The cipher suites of TLS 1.2 and before that proxies support, by their IANA names.
const CIPHER_SUITES: [&str; 13] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
];

pub(super) fn check(entry: &Record<Mesh>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let Some(tls) = &entry.said.tls else { return };
    for (at, limits) in [("TLS.Incoming", &tls.incoming), ("TLS.Outgoing", &tls.outgoing)] {
        if let Some(limits) = limits {
            check_tls(at, limits, faults);
        }
    }
}

fn check_tls(at: &str, limits: &TlsLimits, faults: &mut Faults) {
    let TlsLimits { tls_min_version, tls_max_version, cipher_suites } = limits;
    check_versions(at, "TLS", (*tls_min_version, *tls_max_version, cipher_suites), faults);
}

/// Checks the minimum, the maximum and the cipher suites. The prefix belongs to the names of the versions.
pub(super) fn check_versions(
    at: &str,
    prefix: &str,
    (min, max, cipher_suites): (TlsVersion, TlsVersion, &[String]),
    faults: &mut Faults,
) {
    let stated = |version: TlsVersion| version > TlsVersion::Auto;
    if stated(min) && stated(max) && max < min {
        let (max, min) = (max.as_str(), min.as_str());
        faults.push(format!("{at}.{prefix}MaxVersion"), Fault::MaxBelowMin { max, min });
    }
    if !cipher_suites.is_empty() && min == TlsVersion::Tls13 {
        faults.push(format!("{at}.CipherSuites"), Fault::SuitesOfNewTls);
    }
    faults.at_most(format!("{at}.CipherSuites"), cipher_suites.len(), CIPHER_SUITES.len());
    for (i, suite) in cipher_suites.iter().enumerate().take(CIPHER_SUITES.len()) {
        if !CIPHER_SUITES.contains(&suite.as_str()) {
            let suite = suite.chars().take(64).collect();
            faults.push(format!("{at}.CipherSuites[{i}]"), Fault::UnknownSuite { suite });
        }
    }
}

/// If permissive mode is no longer allowed, services that already use it keep it, as in Consul.
pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(_: &Record<Mesh>) -> Vec<ServiceRef> {
    Vec::new()
}

/// Whether proxies may be configured to accept connections without the mesh's TLS.
pub(super) fn allows_permissive(proposed: Proposed<'_>) -> bool {
    let allowed = proposed.see(&EntryName::only(EntryKind::Mesh), |entry| match entry {
        Entry::Mesh(entry) => entry.said.allow_enabling_permissive_mutual_tls,
        _ => false,
    });
    allowed.unwrap_or(false)
}
