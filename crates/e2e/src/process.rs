//! A child process, whose output goes to a file. It ends with its owner, and its log is shown when a test fails.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::patience::HANG;

/// Time for a child to end after SIGTERM when its owner is dropped.
const GRACE: Duration = Duration::from_secs(3);
/// Time between two checks whether a child has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Number of log lines shown when a test fails.
const LINES_SHOWN: usize = 60;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output appended to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let open = || -> io::Result<(File, File)> {
            let out = OpenOptions::new().create(true).append(true).open(log)?;
            Ok((out.try_clone()?, out))
        };
        let (out, err) = open().expect("a log can be opened");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // The child keeps its process id until `ended` or `wait` reaps it.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Kills the process with SIGKILL, so that no handler runs, as at a power cut.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }

    /// The exit status, if the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits until the process ends. The test fails if that takes too long.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_within(HANG).unwrap_or_else(|| panic!("{} hangs\n{}", self.name, self.tail()))
    }

    fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if started.elapsed() > limit {
                return None;
            }
            thread::sleep(LOOK);
        }
    }

    /// The whole log, which includes the output of earlier processes with the same log file.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of the log, for messages.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
        format!("--- {} ({})\n{}\n---", self.name, self.log.display(), shown.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.tail());
        }
        if self.ended().is_none() {
            self.signal(Signal::TERM);
            if self.wait_within(GRACE).is_none() {
                self.kill9();
            }
        }
    }
}
