//! Finds the certificate authorities that the machine trusts.

use std::path::{Path, PathBuf};

/// The usual paths; the first existing one is used.
const SYSTEM_BUNDLES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];

/// The PEM file with the authorities that the machine trusts.
pub fn system_authorities() -> Option<PathBuf> {
    SYSTEM_BUNDLES.iter().map(Path::new).find(|path| path.exists()).map(Path::to_owned)
}
