//! Tests of decoding trees to records of both styles.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Options, decode, decode_exact, decode_with};
use crate::tree::Node;
use crate::{hcl, json};

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, rename_all = "PascalCase")]
struct Agent {
    node_name: String,
    #[serde(alias = "BindAddr")]
    bind_address: Option<String>,
    ports: Ports,
    services: Vec<Service>,
    meta: BTreeMap<String, String>,
    retry_join: Vec<String>,
    level: Level,
    config: Option<Node>,
    ratio: f64,
    server: bool,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Ports {
    http: i32,
    grpc: Option<u16>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Service {
    name: String,
    port: u16,
    connect: Option<Connect>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Connect {
    sidecar_service: Option<Box<Service>>,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    Info,
    Warn,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<String>> {
    decode(&hcl::parse(text).expect("the text is HCL"), "t.hcl")
        .map_err(|found| found.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn check(text: &str, expected: Agent) {
    assert_eq!(read(text), Ok(expected));
}

#[track_caller]
fn check_refused<T: Debug + DeserializeOwned>(text: &str, expected: &[&str]) {
    assert_eq!(read::<T>(text).expect_err("a fault"), expected);
}

#[test]
fn keys_match_fields_in_any_style() {
    for key in ["NodeName", "node_name", "nodeName", "NODE-NAME", "nodename"] {
        check(&format!("{key} = \"n\""), Agent { node_name: "n".into(), ..Agent::default() });
    }
    for key in ["bind_addr", "BindAddress"] {
        check(&format!("{key} = \"::\""), Agent { bind_address: Some("::".into()), ..Agent::default() });
    }
}

#[test]
fn keys_of_maps_stay_as_written() {
    let meta = BTreeMap::from([("a_B".to_owned(), "1".to_owned()), ("ab".to_owned(), "2".to_owned())]);
    check("meta { a_B = \"1\" ab = \"2\" }", Agent { meta, ..Agent::default() });
}

#[test]
fn all_unknown_keys_are_found_with_place_and_neighbour() {
    check_refused::<Agent>(
        "node_nam = \"n\"\nports {\n  htp = 1\n  http = 2\n}\nservices { name = \"a\" connect { zzz {} } }",
        &[
            "t.hcl:1:1: node_nam: unknown key \"node_nam\", did you mean \"node_name\"?",
            "t.hcl:3:3: ports.htp: unknown key \"htp\", did you mean \"http\"?",
            "t.hcl:6:33: services[0].connect.zzz: unknown key \"zzz\"",
        ],
    );
}

#[test]
fn the_key_that_was_meant_is_told_in_the_style_of_the_writer_or_as_it_is_declared() {
    let told = |text: &str, exact: bool| {
        let node = hcl::parse(text).unwrap();
        let read = if exact { decode_exact::<Agent>(&node, "t") } else { decode::<Agent>(&node, "t") };
        read.expect_err("an unknown key")[0].fault.to_string()
    };
    let meant = |key: &str| format!(", did you mean {key:?}?");
    for (written, exact, expected) in [
        ("node_nam", false, "node_name"),
        ("nodenam", false, "node_name"),
        ("NodeNam", false, "NodeName"),
        ("node_nam", true, "NodeName"),
        ("NodeNam", true, "NodeName"),
    ] {
        let told = told(&format!("{written} = \"n\""), exact);
        assert!(told.ends_with(&meant(expected)), "{written}, exact: {exact}: {told}");
    }
}

#[test]
fn reported_unknown_keys_are_bounded() {
    let text: String = (0..10_000).map(|i| format!("zz{i} = 1\n")).collect();
    let found = read::<Agent>(&text).expect_err("unknown keys");
    assert_eq!(found.len(), crate::limits::DIAGNOSTICS_MAX);
    let long = read::<Agent>(&format!("{} = 1", "k".repeat(1 << 20))).expect_err("an unknown key");
    assert!(long[0].len() < 400);
}

#[test]
fn one_object_is_a_list_of_one_and_back() {
    let service = |name: &str| Service { name: name.into(), ..Service::default() };
    check("services { name = \"a\" }", Agent { services: vec![service("a")], ..Agent::default() });
    check(
        "services { name = \"a\" }\nServices { name = \"b\" }",
        Agent { services: vec![service("a"), service("b")], ..Agent::default() },
    );
    check(
        "services = [{ name = \"a\" }, { name = \"b\" }] services { name = \"c\" }",
        Agent { services: vec![service("a"), service("b"), service("c")], ..Agent::default() },
    );
    check("ports = [{ http = 1 }]", Agent { ports: Ports { http: 1, grpc: None }, ..Agent::default() });
    check("ports = []", Agent::default());
    check("retry_join = \"a\"", Agent { retry_join: vec!["a".into()], ..Agent::default() });
    check(
        "meta = [{ a = 1 }]",
        Agent { meta: BTreeMap::from([("a".into(), "1".into())]), ..Agent::default() },
    );
}

#[test]
fn lists_given_twice_join_and_scalars_do_not() {
    let joins = |join: &[&str]| Agent {
        retry_join: join.iter().map(ToString::to_string).collect(),
        ..Agent::default()
    };
    check("retry_join = [\"a\"] retry_join = [\"b\"]", joins(&["a", "b"]));
    check("retry_join = [\"a\"] retry_join = \"b\"", joins(&["a", "b"]));
    check("retry_join = \"a\" retry_join = [\"b\"]", joins(&["a", "b"]));
    check("retry_join = \"a\" retry_join = \"b\"", joins(&["b"]));
}

#[test]
fn n_20_the_deepest_tree_decodes_on_a_small_stack() {
    let levels = crate::limits::NESTING_MAX;
    let node =
        json::parse(&format!("{}1{}", "{\"a\":[".repeat(levels / 2), "]}".repeat(levels / 2))).unwrap();
    let value: serde_json::Value = decode(&node, "t").unwrap();
    assert_eq!(value, serde_json::to_value(&node).unwrap());
    assert_eq!(decode::<Node>(&node, "t"), Ok(node));
}

#[test]
fn a_struct_given_twice_is_ambiguous() {
    check_refused::<Agent>(
        "ports { http = 1 }\nports { grpc = 2 }",
        &["t.hcl:2:7: ports: given 2 times; only one is allowed here"],
    );
    check_refused::<Agent>(
        "ports = [{}, {}]",
        &["t.hcl:1:9: ports: given 2 times; only one is allowed here"],
    );
}

#[test]
fn labelled_blocks_merge_into_a_map() {
    let text = r#"a "x" { name = "1" } a "y" { name = "2" }"#;
    let read: BTreeMap<String, BTreeMap<String, Service>> = read(text).unwrap();
    assert_eq!(read["a"].keys().collect::<Vec<_>>(), ["x", "y"]);
}

#[test]
fn scalars_turn_into_each_other() {
    check("node_name = 5", Agent { node_name: "5".into(), ..Agent::default() });
    check(
        "ports { http = \"0x10\" grpc = \"-0\" }",
        Agent { ports: Ports { http: 16, grpc: Some(0) }, ..Agent::default() },
    );
    check("server = \"true\" ratio = \"0.5\"", Agent { server: true, ratio: 0.5, ..Agent::default() });
    check("server = 1 ratio = 2", Agent { server: true, ratio: 2.0, ..Agent::default() });
    check(
        "{\"ports\": {\"http\": 8.5e3}}",
        Agent { ports: Ports { http: 8500, grpc: None }, ..Agent::default() },
    );
    check(
        "meta { a = true }",
        Agent { meta: BTreeMap::from([("a".into(), "1".into())]), ..Agent::default() },
    );
}

#[test]
fn values_stay_what_they_are_without_weak_decoding() {
    let strict = |text: &str| {
        decode_with::<Agent>(&hcl::parse(text).unwrap(), "t", Options { weak: false, ..Options::default() })
            .is_ok()
    };
    assert!(strict("node_name = \"a\" server = true ports = { http = 1 } ratio = 1"));
    for text in [
        "node_name = 5",
        "server = \"true\"",
        "server = 1",
        "ports = { http = \"1\" }",
        "ports = [{ http = 1 }]",
        "ports = []",
        "retry_join = \"a\"",
        "retry_join = { a = 1 }",
    ] {
        assert!(!strict(text), "{text}");
    }
}

#[test]
fn values_that_do_not_fit_are_refused_with_place_and_path() {
    check_refused::<Agent>(
        "ports { http = \"x\" }",
        &["t.hcl:1:16: ports.http: expected a number, found \"x\""],
    );
    check_refused::<Agent>(
        "ports { grpc = 70000 }",
        &["t.hcl:1:16: ports.grpc: expected a whole number from 0 to 65535, found 70000"],
    );
    check_refused::<Agent>(
        "ports { http = 1.5 }",
        &["t.hcl:1:16: ports.http: expected a whole number from -2147483648 to 2147483647, found 1.5"],
    );
    check_refused::<Agent>("node_name = []", &["t.hcl:1:13: node_name: expected a string, found a list"]);
    check_refused::<Agent>(
        "server = \"yes\"",
        &["t.hcl:1:10: server: expected true or false, found \"yes\""],
    );
    check_refused::<Agent>("services = [{}, 3]", &["t.hcl:1:17: services[1]: expected an object, found 3"]);
    check_refused::<Agent>("level = \"loud\"", &["t.hcl:1:9: level: \"loud\" is not one of info, warn"]);
    check_refused::<Agent>(
        "ports = \"x\"\nbogus = 1",
        &["t.hcl:1:9: ports: expected an object, found \"x\"", "t.hcl:2:1: bogus: unknown key \"bogus\""],
    );
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only the missing field counts")]
struct Strict {
    id: String,
}

#[test]
fn a_missing_field_is_named() {
    check_refused::<Strict>("", &["t.hcl:1:1: `id` is missing"]);
    check_refused::<BTreeMap<String, Strict>>("\n a {}", &["t.hcl:2:4: a: `id` is missing"]);
}

#[test]
fn null_is_as_good_as_absent() {
    check(
        r#"{"node_name":null,"ports":null,"services":null,"meta":null,"config":null,"bind_addr":null,"level":null}"#,
        Agent::default(),
    );
    check_refused::<Strict>("{\"id\":null}", &["t.hcl:1:1: `id` is missing"]);
    check(
        r#"{"retry_join":["a",null]}"#,
        Agent { retry_join: vec!["a".into(), String::new()], ..Agent::default() },
    );
}

#[test]
fn the_last_scalar_wins_unless_duplicates_are_refused() {
    let text = "node_name = \"a\"\nNodeName = \"b\"";
    check(text, Agent { node_name: "b".into(), ..Agent::default() });
    let strict = |text: &str| {
        decode_with::<Agent>(
            &hcl::parse(text).unwrap(),
            "t",
            Options { strict_duplicates: true, ..Options::default() },
        )
        .map_err(|found| found[0].to_string())
    };
    assert_eq!(strict(text).unwrap_err(), "t:2:12: node_name: given 2 times; only one is allowed here");
    assert!(strict("meta { a = 1 } meta { a = 2 }").is_err());
    assert!(strict("retry_join = [] retry_join = []").is_err());
    assert!(strict("retry_join = [] retry_join = \"a\"").is_err());
    assert!(strict("config { a = 1 a = 2 }").is_err());
    assert!(strict("meta { a = 1 } meta { b = 2 }").is_ok());
    assert!(strict("services {} services {}").is_ok());
}

#[test]
fn opaque_parts_keep_their_keys_and_their_repeats() {
    let text = "config { Some_Key = 1 b { c = [1.5, \"x\"] } e { n = 1 } e { n = 2 } s = 1 s = 2 }";
    let expected = r#"{"Some_Key":1,"b":{"c":[1.5,"x"]},"e":[{"n":1},{"n":2}],"s":2}"#;
    let agent: Agent = read(text).unwrap();
    assert_eq!(json::print(&agent.config.unwrap()), expected);
    let value: serde_json::Value = read(text).unwrap();
    assert_eq!(value["config"].to_string(), expected);
    assert_eq!(serde_json::to_value(hcl::parse(text).unwrap()).unwrap(), value);
}

#[derive(Debug, Deserialize, PartialEq)]
enum Rule {
    Any,
    Path(String),
    Header { name: String },
}

#[test]
fn enums_by_string_or_single_key() {
    assert_eq!(read("r = \"Any\""), Ok(BTreeMap::from([("r".to_owned(), Rule::Any)])));
    assert_eq!(read("r { Path = \"/\" }"), Ok(BTreeMap::from([("r".to_owned(), Rule::Path("/".into()))])));
    assert_eq!(
        read("r { Header { NAME = \"h\" } }"),
        Ok(BTreeMap::from([("r".to_owned(), Rule::Header { name: "h".into() })]))
    );
    assert!(read::<BTreeMap<String, Rule>>("r { Path = \"/\" Header { name = \"h\" } }").is_err());
    assert!(read::<BTreeMap<String, Rule>>("r = \"Path\"").is_err());
}
