//! UDP checks: an empty datagram that nobody refuses. Silence is consent, once the time is over.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_runtime::timeout;
use tokio::net::{UdpSocket, lookup_host};

use super::dial::said;
use super::maker::Maker;
use crate::local::Report;

pub(super) async fn run(maker: &Maker, address: &str, within: Duration) -> Report {
    match timeout(&*maker.clock, within, send(address)).await {
        Ok(Err(error)) => Report::run(CheckStatus::Critical, format!("udp {address}: {}", said(&error))),
        Ok(Ok(())) | Err(_) => Report::run(CheckStatus::Passing, format!("UDP connect {address}: Success")),
    }
}

/// Ends when an answer, or a refusal, has come.
async fn send(address: &str) -> io::Result<()> {
    let to = lookup_host(address).await?.next().ok_or_else(|| io::Error::other("no such host"))?;
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(to).await?;
    socket.send(&[]).await?;
    socket.recv(&mut [0; 1]).await.map(|_| ())
}
