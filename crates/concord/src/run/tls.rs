//! The certificates of the client listeners. They are read from files at the start and on each reload, completely or
//! not at all.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use concord_ca::Certificate;
use concord_client::TlsError;
use concord_client::tls::{certificates, directory_certificates, private_key};
use concord_config::Diagnostic;
use concord_config::section::{Config, TlsFile, TlsSection, TlsVersion};
use concord_front::tls::{Presented, Protocol, Tls, Unusable};
use concord_model::Timestamp;
use concord_runtime::World;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::warn;

use self::own::Grpc;
use crate::cli::Failure;

pub(super) mod own;

/// The TLS of the listeners, and the certificates they present.
pub(super) struct Presenting {
    pub(super) https: Arc<Tls>,
    pub(super) grpc: Arc<Grpc>,
    read: Read,
}

/// The content of the files, complete.
#[derive(Clone)]
pub(super) struct Read {
    https: Side,
    grpc: Side,
}

/// What one kind of listener presents; nothing without a certificate.
#[derive(Clone, Default)]
struct Side {
    config: Option<Arc<rustls::ServerConfig>>,
    /// The bytes of the files, to detect whether a reload found other content.
    content: Vec<Vec<u8>>,
}

impl Presenting {
    /// Reads the files for the first time.
    pub(super) fn start(config: &Config, now: Timestamp) -> Result<Self, Failure> {
        let read = Read::files(config, now).map_err(|faults| Failure::input(text(&faults)))?;
        let https = Tls::new(Protocol::Http1, read.https.config.clone(), config.https.handshake_timeout);
        let grpc = Grpc::new(config, read.grpc.config.clone());
        Ok(Self { https, grpc, read })
    }

    /// Presents the new certificates from now on. Returns the blocks whose files had other content before.
    pub(super) fn take(&mut self, read: Read, config: &Config) -> Vec<&'static str> {
        self.https.replace(read.https.config.clone());
        self.grpc.configured(config, read.grpc.config.clone());
        let before = std::mem::replace(&mut self.read, read);
        let sides =
            [("tls.https", &before.https, &self.read.https), ("tls.grpc", &before.grpc, &self.read.grpc)];
        sides
            .into_iter()
            .filter(|(_, old, new)| old.content != new.content)
            .map(|(block, ..)| block)
            .collect()
    }
}

impl fmt::Debug for Presenting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presenting").finish_non_exhaustive()
    }
}

impl Read {
    /// Reads all named files. Reports all errors at once.
    pub(super) fn files(config: &Config, now: Timestamp) -> Result<Self, Vec<Diagnostic>> {
        let (mut faults, tls) = (Vec::new(), &config.tls);
        let https = side(&tls.https, Protocol::Http1, now, &mut faults);
        let grpc = side(&tls.grpc, Protocol::Http2, now, &mut faults);
        // Files for RPC between servers are read only to report errors; no listener presents them.
        let _ = side(&tls.internal_rpc, Protocol::Http2, now, &mut faults);
        if faults.is_empty() { Ok(Self { https, grpc }) } else { Err(faults) }
    }
}

/// Whether an agent could start with the named files.
pub(crate) fn check(config: &Config) -> Result<(), Failure> {
    let now = Timestamp::from_nanos(World::tokio().clock.wall_nanos());
    Read::files(config, now).map(|_| ()).map_err(|faults| Failure::input(text(&faults)))
}

