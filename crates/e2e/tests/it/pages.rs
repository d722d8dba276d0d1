//! The pages for newcomers: each command on them is run.

use concord_e2e::{foreign, try_page};

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
