//! The test suites below `interop/`: what each needs, and how it runs against our program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::binary::binary;
use crate::foreign::skip;
use crate::tally::{Runner, Tally};

/// The source directory of a suite.
pub fn suite_dir(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop").join(language)
}

/// Adds a directory to the path in which our program is called `consul`, because the clients' harnesses look for it.
pub fn as_consul(command: &mut Command, dir: &Path) {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).expect("a directory");
    let program = std::fs::canonicalize(binary()).expect("our program is there");
    std::os::unix::fs::symlink(program, bin.join("consul")).expect("a link can be made");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(bin).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(dirs).expect("a path"));
}

/// Runs a preparation of a suite. If it fails, the suite is reported as skipped. Returns whether it succeeded.
pub fn prepared(test: &str, what: &str, command: &mut Command) -> bool {
    let output = run(command);
    if output.status.success() {
        return true;
    }
    let text = String::from_utf8_lossy(&output.stderr);
    skip(test, &format!("{what}: {}", text.trim().lines().last().unwrap_or_default()));
    false
}

/// Runs a suite and counts its tests. The suite must run to its end without failures.
#[track_caller]
pub fn run_suite(language: &str, runner: Runner, at_least: usize, command: &mut Command) {
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let tally = Tally::read(runner, &out);
    tally.report(language);
    assert!(output.status.success() && tally.failed == 0, "{language}: {}\n{out}\n{err}", output.status);
    assert!(tally.passed >= at_least, "{language}: {tally}, and there are {at_least}\n{out}");
}

fn run(command: &mut Command) -> Output {
    // The suite must not see variables of the outer cargo or settings for a Consul client.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text.starts_with("CONSUL_")
        {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
