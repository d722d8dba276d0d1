//! TLS to an agent: the trusted authorities, the client certificate, the expected name.
//!
//! This is ordinary server TLS with host names. TLS of the mesh, with SPIFFE identities, is elsewhere.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use concord_runtime::system_authorities;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::limits;

/// The files for TLS to an agent.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// PEM file with the trusted authorities.
    pub ca_file: Option<PathBuf>,
    /// Directory of such files; used if `ca_file` is not set.
    pub ca_path: Option<PathBuf>,
    /// Trusted authorities that are in no file; used if neither `ca_file` nor `ca_path` is set.
    pub authorities: Vec<CertificateDer<'static>>,
    /// PEM file with the client's certificate and intermediates.
    pub client_cert: Option<PathBuf>,
    /// PEM file with its private key.
    pub client_key: Option<PathBuf>,
    /// The name that the agent's certificate must have; `None`: the host of the address.
    pub server_name: Option<String>,
    /// Accept any certificate. Somebody between client and agent can then read tokens and keys.
    pub danger_accept_any_certificate: bool,
}

impl TlsFiles {
    /// Whether any file is named.
    pub(crate) fn names_files(&self) -> bool {
        [&self.ca_file, &self.ca_path, &self.client_cert, &self.client_key].into_iter().any(Option::is_some)
    }
}

/// The TLS files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file does not contain the expected PEM.
    #[error("{}: {source}", path.display())]
    Pem {
        /// The path.
        path: PathBuf,
        /// The error.
        source: pem::Error,
    },
    /// A file holds no private key.
    #[error("{} holds no private key", path.display())]
    NoKey {
        /// The path.
        path: PathBuf,
    },
    /// The key does not belong to the certificate.
    #[error("the key of -client-key is not that of the certificate of -client-cert")]
    OtherKey,
    /// No authority was found.
    #[error("no certificate authority found in {place}; name one with -ca-file or CONCORD_CACERT")]
    NoAuthority {
        /// Where the search was.
        place: String,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("a client certificate needs both -client-cert and -client-key")]
    HalfPair,
    /// The expected name is not a valid server name.
    #[error("{name:?} cannot be the name in a certificate")]
    ServerName {
        /// The name.
        name: String,
    },
    /// An error of the TLS library.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The TLS settings of connections.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

impl Tls {
    /// Reads the files. `host` is the expected name if the files name none. `protocol` is the protocol inside TLS
    /// (ALPN); `None`: not negotiated.
    ///
    /// # Errors
    /// When a file cannot be read or used.
    pub fn prepare(files: &TlsFiles, host: &str, protocol: Option<&[u8]>) -> Result<Self, TlsError> {
        let name = files.server_name.as_deref().unwrap_or(host);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| TlsError::ServerName { name: name.to_owned() })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = if files.danger_accept_any_certificate {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            builder.with_root_certificates(authorities(files)?)
        };
        let mut config = match (&files.client_cert, &files.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let made = builder.with_client_auth_cert(certificates(cert)?, private_key(key)?);
                made.map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => TlsError::OtherKey,
                    other => TlsError::Rustls(other),
                })?
            }
            (Some(_), None) | (None, Some(_)) => return Err(TlsError::HalfPair),
        };
        config.alpn_protocols = protocol.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// Performs the handshake on a connected stream.
    pub async fn secure<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        TlsConnector::from(Arc::clone(&self.config)).connect(self.server_name.clone(), stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn authorities(files: &TlsFiles) -> Result<RootCertStore, TlsError> {
    let (certificates, place) = match (&files.ca_file, &files.ca_path) {
        (Some(file), _) => (certificates(file)?, file.display().to_string()),
        (None, Some(directory)) => (directory_certificates(directory)?, directory.display().to_string()),
        (None, None) if !files.authorities.is_empty() => {
            (files.authorities.clone(), "the mesh's roots".to_owned())
        }
        (None, None) => match system_authorities() {
            Some(path) => (certificates(&path)?, path.display().to_string()),
            None => (Vec::new(), "the system's usual places".to_owned()),
        },
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(TlsError::NoAuthority { place });
    }
    Ok(store)
}

/// All certificates of the files in a directory.
pub fn directory_certificates(directory: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |source| TlsError::Read { path: directory.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(fault)?.take(limits::TLS_DIRECTORY_FILES_MAX) {
        let path = entry.map_err(fault)?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        found.extend(certificates(&path)?);
    }
    Ok(found)
}

/// All certificates of a file.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}

/// The first private key of a file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| match source {
        pem::Error::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        source => TlsError::Pem { path: path.to_owned(), source },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let fault = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(limits::TLS_FILE_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(fault)?;
    Ok(bytes)
}

/// Accepts any certificate, but still checks that the peer has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
