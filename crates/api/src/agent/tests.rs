//! Self, and reports of checks.

use super::*;
use crate::encode::{Layout, json};

#[test]
fn a_report_of_a_check_is_read() {
    let read = CheckUpdate::decode(br#"{"Status":"warning","Output":"slow"}"#).unwrap();
    assert_eq!(read, (CheckStatus::Warning, "slow".to_owned()));
    let refused = CheckUpdate::decode(br#"{"Status":"maybe"}"#).unwrap_err();
    assert_eq!(refused.to_string(), "Invalid check status: 'maybe'");
}

#[test]
fn self_has_the_keys_clients_sniff() {
    let own = AgentSelf { xds: Some(SelfXds { port: 8502, ..SelfXds::default() }), ..AgentSelf::default() };
    let value: Value = serde_json::from_slice(&json(&own, Layout::Compact).unwrap()).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["Config", "DebugConfig", "Coord", "Member", "Stats", "Meta", "xDS"]);
    assert_eq!(value["xDS"]["Ports"], serde_json::json!({"Plaintext": 0, "TLS": 0}));
    assert!(value["Coord"].is_null() && value["Config"]["NodeID"].is_string());
}
