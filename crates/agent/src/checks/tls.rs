//! TLS of checks: ordinary server TLS with host names. The system's authorities verify the certificates, unless a
//! check accepts any certificate. TLS of the mesh, with SPIFFE identities, is elsewhere.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use concord_model::registration::CheckTls;
use concord_runtime::system_authorities;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::limits::CHECK_AUTHORITIES_BYTES_MAX;

/// The configuration for handshakes. The first handshake reads it from disk, and it is kept until a reload. If
/// reading fails, the next handshake tries again.
#[derive(Debug)]
pub(super) struct Tls {
    authorities: Option<PathBuf>,
    verified: KeptConfig,
    any: KeptConfig,
}

/// The configuration, once it could be read.
type KeptConfig = Mutex<Option<ClientConfig>>;

impl Tls {
    pub(super) fn new(authorities: Option<PathBuf>) -> Self {
        Self { authorities, verified: KeptConfig::default(), any: KeptConfig::default() }
    }

    /// Makes the next handshake read the authorities again.
    pub(super) fn forget_authorities(&self) {
        *self.verified.lock() = None;
    }

    /// Performs a handshake with `host`, offering these protocols.
    pub(super) async fn handshake(
        &self,
        tls: &CheckTls,
        host: &str,
        stream: TcpStream,
        protocols: &[&[u8]],
    ) -> Result<TlsStream<TcpStream>, String> {
        let name = if tls.server_name.is_empty() { host } else { &tls.server_name };
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| format!("tls: {name:?} cannot be the name in a certificate; set TLSServerName"))?;
        let mut config = self.config(tls.skip_verify)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| said(&error))
    }

    fn config(&self, skip_verify: bool) -> Result<ClientConfig, String> {
        let provider = || Arc::new(aws_lc_rs::default_provider());
        let builder = || {
            let builder =
                ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
            builder.map_err(|error| format!("tls: {error}"))
        };
        if skip_verify {
            return kept(&self.any, || {
                let verifier = Arc::new(DangerAnyCertificate(provider()));
                Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
            });
        }
        kept(&self.verified, || {
            let roots = roots(self.authorities.as_deref())?;
            Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
        })
    }
}

/// The stored configuration, or a new one. A failure is not stored.
fn kept(
    kept: &KeptConfig,
    make: impl FnOnce() -> Result<ClientConfig, String>,
) -> Result<ClientConfig, String> {
    let mut kept = kept.lock();
    if kept.is_none() {
        *kept = Some(make()?);
    }
    Ok(kept.clone().expect("it was made above"))
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, String> {
    let path = match file {
        Some(path) => path.to_owned(),
        None => system_authorities().ok_or(
            "tls: no certificate authorities in the system's usual places; name a file of them in SSL_CERT_FILE",
        )?,
    };
    let fault = |error| format!("tls: {}: {error}", path.display());
    let mut pem = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(CHECK_AUTHORITIES_BYTES_MAX).read_to_end(&mut pem))
        .map_err(fault)?;
    let mut store = RootCertStore::empty();
    // Skip certificates that cannot be parsed: a system's bundle may contain kinds that this library does not know.
    store.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if store.is_empty() {
        return Err(format!("tls: {}: no certificate authority in it", path.display()));
    }
    Ok(store)
}

/// Why a handshake failed.
fn said(error: &std::io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            format!("tls: failed to verify certificate: {}", rustls::Error::InvalidCertificate(why.clone()))
        }
        Some(other) => format!("tls: {other}"),
        None => error.to_string(),
    }
}

/// Accepts any certificate, as `TLSSkipVerify` of a check demands. The peer still has to prove that it has the key.
#[derive(Debug)]
struct DangerAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for DangerAnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
