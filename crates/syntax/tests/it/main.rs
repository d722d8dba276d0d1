//! Properties of all texts and trees.

use std::time::Duration;

use concord_syntax::{Kind, Member, Node, Object, Pos, decode, duration, hcl, json};
use proptest::prelude::*;

/// Any tree of few levels. With `hcl`, only values that HCL can express: no null, and floats with a fraction.
fn nodes(hcl: bool) -> impl Strategy<Value = Node> {
    let null = if hcl { Kind::Bool(true) } else { Kind::Null };
    let leaf = prop_oneof![
        Just(null),
        any::<bool>().prop_map(Kind::Bool),
        any::<i64>().prop_map(Kind::Int),
        (-1000_i32..1000).prop_map(|n| Kind::Float(f64::from(n) + 0.5)),
        any::<String>().prop_map(Kind::String),
    ]
    .prop_map(Node::new);
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|items| Node::new(Kind::List(items))),
            objects(inner),
        ]
    })
}

fn objects(values: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    let entry = ("[a-c_]{0,2}|.{0,3}", values);
    proptest::collection::vec(entry, 0..6).prop_map(|members| {
        let members =
            members.into_iter().map(|(key, value)| Member { key, key_pos: Pos::default(), value }).collect();
        Node::new(Kind::Object(Object { members }))
    })
}

/// Writes HCL in its shortest form: no line ends, and only necessary commas.
fn print_hcl(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Null => unreachable!("HCL has no null"),
        Kind::Bool(value) => out.push_str(&value.to_string()),
        Kind::Int(value) => out.push_str(&value.to_string()),
        Kind::Float(value) => out.push_str(&value.to_string()),
        Kind::String(text) => out.push_str(&quoted(text)),
        Kind::List(items) => {
            out.push('[');
            for item in items {
                print_hcl(item, out);
                out.push_str(if item.as_object().is_some() { " " } else { ", " });
            }
            out.push(']');
        }
        Kind::Object(object) => {
            out.push('{');
            print_body(object, out);
            out.push('}');
        }
    }
}

fn print_body(object: &Object, out: &mut String) {
    for entry in &object.members {
        out.push_str(&quoted(&entry.key));
        out.push_str(if entry.value.as_object().is_some() { " " } else { "=" });
        print_hcl(&entry.value, out);
        out.push(' ');
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => out.push_str(&format!("\\U{:08x}", u32::from(c))),
            c if c < ' ' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Text that resembles configuration, so that parsers get past the first character.
fn near_texts() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just("="),
            Just(","),
            Just("\""),
            Just("\\u"),
            Just("${"),
            Just("a"),
            Just("service"),
            Just("1"),
            Just("-"),
            Just("."),
            Just("0x"),
            Just("<<EOF\n"),
            Just("\nEOF"),
            Just("<<-E\n"),
            Just("/*"),
            Just("*/"),
            Just("#"),
            Just("\n"),
            Just(" "),
            Just("true"),
            Just(":"),
            Just("null"),
            Just("é"),
            Just("\u{feff}"),
            Just("\\"),
            Just("e+"),
        ],
        0..40,
    )
    .prop_map(|words| words.concat())
}

fn parse_all(text: &str) {
    for node in [hcl::parse(text), json::parse(text)].into_iter().flatten() {
        let printed = json::print(&node);
        assert_eq!(json::parse(&printed), Ok(node.clone()));
        let _ = decode::<serde_json::Value>(&node, "t");
        let _ = decode::<std::collections::BTreeMap<String, Vec<String>>>(&node, "t");
        let _ = serde_json::to_value(&node).expect("every tree is JSON");
    }
    let _ = duration::parse_signed(text);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn json_reads_back_what_it_printed(node in nodes(false)) {
        prop_assert_eq!(json::parse(&json::print(&node)), Ok(node));
    }

    #[test]
    fn hcl_reads_back_what_was_written(node in objects(nodes(true))) {
        let mut text = String::new();
        print_body(node.as_object().expect("the strategy makes objects"), &mut text);
        prop_assert_eq!(hcl::parse(&text), Ok(node), "{}", text);
    }

    #[test]
    fn json_agrees_with_serde_json(text in near_texts()) {
        let ours = json::parse(&text).ok().map(|node| serde_json::to_value(node).expect("a tree is JSON"));
        if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(&text) {
            prop_assert_eq!(ours, Some(theirs));
        } else if let Some(ours) = ours {
            // The two differ on purpose about unpaired surrogates and the byte order mark.
            prop_assert!(text.contains("\\u") || text.starts_with('\u{feff}'), "{:?} read as {}", text, ours);
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        parse_all(&text);
    }

    #[test]
    fn no_near_text_makes_a_parser_panic(text in near_texts()) {
        parse_all(&text);
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn durations_read_back(nanos in any::<i64>(), shift in 0_u32..64) {
        let nanos = nanos >> shift;
        prop_assert_eq!(duration::parse_signed(&duration::format_signed(nanos)), Ok(nanos));
        let length = Duration::from_nanos(nanos.unsigned_abs() >> 1);
        prop_assert_eq!(duration::parse(&duration::format(length)), Ok(length));
    }
}
