//! Connections to check targets, with failures in the words of Consul's agents.

use std::io;

use concord_model::registration::CheckTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::Tls;

/// A byte stream in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to `host:port`.
pub(super) async fn tcp(address: &str) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| format!("dial tcp {address}: {}", said(&error)))
}

/// Connects and, if asked for, performs a TLS handshake.
pub(super) async fn dial(
    tls: &Tls,
    address: &str,
    with: Option<&CheckTls>,
    protocols: &[&[u8]],
) -> Result<Box<dyn Stream>, String> {
    let stream = tcp(address).await?;
    match with {
        None => Ok(Box::new(stream)),
        Some(with) => Ok(Box::new(tls.handshake(with, host_of(address), stream, protocols).await?)),
    }
}

/// The host of `host:port`, without the brackets of IPv6.
pub(super) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Why a connection failed. Common reasons have the words of Consul's agents.
pub(super) fn said(error: &io::Error) -> String {
    let words = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connect: connection refused",
        io::ErrorKind::ConnectionReset => "connect: connection reset by peer",
        io::ErrorKind::HostUnreachable => "connect: no route to host",
        io::ErrorKind::NetworkUnreachable => "connect: network is unreachable",
        io::ErrorKind::TimedOut => "connect: connection timed out",
        _ => return error.to_string(),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_connection_is_told_in_the_words_of_consul() {
        assert_eq!(said(&io::Error::from_raw_os_error(111)), "connect: connection refused");
        assert_eq!(said(&io::ErrorKind::HostUnreachable.into()), "connect: no route to host");
        assert_eq!(said(&io::Error::other("no such host")), "no such host");
    }

    #[test]
    fn a_host_is_what_stands_before_the_port() {
        for (address, host) in [("a:1", "a"), ("[::1]:80", "::1"), ("127.0.0.1:8", "127.0.0.1"), ("a", "a")] {
            assert_eq!(host_of(address), host);
        }
    }
}
