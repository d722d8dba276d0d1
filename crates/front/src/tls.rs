//! TLS of the faces: the ordinary one of an API, with host names. (The mesh's, with SPIFFE identities, is elsewhere.)
//!
//! ```text
//! accept ─► a place? ─► first byte ─► ClientHello ─► handshake ─► the face's own protocol
//!              │            │              │             │
//!              └────────────┴──────────────┴─────────────┴── within one time, and what is read under the budget
//! ```
//!
//! What is presented and asked for can be replaced at any time: it counts for the handshakes that begin from then on,
//! and connections that stand are not touched. Nothing is resumed, so that a certificate of a caller is judged by the
//! authorities of the moment.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use concord_runtime::{Clock, Guest, Held, Turns, timeout};
use parking_lot::Mutex;
use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::{RootCertStore, SupportedCipherSuite, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use crate::socket::Io;

#[cfg(test)]
mod tests;

/// What a handshake costs besides what is read for it: the session, its keys, what is sent.
pub const HANDSHAKE_BYTES: usize = 32 * 1024;
/// Bytes a caller may send until its handshake is done: a long chain of its own fits several times.
pub const HELLO_BYTES_MAX: usize = 32 * 1024;
/// What the session costs from then on: a record each way, and the keys.
pub const SESSION_BYTES: usize = 40 * 1024;
/// Bytes written that may wait for the socket: one record.
const WRITE_BYTES: usize = 16 * 1024;
/// Alert `internal_error`, as Go's servers say that they have no certificate (RFC 8446 §6).
const NO_CERTIFICATE: &[u8] = b"\x15\x03\x03\x00\x02\x02\x50";

/// Told to a caller that speaks HTTP in clear, in the words of Go's servers.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The protocol that is spoken inside (RFC 7301).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What a listener presents and asks for.
#[derive(Debug)]
pub struct Presented {
    /// Its certificate and the intermediates, in order.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key to it.
    pub key: PrivateKeyDer<'static>,
    /// Whose certificates callers must show; none: they are not asked.
    pub callers: Option<Vec<CertificateDer<'static>>>,
    /// Whether TLS 1.3 alone is spoken.
    pub only_1_3: bool,
    /// The suites of TLS 1.2, by IANA's names; empty: all that are known.
    pub suites: Vec<&'static str>,
    /// What is spoken inside.
    pub protocol: Protocol,
}

/// Why a listener cannot present that.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Certificate or key.
    #[error("{0}")]
    Certificate(rustls::Error),
    /// The authorities of callers.
    #[error("{0}")]
    Callers(String),
}

/// The TLS of one kind of listener.
pub struct Tls {
    config: ArcSwapOption<ServerConfig>,
    handshake_timeout: Mutex<Duration>,
    protocol: Protocol,
    turns: Arc<Turns>,
}

/// A caller's socket inside of TLS.
pub(crate) type Secured = TlsStream<Metered>;

/// A socket whose bytes count against its guest until the handshake is done.
#[derive(Debug)]
pub(crate) struct Metered {
    io: Io,
    held: Held,
    /// Bytes read so far; none once the handshake is done.
    read: Option<usize>,
}

// === impl Protocol ===

impl Protocol {
    fn name(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    fn face(self) -> &'static str {
        match self {
            Self::Http1 => "https",
            Self::Http2 => "grpc_tls",
        }
    }
}

// === impl Presented ===

impl Presented {
    /// As the library takes it.
    pub fn config(self) -> Result<Arc<ServerConfig>, Unusable> {
        let Self { chain, key, callers, only_1_3, suites, protocol } = self;
        let mut provider = aws_lc_rs::default_provider();
        let named =
            |suite: &SupportedCipherSuite| suites.iter().any(|name| suite.suite().as_str() == Some(*name));
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || suites.is_empty() || named(suite));
        let provider = Arc::new(provider);
        let versions = if only_1_3 { vec![&version::TLS13] } else { vec![&version::TLS13, &version::TLS12] };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(Unusable::Certificate)?;
        let builder = match callers {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                let (_, ignored) = roots.add_parsable_certificates(authorities);
                if ignored > 0 {
                    debug!(ignored, "certificates of authorities that cannot be read are left out");
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| Unusable::Callers(error.to_string()))?,
                )
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(Unusable::Certificate)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.alpn_protocols = vec![protocol.name().to_vec()];
        Ok(Arc::new(config))
    }
}

