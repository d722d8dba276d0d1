//! What the service manager is told (sd_notify(3)): ready, reloading, stopping. Without `NOTIFY_SOCKET` nothing.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::time::{ClockId, clock_gettime};
use tracing::warn;

/// The line to the service manager, if one started us.
#[derive(Debug)]
pub(super) struct Manager {
    socket: Option<String>,
    ready: AtomicBool,
}

impl Manager {
    /// The one behind that socket: a path, or a name after `@`.
    pub(super) fn new(socket: Option<&str>) -> Self {
        Self { socket: socket.map(str::to_owned), ready: AtomicBool::new(false) }
    }

    /// It serves: units of `Type=notify` have started.
    pub(super) fn ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
        self.tell("READY=1");
    }

    /// It reads its configuration again; [`Manager::reloaded`] follows.
    pub(super) fn reloading(&self) {
        // Before the start is done there is nothing to reload to a manager, and READY=1 after it would be untrue.
        if self.ready.load(Ordering::Relaxed) {
            // `Type=notify-reload` wants to know when.
            let now = clock_gettime(ClockId::Monotonic);
            self.tell(&format!(
                "RELOADING=1\nMONOTONIC_USEC={}",
                now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
            ));
        }
    }

    /// It has, whatever came of it.
    pub(super) fn reloaded(&self) {
        if self.ready.load(Ordering::Relaxed) {
            self.tell("READY=1");
        }
    }

    /// It ends.
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

/// A name that is no file.
#[cfg(target_os = "linux")]
fn named(name: &str) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn named(_: &str) -> io::Result<SocketAddr> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
