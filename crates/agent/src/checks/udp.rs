//! UDP checks: send an empty datagram. If the time ends without a refusal, the check passes.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_runtime::timeout;
use tokio::net::{UdpSocket, lookup_host};

use super::dial::said;
use super::tools::Tools;
use crate::local::Report;

pub(super) async fn run(tools: &Tools, address: &str, within: Duration) -> Report {
    let critical = |why: String| Report::run(CheckStatus::Critical, format!("udp {address}: {why}"));
    let until = tools.clock.now() + within;
    let socket = match timeout(&*tools.clock, within, send(address)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return critical(said(&error)),
        // Nothing was sent, so silence proves nothing.
        Err(_) => return critical("i/o timeout".to_owned()),
    };
    // Ends early when an answer or a refusal arrives.
    let left = until.saturating_since(tools.clock.now());
    match timeout(&*tools.clock, left, socket.recv(&mut [0; 1])).await {
        Ok(Err(error)) => critical(said(&error)),
        Ok(Ok(_)) | Err(_) => Report::run(CheckStatus::Passing, format!("UDP connect {address}: Success")),
    }
}

/// Sends the datagram and returns the socket that receives the answer.
async fn send(address: &str) -> io::Result<UdpSocket> {
    let to = lookup_host(address).await?.next().ok_or_else(|| io::Error::other("no such host"))?;
    let from: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(from).await?;
    socket.connect(to).await?;
    socket.send(&[]).await?;
    Ok(socket)
}
