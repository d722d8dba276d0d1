//! Connections from many source addresses, as if from many machines: all of 127.0.0.0/8 is loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

use crate::patience::HANG;

/// Receive buffer of a stranger in bytes. It is small, so that unread data waits at the sender.
const RECEIVE_BYTES: usize = 8 * 1024;

/// A connection of the stranger with this number. Each stranger has a source address of its own.
pub fn connect_as(stranger: u16, target: SocketAddr) -> io::Result<TcpStream> {
    let [high, low] = stranger.to_be_bytes();
    let source = SocketAddr::from((Ipv4Addr::new(127, 1, high, low), 0));
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_recv_buffer_size(&fd, RECEIVE_BYTES)?;
    bind(&fd, &source)?;
    connect(&fd, &target)?;
    let stream = TcpStream::from(fd);
    stream.set_read_timeout(Some(HANG))?;
    Ok(stream)
}
