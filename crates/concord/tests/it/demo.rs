//! Tests of the demo as a process: what it claims, what it does when a step fails, and what it leaves behind.
//!
//! The demo waits for each result before it prints it, and fails otherwise. So its exit code is tested first, and its
//! lines second. No time is asserted; the guards only end a test that hangs.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Far more than a debug build on a busy machine needs.
const HANG_GUARD: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(20);

/// A demo whose output is collected line by line; killed when dropped.
struct Demo {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// The directory in which it creates its own directory.
    parent: tempfile::TempDir,
}

impl Demo {
    fn start(args: &[&str]) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_concord"));
        command.arg("demo").args(args).env_clear().env("TMPDIR", parent.path());
        // An agent of the person who runs the tests must not be found.
        command.env("CONCORD_HTTP_ADDR", "127.0.0.1:1").env("CONSUL_GRPC_ADDR", "127.0.0.1:1");
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        let (send, lines) = mpsc::channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::Builder::new()
            .spawn(move || out.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()))
            .unwrap();
        Self { child, lines, parent }
    }

    /// Reads until a line contains the text.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let line = self.lines.recv_timeout(HANG_GUARD);
            all.push(line.unwrap_or_else(|_| panic!("{text:?} was not told:\n{}", all.join("\n"))));
            if all.last().is_some_and(|line| line.contains(text)) {
                return all;
            }
        }
    }

    /// All lines up to the end, the errors, and the exit code.
    fn end(mut self) -> (String, String, Option<i32>) {
        let mut all = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(HANG_GUARD) {
            all.push(line);
        }
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        let code = self.child.wait().unwrap().code();
        assert_eq!(left_in(self.parent.path()), Vec::<String>::new(), "it removes what it wrote");
        (all.join("\n"), complaints, code)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Usually it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn left_in(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// The text after a label in the output.
#[track_caller]
fn fact<'a>(story: &'a str, label: &str) -> &'a str {
    let found = story.lines().find_map(|line| line.strip_prefix("   ")?.strip_prefix(label));
    found.unwrap_or_else(|| panic!("no {label:?} in:\n{story}")).trim()
}

#[test]
fn the_story_is_told_and_every_claim_was_seen() {
    let (story, complaints, code) = Demo::start(&["-exit"]).end();
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "{story}");
    assert!(fact(&story, "api's sidecar saw").ends_with("/ns/default/dc/dc1/svc/web"), "{story}");
    assert!(fact(&story, "web's sidecar saw").ends_with("/ns/default/dc/dc1/svc/api"), "{story}");
    assert!(fact(&story, "the open connection").contains("an intention denies it now"), "{story}");
    assert!(fact(&story, "new connections").ends_with("refused; none reached api"), "{story}");
    assert!(story.contains("| Denied: web => api"), "{story}");
    assert!(fact(&story, "was").contains("(EC 256)") && fact(&story, "is  ").contains("(EC 384)"), "{story}");
    assert!(
        fact(&story, "both sidecars").starts_with("saw the other's certificate of the new root"),
        "{story}"
    );
    assert_eq!(story.matches(": 0 failed").count(), 2, "{story}");
    assert!(
        fact(&story, "agent  ").contains("SIGKILL") || fact(&story, "agent  ").contains("signal: 9"),
        "{story}"
    );
    assert!(fact(&story, "still there").starts_with("4 registrations"), "{story}");
    assert!(fact(&story, "it rules again").starts_with("a deny took hold"), "{story}");
    assert!(story.contains("All of it was seen"), "{story}");
    assert!(!story.contains('\x1b'), "no colours where there is no terminal");
}

#[test]
fn a_step_that_cannot_be_shown_fails_with_its_name_and_the_log() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (story, complaints, code) = Demo::start(&["-exit", &format!("-http-port={port}")]).end();
    assert_eq!(code, Some(1), "{story}");
    assert!(complaints.contains("the demo failed in step 1 (The agent starts"), "{complaints}");
    assert!(complaints.contains("agent has ended; it said last:"), "{complaints}");
    assert!(complaints.contains(&format!("127.0.0.1:{port}")), "the log says why: {complaints}");
    assert!(!story.contains("was seen"), "{story}");
}

/// Process ids of the demo's parts whose command line contains the text.
#[cfg(target_os = "linux")]
fn parts_of(demo: &Demo, text: &str) -> Vec<Pid> {
    let id = demo.child.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let has = |pid: &&str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(text))
    };
    children.split_whitespace().filter(has).map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_sidecar_that_dies_in_the_middle_fails_the_story() {
    let demo = Demo::start(&["-exit"]);
    demo.until("3. web asks api");
    let sidecar = parts_of(&demo, "-sidecar-for=api");
    assert_eq!(sidecar.len(), 1);
    kill_process(sidecar[0], Signal::KILL).unwrap();
    let (story, complaints, code) = demo.end();
    assert_eq!(code, Some(1), "{story}");
    assert!(complaints.contains("api-sidecar has ended; it said last:"), "{complaints}");
    assert!(!complaints.contains("agent said last"), "only who ended is shown: {complaints}");
    assert!(!story.contains("All of it was seen"), "{story}");
}

#[test]
fn who_kills_the_demo_ends_its_parts() {
    let mut demo = Demo::start(&[]);
    let story = demo.until("It stays up until Ctrl-C").join("\n");
    let address =
        |text: &str| text.trim_matches(',').trim_start_matches("http://").parse::<SocketAddr>().ok();
    let mut parts: Vec<SocketAddr> = story.split_whitespace().filter_map(address).collect();
    parts.sort();
    parts.dedup();
    assert_eq!(parts.len(), 5, "the agent's two addresses, the sidecars' three: {story}");
    assert!(parts.iter().all(|part| TcpStream::connect(part).is_ok()), "they stay up");
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    let gone = || parts.iter().all(|part| TcpStream::connect(part).is_err());
    let mut looks = HANG_GUARD.as_millis() / LOOK.as_millis();
    while !gone() && looks > 0 {
        std::thread::park_timeout(LOOK);
        looks -= 1;
    }
    assert!(gone(), "parts go on without the demo");
}

#[test]
fn ctrl_c_ends_all_parts_and_removes_the_directory() {
    let demo = Demo::start(&[]);
    let story = demo.until("It stays up until Ctrl-C").join("\n");
    let pid = Pid::from_raw(i32::try_from(demo.child.id()).unwrap()).unwrap();
    assert_eq!(left_in(demo.parent.path()).len(), 1);
    let api: SocketAddr = fact(&story, "HTTP API").split(['/', ',']).nth(2).unwrap().parse().unwrap();
    assert!(TcpStream::connect(api).is_ok());
    kill_process(pid, Signal::INT).unwrap();
    let (_, complaints, code) = demo.end();
    assert_eq!((code, complaints.as_str()), (Some(0), ""));
    assert!(TcpStream::connect(api).is_err(), "the agent has ended");
}

#[test]
fn a_story_interrupted_before_its_end_is_no_success() {
    let demo = Demo::start(&["-exit"]);
    demo.until("1. The agent starts");
    let pid = Pid::from_raw(i32::try_from(demo.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let (story, _, code) = demo.end();
    assert_eq!(code, Some(1), "{story}");
    assert!(!story.contains("All of it was seen"), "{story}");
}
