//! A TLS client which reports the certificates that the server presented. It verifies only the signatures of the
//! handshake, so that a test can inspect any certificate.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::Value;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::patience::HANG;

/// A certificate with its key, as `agent/connect/ca/leaf/<service>` returns them.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// The certificates which a server presented.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The chain in DER, leaf first.
    pub chain: Vec<Vec<u8>>,
}

/// A connection under mutual TLS.
#[derive(Debug)]
pub struct MeshStream(StreamOwned<ClientConnection, TcpStream>);

impl Identity {
    /// Reads the identity from the JSON of a leaf.
    pub fn of_leaf(leaf: &Value) -> Self {
        let text = |key: &str| leaf[key].as_str().unwrap_or_else(|| panic!("{key} in {leaf}")).as_bytes();
        let key = PrivateKeyDer::from_pem_slice(text("PrivateKeyPEM")).expect("a key");
        Self { chain: certificates(text("CertPEM")), key }
    }

    /// Connects with this identity. Returns the connection and the certificates which the server presented.
    pub fn dial(&self, addr: SocketAddr) -> io::Result<(MeshStream, Presented)> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .expect("the key fits the certificate");
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let socket = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
        socket.set_read_timeout(Some(HANG))?;
        let mut stream = StreamOwned::new(client, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let chain = stream.conn.peer_certificates().unwrap_or_default();
        let presented = Presented { chain: chain.iter().map(|der| der.to_vec()).collect() };
        Ok((MeshStream(stream), presented))
    }
}

impl MeshStream {
    /// Sends a message and reads it back. A server which refuses the client does so only after the handshake.
    pub fn say(&mut self, message: &[u8]) -> io::Result<()> {
        self.0.write_all(message)?;
        let mut back = vec![0u8; message.len()];
        self.0.read_exact(&mut back)?;
        if back == message { Ok(()) } else { Err(io::Error::other("other bytes came back")) }
    }
}

/// All certificates of a PEM text.
pub fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().expect("certificates")
}

/// The key id of the authority which signed a certificate, in the form of the list of roots: `aa:bb:…`.
pub fn authority_of(der: &[u8]) -> String {
    let (_, certificate) = X509Certificate::from_der(der).expect("a certificate");
    let found = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    let bytes = found.expect("an authority key identifier");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The URI names of a certificate.
pub fn uris_of(der: &[u8]) -> Vec<String> {
    let (_, certificate) = X509Certificate::from_der(der).expect("a certificate");
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.clone()).unwrap_or_default();
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    };
    names.iter().filter_map(uri).collect()
}

/// Accepts every certificate whose key the peer holds.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
