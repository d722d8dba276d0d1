//! Child processes: starting cargo and other programs, and reading their output.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a child with a deadline is checked for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The outcome of a child with a deadline.
#[derive(Debug)]
pub(crate) enum Ended {
    Exited { success: bool, output: String },
    Killed,
}

/// A cargo command in `dir`, without the variables that the outer `cargo run` sets. Otherwise they would reach build
/// scripts and change their fingerprints.
pub(crate) fn cargo(dir: &Path) -> Command {
    cargo_like(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), dir)
}

/// Another program that runs cargo, such as cargo-nextest, with the same environment.
pub(crate) fn cargo_like(program: impl AsRef<OsStr>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command on the terminal. An unsuccessful exit is an error with the step's name.
pub(crate) fn run(step: &str, command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {step}"))?;
    if !status.success() {
        bail!("{step} failed ({status})");
    }
    Ok(())
}

/// Runs a command silently and returns its stdout. An unsuccessful exit is an error with its stderr.
pub(crate) fn capture(step: &str, command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {step}"))?;
    if !output.status.success() {
        bail!("{step} failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{step} printed something that is not UTF-8"))
}

/// Runs a command, prints each line of its stdout and stderr at once, and passes each line to `seen`.
pub(crate) fn stream(step: &str, command: &mut Command, mut seen: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {step}"))?;
    let (send, lines) = mpsc::channel();
    let readers = [
        child.stdout.take().map(|pipe| read_lines(pipe, send.clone())),
        child.stderr.take().map(|pipe| read_lines(pipe, send)),
    ];
    for line in lines {
        println!("{line}");
        seen(&line);
    }
    for reader in readers.into_iter().flatten() {
        reader.join().expect("a reader of lines does not panic");
    }
    child.wait().with_context(|| format!("waiting for {step}"))
}

/// Runs a command silently. After `deadline` it kills the child and all processes that the child has started.
pub(crate) fn run_within(step: &str, command: &mut Command, deadline: Duration) -> Result<Ended> {
    let mut child = command
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {step}"))?;
    let (send, lines) = mpsc::channel();
    let _stdout = child.stdout.take().map(|pipe| read_lines(pipe, send.clone()));
    let _stderr = child.stderr.take().map(|pipe| read_lines(pipe, send));
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for {step}"))? {
            let output = lines.iter().collect::<Vec<_>>().join("\n");
            return Ok(Ended::Exited { success: status.success(), output });
        }
        if started.elapsed() > deadline {
            // Killing only cargo would leave the hanging test running.
            run("kill", Command::new("sh").arg("-c").arg(format!("kill -KILL -{}", child.id())))?;
            child.wait().with_context(|| format!("waiting for {step}"))?;
            return Ok(Ended::Killed);
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn read_lines(pipe: impl Read + Send + 'static, send: mpsc::Sender<String>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_outlives_its_deadline_is_ended_with_all_it_has_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let mut command = Command::new("sh");
        command.arg("-c").arg("sleep 600 & echo $! > \"$0\"; wait").arg(&file);
        let ended = run_within("sh", &mut command, Duration::from_secs(1)).unwrap();
        assert!(matches!(ended, Ended::Killed));
        let started = std::fs::read_to_string(&file).unwrap();
        let gone = || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", started.trim()));
            state.map_or(true, |state| state.contains(") Z "))
        };
        while !gone() {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    #[test]
    fn output_and_success_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let Ended::Exited { success, output } =
            run_within("sh", &mut command, Duration::from_secs(60)).unwrap()
        else {
            panic!("the child ended by itself")
        };
        assert!(!success);
        assert!(output.contains("out") && output.contains("err"));
    }
}
