//! Listening sockets.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

use crate::limits::BACKLOG;

/// Listens at an address, even directly after a process that was killed there. A burst of connections waits in the
/// kernel; a client whose connection does not fit tries again a second later.
///
/// # Errors
/// When the address is in use, not local, or not allowed.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
