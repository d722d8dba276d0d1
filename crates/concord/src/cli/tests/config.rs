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
fn the_only_entry_of_a_kind_need_not_be_named() {
    for (kind, name) in [("mesh", "mesh"), ("proxy-defaults", "global")] {
        let sent = format!(r#"{{"Kind":"{kind}"}}"#);
        let ran = Bench::answering("true").input(&sent).run(&["config", "write", "-"]);
        let written = format!("Config entry written: {kind}/{name}\n");
        check(&ran, &[&format!("PUT /v1/config {sent}")], &written);
        let ran = Bench::answering("{}").run(&["config", "delete", "-kind", kind]);
        let deleted = format!("Config entry deleted: {kind}/{name}\n");
        check(&ran, &[&format!("DELETE /v1/config/{kind}/{name}")], &deleted);
        let ran = Bench::answering(PLAN).run(&["config", "delete", "-plan", "-kind", kind]);
        let planned = format!(r#"POST /v1/config/plan [{{"Kind":"{kind}","Name":"{name}","Delete":true}}]"#);
        assert_eq!(ran.asked, [planned]);
    }
    refuse(&["config", "delete", "-kind=service-defaults"], 1, "name");
}

#[test]
fn what_an_agent_says_of_a_plan_cannot_control_the_terminal() {
    let plan =
        PLAN.replace("\"why\"", "\"why\\u202e\\u001b[2J\\nEntries\"").replace("\"api\"", "\"a\\u202epi\"");
    let ran = Bench::answering(&plan).run(&["config", "delete", "-plan", "-kind=mesh"]);
    assert!(ran.out.contains("\n    why  [2J Entries\n") && ran.out.contains("a pi => db"), "{}", ran.out);
    assert!(!ran.out.contains(['\u{202e}', '\u{1b}']), "{}", ran.out);
}

const PLAN: &str = r#"{"Index": 7, "Refused": 1,
    "Entries": [
        {"Kind": "service-intentions", "Name": "db", "Outcome": "changed",
         "Fields": [{"Field": "Sources[0].Action", "From": "deny", "To": "allow"}, {"Field": "Meta", "From": null, "To": {"a": "b"}}],
         "FieldsLeftOut": 2},
        {"Kind": "service-splitter", "Name": "web", "Outcome": "refused", "Reason": "why"}],
    "Verdicts": {"Count": 3, "Pairs": 2, "Complete": false, "WithoutExample": 1, "Listed": [
        {"Source": "web", "Destination": "db", "Allowed": true},
        {"Source": "api", "Destination": "db", "Allowed": false,
         "Request": {"Method": "PUT", "Path": "/a", "Header": ["x=y"], "Claims": {"okta": {"role": "admin"}}}}]},
    "Chains": {"Count": 2, "Broken": 1, "Mended": 0, "Complete": true, "Listed": [
        {"Service": "web", "Before": {"Lines": ["all requests -> web"]}, "After": {"Fault": "no subset"}},
        {"Service": "api", "Before": {"Lines": []}, "After": {"Lines": ["protocol http"], "LinesLeftOut": 4}}]}}"#;

#[test]
fn a_plan_is_told_with_the_files_of_its_entries() {
    let (_a, first) = file("db.hcl", ENTRY);
    let second = r#"{"Kind":"service-splitter","Name":"web","Splits":[]}"#;
    let ran = Bench::answering(PLAN).input(second).run(&["config", "write", "-plan", &first, "-"]);
    assert_eq!(ran.asked, [format!("POST /v1/config/plan [{SENT},{second}]")]);
    assert_eq!((ran.code, ran.err.as_str()), (2, ""), "an entry would be refused");
    let expected = format!(
        "Entries
  service-intentions/db ({first}) would change
    Sources[0].Action: \"deny\" -> \"allow\"
    Meta: not set -> {{\"a\":\"b\"}}
    and 2 more fields
  service-splitter/web (the standard input) would be refused
    why

Verdicts
  at least 3 would be reversed, of at least 2 pairs:
    web => db would be allowed
    api => db PUT /a -header x=y -claims okta={{\"role\":\"admin\"}} would be denied
    and at least 1 more
  Requests are compared by examples of what permissions name; others may be judged otherwise, too.
  For 1 permission no example of a request was found; use concord explain for them.

Chains
  2 would change, 1 of them break, 0 become whole:
    web
      - all requests -> web
      + broken: no subset
    api
      + protocol http
      + and 4 more lines

One entry would be refused. Nothing was written.
"
    );
    assert_eq!(ran.out, expected);
}

#[test]
fn a_plan_without_a_refusal_succeeds() {
    let ran = Bench::answering(r#"{"Verdicts":{"Complete":true},"Chains":{"Complete":true}}"#).run(&[
        "config",
        "delete",
        "-plan",
        "-kind=mesh",
        "-name=mesh",
    ]);
    assert_eq!(ran.asked, [r#"POST /v1/config/plan [{"Kind":"mesh","Name":"mesh","Delete":true}]"#]);
    let told = "Entries\n\nVerdicts\n  None would be reversed between known services, as far as was compared.\n  Requests are \
                compared by examples of what permissions name; others may be judged otherwise, too.\n\nChains\n  None would \
                change.\n\nNothing was written.\n";
    assert_eq!((ran.code, ran.out.as_str()), (0, told));
    refuse(&["config", "write", "-plan"], 1, "-plan needs at least one file");
    refuse(&["config", "write", "-plan", "-cas", "x"], 1, "-plan does not go with -cas");
    let (_a, path) = file("db.hcl", "Kind = \"service-intentions\"\nName = \"db\"\nSourcez = []");
    refuse(&["config", "write", "-plan", &path], 1, "db.hcl:3:1: ");
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

#[test]
fn the_status_of_an_entry_is_told() {
    let status = r#"{"Kind": "service-splitter", "Name": "web", "ModifyIndex": 7, "Accepted": false, "Reason": "why",
        "Heeded": false, "Chains": {"Whole": 1, "Broken": 1, "Complete": false, "Listed": [{"Service": "web", "Fault": "no"}]},
        "Verdicts": {"Count": 1, "Pairs": 1, "Complete": true, "Listed": [{"Source": "web", "Destination": "db", "Allowed": true}]},
        "Changes": {"Count": 1, "Broken": 0, "Mended": 0, "Complete": true, "Listed": [
            {"Service": "web", "Before": {"Lines": ["90% web"]}, "After": {"Lines": ["all requests -> web"]}}]},
        "Proxies": {"Count": 2, "Listed": ["web"]}, "Names": {"Count": 1, "Listed": ["api"]}}"#;
    let ran = Bench::answering(status).run(&["config", "status", "-kind=service-splitter", "-name=web"]);
    let expected = "service-splitter/web, written at index 7
  Would be refused if it was written today: why
  The built-in proxy does not act by entries of this kind yet.
  Takes part in at least 2 chains, 1 of them broken.
    web: no

Without it

Verdicts
  1 would be reversed, of 1 pair:
    web => db would be allowed
  Requests are compared by examples of what permissions name; others may be judged otherwise, too.

Chains
  1 would change, 0 of them break, 0 become whole:
    web
      - 90% web
      + all requests -> web

Proxies of these services are configured by it
  web and 1 more

It names
  api
";
    check(&ran, &["GET /v1/config/status/service-splitter/web"], expected);
    let ran = Bench::scripted(|_| not_found()).run(&["config", "status", "-kind=k", "-name=n"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    refuse(&["config", "status", "-kind=k"], 1, "-name is needed");
}

#[test]
fn what_entries_say_cannot_forge_lines_of_a_plan() {
    let plan = r#"{"Entries": [{"Kind": "k", "Name": "n", "Outcome": "refused", "Reason": "a\nb"}],
        "Verdicts": {"Count": 1, "Pairs": 1, "Listed": [{"Source": "w", "Destination": "d",
            "Request": {"Method": "GET", "Path": "/\u001b[2J", "Header": ["x=\ny"]}}]},
        "Chains": {"Count": 1, "Listed": [{"Service": "w", "Before": {"Lines": ["/x\nEntries"]}, "After": {"Fault": "c\nd"}}]}}"#;
    let (_a, path) = file("db.hcl", ENTRY);
    let ran = Bench::answering(plan).run(&["config", "write", "-plan", &path]);
    for line in [
        "    a b",
        "    w => d GET / [2J -header x= y would be denied",
        "      - /x Entries",
        "      + broken: c d",
    ] {
        assert!(ran.out.lines().any(|printed| printed == line), "{line:?} in {}", ran.out);
    }
}
