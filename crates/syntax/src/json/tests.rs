//! Tests of JSON with positions, and of what is refused.

use crate::json;
use crate::tree::{Kind, Node, Pos};

#[track_caller]
fn check(text: &str, expected: Kind) {
    assert_eq!(json::parse(text).map(|node| node.kind), Ok(expected));
}

#[track_caller]
fn check_refused(text: &str, at: (u32, u32), says: &str) {
    let error = json::parse(text).expect_err("this is not JSON");
    assert_eq!((error.line, error.column), at, "{error}");
    assert!(error.message.contains(says), "{error}");
}

#[test]
fn scalars_have_their_kind() {
    check("null", Kind::Null);
    check(" true ", Kind::Bool(true));
    check("-9223372036854775808", Kind::Int(i64::MIN));
    check("9223372036854775808", Kind::Float(9_223_372_036_854_775_808.0));
    check("1e3", Kind::Float(1000.0));
    check("-0.5", Kind::Float(-0.5));
    check(r#""a\"\\\/\b\f\n\r\tz""#, Kind::String("a\"\\/\u{8}\u{c}\n\r\tz".into()));
    check(r#""\u00e9\ud83d\ude00""#, Kind::String("é😀".into()));
}

#[test]
fn unpaired_surrogates_become_replacement_characters() {
    check(r#""\ud83dx""#, Kind::String("\u{fffd}x".into()));
    check(r#""\ud83d\u0041""#, Kind::String("\u{fffd}A".into()));
    check(r#""\ude00""#, Kind::String("\u{fffd}".into()));
}

#[test]
fn positions_count_lines_and_characters() {
    let node = json::parse("{\n  \"é\": [1,\n 2]\n}").unwrap();
    let entry = &node.as_object().unwrap().members[0];
    assert_eq!(entry.key_pos, Pos { line: 2, column: 3 });
    assert_eq!(entry.value.pos, Pos { line: 2, column: 8 });
    assert_eq!(entry.value.as_list().unwrap()[1].pos, Pos { line: 3, column: 2 });
}

#[test]
fn repeated_keys_are_kept() {
    let node = json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
    let keys: Vec<_> = node.as_object().unwrap().members.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "a"]);
    assert_eq!(node.find("A"), Some(&Node::new(Kind::Int(3))));
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    check_refused("", (1, 1), "end of the text");
    check_refused("{\"a\":1,}", (1, 8), "key in double quotes");
    check_refused("[1,]", (1, 4), "expected a value");
    check_refused("[1 2]", (1, 4), "`,` or `]`");
    check_refused("{a:1}", (1, 2), "key in double quotes");
    check_refused("01", (1, 2), "end of the text");
    check_refused("1.", (1, 3), "a digit");
    check_refused("+1", (1, 1), "expected a value");
    check_refused("1e999", (1, 1), "too large");
    check_refused("\"a", (1, 1), "never closed");
    check_refused("\"a\nb\"", (1, 3), "control character");
    check_refused(r#""\x""#, (1, 3), "one of the escapes");
    check_refused("true false", (1, 6), "end of the text");
    check_refused("// no\n1", (1, 1), "expected a value");
}

#[test]
fn n_20_json_nested_10_000_deep_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        let error = json::parse(&nested(10_000)).expect_err("too deep");
        assert!(error.message.contains("levels deep"), "{error}");
        assert!(json::parse(&nested(crate::limits::NESTING_MAX)).is_ok());
        assert!(json::parse(&nested(crate::limits::NESTING_MAX + 1)).is_err());
    }
}
