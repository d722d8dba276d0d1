//! Tests of programs, and of the processes they leave behind.

use std::path::Path;

use tempfile::TempDir;

use super::*;

fn script(args: &[&str], timeout: Duration) -> Probe {
    Probe::Script { args: args.iter().map(|arg| (*arg).to_owned()).collect(), every: every(timeout) }
}

#[track_caller]
fn check(found: (CheckStatus, String), status: CheckStatus, output: &str) {
    assert_eq!((found.0, found.1.as_str()), (status, output));
}

#[tokio::test]
async fn the_exit_code_decides() {
    let maker = maker();
    let sh = |text: &'static str| script(&["/bin/sh", "-c", text], PATIENT);
    check(run(&maker, sh("echo out; echo err >&2; exit 0")).await, Passing, "out\nerr\n");
    check(run(&maker, sh("echo slow; exit 1")).await, Warning, "slow\n");
    check(run(&maker, sh("exit 2")).await, Critical, "");
    check(run(&maker, sh("kill -9 $$")).await, Critical, "");
    check(run(&maker, script(&["true"], PATIENT)).await, Passing, "");
}

#[tokio::test]
async fn arguments_are_passed_as_they_are() {
    let own = script(&["/bin/echo", "$HOME; touch /tmp/x", "*", "a  b"], PATIENT);
    check(run(&maker(), own).await, Passing, "$HOME; touch /tmp/x * a  b\n");
}

#[tokio::test]
async fn what_cannot_be_started_is_critical_at_once() {
    let maker = maker();
    let probe = script(&["no-such-program-anywhere"], PATIENT);
    let report = maker.run(&plan(probe)).await.unwrap();
    let why = "exec: \"no-such-program-anywhere\": executable file not found in $PATH";
    assert_eq!((report.status, report.output.as_str(), report.counted), (Critical, why, false));
    let (status, output) = run(&maker, script(&["/"], PATIENT)).await;
    assert!(status == Critical && output.starts_with("exec: \"/\": "), "{output}");
}

#[tokio::test]
async fn of_long_output_the_end_is_kept() {
    let found =
        run(&maker(), script(&["/bin/sh", "-c", "yes 0123456789abcde | head -c 100000000"], PATIENT)).await;
    assert_eq!(found.0, Passing);
    let text = found.1.strip_prefix("Captured 4096 of 100000000 bytes\n...\n").expect("it says so");
    assert!(text.len() == KEEP && text.ends_with("0123456789abcde\n"));
}

/// Whether the process whose id is in this file is still alive.
fn lives(file: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else { return false };
    let state = std::fs::read_to_string(format!("/proc/{}/stat", text.trim())).unwrap_or_default();
    // A zombie process counts as ended.
    !state.is_empty() && !state.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z')
}

async fn until(mut done: impl FnMut() -> bool) {
    let clock = TokioClock::new();
    for _ in 0..6000 {
        if done() {
            return;
        }
        concord_runtime::Clock::sleep(&clock, Duration::from_millis(10)).await;
    }
    panic!("it does not come");
}

/// Starts a child that does not end, writes its id to a file, and does not end itself.
fn forking(directory: &TempDir) -> (std::path::PathBuf, String) {
    let file = directory.path().join("child");
    let text = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; echo begun; wait", file.display());
    (file, text)
}

#[tokio::test]
async fn n_165_a_program_that_does_not_end_is_killed_with_its_children() {
    let directory = TempDir::new().unwrap();
    let (file, text) = forking(&directory);
    let maker = maker();
    // Long enough for it to begin: its output up to then is kept.
    let found = run(&maker, script(&["/bin/sh", "-c", &text], Duration::from_secs(3))).await;
    check(found, Critical, "Timed out (3s) running check\n\nbegun\n");
    until(|| !lives(&file)).await;
    assert!(file.exists(), "there was one");
    // If the leader ends, the run still waits while its children hold the output pipe.
    let orphan = directory.path().join("orphan");
    let text = format!("sleep 1000 & echo $! > {}; exit 0", orphan.display());
    let found = run(&maker, script(&["/bin/sh", "-c", &text], Duration::from_secs(3))).await;
    check(found, Critical, "Timed out (3s) running check");
    until(|| !lives(&orphan)).await;
}

