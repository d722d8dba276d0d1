//! The listening sockets of HTTP and gRPC, TCP or unix. The program binds them; this module accepts connections.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use concord_runtime::{SocketFile, Source};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tracing::debug;

/// A bound socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; its file is removed at the end.
    Unix(UnixListener, SocketFile),
}

/// A connection that came to a socket.
#[derive(Debug)]
pub(crate) enum Io {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Accepts the next connection. Returns the client's address, or `None` for a unix socket.
    pub(crate) async fn accept(&self) -> io::Result<(Io, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "cannot set TCP_NODELAY");
                }
                Ok((Io::Tcp(stream), Some(peer.ip().to_canonical())))
            }
            Self::Unix(listener, _) => Ok((Io::Unix(listener.accept().await?.0), None)),
        }
    }
}

impl fmt::Display for Socket {
    /// The form that is shown to clients: `127.0.0.1:8500` or `unix:///run/concord.sock`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => address.fmt(f),
                Err(error) => write!(f, "({error})"),
            },
            Self::Unix(_, file) => write!(f, "unix://{}", file.path().display()),
        }
    }
}

/// The source under which the budget counts connections from this address.
pub(crate) fn source(address: Option<IpAddr>) -> Source {
    address.map_or(Source::UNIX, Source::of)
}

impl Io {
    /// Waits for the first byte without consuming it. Returns false if the client closes the connection first.
    pub(crate) async fn is_spoken_to(&self) -> bool {
        match self {
            Self::Tcp(stream) => matches!(stream.peek(&mut [0]).await, Ok(1..)),
            // Tokio cannot peek at a unix socket. The next reader finds out whether the client closed it.
            Self::Unix(stream) => stream.readable().await.is_ok(),
        }
    }

    /// Whether the client's first bytes are letters, as in plain HTTP. Always false for unix sockets.
    pub(crate) async fn begins_with_a_letter(&self) -> bool {
        let first = &mut [0];
        match self {
            Self::Tcp(stream) => matches!(stream.peek(first).await, Ok(1..)) && first[0].is_ascii_uppercase(),
            Self::Unix(_) => false,
        }
    }

    /// Whether the client connected to a loopback address of this machine.
    pub(crate) fn is_on_loopback(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.local_addr().is_ok_and(|own| own.ip().to_canonical().is_loopback()),
            Self::Unix(_) => false,
        }
    }

    /// Writes as many bytes as the socket takes without waiting.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads the bytes that have arrived. If a socket is closed with unread bytes, the kernel resets the connection
    /// and the client loses our last answer.
    pub(crate) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(bytes),
            Self::Unix(stream) => stream.try_read(bytes),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
