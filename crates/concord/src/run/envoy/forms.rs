//! Addresses and certificates in the forms that Envoy takes.

use std::net::{SocketAddr, ToSocketAddrs as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;

use crate::cli::{Failure, Invocation};

/// Envoy takes addresses alone, so names are resolved here; of several addresses an IPv4 one is taken.
pub(super) fn resolved(call: &Invocation<'_>, flag: &str, text: &str) -> Result<SocketAddr, Failure> {
    let wrong =
        |why: &dyn std::fmt::Display| call.usage(format!("-{flag}: {text:?}: {why}; expected host:port"));
    let all: Vec<_> = text.to_socket_addrs().map_err(|error| wrong(&error))?.collect();
    let best = all.iter().find(|one| one.is_ipv4()).or_else(|| all.first());
    best.copied().ok_or_else(|| wrong(&"it has no address"))
}

/// Certificates as PEM.
pub(super) fn pem(certificates: &[CertificateDer<'_>]) -> String {
    let one = |certificate: &CertificateDer<'_>| {
        let text = STANDARD.encode(certificate);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    certificates.iter().map(one).collect()
}
