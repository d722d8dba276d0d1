//! The attacks of strangers.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::port::Port;

/// An attack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attack {
    /// Connects and sends nothing.
    Silent,
    /// Sends most of a large head of a request.
    HalfHead,
    /// Sends a head and most of a large body.
    HalfBody,
    /// Sends a part of a large ClientHello.
    HalfHello,
    /// Requests a large answer and never reads it.
    NotReading,
    /// Sends PING frames without end.
    Pings,
    /// Sends requests of 50 MiB.
    LargeRequest,
}

/// Number of streams on one gRPC connection.
const STREAMS: u32 = 100;
const MIB_50: u32 = 50 << 20;

impl Attack {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::HalfHead => "half a head",
            Self::HalfBody => "half a body",
            Self::HalfHello => "half a ClientHello",
            Self::NotReading => "not reading",
            Self::Pings => "PING flood",
            Self::LargeRequest => "unary of 50 MiB",
        }
    }

    /// The bytes that are sent first.
    fn words(self, port: Port) -> Vec<u8> {
        match (port, self) {
            (Port::Http | Port::Https, Self::HalfHead) => {
                format!("GET /v1/agent/self HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(50_000)).into()
            }
            (Port::Http | Port::Https, Self::HalfBody) => {
                let head =
                    "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000";
                format!("{head}\r\n\r\n{{\"Name\":\"web\"{}", " ".repeat(400_000)).into()
            }
            (Port::Http | Port::Https, Self::NotReading) => {
                b"GET /v1/agent/services HTTP/1.1\r\nHost: localhost\r\n\r\n".into()
            }
            (Port::Grpc, Self::HalfHead) => {
                // One header with an endless value, in frames that all belong to the head.
                let mut block = request("/concord.proxy.v1.Snapshots/SignLeaf");
                block.extend(b"\0\x01x\x7f\xa1\x8d\x06");
                block.resize(10_000, b'x');
                [hello(65_535), frame(1, 0, 1, &block), frame(9, 0, 1, &[b'x'; 10_000])].concat()
            }
            (Port::Grpc, Self::HalfBody) => (0..STREAMS).fold(hello(65_535), |mut all, number| {
                let stream = 2 * number + 1;
                all.extend(frame(1, 4, stream, &request("/concord.proxy.v1.Snapshots/SignLeaf")));
                // Exactly as much as the connection's window allows.
                all.extend(frame(0, 0, stream, &message(60_000, &[b'x'; 2_500])));
                all
            }),
            (Port::Grpc, Self::NotReading) => (0..STREAMS).fold(hello(0), |mut all, number| {
                let stream = 2 * number + 1;
                all.extend(frame(1, 4, stream, &request("/concord.proxy.v1.Snapshots/Attach")));
                // MessagePack: {"proxy": {"proxy": "web-sidecar-proxy"}, "understands": [...]}
                let attach = b"\x82\xa5proxy\x81\xa5proxy\xb1web-sidecar-proxy\xabunderstands\x96\
                    \xa5proxy\xa5roots\xaaintentions\xa7targets\xa6chains\xa9listeners";
                all.extend(frame(0, 1, stream, &message(attach.len() as u32, attach)));
                all
            }),
            (Port::Grpc, Self::Pings | Self::LargeRequest) => hello(65_535),
            (Port::Public | Port::Https, Self::HalfHello) => {
                // A record of 16 KiB with the start of a hello of 60 KiB.
                let mut words = b"\x16\x03\x01\x40\x00\x01\x00\xea\x60\x03\x03".to_vec();
                words.resize(16_389, 0);
                words.extend(b"\x16\x03\x01\x40\x00");
                words.resize(30_000, 0);
                words
            }
            (_, _) => Vec::new(),
        }
    }

    /// Runs the attack until the server ends the connection. Does the TLS handshake first if the attack comes after it.
    pub(crate) async fn begin(
        self,
        port: Port,
        stream: TcpStream,
        tls: Option<&Arc<ClientConfig>>,
    ) -> std::io::Result<()> {
        let Some(tls) = tls.filter(|_| !matches!(self, Self::Silent | Self::HalfHello)) else {
            return self.run(port, stream).await;
        };
        let name = ServerName::try_from("localhost").map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
        self.run(port, stream).await
    }

    async fn run(self, port: Port, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        stream.write_all(&self.words(port)).await?;
        stream.flush().await?;
        match self {
            Self::NotReading => std::future::pending().await,
            Self::Pings => {
                let pings = frame(6, 0, 0, b"abcdefgh").repeat(500);
                loop {
                    stream.write_all(&pings).await?;
                }
            }
            Self::LargeRequest => {
                for number in 0.. {
                    let stream_id = 2 * number + 1;
                    let head = frame(1, 4, stream_id, &request("/concord.proxy.v1.Snapshots/SignLeaf"));
                    let data = frame(0, 0, stream_id, &message(MIB_50, &[b'x'; 16_000]));
                    stream.write_all(&[head, data].concat()).await?;
                    // The server opens its window again after it has refused the request.
                    let read = stream.read(&mut [0; 4096]).await?;
                    if read == 0 {
                        break;
                    }
                }
                Ok(())
            }
            Self::Silent | Self::HalfHead | Self::HalfBody | Self::HalfHello => {
                while stream.read(&mut [0; 1024]).await? > 0 {}
                Ok(())
            }
        }
    }
}

/// The preface of an HTTP/2 client, with this window for each stream.
fn hello(window: u32) -> Vec<u8> {
    let settings = [&b"\0\x04"[..], &window.to_be_bytes()].concat();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &settings)].concat()
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), bytes].concat()
}

/// The head of a gRPC request in the simplest form of HPACK (RFC 7541), with literal names and values.
fn request(path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap_or_default()][..], text.as_bytes()].concat();
    [
        // The method POST, the scheme http, the path, a host and the content type.
        b"\x83\x86\x04".to_vec(),
        text(path),
        b"\x01".to_vec(),
        text("localhost"),
        b"\x0f\x10".to_vec(),
        text("application/grpc"),
        b"\0".to_vec(),
        text("te"),
        text("trailers"),
    ]
    .concat()
}

/// A gRPC message with the declared length `says`.
fn message(says: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0][..], &says.to_be_bytes(), bytes].concat()
}
