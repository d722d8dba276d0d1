//! Tests of reading the log: commands that are understood, and bytes that stop the server.

use std::sync::LazyLock;

use concord_model::{Timestamp, Uuid};
use concord_state::command::{Noop, SetCaProviderState, SetClusterId, SetRuleSet};
use concord_state::limits::COMMAND_BYTES_MAX;
use concord_state::reply::ClusterRefusal;
use concord_state::{Command, DecodeError, EncodeError, Envelope, FORMAT, Halt, RULE_SET, Refusal, Store};
use proptest::prelude::*;
use serde::Serialize;

use crate::corpus;
use crate::samples::*;

/// An envelope as another version might write it.
#[derive(Serialize)]
struct Foreign<C> {
    format: u32,
    rule_set: u32,
    at: Timestamp,
    command: C,
    #[serde(skip_serializing_if = "Option::is_none")]
    added: Option<u32>,
}

fn foreign<C: Serialize>(format: u32, rule_set: u32, command: C) -> Vec<u8> {
    encode(&Foreign { format, rule_set, at: Timestamp::EPOCH, command, added: None })
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

/// One encoded command of each kind.
static SAMPLES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| corpus::samples().iter().map(|envelope| envelope.encode().unwrap()).collect());

/// A state that must not change.
fn written() -> Log {
    let mut log = Log::new();
    log.changed(register(node("n1", None)));
    log
}

#[track_caller]
fn halts(bytes: &[u8]) -> DecodeError {
    let mut log = written();
    let before = log.store.view();
    let halt = log.store.apply(log.index + 1, bytes).expect_err("must halt");
    assert_eq!(log.store.view().digest(), before.digest());
    assert_eq!(log.store.view().index(), before.index());
    match halt {
        Halt::Undecodable { index, reason } => {
            assert_eq!(index, log.index + 1);
            reason
        }
        other => panic!("{other}"),
    }
}

#[derive(Serialize)]
enum Newer {
    FlyToTheMoon { by: u32 },
    Register { strange: bool },
    SetEntry { entry: NewerEntry },
}

#[derive(Serialize)]
enum NewerEntry {
    #[serde(rename = "lunar-gateway")]
    LunarGateway {},
}

#[test]
fn n_116_an_unknown_command_halts_with_the_remedy() {
    let reason = halts(&foreign(FORMAT, RULE_SET, Newer::FlyToTheMoon { by: 3 }));
    assert_eq!(reason, DecodeError::UnknownCommand { name: "FlyToTheMoon".to_owned() });
    assert!(reason.to_string().contains("upgrade this server"), "{reason}");
}

#[test]
fn n_116_a_kind_of_entry_that_is_unknown_halts_with_the_remedy() {
    let reason = halts(&foreign(FORMAT, RULE_SET, Newer::SetEntry { entry: NewerEntry::LunarGateway {} }));
    assert!(matches!(&reason, DecodeError::UnknownContent { name, .. } if name == "SetEntry"), "{reason}");
    let text = reason.to_string();
    assert!(text.contains("lunar-gateway") && text.contains("upgrade this server"), "{text}");
}

#[test]
fn n_116_a_known_command_with_garbage_halts() {
    let reason = halts(&foreign(FORMAT, RULE_SET, Newer::Register { strange: true }));
    assert!(matches!(&reason, DecodeError::UnreadableCommand { name, .. } if name == "Register"));
    assert!(reason.to_string().contains("damaged"), "{reason}");
    let mut bytes = Envelope::new(Noop {}, Timestamp::EPOCH, None).encode().unwrap();
    bytes.push(0);
    assert!(matches!(halts(&bytes), DecodeError::UnreadableCommand { .. } | DecodeError::NoEnvelope { .. }));
    for nonsense in [&b""[..], b"hello", &[0xc1], &[0xdf, 0xff, 0xff, 0xff, 0xff]] {
        assert!(matches!(halts(nonsense), DecodeError::NoEnvelope { .. }));
    }
}

