//! A flood: so many connections from 64 addresses of loopback, each opened again when it is closed.

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

/// Addresses the flood comes from: 127.0.1.1 and on.
const SOURCES: usize = 64;
/// Connections of one process, below the limit of its descriptors.
const CONNECTIONS_MAX: usize = 18_000;
/// Connections being opened at a time.
const OPENING: usize = 128;
/// Before a connection that ended is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// A connection that is not accepted by then is tried again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes a stranger's system takes in for it, so that what waits for it waits at the server.
const RECEIVE_BYTES: u32 = 8 * 1024;

/// A running flood; it ends when it is dropped.
pub(crate) struct Flood {
    opened: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl Flood {
    /// Begins; `tls` is how HTTPS is spoken.
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
                        // However it ends, it is opened again.
                        let _ = attack.begin(port, stream, tls.as_ref()).await;
                    }
                    tokio::time::sleep(AGAIN).await;
                }
            });
        }
        Ok(Self { opened, runtime: Some(runtime) })
    }

    /// Connections opened so far.
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
