//! Runs programs: those of script checks, and the operating system's service manager.
//!
//! A program gets its arguments unchanged, without a shell, in its own process group. When its time is over or its
//! check is removed, the whole group is killed, so that the processes it started do not remain.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_runtime::timeout;
use concord_syntax::duration;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::tail::Tail;
use super::tools::Tools;
use crate::limits::CHECK_PROGRAM_READ_BYTES;
use crate::local::Report;

/// Runs a program whose exit code is the verdict.
pub(super) async fn script(tools: &Tools, args: &[String], within: Duration, keep: usize) -> Report {
    let (status, tail) = match run(tools, args, within, keep).await {
        Ok(ended) => ended,
        Err(stopped) => return stopped.report(within),
    };
    let verdict = match status.code() {
        Some(0) => CheckStatus::Passing,
        Some(1) => CheckStatus::Warning,
        // This includes programs killed by a signal.
        _ => CheckStatus::Critical,
    };
    Report::run(verdict, tail.captured())
}

/// The state of an operating system service, according to systemd. No shell and no user-chosen program runs.
pub(super) async fn os_service(tools: &Tools, name: &str, within: Duration, keep: usize) -> Report {
    let args = [tools.service_manager.as_str(), "is-active", "--", name].map(str::to_owned);
    let (_, tail) = match run(tools, &args, within, keep).await {
        Ok(ended) => ended,
        Err(stopped) => return stopped.report(within),
    };
    let text = tail.text();
    let state = text.lines().next().unwrap_or("").trim();
    let verdict = match state {
        "active" | "reloading" | "refreshing" => {
            return Report::run(CheckStatus::Passing, format!("Service \"{name}\" is healthy"));
        }
        "activating" | "deactivating" | "maintenance" => CheckStatus::Warning,
        _ => CheckStatus::Critical,
    };
    let state = if state.is_empty() { "nothing" } else { state };
    Report::run(verdict, format!("OS Service unhealthy: systemd says {state} of {name:?}"))
}

/// Why a program did not end by itself.
enum Stopped {
    /// It could not be started.
    NotStarted(String),
    /// It took too long; this is its output so far.
    TooLong(Tail),
}

impl Stopped {
    /// The verdict. It decides at once, whatever the check's failure threshold, as in Consul.
    fn report(self, within: Duration) -> Report {
        let text = match self {
            Self::NotStarted(why) => why,
            Self::TooLong(tail) => {
                let text = format!("Timed out ({}) running check", duration::format(within));
                let printed = tail.captured();
                if printed.is_empty() { text } else { format!("{text}\n\n{printed}") }
            }
        };
        Report::decided(CheckStatus::Critical, text)
    }
}

/// Runs a program until it has ended and its output is closed, or until its time is over.
async fn run(
    tools: &Tools,
    args: &[String],
    within: Duration,
    keep: usize,
) -> Result<(ExitStatus, Tail), Stopped> {
    let started = start(args);
    let name = args.first().map_or("", String::as_str);
    let (mut child, mut printed) = started.map_err(|error| Stopped::NotStarted(not_started(name, &error)))?;
    // Dropped before the child. The child keeps its process id until then, so the group id is still valid.
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut tail = Tail::new(keep);
    let ended = timeout(&*tools.clock, within, end_of(&mut child, &mut printed, &mut tail)).await;
    match ended {
        Ok(Ok(status)) => {
            group.0 = None;
            Ok((status, tail))
        }
        Ok(Err(error)) => Err(Stopped::NotStarted(not_started(name, &error))),
        Err(_) => {
            group.kill();
            // Wait, so that two programs of a check never run at the same time. The killed one ends soon.
            let _ = child.wait().await;
            Err(Stopped::TooLong(tail))
        }
    }
}

/// Waits for the end of the output, then for the exit. While a process of the group holds the pipe, the leader must
/// not be reaped.
async fn end_of(child: &mut Child, printed: &mut pipe::Receiver, tail: &mut Tail) -> io::Result<ExitStatus> {
    let mut buffer = vec![0; CHECK_PROGRAM_READ_BYTES];
    loop {
        match printed.read(&mut buffer).await? {
            0 => return child.wait().await,
            read => tail.push(&buffer[..read]),
        }
    }
}

fn start(args: &[String]) -> io::Result<(Child, pipe::Receiver)> {
    let (program, args) = args.split_first().ok_or_else(|| io::Error::other("need an executable to run"))?;
    let (ours, theirs) = io::pipe()?;
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(theirs.try_clone()?)
        .stderr(theirs)
        .process_group(0)
        .spawn()?;
    Ok((child, pipe::Receiver::from_owned_fd(OwnedFd::from(ours))?))
}

fn not_started(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if !name.contains('/') => {
            format!("exec: {name:?}: executable file not found in $PATH")
        }
        _ => format!("exec: {name:?}: {error}"),
    }
}

/// A process group. It is killed unless its leader has ended by itself.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.0.take() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
