//! Requests at a steady rate, each judged by the history: half of them on connections of their own, half on connections
//! that stay.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::history::{Answer, History};
use crate::http::{Conn, Http, Reply};

/// Number of asking threads.
const WORKERS: u64 = 8;
/// Maximum number of unexpected answers that are told.
const TOLD: usize = 20;

/// Threads that ask.
pub(super) struct Asking {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    upstream: SocketAddr,
    per_second: u64,
    history: History,
    started: Instant,
    stop: AtomicBool,
    tickets: AtomicU64,
    answers: Mutex<BTreeMap<u16, u64>>,
    unexpected: Mutex<Vec<String>>,
}

impl Asking {
    pub(super) fn start(upstream: SocketAddr, per_second: u64, history: History) -> Self {
        let shared = Arc::new(Shared {
            upstream,
            per_second,
            history,
            started: Instant::now(),
            stop: AtomicBool::default(),
            tickets: AtomicU64::default(),
            answers: Mutex::default(),
            unexpected: Mutex::default(),
        });
        let start = |at: u64| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.ask(at.is_multiple_of(2)))
        };
        let threads = (0..WORKERS).map(start).collect();
        Self { shared, threads }
    }

    /// Stops asking. Returns the number of answers by status, and what was not expected.
    pub(super) fn finish(self) -> (Vec<(u16, u64)>, Vec<String>) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("an asking thread does not panic");
        }
        let answers = std::mem::take(&mut *self.shared.answers.lock().expect("no panic"));
        let unexpected = std::mem::take(&mut *self.shared.unexpected.lock().expect("no panic"));
        (answers.into_iter().collect(), unexpected)
    }
}

impl Shared {
    fn ask(&self, keeps: bool) {
        let mut kept = None;
        while !self.stop.load(Ordering::SeqCst) {
            let ticket = self.tickets.fetch_add(1, Ordering::SeqCst);
            let due = self.started + Duration::from_micros(ticket * 1_000_000 / self.per_second.max(1));
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let path = if ticket.is_multiple_of(3) { "/private/a" } else { "/a" };
            let began = Instant::now();
            match self.send(keeps, &mut kept, path) {
                Ok(reply) => self.judge(path, &reply, began),
                Err(error) => self.tell(format!("GET {path}: no answer: {error}"), began),
            }
        }
    }

    fn send(&self, keeps: bool, kept: &mut Option<Conn>, path: &str) -> std::io::Result<Reply> {
        // The other side may end a connection between two requests: then the request is sent anew, as clients do.
        if let Some(mut conn) = kept.take()
            && let Ok(reply) = conn.send("GET", path, None)
        {
            keep(kept, conn, &reply);
            return Ok(reply);
        }
        let mut conn = Http::new(self.upstream).connect()?;
        let reply = conn.send("GET", path, None)?;
        if keeps {
            keep(kept, conn, &reply);
        }
        Ok(reply)
    }

    fn judge(&self, path: &str, reply: &Reply, began: Instant) {
        *self.answers.lock().expect("no panic").entry(reply.status).or_default() += 1;
        let answer = answer(reply);
        if !self.history.explains(path, &answer, began, Instant::now()) {
            self.tell(format!("GET {path}: {answer:?}, {:?}", reply.body), began);
        }
    }

    fn tell(&self, text: String, began: Instant) {
        let mut unexpected = self.unexpected.lock().expect("no panic");
        if unexpected.len() < TOLD {
            let now = (began.duration_since(self.started).as_secs_f64(), began.elapsed().as_secs_f64());
            unexpected.push(format!(
                "at {:.3} s, within {:.3} s: {text}; said: {:?}",
                now.0,
                now.1,
                self.history.now()
            ));
        }
    }
}

fn keep(kept: &mut Option<Conn>, conn: Conn, reply: &Reply) {
    let closes = reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    *kept = (!closes).then_some(conn);
}

/// What matters of an answer.
pub(super) fn answer(reply: &Reply) -> Answer {
    let said: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let header = said["headers"]["x-said"].as_str().and_then(|text| text.parse().ok());
    Answer { status: reply.status, header }
}
