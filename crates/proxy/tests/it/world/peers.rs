//! Who talks to proxies: local services, applications, and TLS peers with any certificate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use concord_ca::tls::{self, LeafSlot, MeshVerifier, Presented, TimeSource};
use concord_ca::{Signer, pem};
use concord_model::{ServiceIdentity, Timestamp};
use concord_runtime::Clock as _;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;

use super::{Mesh, TestClock, within};

impl TimeSource for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.wall_nanos())
    }
}

/// A local service that gives back what it gets, and counts.
pub(crate) struct Local {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl Local {
    pub(crate) async fn echo(mesh: &Mesh) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, bytes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let own = Self { address, connections: Arc::clone(&connections), bytes: Arc::clone(&bytes) };
        let scope = mesh.scope.clone();
        mesh.scope.spawn("echo", async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    super::pause().await;
                    continue;
                };
                connections.fetch_add(1, Ordering::SeqCst);
                scope.spawn("echoing", echo(stream, Arc::clone(&bytes)));
            }
        });
        own
    }

    /// Connections it has seen.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Bytes it has seen.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::SeqCst)
    }
}

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read) = stream.read(&mut buffer).await {
        bytes.fetch_add(read, Ordering::SeqCst);
        if read == 0 {
            let _ = stream.shutdown().await;
            return;
        }
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Sends a word and wants it back.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    word: &str,
) -> io::Result<()> {
    within(async {
        stream.write_all(word.as_bytes()).await?;
        stream.flush().await?;
        let mut back = vec![0; word.len()];
        stream.read_exact(&mut back).await?;
        if back == word.as_bytes() { Ok(()) } else { Err(io::Error::other("something else came back")) }
    })
    .await
}

/// Whether a connection ends without a byte, whatever is sent.
pub(crate) async fn closed_without_a_byte(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> bool {
    within(async {
        let _ = stream.write_all(b"anybody there?").await;
        let mut heard = [0; 1];
        !matches!(stream.read(&mut heard).await, Ok(1))
    })
    .await
}

/// Whether an application gets nothing at all. It may be told so early that it cannot even connect.
pub(crate) async fn app_is_refused(address: SocketAddr) -> bool {
    match TcpStream::connect(address).await {
        Ok(mut app) => closed_without_a_byte(&mut app).await,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

/// Whether a listener refuses a client: in the handshake or right after.
pub(crate) async fn is_refused(address: SocketAddr, config: ClientConfig) -> bool {
    match Peer::dial(address, config).await {
        Ok(mut stream) => closed_without_a_byte(&mut stream).await,
        Err(_) => true,
    }
}

/// A TLS peer of the mesh that is none of our proxies.
pub(crate) struct Peer;

impl Peer {
    fn slot(mesh: &Mesh, name: &str) -> Arc<LeafSlot> {
        let leaf = mesh.trust.leaf(&mesh.trust.service(name), &mesh.active());
        let key = mesh.trust.leaf_key.private_key().unwrap();
        let slot = LeafSlot::new(Arc::clone(&mesh.clock) as _);
        slot.publish(Presented::try_new(&leaf.pem(), &key).unwrap());
        Arc::new(slot)
    }

    fn verifier(mesh: &Mesh, expected: ServiceIdentity) -> MeshVerifier {
        MeshVerifier::of_servers(Arc::new(mesh.bundle()), [expected])
    }

    /// A client that is `name` and calls `to`.
    pub(crate) fn client(mesh: &Mesh, name: &str, to: &str) -> ClientConfig {
        let verifier = Self::verifier(mesh, mesh.identity(to));
        tls::client_config(Arc::clone(&mesh.clock) as _, verifier, Self::slot(mesh, name)).unwrap()
    }

    /// The same, speaking TLS 1.2 only.
    pub(crate) fn old_client(mesh: &Mesh, name: &str, to: &str) -> ClientConfig {
        let time = Self::client(mesh, name, to).time_provider;
        ClientConfig::builder_with_details(tls::provider(), time)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Self::verifier(mesh, mesh.identity(to))))
            .with_client_cert_resolver(Self::slot(mesh, name))
    }

    /// A client that presents this chain, whatever it is.
    pub(crate) fn shameless_client(
        mesh: &Mesh,
        to: &str,
        chain: &[CertificateDer<'static>],
        key: &dyn Signer,
    ) -> ClientConfig {
        let mut config = Self::client(mesh, "web", to);
        config.client_auth_cert_resolver = Arc::new(Shameless::new(chain, key));
        config
    }

    /// A client without a certificate.
    pub(crate) fn anonymous_client(mesh: &Mesh, to: &str) -> ClientConfig {
        let mut config = Self::client(mesh, "web", to);
        config.client_auth_cert_resolver = Arc::new(LeafSlot::new(Arc::clone(&mesh.clock) as _));
        config
    }

    /// A server that presents this chain, whatever it is, and echoes.
    pub(crate) async fn shameless_server(
        mesh: &Mesh,
        chain: &[CertificateDer<'static>],
        key: &dyn Signer,
    ) -> Local {
        let verifier = MeshVerifier::of_clients(Arc::new(mesh.bundle()));
        let mut config =
            tls::server_config(Arc::clone(&mesh.clock) as _, verifier, Self::slot(mesh, "api")).unwrap();
        config.cert_resolver = Arc::new(Shameless::new(chain, key));
        Self::serve(mesh, config).await
    }

    /// An echo service behind TLS; it counts the connections that got through the handshake.
    pub(crate) async fn serve(mesh: &Mesh, config: ServerConfig) -> Local {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, bytes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let own = Local { address, connections: Arc::clone(&connections), bytes: Arc::clone(&bytes) };
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        mesh.scope.spawn("tls echo", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(stream) = acceptor.accept(stream).await {
                    connections.fetch_add(1, Ordering::SeqCst);
                    echo(stream, Arc::clone(&bytes)).await;
                }
            }
        });
        own
    }

    pub(crate) async fn dial(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        within(async {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("api.default.dc1.internal.consul").unwrap();
            tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
        })
        .await
    }
}

/// Presents what it is given.
#[derive(Debug)]
struct Shameless(Arc<CertifiedKey>);

impl Shameless {
    fn new(chain: &[CertificateDer<'static>], key: &dyn Signer) -> Self {
        let text = key.private_key().unwrap();
        let document = pem::decode_one(pem::EC_KEY, text.expose()).unwrap();
        let document = PrivateKeyDer::Sec1(document.into());
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&document).unwrap();
        Self(Arc::new(CertifiedKey::new(chain.to_vec(), key)))
    }
}

impl ResolvesClientCert for Shameless {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl ResolvesServerCert for Shameless {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