/// Errors as one text, one per line.
pub(super) fn text(faults: &[Diagnostic]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn side(section: &TlsSection, protocol: Protocol, now: Timestamp, faults: &mut Vec<Diagnostic>) -> Side {
    let mut fault = |file: &TlsFile, message: String| {
        let found = Diagnostic::error(file.origin.clone(), file.key.clone(), message);
        // Inherited files are read for each block, but each error is reported once.
        if !faults.contains(&found) {
            faults.push(found);
        }
    };
    let authorities = authorities(section, &mut fault);
    let (Some(cert), Some(key)) = (&section.cert_file, &section.key_file) else { return Side::default() };
    let (chain, private) = match (chain(cert, now), secret(key)) {
        (Ok(chain), Ok(private)) => (chain, private),
        (chain, private) => {
            for (file, failed) in [(cert, chain.err()), (key, private.err())] {
                if let Some(message) = failed {
                    fault(file, message);
                }
            }
            return Side::default();
        }
    };
    let callers = authorities.filter(|_| section.verify_incoming);
    let mut content: Vec<Vec<u8>> =
        chain.iter().chain(callers.iter().flatten()).map(|der| der.to_vec()).collect();
    content.push(private.secret_der().to_vec());
    let presented = Presented {
        chain,
        key: private,
        callers,
        only_1_3: section.min_version == TlsVersion::V1_3,
        suites: section.cipher_suites.clone(),
        protocol,
    };
    let config = presented.config();
    match config {
        Ok(config) => Side { config: Some(config), content },
        Err(Unusable::Certificate(rustls::Error::InconsistentKeys(_))) => {
            fault(
                key,
                format!(
                    "{}: the key does not match the certificate {}; name the one it was made for",
                    key.path, cert.path
                ),
            );
            Side::default()
        }
        Err(Unusable::Certificate(error)) => {
            fault(cert, format!("{}: this certificate cannot be presented: {error}", cert.path));
            Side::default()
        }
        Err(Unusable::Callers(error)) => {
            let file = section.ca_file.as_ref().or(section.ca_path.as_ref()).unwrap_or(cert);
            fault(file, format!("{}: no certificate of a caller can be judged by this: {error}", file.path));
            Side::default()
        }
    }
}

/// The trusted authorities; `None` if no file is named.
fn authorities(
    section: &TlsSection,
    fault: &mut impl FnMut(&TlsFile, String),
) -> Option<Vec<CertificateDer<'static>>> {
    let (file, found) = match (&section.ca_file, &section.ca_path) {
        (Some(file), _) => (file, certificates(Path::new(&file.path))),
        (None, Some(directory)) => (directory, directory_certificates(Path::new(&directory.path))),
        (None, None) => return None,
    };
    match found {
        Ok(found) if found.is_empty() => {
            fault(file, format!("{}: there is no certificate in it (PEM, BEGIN CERTIFICATE)", file.path));
            None
        }
        Ok(found) => Some(found),
        Err(error) => {
            fault(file, cause(&error));
            None
        }
    }
}

fn chain(file: &TlsFile, now: Timestamp) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = certificates(Path::new(&file.path)).map_err(|error| cause(&error))?;
    let Some(leaf) = chain.first() else {
        return Err(format!("{}: there is no certificate in it (PEM, BEGIN CERTIFICATE)", file.path));
    };
    if let Some(doubt) = doubt(leaf, now) {
        let text = format!("{}: this certificate {doubt}; callers will refuse it", file.path);
        warn!("{}", Diagnostic::warning(file.origin.clone(), file.key.clone(), text));
    }
    Ok(chain)
}

/// The problem with the validity of a certificate. If this code cannot parse it, clients will check it anyway.
fn doubt(leaf: &CertificateDer<'_>, now: Timestamp) -> Option<&'static str> {
    let leaf = Certificate::parse(leaf).ok().filter(|leaf| !leaf.is_valid_at(now))?;
    Some(if leaf.not_after() < now { "has expired" } else { "is not valid yet" })
}

fn secret(file: &TlsFile) -> Result<PrivateKeyDer<'static>, String> {
    private_key(Path::new(&file.path)).map_err(|error| match error {
        TlsError::Pem { .. } | TlsError::NoKey { .. } => {
            format!("{}: there is no private key in it (PEM, BEGIN … PRIVATE KEY, not encrypted)", file.path)
        }
        other => cause(&other),
    })
}

