//! A stream to an address: TCP, TLS over it, or a unix socket.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::tls::Tls;

/// A stream that bytes go both ways on.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects, with the handshake done where there is TLS.
///
/// # Errors
/// When nobody listens there, or the handshake fails.
pub async fn dial(address: &Address, tls: Option<&Tls>) -> io::Result<Box<dyn Stream>> {
    let (host, port) = match address {
        Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Http { host, port } | Address::Https { host, port } => (host.as_str(), *port),
    };
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    match tls {
        None => Ok(Box::new(tcp)),
        Some(tls) => Ok(Box::new(tls.secure(tcp).await?)),
    }
}
