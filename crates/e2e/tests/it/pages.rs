//! The pages for newcomers: each command on them is run.

use concord_e2e::{foreign, try_page, try_page_with};

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
    for envoy in envoys(name) {
        let programs = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(&envoy, programs.path().join("envoy")).unwrap();
        try_page_with("envoy-quickstart.md", &ENVOY_PORTS, &[programs.path()]);
    }
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