fn cause(error: &TlsError) -> String {
    match error {
        TlsError::Read { path, source } => {
            let remedy = match source.kind() {
                io::ErrorKind::NotFound => "put it there, or name another",
                io::ErrorKind::PermissionDenied => "let the user that runs the agent read it",
                _ => "is it a file?",
            };
            format!("cannot read {}: {source}; {remedy}", path.display())
        }
        TlsError::Pem { path, source } => format!("{}: it is not PEM: {source}", path.display()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    /// A certificate like those of `openssl req -x509 -newkey rsa:2048 -days 1`, from the last days of November 2026.
    const AGENT: &str = "\
-----BEGIN CERTIFICATE-----
MIIDVTCCAj2gAwIBAgIUcDw7qwDRM+C2zXqrK+l3gC+HpvEwDQYJKoZIhvcNAQEL
BQAwLzELMAkGA1UEBhMCQVQxEDAOBgNVBAoMB0V4YW1wbGUxDjAMBgNVBAMMBWFn
ZW50MB4XDTI2MTEyOTIzMjMzM1oXDTI2MTEzMDIzMjMzM1owLzELMAkGA1UEBhMC
QVQxEDAOBgNVBAoMB0V4YW1wbGUxDjAMBgNVBAMMBWFnZW50MIIBIjANBgkqhkiG
9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvegzqo/VS8TQvs8Nm3jwAcV66r/vaeekuw6o
QhcxBpmCt/TdVlxySzY3ZEP84qagnJR0A7mKFrp8cynyCmHQz41sbQ127GC5xDnv
DAq5PZauZP1RCiR0WrvfE/bhuvmwya9QoCzrgGxjcT+wkC0dWY1+MG3e9xcl7PlO
Z7yXJv0c8Fi9HNXqG7x4+mcsvPgQa5Y+86vrfOGR075p5GQgMQItYowYibZnpdWK
VLS5AQqwmdFbhsEpHzjBHyYf4iGUs8dtJ5ukW3Y6GeZmJuj+WtsnxSGmCCDqx1Cs
kKCSssiqOpaBEUNZP17GBZmb64sQOcmrkepwQ/S43T2zPw7HOQIDAQABo2kwZzAd
BgNVHQ4EFgQUbtjvjSL7zQwm4fl6N35Cew9fhR4wHwYDVR0jBBgwFoAUbtjvjSL7
zQwm4fl6N35Cew9fhR4wDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2Nh
bGhvc3QwDQYJKoZIhvcNAQELBQADggEBAJRSiNYa8MYX7U/hACZaNN0BdUuD/3Cp
O/NYQDPt8h0LbIUb1vBtqo6mu3lK5FK3fgMmm39Cs7pM2PRrj7NxZ6GNdbQIkUOQ
tfWjxdeexipiL16jRVWbQHQricy2lqjs67VvVwf19tpr8XncP7jsePpYu4iIdwEG
lur0VYZtQpoU44LhsjoqKSdBVDMmZAovUQVi2yWXKMqJusQGPCLcErnAZxOuWNTp
RN+60n+52gbAL0mZbPR7pSDoZAz463KWMjAdCDLYhrxMF9mjzFen1rfPhNf5gHhB
jC5bOsse8D35PJfeX+3Ry1FpAzgnU4H4/uDuI+wkweC2i2hZlBaooYU=
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_outside_of_its_time_is_doubted() {
        let leaf = CertificateDer::from_pem_slice(AGENT.as_bytes()).expect("a certificate");
        let at = |seconds: i64| doubt(&leaf, Timestamp::from_nanos(seconds * 1_000_000_000));
        // 2026-11-01, a time within the validity, 2027-01-01.
        assert_eq!(at(1_793_491_200), Some("is not valid yet"));
        assert_eq!(at(1_795_998_213), None);
        assert_eq!(at(1_798_761_600), Some("has expired"));
    }
}
