//! `validate`: files that would start an agent, and files that would not.

use super::{Bench, file, refuse};

const GOOD: &str = "server = true\nbootstrap_expect = 1\ndata_dir = \"/d\"\nbind_addr = \"127.0.0.1\"";

#[track_caller]
fn valid(words: &[&str], out: &str, err: &str) {
    let ran = Bench::answering("null").run(words);
    assert_eq!((ran.asked.len(), ran.code, ran.out.as_str()), (0, 0, out), "{ran:?}");
    assert!(ran.err.contains(err) && (!err.is_empty() || ran.err.is_empty()), "{}", ran.err);
}

#[test]
fn what_would_start_is_valid() {
    let (_kept, path) = file("a.hcl", GOOD);
    valid(&["validate", &path], "Configuration is valid!\n", "");
    valid(&["validate", "-quiet", &path], "", "");
    let directory = std::path::Path::new(&path).parent().unwrap().to_str().unwrap().to_owned();
    valid(&["validate", &directory], "Configuration is valid!\n", "");
    let (_kept, doubtful) = file("b.hcl", "retry_join = [\"10.0.0.1\"]");
    valid(
        &["validate", &path, &doubtful],
        "Configuration is valid!\n",
        "b.hcl:1:1: retry_join has no effect",
    );
    valid(&["validate", "-quiet", &path, &doubtful], "", "");
    let (_kept, json) = file("c.conf", r#"{"server": true, "bootstrap": true, "data_dir": "/d"}"#);
    valid(&["validate", "-config-format=json", &json], "Configuration is valid!\n", "");
}

#[test]
fn a_file_that_is_named_is_read_as_hcl_whatever_its_name_is() {
    let (_kept, path) = file("a.conf", GOOD);
    valid(&["validate", &path], "Configuration is valid!\n", "");
    let (_kept, path) = file("b.conf", "data_dri = 1");
    refuse(&["validate", &path], 1, "b.conf:1:1: unknown key");
}

#[test]
fn what_would_not_is_told_whole() {
    let (_kept, path) = file("a.hcl", "data_dri = 1\nbind_addr = \"nowhere\"");
    let ran = Bench::answering("null").run(&["validate", "-quiet", &path]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(
        ran.err.contains("a.hcl:1:1: unknown key \"data_dri\", did you mean \"data_dir\"?"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("a.hcl:2:1: bind_addr: \"nowhere\" is not an IP address"), "{}", ran.err);
    refuse(&["validate"], 1, "Must specify at least one config file or directory");
    refuse(&["validate", "/nonexistent.hcl"], 1, "cannot read /nonexistent.hcl");
    refuse(&["validate", "-config-format=yaml", &path], 1, "expected hcl or json");
    refuse(&["validate", "-config-format=json", &path], 1, "a.hcl:1:1:");
}
