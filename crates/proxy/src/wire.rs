//! Plain streams and the sockets they come from: TCP or unix.

use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use concord_proxycfg::{BindAddress, LocalTarget};
use concord_runtime::{Access, SocketFile, Source, socket_file};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::limits::KEEPALIVE;

/// A stream without TLS.
#[derive(Debug)]
pub(crate) enum Wire {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

/// A bound socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpListener),
    /// A unix socket; its file is removed with it.
    Unix(UnixListener, SocketFile),
}

/// The source of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Remote {
    /// TCP.
    Tcp(SocketAddr),
    /// A unix socket; its callers have no address.
    Unix,
}

impl Remote {
    /// The source under which the connection is counted.
    pub(crate) fn source(self) -> Source {
        match self {
            Self::Tcp(address) => Source::of(address.ip()),
            Self::Unix => Source::UNIX,
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => fmt::Display::fmt(address, f),
            Self::Unix => f.write_str("unix"),
        }
    }
}

impl Socket {
    /// Binds an address on the current runtime.
    pub(crate) fn bind(address: &BindAddress) -> io::Result<Self> {
        match address {
            BindAddress::Tcp(address) => concord_runtime::listen(*address).map(Self::Tcp),
            BindAddress::Unix { path, mode } => bind_unix(Path::new(path), *mode),
        }
    }

    /// The address in use, with the port the system chose if none was asked for.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string())
            }
            Self::Unix(_, file) => format!("unix://{}", file.path().display()),
        }
    }

    /// The next connection, and its source.
    pub(crate) async fn accept(&self) -> io::Result<(Wire, Remote)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                tune(&stream);
                Ok((Wire::Tcp(stream), Remote::Tcp(peer)))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Wire::Unix(stream), Remote::Unix))
            }
        }
    }
}

/// Binds a unix socket; only its owner has access unless a mode is given.
fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<Socket> {
    let access = Access { mode: Some(mode.unwrap_or(0o600)), ..Access::default() };
    let (listener, file) = socket_file::listen(path, access)?;
    Ok(Socket::Unix(UnixListener::from_std(listener)?, file))
}

impl Wire {
    /// Connects to a host and port.
    pub(crate) async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        tune(&stream);
        Ok(Self::Tcp(stream))
    }

    /// Connects to the local service.
    pub(crate) async fn connect_local(target: &LocalTarget) -> io::Result<Self> {
        match target {
            LocalTarget::Tcp { host, port } => Self::connect(host, *port).await,
            LocalTarget::Unix { path } => UnixStream::connect(path).await.map(Self::Unix),
        }
    }

    /// Waits for the first byte without consuming it. Returns false if the other side closes first.
    pub(crate) async fn is_spoken_to(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.peek(&mut [0]).await.is_ok_and(|bytes| bytes > 0),
            Self::Unix(stream) => {
                let mut byte = [MaybeUninit::uninit()];
                let peek = || SockRef::from(stream).peek(&mut byte);
                stream.async_io(Interest::READABLE, peek).await.is_ok_and(|bytes| bytes > 0)
            }
        }
    }

    /// Whether dropping the stream sends a reset from now on instead of a normal end. With a reset, the other side
    /// does not take a part of the data for all of it. Unix sockets know only the normal end.
    pub(crate) fn reset_on_drop(&self, reset: bool) {
        if let Self::Tcp(stream) = self
            && let Err(error) = SockRef::from(stream).set_linger(reset.then_some(Duration::ZERO))
        {
            tracing::debug!(%error, "cannot set socket options");
        }
    }
}

/// Sends small writes at once, and detects dead peers.
fn tune(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    let socket = SockRef::from(stream);
    if let Err(error) = stream.set_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive)) {
        tracing::debug!(%error, "cannot set socket options");
    }
}

impl AsyncRead for Wire {
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

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_socket_file_left_behind_is_taken_over_and_removed_at_the_end() {
        let directory = std::env::temp_dir().join(format!("concord-wire-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("service.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the standard library leaves the file");
        let address = BindAddress::Unix { path: path.display().to_string(), mode: None };
        let socket = Socket::bind(&address).unwrap();
        let target = LocalTarget::Unix { path: path.display().to_string() };
        let (accepted, connected) = tokio::join!(socket.accept(), Wire::connect_local(&target));
        let (mut server, _) = accepted.unwrap();
        let mut client = connected.unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        let taken = Socket::bind(&address).expect_err("somebody listens");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        drop(socket);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        Socket::bind(&address).expect_err("a file of somebody else's");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        std::fs::remove_file(&path).unwrap();
        std::fs::remove_dir(&directory).unwrap();
    }
}
