//! TLS of the HTTP and gRPC ports: ordinary server TLS with host names. (TLS of the mesh, with SPIFFE identities, is
//! in `proxy`.)
//!
//! ```text
//! accept ─► a place? ─► first byte ─► ClientHello ─► handshake ─► the face's own protocol
//!              │            │              │             │
//!              └────────────┴──────────────┴─────────────┴── within one time, and what is read under the budget
//! ```
//!
//! Certificates and authorities can be replaced at any time. New handshakes use the new ones; open connections are
//! not touched. Sessions are never resumed, so that every client certificate is checked against the current
//! authorities.

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

/// Memory that a handshake needs besides the bytes it reads: the session, its keys, the bytes to send.
pub const HANDSHAKE_BYTES: usize = 32 * 1024;
/// Bytes that a client may send before its handshake is done. A long certificate chain fits several times.
pub const HELLO_BYTES_MAX: usize = 32 * 1024;
/// Memory that a session needs after the handshake: one record in each direction, and the keys.
pub const SESSION_BYTES: usize = 40 * 1024;
/// Written bytes that may wait for the socket: one record.
const WRITE_BYTES: usize = 16 * 1024;
/// Alert `internal_error`. Go's servers send the same when they have no certificate (RFC 8446 §6).
const NO_CERTIFICATE: &[u8] = b"\x15\x03\x03\x00\x02\x02\x50";

/// Answer to a client that sends plain HTTP to this port. The text is that of Go's servers.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The protocol inside TLS, negotiated by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// The certificate that a listener presents, and what it demands of clients.
#[derive(Debug)]
pub struct Presented {
    /// The listener's certificate and the intermediates, in order.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the certificate.
    pub key: PrivateKeyDer<'static>,
    /// The authorities that must have signed the client's certificate. `None`: clients are not asked for one.
    pub callers: Option<Vec<CertificateDer<'static>>>,
    /// Whether only TLS 1.3 is accepted.
    pub only_1_3: bool,
    /// The cipher suites allowed for TLS 1.2, by IANA name. Empty: all supported ones.
    pub suites: Vec<&'static str>,
    /// The protocol inside TLS.
    pub protocol: Protocol,
}

/// Why a listener cannot use this configuration.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The certificate or the key is unusable.
    #[error("{0}")]
    Certificate(rustls::Error),
    /// The authorities for client certificates are unusable.
    #[error("{0}")]
    Callers(String),
}

/// The TLS configuration of one kind of listener.
pub struct Tls {
    config: ArcSwapOption<ServerConfig>,
    handshake_timeout: Mutex<Duration>,
    protocol: Protocol,
    turns: Arc<Turns>,
}

/// A client's socket with TLS on top.
pub(crate) type Secured = TlsStream<Metered>;

/// A socket that counts the bytes read from it against the client's budget until the handshake is done.
#[derive(Debug)]
pub(crate) struct Metered {
    io: Io,
    held: Held,
    /// Bytes read so far; `None` after the handshake.
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
    /// Converts this into the configuration of the TLS library.
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
                    debug!(ignored, "skipped authority certificates that cannot be parsed");
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
    /// TLS for a listener. Without a certificate every connection is refused.
    pub fn new(
        protocol: Protocol,
        presented: Option<Arc<ServerConfig>>,
        handshake_timeout: Duration,
    ) -> Arc<Self> {
        let (config, handshake_timeout) = (ArcSwapOption::new(presented), Mutex::new(handshake_timeout));
        Arc::new(Self { config, handshake_timeout, protocol, turns: Turns::of_processors() })
    }

    /// Replaces the certificate and the authorities for new handshakes.
    pub fn replace(&self, presented: Option<Arc<ServerConfig>>) {
        self.config.store(presented);
    }

    /// Sets the time limit of handshakes that begin from now on.
    pub fn limit_handshakes(&self, timeout: Duration) {
        *self.handshake_timeout.lock() = timeout;
    }

    /// Performs the whole handshake within the time limit; waiting for the client's first byte counts. Returns `None`
    /// if the handshake failed. The reason is logged at debug level only, because any stranger can cause it.
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
        // Boxed, so that a client that sends nothing costs only the memory of the wait for it.
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
        // The handshake has verified this certificate.
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
    /// Called after the handshake: releases the budget for the bytes read so far, and keeps that of the session.
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
