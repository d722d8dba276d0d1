//! A bare pair of relays: rustls, tokio and a copy loop, without intentions, balancing, metrics, log or deadlines. The
//! difference to the proxy is the cost of these.
//!
//! Both sides verify chains but no names, because the standard verifier cannot verify SPIFFE names. Sessions are not
//! resumed. Like the proxy, the relays offer the hybrid key exchange first.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Bytes copied at once: one TLS record.
const BUFFER: usize = 16 << 10;

/// A chain, its key and the trusted roots.
struct Trust {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

/// One half of the pair.
#[derive(Clone)]
enum Half {
    /// Accepts plain TCP, connects with TLS.
    Egress(TlsConnector),
    /// Accepts TLS, connects with plain TCP.
    Ingress(TlsAcceptor),
}

/// Runs one half until the process is ended from outside.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    let [half, listen, connect, chain, key, roots] = args else {
        bail!("relay egress|ingress <listen> <connect> <leaf.pem> <key.pem> <roots.pem>")
    };
    let trust = Trust::read(Path::new(chain), Path::new(key), Path::new(roots))?;
    let half = match *half {
        "egress" => Half::Egress(trust.client()?),
        "ingress" => Half::Ingress(trust.server()?),
        other => bail!("a relay is `egress` or `ingress`, not `{other}`"),
    };
    let listen: SocketAddr = listen.parse().context("where to listen")?;
    let connect: SocketAddr = connect.parse().context("where to connect")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("starting threads")?.block_on(serve(half, listen, connect))
}

async fn serve(half: Half, listen: SocketAddr, connect: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("listening at {listen}"))?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        let half = half.clone();
        tokio::spawn(async move {
            // The measuring client sees a failure as the end of its connection.
            let _ = half.carry(stream, connect).await;
        });
    }
}

// === impl Half ===

impl Half {
    async fn carry(self, inner: TcpStream, connect: SocketAddr) -> io::Result<()> {
        inner.set_nodelay(true)?;
        match self {
            Self::Egress(connector) => {
                let outer = dial(connect).await?;
                let name = ServerName::try_from("api").map_err(io::Error::other)?;
                copy(inner, connector.connect(name, outer).await?).await
            }
            Self::Ingress(acceptor) => {
                let inner = acceptor.accept(inner).await?;
                copy(inner, dial(connect).await?).await
            }
        }
    }
}

async fn dial(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn copy(
    mut a: impl AsyncRead + AsyncWrite + Unpin,
    mut b: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<()> {
    copy_bidirectional_with_sizes(&mut a, &mut b, BUFFER, BUFFER).await.map(|_| ())
}

// === impl Trust ===

impl Trust {
    fn read(chain: &Path, key: &Path, roots: &Path) -> Result<Self> {
        let certificates = |path: &Path| -> Result<Vec<CertificateDer<'static>>> {
            let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            read.with_context(|| format!("certificates in {}", path.display()))
        };
        let mut store = RootCertStore::empty();
        for root in certificates(roots)? {
            store.add(root).context("a root")?;
        }
        Ok(Self {
            chain: certificates(chain)?,
            key: PrivateKeyDer::from_pem_file(key).with_context(|| format!("a key in {}", key.display()))?,
            roots: Arc::new(store),
            provider: Arc::new(aws_lc_rs::default_provider()),
        })
    }

    fn client(&self) -> Result<TlsConnector> {
        let verifier = ChainOnly { roots: Arc::clone(&self.roots), provider: Arc::clone(&self.provider) };
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        config.resumption = Resumption::disabled();
        config.enable_sni = true;
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn server(&self) -> Result<TlsAcceptor> {
        let provider = Arc::clone(&self.provider);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), provider).build()?;
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Accepts every peer with a chain to our roots, whatever its name.
#[derive(Debug)]
struct ChainOnly {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
