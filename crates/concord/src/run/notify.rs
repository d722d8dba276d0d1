//! Notifies the service manager (sd_notify(3)): ready, reloading, stopping. Does nothing without `NOTIFY_SOCKET`.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

/// The connection to the service manager, if there is one.
#[derive(Debug)]
pub(super) struct Manager {
    socket: Option<String>,
    ready: AtomicBool,
}

impl Manager {
    /// The service manager at this socket: a path, or an abstract name after `@`.
    pub(super) fn new(socket: Option<&str>) -> Self {
        Self { socket: socket.map(str::to_owned), ready: AtomicBool::new(false) }
    }

    /// The agent serves: units of `Type=notify` have started.
    pub(super) fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
        self.tell("READY=1");
    }

    /// The agent reads its configuration again; [`Manager::reloaded`] follows.
    pub(super) fn reloading(&self) {
        // Before the start is complete, a manager expects no reload, and the READY=1 after it would be false.
        if self.ready.load(Ordering::Relaxed) {
            // `Type=notify-reload` requires the time.
            let now = clock_gettime(ClockId::Monotonic);
            self.tell(&format!(
                "RELOADING=1\nMONOTONIC_USEC={}",
                now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
            ));
        }
    }

    /// The reload has ended, with or without success.
    pub(super) fn reloaded(&self) {
        if self.ready.load(Ordering::Relaxed) {
            self.tell("READY=1");
        }
    }

    /// The agent stops.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = send(socket, state)
        {
            warn!(%error, socket, state, "cannot tell the service manager (NOTIFY_SOCKET)");
        }
    }
}

fn send(socket: &str, state: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => named(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(|_| ())
}

/// The address of an abstract socket.
#[cfg(target_os = "linux")]
fn named(name: &str) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn named(_: &str) -> io::Result<SocketAddr> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
