//! A part of the demo as a child process. It ends with the demo, however the demo ends.
//!
//! Each child has the reading end of a pipe as its standard input, and ends when the pipe closes. The system closes
//! the pipe even if the parent is killed. Children are in their own process group, so that Ctrl-C reaches only the
//! demo, which then stops them in order.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use concord_runtime::{Clock, timeout};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{self, ChildStdin, Command};

use super::limits::{END_WITHIN, LOOK};
use super::part;
use super::trouble::Trouble;

/// A running part. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Child {
    name: &'static str,
    process: process::Child,
    /// Kept open: the part ends when it closes.
    _leash: Option<ChildStdin>,
}

/// How to start a part, also again after it was killed.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    /// The command line after the program's name.
    pub(super) words: Vec<String>,
    /// The file to which the part writes its addresses once it serves.
    pub(super) ready: PathBuf,
    pub(super) log: PathBuf,
}

impl Recipe {
    /// Starts the part and waits until it serves.
    pub(super) async fn start(
        &self,
        program: &Path,
        clock: &dyn Clock,
        within: Duration,
    ) -> Result<(Child, Value), Trouble> {
        match fs::remove_file(&self.ready) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Trouble::system(format!("remove {}", self.ready.display()))(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut child = self.spawn(program).map_err(Trouble::system(format!("start {}", self.name)))?;
        let since = clock.now();
        loop {
            child.running()?;
            if let Ok(text) = fs::read(&self.ready)
                && let Ok(bound) = serde_json::from_slice(&text)
            {
                return Ok((child, bound));
            }
            if clock.now() - since > within {
                return Err(Trouble::NotSeen { what: format!("{} ready", self.name), within });
            }
            clock.sleep(LOOK).await;
        }
    }

    fn spawn(&self, program: &Path) -> std::io::Result<Child> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(program);
        command
            .args(["demo", part::WORD])
            .args(&self.words)
            // Variables meant for other agents must not affect a part.
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        let mut process = command.spawn()?;
        Ok(Child { name: self.name, _leash: process.stdin.take(), process })
    }
}

impl Child {
    /// Kills the part, as a crash would, and waits until it has ended.
    pub(super) async fn kill(mut self) -> Result<ExitStatus, Trouble> {
        let doing = || format!("kill {}", self.name);
        self.process.start_kill().map_err(Trouble::system(doing()))?;
        self.process.wait().await.map_err(Trouble::system(doing()))
    }

    /// Asks the part to end, and kills it if it does not.
    pub(super) async fn end(mut self, clock: &dyn Clock) -> Result<(), Trouble> {
        if let Some(pid) = self.pid()
            && let Err(error) = kill_process(pid, Signal::TERM)
        {
            // It may just have ended by itself; the wait below finds out.
            tracing::debug!(%error, part = self.name, "cannot signal");
        }
        let doing = format!("end {}", self.name);
        match timeout(clock, END_WITHIN, self.process.wait()).await {
            Ok(ended) => ended.map(|_| ()).map_err(Trouble::system(doing)),
            Err(_) => self.process.kill().await.map_err(Trouble::system(doing)),
        }
    }

    /// Returns an error if the part has ended by itself.
    pub(super) fn running(&mut self) -> Result<(), Trouble> {
        let status = self.process.try_wait().map_err(Trouble::system(format!("look at {}", self.name)))?;
        status.map_or(Ok(()), |status| Err(Trouble::Ended { part: self.name, status }))
    }

    /// Its process id, until the process has been waited for.
    pub(super) fn pid(&self) -> Option<Pid> {
        self.process.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw)
    }
}