// === impl Tls ===

impl Tls {
    /// For a face, with what it presents; without a certificate every connection is refused.
    pub fn new(
        protocol: Protocol,
        presented: Option<Arc<ServerConfig>>,
        handshake_timeout: Duration,
    ) -> Arc<Self> {
        let (config, handshake_timeout) = (ArcSwapOption::new(presented), Mutex::new(handshake_timeout));
        Arc::new(Self { config, handshake_timeout, protocol, turns: Turns::of_processors() })
    }

    /// Presents something else from now on.
    pub fn replace(&self, presented: Option<Arc<ServerConfig>>) {
        self.config.store(presented);
    }

    /// Gives handshakes that begin from now on this much time.
    pub fn limit_handshakes(&self, timeout: Duration) {
        *self.handshake_timeout.lock() = timeout;
    }

    /// The whole handshake within its time, waiting for the caller's words included. `None` if there was none; why is in
    /// the log, for who looks closely: strangers could fill it.
    pub(crate) async fn accept(&self, io: Io, guest: &Arc<Guest>, clock: &dyn Clock) -> Option<Secured> {
        let within = *self.handshake_timeout.lock();
        let shaken = timeout(clock, within, self.shake(io, guest, clock)).await;
        let refused = match shaken {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no handshake within {within:?}"),
        };
        metrics::counter!("concord_tls_handshakes_refused_total", "face" => self.protocol.face())
            .increment(1);
        debug!(face = self.protocol.face(), source = %guest.source(), refused, "no TLS");
        None
    }

    async fn shake(&self, io: Io, guest: &Arc<Guest>, clock: &dyn Clock) -> io::Result<Secured> {
        if !io.is_spoken_to().await {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.protocol == Protocol::Http1 && io.begins_with_a_letter().await {
            let _ = io.try_write(NOT_TLS).map(|_| io.try_read(&mut [0; 4096]));
            return Err(io::Error::other("the caller speaks in clear"));
        }
        let Some(config) = self.config.load_full() else {
            let _ = io.try_write(NO_CERTIFICATE).map(|_| io.try_read(&mut [0; 4096]));
            return Err(io::Error::other("there is no certificate to present"));
        };
        // In a place of its own: whoever says nothing costs no more than the wait for it.
        Box::pin(self.handshake(io, guest, clock, config)).await
    }

    async fn handshake(
        &self,
        io: Io,
        guest: &Arc<Guest>,
        clock: &dyn Clock,
        config: Arc<ServerConfig>,
    ) -> io::Result<Secured> {
        guest.settled(clock).await;
        let held = guest.hold(HANDSHAKE_BYTES).map_err(io::Error::other)?;
        let metered = Metered { io, held, read: Some(0) };
        let hello = LazyConfigAcceptor::new(Acceptor::default(), metered).await?;
        let shaking = hello.into_stream_with(config, |session| session.set_buffer_limit(Some(WRITE_BYTES)));
        let mut stream = self.turns.line(guest.source()).compute(shaking).await?;
        let (metered, session) = stream.get_mut();
        metered.settle()?;
        // The handshake has verified it.
        if session.peer_certificates().is_some() {
            guest.prove();
        }
        Ok(stream)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

// === impl Metered ===

impl Metered {
    /// The handshake is done: what was read for it is gone, and the session stays.
    fn settle(&mut self) -> io::Result<()> {
        self.read = None;
        self.held.shrink_to(SESSION_BYTES);
        self.held.grow(SESSION_BYTES - self.held.bytes()).map_err(io::Error::other)
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buffer);
        let new = buffer.filled().len() - before;
        if let Some(read) = &mut this.read
            && new > 0
        {
            *read += new;
            if *read > HELLO_BYTES_MAX {
                return Poll::Ready(Err(io::Error::other("the handshake is too long")));
            }
            this.held.grow(new).map_err(io::Error::other)?;
        }
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
