//! A test's world: a directory, ports, and patience with a bound.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use crate::agent::{Agent, AgentOptions};
use crate::binary::binary;

/// Guard against hangs. No statement about how long anything should take.
pub const HANG: Duration = Duration::from_secs(60);
/// Between two attempts of something awaited.
const LOOK: Duration = Duration::from_millis(10);
/// Ports handed out: below those that systems take for outgoing connections, so that a port whose
/// process is down is not taken, and a client that keeps trying never connects to itself.
const PORTS: (u64, u64) = (12_000, 20_000);

/// A directory that holds everything of one test.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
}

impl World {
    /// A new world.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Starts an agent that keeps nothing.
    pub fn dev_agent(&self, name: &str) -> Agent {
        self.agent(name, AgentOptions { dev: true, ..AgentOptions::default() })
    }

    /// Starts an agent.
    pub fn agent(&self, name: &str, options: AgentOptions) -> Agent {
        Agent::start(self.dir.path(), name, options)
    }

    /// Starts an agent whose files are in another directory, so that two can have one name.
    pub fn agent_in(&self, dir: &Path, name: &str, options: AgentOptions) -> Agent {
        Agent::start(dir, name, options)
    }

    /// Runs the program to its end, with nothing of the caller's environment.
    pub fn run(&self, args: &[&str]) -> Output {
        run(binary(), args)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

pub(crate) fn run(program: &Path, args: &[&str]) -> Output {
    let ran = Command::new(program).args(args).env_clear().stdin(Stdio::null()).output();
    ran.expect("the program starts")
}

/// A port nobody listens at, for what must come back at the same place.
pub fn pick_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (low, high) = PORTS;
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Test processes run side by side: each begins somewhere else.
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

/// Tries until it gives something; a hang is a failure that says what was awaited.
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

/// A size that the environment can raise for the long version of a test.
pub fn number_from_env(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Prints a figure in the form in which `cargo xtask measure` collects it.
pub fn figure(what: &str, value: f64, unit: &str) {
    eprintln!("figure: {what} = {value:.3} {unit}");
}
