//! The mesh's use of TLS: the verifier, the leaf that we present, and the configurations of both roles.
//!
//! Both roles require a certificate of the peer and verify it with [`crate::verify`] at each handshake. Sessions are
//! never resumed, no tickets are issued, and no early data is sent or accepted (N-86, N-87). TLS 1.2 and 1.3 are
//! supported; the first key exchange offered is post-quantum. Each handshake reads the current roots and leaf, so they
//! can change without affecting connections.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use concord_model::{Secret, ServiceIdentity, SpiffeId, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::pem;
use crate::verify::{Bundles, Refusal, Usage, Verified, read_verified_leaf, verify_service};
use crate::x509::{Certificate, CertificateError};

#[cfg(test)]
mod tests;

/// Returns the time. This module has no other clock.
pub trait TimeSource: fmt::Debug + Send + Sync {
    /// The wall clock's time.
    fn now(&self) -> Timestamp;
}

/// Why a leaf cannot be presented.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PresentError {
    /// The chain cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Peers would refuse the leaf.
    #[error("the leaf would be refused: {0}")]
    Refused(#[from] Refusal),
    /// The private key cannot be read, or does not belong to the leaf.
    #[error("the private key cannot be read or is not the leaf's")]
    Key,
}

/// A leaf with its chain and private key, ready to be presented.
#[derive(Clone, Debug)]
pub struct Presented {
    key: Arc<CertifiedKey>,
    leaf: Verified,
}

impl Presented {
    /// Builds it from the chain and the key as PEM. Fails if a peer of the mesh would refuse the leaf.
    pub fn try_new(chain: &str, private_key: &Secret) -> Result<Self, PresentError> {
        let chain: Vec<CertificateDer<'static>> = Certificate::parse_pem_chain(chain)?
            .iter()
            .map(|certificate| certificate.der().clone())
            .collect();
        let leaf = read_verified_leaf(chain.first().ok_or(Refusal::NoCertificate)?)?;
        let label = match pem::first_label(private_key.expose()) {
            Some(pem::EC_KEY) => pem::EC_KEY,
            Some(pem::RSA_KEY) => pem::RSA_KEY,
            _ => pem::PKCS8_KEY,
        };
        let document = pem::decode_one(label, private_key.expose()).map_err(|_| PresentError::Key)?;
        let document = match label {
            pem::EC_KEY => PrivateKeyDer::Sec1(document.into()),
            pem::RSA_KEY => PrivateKeyDer::Pkcs1(document.into()),
            _ => PrivateKeyDer::Pkcs8(document.into()),
        };
        let key = CertifiedKey::from_der(chain, document, &provider()).map_err(|_| PresentError::Key)?;
        Ok(Self { key: Arc::new(key), leaf })
    }

    /// The leaf's identity, life and numbers.
    pub fn leaf(&self) -> &Verified {
        &self.leaf
    }

    /// The identity.
    pub fn identity(&self) -> &SpiffeId {
        &self.leaf.id
    }

    /// Whether the leaf may be presented at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.leaf.not_before <= now && now <= self.leaf.not_after
    }
}

/// Holds the current leaf. The TLS library reads it at each handshake.
///
/// An expired leaf is never presented, even if nobody has replaced it.
#[derive(Debug)]
pub struct LeafSlot {
    slot: ArcSwapOption<Presented>,
    time: Arc<dyn TimeSource>,
}

impl LeafSlot {
    /// An empty slot.
    pub fn new(time: Arc<dyn TimeSource>) -> Self {
        Self { slot: ArcSwapOption::empty(), time }
    }

    /// Presents this leaf from now on. Existing connections are not affected.
    pub fn publish(&self, leaf: Presented) {
        self.slot.store(Some(Arc::new(leaf)));
    }

    /// Presents nothing from now on, so handshakes fail.
    pub fn clear(&self) {
        self.slot.store(None);
    }

    /// The leaf, if there is one that is valid now.
    pub fn current(&self) -> Option<Arc<Presented>> {
        self.slot.load_full().filter(|leaf| leaf.is_valid_at(self.time.now()))
    }

    fn certified(&self, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let key = Arc::clone(&self.current()?.key);
        key.key.choose_scheme(schemes).map(|_| key)
    }
}

impl ResolvesServerCert for LeafSlot {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.certified(hello.signature_schemes())
    }
}

impl ResolvesClientCert for LeafSlot {
    fn resolve(&self, _root_hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.certified(schemes)
    }

    fn has_certs(&self) -> bool {
        self.current().is_some()
    }
}

/// Verifies peers by their SPIFFE identity, in both roles.
#[derive(Debug)]
pub struct MeshVerifier {
    bundles: Arc<dyn Bundles>,
    algorithms: WebPkiSupportedAlgorithms,
    /// The services that a server may be. Empty when the peers are clients.
    expected: Box<[ServiceIdentity]>,
}

impl MeshVerifier {
    /// Verifies clients. Any service of a trusted domain is accepted here; intentions decide afterwards.
    pub fn of_clients(bundles: Arc<dyn Bundles>) -> Self {
        Self { bundles, algorithms: provider().signature_verification_algorithms, expected: Box::default() }
    }

    /// Verifies servers: only these services are accepted, compared as a whole. An empty list refuses every server.
    pub fn of_servers(
        bundles: Arc<dyn Bundles>,
        expected: impl IntoIterator<Item = ServiceIdentity>,
    ) -> Self {
        let expected = expected.into_iter().collect();
        Self { bundles, algorithms: provider().signature_verification_algorithms, expected }
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: Usage,
    ) -> Result<ServiceIdentity, Refusal> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf)
            .chain(intermediates)
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let now = Timestamp::from_secs(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        Ok(verify_service(&chain, &self.bundles.current(), now, usage)?.id)
    }
}

impl ClientCertVerifier for MeshVerifier {
    /// Empty: a list of roots would tell strangers whom we trust, and would grow during a rotation.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(end_entity, intermediates, now, Usage::Client).map_err(Refusal::into_tls_error)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for MeshVerifier {
    /// The server name is ignored: it routes connections, it does not identify a service.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let presented =
            self.judge(end_entity, intermediates, now, Usage::Server).map_err(Refusal::into_tls_error)?;
        if self.expected.contains(&presented) {
            return Ok(ServerCertVerified::assertion());
        }
        let (expected, presented) = (self.expected.clone(), Box::new(presented));
        Err(Refusal::WrongService { expected, presented }.into_tls_error())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The only crypto provider (D12).
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Gives the time to the TLS library.
#[derive(Debug)]
struct TlsTime(Arc<dyn TimeSource>);

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.now().since(Timestamp::EPOCH)))
    }
}

/// The TLS configuration of a mesh listener. The caller may set ALPN.
pub fn server_config(
    time: Arc<dyn TimeSource>,
    verifier: MeshVerifier,
    leaf: Arc<LeafSlot>,
) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(TlsTime(time)))
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(leaf);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The TLS configuration for connecting to a service of the mesh. The caller may set ALPN.
pub fn client_config(
    time: Arc<dyn TimeSource>,
    verifier: MeshVerifier,
    leaf: Arc<LeafSlot>,
) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_details(provider(), Arc::new(TlsTime(time)))
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(leaf);
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}
