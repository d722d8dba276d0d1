//! What templates give, and which are refused.

use std::collections::BTreeMap;

use super::*;

fn render(text: &str) -> Result<String, String> {
    let fields = BTreeMap::from([
        ("ProxyID", Datum::Text("web-proxy".to_owned())),
        ("Empty", Datum::Text(String::new())),
        ("TLS", Datum::Truth(true)),
        ("Logs", Datum::List(vec!["a".to_owned(), "b".to_owned()])),
        ("None", Datum::List(Vec::new())),
    ]);
    run::template(&parse::template(text)?, &fields)
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    let refused = render(text).expect_err(text);
    assert!(refused.contains(expected), "{text}: {refused}");
}

#[test]
fn values_conditions_and_lists() {
    check("id={{ .ProxyID }};", "id=web-proxy;");
    check("{{if .TLS}}a{{else}}b{{end}}", "a");
    check("{{if .Empty}}a{{else if ne .ProxyID \"x\"}}b{{else}}c{{end}}d", "bd");
    check("{{if (not .Logs)}}a{{end}}", "");
    check("{{if eq .ProxyID \"x\" \"web-proxy\"}}a{{end}}", "a");
    check("{{if and .TLS (or .Empty .None)}}a{{else}}b{{end}}", "b");
    check("{{range $at, $log := .Logs}}{{if $at}},{{end}}{{$log}}{{end}}", "a,b");
    check("{{range .Logs}}<{{.}}>{{end}}{{range .None}}x{{else}}none{{end}}", "<a><b>none");
    check("a \n {{- .ProxyID -}} \n b{{/* note */}}", "aweb-proxyb");
    check("{{ or .Empty `raw` }}", "raw");
}

#[test]
fn what_is_not_known_or_not_closed_is_refused() {
    refuses("{{ .Nothing }}", "there is no .Nothing; there are Empty");
    refuses("{{ with .TLS }}{{ end }}", "{{ with .TLS }} is not known here");
    refuses("{{ printf \"%s\" .ProxyID }}", "is not known here");
    refuses("{{ .ProxyID | js }}", "is not known here");
    refuses("{{ if .TLS }}", "an if has no end");
    refuses("{{ end }}", "stands without an if or range");
    refuses("{{ range .ProxyID }}{{ end }}", "goes over a list");
    refuses("{{ .", "a {{ has no }}");
    refuses("{{ . }}", "only within a range");
    refuses(&"{{if .TLS}}".repeat(40), "stand within each other");
    refuses(&format!("{{{{ {} }}}}", "(".repeat(40)), "stand within each other");
}
