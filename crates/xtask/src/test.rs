//! `cargo xtask test`: all checks of a change, the cheapest first. The last line is `N passed, N failed, N skipped`.
//!
//! If a test needs a program that the machine does not have, it appends `name: reason` to the file named by
//! `CONCORD_TEST_SKIPS` and returns. Such tests are listed at the end and counted as skipped. A test that runs a suite
//! in another language appends `language passed failed skipped` to the file named by `CONCORD_TEST_COUNTS`; these
//! numbers are added.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::setup;
use crate::workspace;
use crate::{process, tidy};

mod counts;

use counts::{Counts, Runner};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    /// What takes seconds after the build: no set-up, no clippy, no integration tests.
    Fast,
}

/// Names the program for tests that start whole processes. The runners build it before the first test, with the
/// features of all other crates, because a separate build would compile half of the workspace twice.
const PROGRAM_VARIABLE: &str = "CONCORD_BIN";

/// Names the file to which tests write that they skipped, and why.
const SKIPS_VARIABLE: &str = "CONCORD_TEST_SKIPS";

/// Names the file to which suites in other languages write their results.
const COUNTS_VARIABLE: &str = "CONCORD_TEST_COUNTS";

pub(crate) fn run(scope: Scope) -> Result<()> {
    let root = workspace::root()?;
    let mut failures = Vec::new();
    let mut step = |name: &'static str, outcome: Result<()>| {
        if let Err(error) = outcome {
            eprintln!("{name}: {error:#}");
            failures.push(name);
        }
    };

    heading("format");
    step("format", process::run("cargo fmt", process::cargo(&root).args(["fmt", "--all", "--check"])));
    let client = root.join("interop/rust");
    step("format", process::run("cargo fmt", process::cargo(&client).args(["fmt", "--check"])));
    heading("tidy");
    step("tidy", tidy::run());
    if scope == Scope::Everything {
        heading("clippy");
        step("clippy", clippy(&root));
        heading("dependencies");
        step("dependencies", dependencies(&root));
    }
    heading("tests");
    let counts = match tests(&root, scope) {
        Ok(counts) => counts,
        Err(error) => {
            step("tests", Err(error));
            Counts::default()
        }
    };
    if counts.failed > 0 {
        failures.push("tests");
    }
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    println!("{counts}");
    if failures.is_empty() { Ok(()) } else { bail!("{} of the steps failed", failures.len()) }
}

fn heading(name: &str) {
    println!("\n=== {name} ===");
}

fn clippy(root: &Path) -> Result<()> {
    let mut cargo = process::cargo(root);
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--keep-going",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]);
    process::run("cargo clippy", &mut cargo)
}

/// Checks licences, bans and sources. Needs no advisory database and no network.
fn dependencies(root: &Path) -> Result<()> {
    let deny = match setup::cargo_deny() {
        Ok(deny) => deny,
        Err(error) => {
            println!("SKIPPED: dependency check: {error:#}");
            return Ok(());
        }
    };
    let mut command = process::cargo_like(deny, root);
    command.args(["--log-level", "error", "--workspace", "--locked"]);
    command.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"]);
    process::run("cargo deny", &mut command)
}

fn tests(root: &Path, scope: Scope) -> Result<Counts> {
    let (skips, suites) = (told("skips")?, told("counts")?);
    let nextest = match scope {
        Scope::Everything => {
            setup::nextest().map_err(|error| println!("plain cargo test runs instead: {error:#}")).ok()
        }
        Scope::Fast => None,
    };
    let (runner, mut command) = match &nextest {
        Some(nextest) => (Runner::Nextest, nextest_command(nextest, root)),
        None => (Runner::CargoTest, cargo_test_command(root, scope)),
    };
    command.env(SKIPS_VARIABLE, &skips).env(COUNTS_VARIABLE, &suites);
    if scope == Scope::Everything {
        if std::env::var_os(PROGRAM_VARIABLE).is_none() {
            command.env(PROGRAM_VARIABLE, program()?);
        }
        tell_clients(&mut command);
    }
    let started = Instant::now();
    let mut counts = Counts::default();
    let status = process::stream("the tests", &mut command, |line| counts.read(runner, line))?;
    println!("({} s)", started.elapsed().as_secs());

    for line in taken(&skips)?.lines() {
        println!("SKIPPED: {line}");
        counts.skip_one();
    }
    for line in taken(&suites)?.lines() {
        let (language, of_suite) =
            Counts::of_suite(line).with_context(|| format!("no counts of a suite: {line:?}"))?;
        println!("{language}: {of_suite}");
        counts.add(of_suite);
    }
    if !status.success() && counts.failed == 0 {
        println!("{counts}");
        bail!("the tests did not run to their end ({status})");
    }
    if counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(counts)
}

/// Creates an empty file for the messages of tests.
fn told(what: &str) -> Result<PathBuf> {
    let dir = setup::target_dir()?;
    std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let path = dir.join(format!("{what}-{}.txt", std::process::id()));
    std::fs::write(&path, b"").with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// Reads the messages of tests and removes the file.
fn taken(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
    Ok(text)
}

/// The path of the program that the runners build, in cargo's `dev` profile.
fn program() -> Result<PathBuf> {
    let name = format!("concord{}", std::env::consts::EXE_SUFFIX);
    Ok(setup::target_dir()?.join("debug").join(name))
}

fn nextest_command(nextest: &Path, root: &Path) -> Command {
    let mut command = process::cargo_like(nextest, root);
    command.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--color", "never"]);
    command.args(["--status-level", "fail", "--cargo-quiet"]);
    command
}

fn cargo_test_command(root: &Path, scope: Scope) -> Command {
    let mut command = process::cargo(root);
    command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--quiet", "--color", "never"]);
    if scope == Scope::Fast {
        command.args(["--lib", "--bins"]);
    }
    command
}

fn tell_clients(command: &mut Command) {
    for setup::Client { variable, find } in setup::CLIENTS {
        // A variable that the caller has set is not changed.
        if let Some(path) = std::env::var_os(variable) {
            println!("{variable}={}", PathBuf::from(path).display());
            continue;
        }
        match find() {
            Ok(path) => {
                println!("{variable}={}", path.display());
                command.env(variable, path);
            }
            Err(error) => println!("SKIPPING what needs {variable}: {error:#}"),
        }
    }
}
