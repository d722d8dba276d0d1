//! `config …`.

use concord_client::testing::Scripted;

use super::{Bench, check, file, not_found, refuse};

const ENTRY: &str =
    "Kind = \"service-intentions\"\nName = \"db\"\nSources = [{ Name = \"web\", Action = \"allow\" }]";
const SENT: &str = r#"{"Kind":"service-intentions","Name":"db","Sources":[{"Name":"web","Action":"allow"}]}"#;

#[test]
fn an_entry_is_written_from_hcl_and_from_the_standard_input() {
    let (_a, path) = file("db.hcl", ENTRY);
    let written = "Config entry written: service-intentions/db\n";
    let ran = Bench::answering("true").run(&["config", "write", &path]);
    check(&ran, &[&format!("PUT /v1/config {SENT}")], written);
    let ran = Bench::answering("true").input(SENT).run(&["config", "write", "-cas", "-modify-index=7", "-"]);
    check(&ran, &[&format!("PUT /v1/config?cas=7 {SENT}")], written);
    // Only if the entry does not exist.
    let ran = Bench::answering("true").input(SENT).run(&["config", "write", "-cas", "-"]);
    check(&ran, &[&format!("PUT /v1/config?cas=0 {SENT}")], written);
}

#[test]
fn repeated_blocks_of_an_entry_are_a_list() {
    let text =
        "kind = \"service-intentions\"\nname = \"db\"\nsources { name = \"a\" }\nsources { name = \"b\" }";
    let ran = Bench::answering("true").input(text).run(&["config", "write", "-"]);
    let sent = r#"{"kind":"service-intentions","name":"db","sources":[{"name":"a"},{"name":"b"}]}"#;
    assert_eq!(ran.asked, [format!("PUT /v1/config {sent}")]);
}

#[test]
fn a_misspelt_key_of_an_entry_is_refused_at_its_place() {
    let (_a, path) = file("db.hcl", "Kind = \"service-intentions\"\nName = \"db\"\nSourcez = []");
    refuse(&["config", "write", &path], 1, "db.hcl:3:1: ");
    // The agent decides about a kind that this program does not know.
    let ran = Bench::answering("true")
        .input("{\"Kind\": \"new-kind\", \"Name\": \"x\"}")
        .run(&["config", "write", "-"]);
    assert_eq!((ran.code, ran.asked.len()), (0, 1), "{ran:?}");
}

#[test]
fn an_entry_that_changed_meanwhile_is_left_alone() {
    let ran = Bench::answering("false").input(SENT).run(&["config", "write", "-cas", "-modify-index=7", "-"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.contains("service-intentions/db has changed meanwhile and was not written"),
        "{}",
        ran.err
    );
    let words = ["config", "delete", "-kind=k", "-name=n", "-cas", "-modify-index=7"];
    let ran = Bench::answering("false").run(&words);
    assert_eq!((ran.code, ran.asked), (1, vec!["DELETE /v1/config/k/n?cas=7".to_owned()]));
}

#[test]
fn an_entry_is_printed_as_the_agent_has_it() {
    let ran = Bench::answering(SENT).run(&["config", "read", "-kind=service-intentions", "-name=db"]);
    assert_eq!(ran.asked, ["GET /v1/config/service-intentions/db"]);
    assert!(
        ran.out.starts_with("{\n    \"Kind\": \"service-intentions\",\n    \"Name\": \"db\",\n"),
        "{}",
        ran.out
    );
    let ran = Bench::scripted(|_| not_found()).run(&["config", "read", "-kind=k", "-name=n"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
}

#[test]
fn names_are_listed_one_per_line() {
    let ran = Bench::answering(r#"[{"Name":"a"},{"Name":"b"}]"#).run(&["config", "list", "-kind=k"]);
    check(&ran, &["GET /v1/config/k"], "a\nb\n");
}

#[test]
fn an_entry_is_deleted_by_name_or_file() {
    let deleted = "Config entry deleted: service-intentions/db\n";
    let ran = Bench::answering("{}").run(&["config", "delete", "-kind", "service-intentions", "-name", "db"]);
    check(&ran, &["DELETE /v1/config/service-intentions/db"], deleted);
    let (_a, path) = file("db.hcl", ENTRY);
    let ran = Bench::answering("{}").run(&["config", "delete", "-filename", &path]);
    check(&ran, &["DELETE /v1/config/service-intentions/db"], deleted);
}

#[test]
fn what_is_half_said_is_refused() {
    refuse(&["config", "write"], 1, "expected one argument, the file");
    let cas = ["config", "delete", "-kind=k", "-name=n", "-cas"];
    refuse(&cas, 1, "-cas needs -modify-index, and more than 0");
    refuse(&[&cas[..], &["-modify-index=0"]].concat(), 1, "-cas needs -modify-index, and more than 0");
    refuse(&["config", "write", "-modify-index=1", "x"], 1, "-modify-index counts only with -cas");
    refuse(&["config", "read", "-kind=k"], 1, "-name is needed");
    refuse(&["config", "list"], 1, "-kind is needed");
    refuse(&["config", "delete", "-filename=x", "-kind=k"], 1, "-filename stands instead");
    let (_a, path) = file("x.hcl", "Name = \"db\"");
    refuse(&["config", "write", &path], 1, "Kind is needed");
    let ran =
        Bench::scripted(|_| Scripted::status(400, "no such kind")).input(SENT).run(&["config", "write", "-"]);
    assert!(ran.err.contains("no such kind") && ran.code == 1, "{}", ran.err);
}
