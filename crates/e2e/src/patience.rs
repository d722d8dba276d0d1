//! Free ports, programs which run to completion, and waiting with a limit.

use std::fmt::Debug;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Time after which something counts as hanging. It says nothing about how long anything should take.
pub const HANG: Duration = Duration::from_secs(60);

/// Time between two attempts.
const LOOK: Duration = Duration::from_millis(10);

/// How often an answer must come in a row before it counts as the answer of all. If two answer by turns of luck, one of
/// them stays unheard once in half a million times.
const IN_A_ROW: usize = 20;

/// Range of the ports which we hand out. It lies below the range of ephemeral ports: so the port of a stopped process
/// stays free, and a client which retries never connects to itself.
const PORTS: (u64, u64) = (12_000, 20_000);

pub(crate) fn run(program: &Path, args: &[&str]) -> Output {
    let ran = Command::new(program).args(args).env_clear().stdin(Stdio::null()).output();
    ran.expect("the program starts")
}

/// A port on which nobody listens, for a process which must be able to restart on the same port.
pub fn pick_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (low, high) = PORTS;
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Test processes run in parallel, so each begins at another port.
    let begin = u64::from(clock.subsec_nanos() / 97).wrapping_mul(31) ^ (u64::from(std::process::id()) * 211);
    let _ = NEXT.compare_exchange(0, begin, Ordering::SeqCst, Ordering::SeqCst);
    for _ in 0..(high - low) {
        let at = NEXT.fetch_add(1, Ordering::SeqCst);
        let port = u16::try_from(low + at % (high - low)).expect("ports fit");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Repeats an attempt until it returns a value. Fails the test with `what` if that takes too long.
#[track_caller]
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(started.elapsed() < HANG, "waited in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// Asks until this answer comes so often in a row that all give it: each instance, each worker of an Envoy, a listener
/// that is being drained. One answer after a change tells only that one of them knows the change. Each question should
/// be a connection of its own.
#[track_caller]
pub fn all_answer<T: Debug + PartialEq>(what: &str, expected: T, mut ask: impl FnMut() -> T) {
    let started = Instant::now();
    while let Some(other) = (0..IN_A_ROW).map(|_| ask()).find(|answer| *answer != expected) {
        assert!(
            started.elapsed() < HANG,
            "waited in vain: {what}: {IN_A_ROW} times in a row {expected:?}, but there is still {other:?}"
        );
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_once_nobody_gives_another() {
        let mut asked = 0;
        all_answer("they agree", true, || {
            asked += 1;
            asked != 7 && asked != 19
        });
        assert_eq!(asked, 19 + IN_A_ROW);
    }
}
