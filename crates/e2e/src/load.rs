//! Load on a sidecar's upstream: new connections at a steady rate, and long-lived ones.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::patience::HANG;

/// Number of threads which open new connections.
const WORKERS: u64 = 8;
/// Length in bytes of a message, which must come back unchanged.
const MESSAGE: usize = 256;
/// Pause between two messages on a long-lived connection.
const BEAT: Duration = Duration::from_millis(50);

/// A running load.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    started: Instant,
    per_second: u64,
    stop: AtomicBool,
    tickets: AtomicU64,
    opened: AtomicU64,
    beats: AtomicU64,
    failures: Mutex<Vec<String>>,
    micros: Mutex<Vec<u64>>,
}

/// The result of a load.
#[derive(Debug)]
pub struct Outcome {
    /// Number of new connections on which a message was sent and came back.
    pub opened: u64,
    /// Number of messages which were sent and came back on long-lived connections.
    pub beats: u64,
    /// Failures, with the time since the start.
    pub failures: Vec<String>,
    /// Time from connect to close of a new connection, in milliseconds: median, 99th percentile, maximum.
    pub millis: (f64, f64, f64),
}

impl Load {
    /// Starts a load with this many new connections a second and this many long-lived connections.
    pub fn start(target: SocketAddr, per_second: u64, long: usize) -> Self {
        let shared = Arc::new(Shared {
            target,
            started: Instant::now(),
            per_second,
            stop: AtomicBool::new(false),
            tickets: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            failures: Mutex::default(),
            micros: Mutex::default(),
        });
        let short = (0..WORKERS).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.open_and_close())
        });
        let long = (0..long).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.stay())
        });
        let threads = short.chain(long).collect();
        Self { shared, threads }
    }

    /// Number of new connections which succeeded so far.
    pub fn opened(&self) -> u64 {
        self.shared.opened.load(Ordering::SeqCst)
    }

    /// Number of failures so far.
    pub fn failures(&self) -> usize {
        self.shared.failures.lock().expect("no panic").len()
    }

    /// Stops the load and returns its result.
    pub fn finish(mut self) -> Outcome {
        self.end();
        let mut micros = std::mem::take(&mut *self.shared.micros.lock().expect("no panic"));
        micros.sort_unstable();
        let at = |part: usize| micros.get((micros.len() * part / 1000).min(micros.len().saturating_sub(1)));
        let millis = |part: usize| at(part).map_or(0.0, |micros| *micros as f64 / 1e3);
        Outcome {
            opened: self.opened(),
            beats: self.shared.beats.load(Ordering::SeqCst),
            failures: std::mem::take(&mut *self.shared.failures.lock().expect("no panic")),
            millis: (millis(500), millis(990), millis(1000)),
        }
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn open_and_close(&self) {
        while !self.stop.load(Ordering::SeqCst) {
            let ticket = self.tickets.fetch_add(1, Ordering::SeqCst);
            let due = self.started + Duration::from_micros(ticket * 1_000_000 / self.per_second.max(1));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let began = Instant::now();
            match TcpStream::connect(self.target).and_then(|mut stream| exchange(&mut stream, ticket)) {
                Ok(()) => {
                    self.opened.fetch_add(1, Ordering::SeqCst);
                    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                    self.micros.lock().expect("no panic").push(micros);
                }
                Err(error) => self.fail("a new connection", &error),
            }
        }
    }

    fn stay(&self) {
        let mut beat = 0;
        let held = TcpStream::connect(self.target).and_then(|mut stream| {
            while !self.stop.load(Ordering::SeqCst) {
                exchange(&mut stream, beat)?;
                beat += 1;
                self.beats.fetch_add(1, Ordering::SeqCst);
                thread::sleep(BEAT);
            }
            Ok(())
        });
        if let Err(error) = held {
            self.fail(&format!("a long connection after {beat} messages"), &error);
        }
    }

    fn fail(&self, what: &str, error: &io::Error) {
        let text = format!("{:.3} s: {what}: {error}", self.started.elapsed().as_secs_f64());
        self.failures.lock().expect("no panic").push(text);
    }
}

/// Sends one message and reads it back.
fn exchange(stream: &mut TcpStream, number: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(HANG))?;
    let mut message = [b'.'; MESSAGE];
    message[..8].copy_from_slice(&number.to_be_bytes());
    stream.write_all(&message)?;
    let mut back = [0u8; MESSAGE];
    stream.read_exact(&mut back)?;
    if back == message { Ok(()) } else { Err(io::Error::other("other bytes came back")) }
}
