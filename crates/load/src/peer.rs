//! The service behind the proxies: it echoes or discards bytes.
//!
//! The first byte of a connection decides. [`ECHO`] is followed by any bytes. [`SINK`] is followed by pieces: each has
//! a length in eight bytes and this number of bytes, and is answered with one byte.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// First byte of a connection whose bytes are echoed.
pub(crate) const ECHO: u8 = b'e';
/// First byte of a connection whose bytes are discarded.
pub(crate) const SINK: u8 = b's';
/// Bytes read at once: more than a proxy sends at once.
const BUFFER: usize = 64 << 10;
/// One worker, so that the other cores are free for the measured processes.
const WORKERS: usize = 1;

/// A running service. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    addr: SocketAddr,
    _runtime: Runtime,
}

impl Peer {
    pub(crate) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
        let runtime = runtime.context("starting the service's threads")?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).context("a free port")?;
        let addr = listener.local_addr().context("the service's address")?;
        runtime.spawn(accept(listener));
        Ok(Self { addr, _runtime: runtime })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

async fn accept(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        // The task ends with its peer or with the runtime.
        tokio::spawn(async move {
            // If a peer disconnects, the measuring client sees it on its side.
            let _ = serve(stream).await;
        });
    }
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0u8; BUFFER];
    if stream.read_u8().await? == SINK {
        sink(stream, &mut buffer).await
    } else {
        echo(stream, &mut buffer).await
    }
}

async fn echo(mut stream: TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read]).await?;
    }
}

async fn sink(mut stream: TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let mut left = stream.read_u64().await?;
        while left > 0 {
            let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = stream.read(&mut buffer[..room]).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= read as u64;
        }
        stream.write_u8(SINK).await?;
    }
}
