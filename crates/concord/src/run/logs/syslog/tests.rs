//! Tests with datagrams at a real socket, as a machine's log receives them.

use concord_config::section::Level as Own;
use concord_runtime::SetClock;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Registry, fmt};

use super::*;

/// 2023-11-14 22:13:20 UTC.
const NOW: i64 = 1_700_000_000_000_000_000;

struct Bench {
    directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> String {
        self.directory.path().join("log").to_str().unwrap().to_owned()
    }

    /// The machine's log.
    fn listen(&self) -> UnixDatagram {
        let _ = std::fs::remove_file(self.path());
        let socket = UnixDatagram::bind(self.path()).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn syslog(&self, facility: &str) -> Syslog {
        let facility = Facility::parse(facility).unwrap();
        Syslog::new(&["/nonexistent/log", &self.path()], facility, "consul", Arc::new(SetClock::new(NOW)))
    }
}

/// The received lines, without the time and the process id.
fn taken(socket: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 2 * LINE_BYTES_MAX];
    let mut all = Vec::new();
    while let Ok(bytes) = socket.recv(&mut buffer) {
        let text = String::from_utf8(buffer[..bytes].to_vec()).unwrap();
        let (priority, rest) = text.split_once('>').unwrap();
        let (time, rest) = rest.split_at(15);
        let parts: Vec<_> = time.split_whitespace().collect();
        assert!(
            matches!(parts.as_slice(), ["Nov", day, time] if matches!(*day, "14" | "15") && time.len() == 8),
            "{text}"
        );
        let rest = rest.replace(&format!("[{}]", std::process::id()), "[#]");
        all.push(format!("{priority}>{rest}"));
    }
    all
}

#[test]
fn each_line_is_a_datagram_with_facility_severity_and_name() {
    let bench = Bench::new();
    let socket = bench.listen();
    let layer =
        fmt::layer().with_writer(bench.syslog("daemon")).with_ansi(false).without_time().with_level(false);
    let subscriber = Registry::default().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!(target: "t", "a");
        tracing::warn!(target: "t", x = 1, "b");
        tracing::info!(target: "t", "c");
        tracing::debug!(target: "t", "d");
        tracing::trace!(target: "t", "e");
    });
    let expected = [(27, "a"), (28, "b x=1"), (29, "c"), (30, "d"), (31, "e")]
        .map(|(priority, text)| format!("<{priority}> consul[#]: t: {text}"));
    assert_eq!(taken(&socket), expected);
}

#[test]
fn a_log_that_is_started_again_or_later_is_found() {
    let bench = Bench::new();
    let syslog = bench.syslog("local0");
    syslog.send(5, b"lost\n");
    let socket = bench.listen();
    syslog.send(5, b"one\n");
    assert_eq!(taken(&socket), ["<133> consul[#]: one"]);
    drop(socket);
    let socket = bench.listen();
    syslog.send(5, b"two\n");
    assert_eq!(taken(&socket), ["<133> consul[#]: two"]);
}

#[test]
fn long_lines_are_cut_and_a_log_that_takes_nothing_holds_nobody_up() {
    let bench = Bench::new();
    let socket = bench.listen();
    let syslog = bench.syslog("local7");
    syslog.send(5, "\u{e9}".repeat(LINE_BYTES_MAX).as_bytes());
    let [line] = taken(&socket).try_into().unwrap();
    assert_eq!(line.strip_prefix("<189> consul[#]: ").unwrap().len(), LINE_BYTES_MAX);
    for _ in 0..10_000 {
        syslog.send(5, b"flood\n");
    }
    assert!(taken(&socket).len() < 10_000, "the socket has a bound");
    syslog.send(5, b"after\n");
    assert_eq!(taken(&socket), ["<189> consul[#]: after"]);
}

#[test]
fn facilities_have_the_names_that_consul_takes() {
    assert_eq!(Facility::parse("Local3").map(Facility::number), Some(19));
    assert_eq!(Facility::parse("LOCAL8"), None);
    assert_eq!(Facility::default().name(), "LOCAL0");
    // The agent's level does not change the severity of a line.
    assert_eq!(Own::parse("err"), Some(Own::Error));
}
