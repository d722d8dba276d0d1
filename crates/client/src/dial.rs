//! Connects to an address: TCP, TLS over TCP, or a unix socket.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::address::Address;
use crate::tls::Tls;

/// A byte stream in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects; with TLS, also performs the handshake.
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
