//! A flood: connections from 64 loopback addresses. A closed connection is opened again.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::attack::Attack;
use super::port::Port;

/// Number of source addresses, from 127.0.1.1 on.
const SOURCES: usize = 64;
/// Maximum number of connections of one process, below its limit of file descriptors.
const CONNECTIONS_MAX: usize = 18_000;
/// Number of connections that are opened at the same time.
const OPENING: usize = 128;
/// Time until a closed connection is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// If a connection is not accepted within this time, it is tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Size of the stranger's receive buffer. It is small, so that unread data stays at the server.
const RECEIVE_BYTES: u32 = 8 * 1024;

/// A running flood. It ends when it is dropped.
pub(crate) struct Flood {
    opened: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl Flood {
    /// Starts the flood. `tls` is for HTTPS.
    pub(crate) fn start(
        port: Port,
        target: SocketAddr,
        attack: Attack,
        connections: usize,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self> {
        ensure!(connections <= CONNECTIONS_MAX, "at most {CONNECTIONS_MAX} connections");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.context("starting the flood's thread")?;
        let (opened, opening) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(OPENING)));
        for number in 0..connections {
            let (opened, opening, tls) = (Arc::clone(&opened), Arc::clone(&opening), tls.clone());
            let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + (number % SOURCES) as u32);
            runtime.spawn(async move {
                loop {
                    let turn = opening.acquire().await;
                    let stream = tokio::time::timeout(PATIENCE, open(source, target)).await;
                    drop(turn);
                    if let Ok(Ok(stream)) = stream {
                        opened.fetch_add(1, Ordering::Relaxed);
                        // However the connection ends, it is opened again.
                        let _ = attack.begin(port, stream, tls.as_ref()).await;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        Ok(Self { opened, runtime: Some(runtime) })
    }

    /// The number of connections opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}

async fn open(source: Ipv4Addr, target: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.bind((source, 0).into())?;
    socket.connect(target).await
}
