//! Tests that every endpoint declares where its caller is authorised, and is documented.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use concord_front::http::routes;

const BEGIN: &str = "<!-- table: begin -->\n";
const END: &str = "<!-- table: end -->";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/http-api.md")
}

fn table() -> String {
    let mut rows: Vec<_> = routes::router().table();
    rows.sort_by(|a, b| (a.1, a.0.as_str()).cmp(&(b.1, b.0.as_str())));
    let mut text = String::from("| method | path | who is authorised where |\n|---|---|---|\n");
    for (method, path, right) in rows {
        let _ = writeln!(text, "| {method} | `{path}` | {right} |");
    }
    text
}

#[test]
#[allow(clippy::disallowed_methods, reason = "whether to write the page is said in the environment")]
fn every_endpoint_stands_in_the_documentation() {
    let text = std::fs::read_to_string(page()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if shown != table() && std::env::var("CONCORD_BLESS").is_ok() {
        std::fs::write(page(), format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    let (own, remedy) =
        (table(), "write it with CONCORD_BLESS=1 cargo test -p concord-front --test it table");
    let rows = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let differ: Vec<_> = rows(shown).symmetric_difference(&rows(&own)).cloned().collect();
    assert!(shown == own, "docs/http-api.md and the endpoints differ in {differ:#?}; {remedy}");
}

#[test]
fn every_endpoint_declares_a_right() {
    for (method, path, right) in routes::router().table() {
        let reason = right.strip_prefix("open: ").or_else(|| right.strip_prefix("by ")).unwrap_or(&right);
        assert!(!reason.is_empty(), "{method} {path}: {right:?}");
    }
}

#[test]
fn no_two_endpoints_have_the_same_path() {
    let mut rows: Vec<_> =
        routes::router().table().into_iter().map(|(method, path, _)| (path, method.to_string())).collect();
    let all = rows.len();
    rows.sort();
    rows.dedup();
    assert_eq!(rows.len(), all);
}