#[test]
fn n_116_newer_forms_and_rules_halt_whatever_they_hold() {
    let reason = halts(&foreign(FORMAT + 1, RULE_SET, "anything"));
    assert_eq!(reason, DecodeError::NewerFormat { found: FORMAT + 1 });
    let reason = halts(&foreign(FORMAT, RULE_SET + 1, Noop {}));
    assert_eq!(reason, DecodeError::NewerRules { found: RULE_SET + 1 });
    let mut log = written();
    let envelope = Envelope::new(SetRuleSet { rule_set: RULE_SET + 1 }, Timestamp::EPOCH, None);
    let halt = log.store.apply_envelope(2, &envelope).unwrap_err();
    assert_eq!(halt, Halt::NewerRules { index: 2, found: RULE_SET + 1 });
}

#[test]
fn a_field_added_by_a_newer_version_is_no_obstacle() {
    let command = Command::from(Noop {});
    let bytes = encode(&Foreign {
        format: FORMAT,
        rule_set: RULE_SET,
        at: Timestamp::EPOCH,
        command,
        added: Some(1),
    });
    assert_eq!(Envelope::decode(&bytes).unwrap().command, Command::Noop(Noop {}));
}

#[test]
fn nesting_without_end_is_no_command() {
    // Nested arrays of one element; no map key can be reached through them.
    assert!(matches!(halts(&vec![0x91; 100_000]), DecodeError::NoEnvelope { .. }));
    let mut settings = serde_json::json!(1);
    for _ in 0..200 {
        settings = serde_json::json!([settings]);
    }
    let mut config = ca_config("consul");
    config.settings.insert("deep".to_owned(), settings);
    let command = concord_state::command::SetCaConfig { config, cas: None };
    let refused = Envelope::new(command, Timestamp::EPOCH, None).encode();
    assert!(matches!(refused, Err(EncodeError::Unencodable { command: "SetCaConfig", .. })));
}

#[test]
fn a_command_too_large_for_the_log_is_not_encoded() {
    let mut state = provider_state("large");
    state.kind = "x".repeat(COMMAND_BYTES_MAX);
    let refused = Envelope::new(SetCaProviderState { state }, Timestamp::EPOCH, None).encode();
    assert!(matches!(refused, Err(EncodeError::TooLarge { command: "SetCaProviderState", .. })));
}

#[test]
fn an_entry_of_another_cluster_or_of_the_past_halts() {
    let mut store = Store::new();
    let envelope = |cluster| Envelope::new(Noop {}, Timestamp::EPOCH, cluster);
    let id = Uuid([1; 16]);
    store.apply_envelope(3, &Envelope::new(SetClusterId { id }, Timestamp::EPOCH, None)).unwrap();
    store.apply_envelope(5, &envelope(Some(id))).unwrap();
    let found = Uuid([2; 16]);
    let halt = store.apply_envelope(6, &envelope(Some(found))).unwrap_err();
    assert_eq!(halt, Halt::ForeignCluster { index: 6, found, own: id });
    for index in [0, 4, 5] {
        let halt = store.apply_envelope(index, &envelope(None)).unwrap_err();
        assert_eq!(halt, Halt::OutOfOrder { index, applied: 5 });
    }
    assert_eq!(store.view().index(), 5);
}

#[test]
fn a_cluster_keeps_its_identity_and_its_rules() {
    let mut log = Log::new();
    log.changed(SetClusterId { id: uuid(1) });
    log.unchanged(SetClusterId { id: uuid(1) });
    let refusal = log.refused(SetClusterId { id: uuid(2) });
    assert_eq!(refusal, Refusal::Cluster(ClusterRefusal::ClusterIdSet { current: uuid(1) }));
    log.unchanged(SetRuleSet { rule_set: 1 });
    let refusal = log.refused(SetRuleSet { rule_set: 0 });
    assert_eq!(refusal, Refusal::Cluster(ClusterRefusal::RuleSetLowered { current: 1, asked: 0 }));
    assert_eq!(log.store.view().read().cluster_id(), Some(uuid(1)));
    assert_eq!(log.store.view().read().rule_set(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut log = written();
        if log.store.apply(2, &bytes).is_err() {
            prop_assert_eq!(log.store.view().index(), 1);
        }
    }

    #[test]
    fn damaged_commands_never_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = which.get(&SAMPLES).clone();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        let mut log = written();
        // A damaged command may happen to be another valid command; then it must behave like any other.
        if log.store.apply(2, &bytes).is_ok() {
            let snapshot = log.store.view().snapshot(1).unwrap();
            prop_assert!(Store::new().restore(&snapshot).is_ok());
        }
    }
}
