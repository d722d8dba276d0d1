//! Syslog: each line is a datagram to this machine's log socket, in the local form of RFC 3164.
//!
//! The log never blocks: a line that syslog does not accept at once is lost, and standard error reports it.

use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use concord_config::section::Facility;
use concord_runtime::Clock;
use parking_lot::Mutex;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::complaint::Complaint;

/// The usual sockets of a machine's log, as in Go.
pub(super) const SOCKETS: &[&str] = &["/dev/log", "/var/run/syslog", "/var/run/log"];
/// Most bytes of a line: the limits of rsyslog and journald are not lower.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// The machine's log.
#[derive(Debug)]
pub(super) struct Syslog {
    sockets: Vec<String>,
    facility: Facility,
    tag: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Connected on first use, and again after the log was restarted.
    socket: Option<UnixDatagram>,
    complaint: Complaint,
}

impl Syslog {
    /// The log at the first of these sockets that exists. If none exists, each line searches again.
    pub(super) fn new(sockets: &[&str], facility: Facility, name: &str, clock: Arc<dyn Clock>) -> Self {
        let sockets = sockets.iter().map(|path| (*path).to_owned()).collect();
        let tag = format!("{name}[{}]", std::process::id());
        Self { sockets, facility, tag, clock, state: Mutex::default() }
    }

    fn send(&self, severity: u8, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let mut text = text.trim_end();
        if text.len() > LINE_BYTES_MAX {
            text = &text[..text.floor_char_boundary(LINE_BYTES_MAX)];
        }
        let priority = self.facility.number() * 8 + severity;
        let datagram = format!("<{priority}>{} {}: {text}", self.time(), self.tag);
        let State { socket, complaint } = &mut *self.state.lock();
        let mut sent = Err(io::Error::from(io::ErrorKind::NotConnected));
        // Try twice: our socket may belong to a log that has ended.
        for _ in 0..2 {
            if socket.is_none() {
                match self.connect() {
                    Ok(found) => *socket = Some(found),
                    Err(error) => {
                        sent = Err(error);
                        break;
                    }
                }
            }
            let Some(own) = socket.as_ref() else { break };
            sent = own.send(datagram.as_bytes()).map(|_| ());
            match &sent {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => *socket = None,
                Ok(()) | Err(_) => break,
            }
        }
        complaint.of("cannot write to syslog", sent);
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let found = self.sockets.iter().any(|path| socket.connect(path).is_ok());
        let none = || io::Error::other(format!("nobody takes lines at {}", self.sockets.join(", ")));
        found.then_some(socket).ok_or_else(none)
    }

    /// The local time in the form of RFC 3164 §4.1.2: `Jan  2 15:04:05`.
    fn time(&self) -> String {
        let now = jiff::Timestamp::from_nanosecond(i128::from(self.clock.wall_nanos())).unwrap_or_default();
        now.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string()
    }
}

impl<'a> MakeWriter<'a> for Syslog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { syslog: self, severity: severity(Level::INFO) }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { syslog: self, severity: severity(*meta.level()) }
    }
}

/// The severity of a level (RFC 3164 §4.1.1), as in Consul: info becomes notice.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 5,
        Level::DEBUG => 6,
        Level::TRACE => 7,
    }
}

/// One line that is being written.
pub(super) struct Line<'a> {
    syslog: &'a Syslog,
    severity: u8,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.syslog.send(self.severity, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
