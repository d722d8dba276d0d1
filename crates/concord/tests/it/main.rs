//! The program as a process: its name, its streams and its exit codes.

#![forbid(unsafe_code)]

mod demo;

use std::process::{Command, Output};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_concord")).args(args).env_clear().output().expect("the program starts")
}

#[test]
fn results_go_to_the_output_and_complaints_to_the_error_stream() {
    let good = run(&["version"]);
    assert_eq!(good.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&good.stdout).starts_with("concord v") && good.stderr.is_empty());
    let bad = run(&["version", "-nope"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(bad.stdout.is_empty() && !bad.stderr.is_empty());
    assert_eq!(run(&["nothing"]).status.code(), Some(127));
}

#[test]
fn an_agent_that_is_not_there_ends_it_with_one() {
    let ran = run(&["members", "-http-addr=unix:///nonexistent/agent.sock"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("is an agent running"));
    assert_eq!(
        run(&["intention", "check", "-http-addr=unix:///nonexistent", "a", "b"]).status.code(),
        Some(2)
    );
}

#[cfg(unix)]
#[test]
fn under_the_name_consul_it_says_consul() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("consul");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_concord"), &link).unwrap();
    let ran = Command::new(link).arg("version").env_clear().output().unwrap();
    assert!(String::from_utf8_lossy(&ran.stdout).starts_with("Consul v1."));
}
