use prost_reflect::ReflectMessage as _;

use super::*;
use crate::envoy::config::cluster::v3::Cluster;
use crate::envoy::config::listener::v3::Listener;

const LISTENER: &str = r#"{
    "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
    "name": "own",
    "connectionBalanceConfig": {"exact_balance": {}},
    "filter_chains": [{"filters": [{"name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "a", "request_timeout": "1.5s",
        "http_filters": [{"name": "l", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "inline_code": "x", "source_codes": {"c": {"inline_string": "3"}, "a": {"inline_string": "1"}, "b": {"inline_string": "2"}}
        }}]
    }}]}]
}"#;

#[track_caller]
fn refused(text: &str) -> String {
    parse::<Listener>(text).unwrap_err().to_string()
}

#[test]
fn a_listener_has_all_that_was_written() {
    let own = parse::<Listener>(LISTENER).unwrap();
    let generated: Listener = own.transcode_to().unwrap();
    assert_eq!(generated.name, "own");
    assert!(generated.connection_balance_config.is_some(), "both styles of keys are read");
    let any = pack(&own);
    assert_eq!(any.type_url, "type.googleapis.com/envoy.config.listener.v3.Listener");
    let again = DynamicMessage::decode(own.descriptor(), any.value.as_slice()).unwrap();
    assert_eq!(pack(&again), any);
}

#[test]
fn the_same_text_gives_the_same_bytes() {
    let first = pack(&parse::<Listener>(LISTENER).unwrap());
    for _ in 0..20 {
        assert_eq!(pack(&parse::<Listener>(LISTENER).unwrap()), first);
    }
    let text = String::from_utf8_lossy(&first.value).into_owned();
    let at = |key: &str| text.find(&format!("\n\u{1}{key}")).unwrap_or_else(|| panic!("no {key}"));
    assert!(at("a") < at("b") && at("b") < at("c"), "keys of maps are sorted, also within");
}

#[test]
fn a_generated_message_is_the_same_by_its_descriptor() {
    let cluster = Cluster { name: "c".to_owned(), ..Cluster::default() };
    assert_eq!(of(&cluster).transcode_to::<Cluster>().unwrap(), cluster);
}

#[test]
fn what_is_no_such_message_is_refused_with_its_fault() {
    let url = "type.googleapis.com/envoy.config.listener.v3.Listener";
    assert!(refused("{").contains("EOF"), "{}", refused("{"));
    assert!(refused(r#"{"name": "own"}"#).contains("@type"), "{}", refused(r#"{"name": "own"}"#));
    let unknown = refused(&format!(r#"{{"@type": "{url}", "nme": "own"}}"#));
    assert!(unknown.contains("nme") && unknown.contains("line 1"), "{unknown}");
    let twice = refused(&format!(r#"{{"@type": "{url}"}} {{}}"#));
    assert!(twice.contains("trailing"), "{twice}");
    let other = refused(r#"{"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster"}"#);
    assert!(other.contains("must be") && other.contains(url), "{other}");
    let foreign = refused(r#"{"@type": "type.googleapis.com/envoy.config.listener.v9.Listener"}"#);
    assert!(foreign.contains("v9"), "{foreign}");
}