#[tokio::test]
async fn a_check_that_goes_takes_its_program_with_it() {
    let (scope, directory) = (scope(), TempDir::new().unwrap());
    let (file, text) = forking(&directory);
    let plan = plan(script(&["/bin/sh", "-c", &text], PATIENT));
    let maker = maker();
    let task = scope.spawn("run", async move { maker.run(&plan).await }).abort_on_drop();
    until(|| lives(&file)).await;
    drop(task);
    until(|| !lives(&file)).await;
}

fn managed_by(service_manager: String) -> Maker {
    let mut maker = maker();
    maker.tools.service_manager = service_manager;
    maker
}

/// A service manager that prints this.
fn manager(directory: &TempDir, says: &str) -> Maker {
    use std::os::unix::fs::PermissionsExt as _;
    let path = directory.path().join("systemctl");
    std::fs::write(&path, format!("#!/bin/sh\n[ \"$1 $2\" = \"is-active --\" ] || exit 9\n{says}\n"))
        .unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    managed_by(path.display().to_string())
}

#[tokio::test]
async fn a_service_of_the_system_is_as_systemd_says() {
    for (says, status, output) in [
        ("echo active", Passing, "Service \"web\" is healthy"),
        ("echo reloading", Passing, "Service \"web\" is healthy"),
        ("echo activating; exit 3", Warning, "OS Service unhealthy: systemd says activating of \"web\""),
        ("echo inactive; exit 3", Critical, "OS Service unhealthy: systemd says inactive of \"web\""),
        ("echo failed; exit 3", Critical, "OS Service unhealthy: systemd says failed of \"web\""),
        ("exit 4", Critical, "OS Service unhealthy: systemd says nothing of \"web\""),
    ] {
        let directory = TempDir::new().unwrap();
        let probe = Probe::OsService { name: "web".to_owned(), every: every(PATIENT) };
        check(run(&manager(&directory, says), probe).await, status, output);
    }
    // A name is never taken as an option.
    let directory = TempDir::new().unwrap();
    let maker = manager(&directory, "echo \"$3\"");
    let probe = Probe::OsService { name: "--help".to_owned(), every: every(PATIENT) };
    check(run(&maker, probe).await, Critical, "OS Service unhealthy: systemd says --help of \"--help\"");
    let none = managed_by("no-such-program-anywhere".to_owned());
    let (status, output) =
        run(&none, Probe::OsService { name: "web".to_owned(), every: every(PATIENT) }).await;
    assert!(status == Critical && output.contains("not found"), "{output}");
}

#[track_caller]
fn refused([anywhere, in_files]: [bool; 2], source: Source, expected: Option<&str>) {
    let mut config = config();
    config.check_settings.script_checks = anywhere;
    config.check_settings.local_script_checks = in_files;
    let maker = Maker::new(&config, Arc::new(TokioClock::new()));
    let docker = Probe::Docker {
        container: "c".to_owned(),
        args: vec!["true".to_owned()],
        shell: String::new(),
        every: every(PATIENT),
    };
    for (probe, docker) in [(script(&["true"], PATIENT), false), (docker, true)] {
        let why = maker.obstacle(&Plan { source, ..plan(probe) });
        match expected {
            Some(expected) => assert!(why.is_some_and(|why| why.starts_with(expected))),
            None if docker => assert!(why.is_some_and(|why| why.starts_with("not available yet: Docker"))),
            None => assert_eq!(why, None),
        }
    }
}

#[test]
fn n_45_programs_run_for_whom_they_may() {
    let (remote, local) =
        ("Scripts are disabled on this agent from remote calls", "Scripts are disabled on this agent; to");
    refused([false, false], Source::Api, Some(remote));
    refused([false, false], Source::File, Some(local));
    refused([false, true], Source::Api, Some(remote));
    refused([false, true], Source::File, None);
    refused([true, false], Source::Api, None);
    refused([true, false], Source::File, None);
}
