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
