//! Compares HCL1 with the same data in JSON, and tests what is refused.

use crate::{hcl, json};

/// Parses HCL and compares it with the same data in JSON.
#[track_caller]
fn check(text: &str, expected: &str) {
    let node = hcl::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(json::print(&node), json::print(&json::parse(expected).unwrap()));
}

#[track_caller]
fn check_refused(text: &str, at: (u32, u32), says: &str) {
    let error = hcl::parse(text).expect_err("this is not HCL1");
    assert!(error.message.contains(says), "{error}");
    assert_eq!((error.line, error.column), at, "{error}");
}

#[test]
fn attributes_and_blocks_share_a_line() {
    check(
        r#"service "web" { policy = "write" intentions = "read" }"#,
        r#"{"service":{"web":{"policy":"write","intentions":"read"}}}"#,
    );
    check(
        r#"services { name = "a" port = 80 connect { sidecar_service {} } }"#,
        r#"{"services":{"name":"a","port":80,"connect":{"sidecar_service":{}}}}"#,
    );
    check(
        "acl = { enabled = true tokens { default = \"x\" } }",
        r#"{"acl":{"enabled":true,"tokens":{"default":"x"}}}"#,
    );
    check("a = 1, b = 2", r#"{"a":1,"b":2}"#);
}

#[test]
fn lists_need_commas_only_between_scalars() {
    check(
        r#"a = [ { Name = "y" Action = "allow" } { Name = "z" } ]"#,
        r#"{"a":[{"Name":"y","Action":"allow"},{"Name":"z"}]}"#,
    );
    check(
        r#"a = [ { Name = "y" }, { Name = "z", Action = "deny" }, ]"#,
        r#"{"a":[{"Name":"y"},{"Name":"z","Action":"deny"}]}"#,
    );
    check("a = [1, 2,\n 3,\n]", r#"{"a":[1,2,3]}"#);
    check("a = [[1], [\"b\", true]] b = []", r#"{"a":[[1],["b",true]],"b":[]}"#);
    check_refused("a = [1 2]", (1, 8), "`,` or `]`");
    check_refused("a = [, 1]", (1, 6), "expected a value");
    check_refused("a = [1,, 2]", (1, 8), "expected a value");
    check_refused("a = [1", (1, 7), "end of the text");
}

#[test]
fn keys_may_be_quoted_and_dotted() {
    check(r#""node_name" = "n1""#, r#"{"node_name":"n1"}"#);
    check(r#"meta { "a b" = "c" d-e.f = "g" }"#, r#"{"meta":{"a b":"c","d-e.f":"g"}}"#);
    check(r#"service web v1 {}"#, r#"{"service":{"web":{"v1":{}}}}"#);
    check(r#"key_prefix "" { policy = "read" }"#, r#"{"key_prefix":{"":{"policy":"read"}}}"#);
}

#[test]
fn line_ends_mean_nothing() {
    check("ports\n{\n http\n =\n 80 }", r#"{"ports":{"http":80}}"#);
    check("a = 1\r\nb = 2\r\n", r#"{"a":1,"b":2}"#);
}

#[test]
fn numbers_of_all_bases() {
    check(
        "a = 0x1F b = 0755 c = -12 d = 1.5 e = 1e3 f = -0.25 g = 0 h = 1E-2",
        r#"{"a":31,"b":493,"c":-12,"d":1.5,"e":1000.0,"f":-0.25,"g":0,"h":0.01}"#,
    );
    check_refused("a = 08", (1, 5), "not a number");
    check_refused("a = 0xzz", (1, 5), "not a number");
    check_refused("a = 99999999999999999999", (1, 5), "not a number");
    check_refused("a = 1.2.3", (1, 5), "not a number");
    check_refused("a = 10s", (1, 5), "not a number");
    check_refused("a = -", (1, 5), "not a number");
}

#[test]
fn repeats_are_kept_in_order() {
    check("a = 1\nb = 2\na = 3", r#"{"a":1,"b":2,"a":3}"#);
    check("s { n = 1 }\ns { n = 2 }", r#"{"s":{"n":1},"s":{"n":2}}"#);
}

#[test]
fn strings_take_go_escapes_and_leave_interpolation_alone() {
    check(r#"a = "x\n\t\"\\\x41\u00e9\101""#, r#"{"a":"x\n\t\"\\Aé\u0041"}"#);
    check(r#"a = "${file("x")}\n${b}""#, r#"{"a":"${file(\"x\")}\n${b}"}"#);
    check("a = \"${\n{x}\\n}\" b = \"%{if}\"", r#"{"a":"${\n{x}\\n}","b":"%{if}"}"#);
    check_refused("a = \"x\ny\"", (1, 5), "not closed on its line");
    check_refused("a = \"x", (1, 5), "never closed");
    check_refused(r#"a = "\q""#, (1, 7), "an escape such as");
    check_refused(r#"a = "\U00110000""#, (1, 7), "names no character");
}

#[test]
fn heredocs() {
    check("a = <<EOF\none\n  ${two}\nEOF\nb = 1", r#"{"a":"one\n  ${two}\n","b":1}"#);
    check("a = <<-EOF\n    one\n      two\n    EOF\n", r#"{"a":"one\n  two\n"}"#);
    check("a = <<-EOF\n  one\n two\n    EOF\n", r#"{"a":"  one\n two\n"}"#);
    check("a = <<EOF\nEOF", r#"{"a":""}"#);
    check("a = <<X\nEOFX\nX X\n  X", r#"{"a":"EOFX\nX X\n"}"#);
    check_refused("a = <<EOF\none\n", (1, 5), "last line must be EOF");
    check_refused("a = <<\none\n", (1, 7), "a marker");
    check_refused("a = <<EOF one\nEOF", (1, 10), "end of the line");
}

#[test]
fn comments() {
    check("# a\n// b\n/* c\n = */ x = 1 # d\ny = [ # e\n 1, // f\n 2 /* g */ ]", r#"{"x":1,"y":[1,2]}"#);
    check("", "{}");
    check("# only", "{}");
    check_refused("x = 1 /* y", (1, 7), "never closed");
}

#[test]
fn a_text_that_begins_with_a_brace_is_json() {
    check(" \n{\"a\": {\"b\": [null]}}", r#"{"a":{"b":[null]}}"#);
    check_refused("{ a = 1 }", (1, 3), "double quotes");
}

#[test]
fn what_is_not_hcl_is_refused_with_its_place() {
    check_refused("a", (1, 2), "`=`, `{` or a label");
    check_refused("a = ", (1, 5), "expected a value");
    check_refused("a = b", (1, 5), "double quotes");
    check_refused("a \"b\" = 1", (1, 7), "after a block's labels");
    check_refused("a {", (1, 4), "`}`");
    check_refused("a {}\n}", (2, 1), "a key");
    check_refused("a = 1 = 2", (1, 7), "a key");
    check_refused("a: 1", (1, 2), "`=`, `{` or a label");
    check_refused("= 1", (1, 1), "a key");
}

#[test]
fn n_20_hcl_nested_10_000_deep_is_refused() {
    let list = format!("a = {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let blocks = format!("{}{}", "a {".repeat(10_000), "}".repeat(10_000));
    let labels = format!("a {} {{}}", "b ".repeat(10_000));
    for text in [list, blocks, labels] {
        let error = hcl::parse(&text).expect_err("too deep");
        assert!(error.message.contains("levels deep"), "{error}");
    }
}
