//! Tests that the cost of a command does not grow with the stored data. The cost is counted in bytes of the log, in
//! rows and marks read or written, and in woken keys.

use std::collections::BTreeMap;

use concord_model::catalog::{Check, CheckStatus, Node, NodeScope, Registration, ServiceInstance};
use concord_model::intention::{Action, Decision, Destination, LegacyFields, Source, SourceIntention};
use concord_model::token::{Identities, Token};
use concord_model::{
    CheckId, Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, ServiceName, Stamp, Timestamp,
    Uuid,
};

use crate::builtin::hash_secret;
use crate::command::*;
use crate::table::visits;
use crate::{CommandReply, Envelope, Store};

/// Number of writes of one kind. More than a table's tombstones, and enough that a full scan would be visible.
const WRITES: u32 = 2_000;
/// Number of writes measured at the beginning and at the end.
const SAMPLE: u32 = 50;

#[derive(Debug, Default)]
struct Cost {
    bytes: usize,
    visits: u64,
    woken: usize,
}

/// Applies one command after the other. Returns the total cost of the first ones and of the last ones.
#[track_caller]
fn check_flat(mut store: Store, command: impl Fn(&Store, u32) -> Command) {
    let (mut first, mut last) = (Cost::default(), Cost::default());
    for number in 0..WRITES {
        let bytes = Envelope::new(command(&store, number), Timestamp::EPOCH, None).encode().unwrap();
        visits::taken();
        let applied = store.apply(store.view().index() + 1, &bytes).unwrap();
        assert!(applied.reply.clone().accepted().is_ok(), "{:?}", applied.reply);
        assert_ne!(applied.reply, CommandReply::Done { changed: false });
        // The very first command creates what the others find.
        let sample = match number {
            1..=SAMPLE => &mut first,
            _ if number >= WRITES - SAMPLE => &mut last,
            _ => continue,
        };
        sample.bytes += bytes.len();
        sample.visits += visits::taken();
        sample.woken += applied.changes.iter().count();
    }
    assert!(first.visits > 0 && first.bytes > 0);
    assert!(last.bytes <= first.bytes * 6 / 5, "{first:?} {last:?}");
    assert!(last.visits <= first.visits * 6 / 5, "{first:?} {last:?}");
    assert!(last.woken <= first.woken * 6 / 5, "{first:?} {last:?}");
}

fn destination() -> Destination {
    Destination {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        name: Pattern::parse("api").unwrap(),
    }
}

fn source(number: u32) -> Source {
    Source {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        peer: None,
        name: Pattern::parse(&format!("source-{number:06}")).unwrap(),
    }
}

fn intention(number: u32, action: Action) -> SourceIntention {
    let (decision, description) = (Decision::Connection(action), String::new());
    SourceIntention { source: source(number), decision, description, legacy: None }
}

fn with_id(number: u32) -> SourceIntention {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let (create_time, update_time) = (Timestamp::EPOCH, Timestamp::EPOCH);
    let legacy = LegacyFields { id: Uuid(id), meta: BTreeMap::new(), create_time, update_time };
    SourceIntention { legacy: Some(legacy), ..intention(number, Action::Allow) }
}

/// A state in which the destination has as many sources as there are writes.
fn full() -> Store {
    let mut store = Store::new();
    for number in 0..WRITES {
        let command =
            UpsertIntention { destination: destination(), intention: intention(number, Action::Allow) };
        store.apply_envelope(u64::from(number) + 1, &Envelope::new(command, Timestamp::EPOCH, None)).unwrap();
    }
    store
}

#[test]
fn an_intention_more_costs_what_the_first_did() {
    check_flat(Store::new(), |_, number| {
        UpsertIntention { destination: destination(), intention: intention(number, Action::Allow) }.into()
    });
}

#[test]
fn an_intention_changed_or_removed_costs_the_same_among_many() {
    check_flat(full(), |_, number| {
        UpsertIntention { destination: destination(), intention: intention(number, Action::Deny) }.into()
    });
    check_flat(full(), |_, number| {
        DeleteIntention { destination: destination(), source: source(number) }.into()
    });
}

#[test]
fn an_intention_with_an_id_costs_what_the_first_did() {
    check_flat(Store::new(), |store, number| {
        let cas = store.view().read().intention_head(&destination()).map_or(0, |head| head.stamp.modify);
        EditIntention { destination: destination(), cas, remove: None, put: Some(with_id(number)) }.into()
    });
}

#[test]
fn finding_one_intention_looks_at_few_rows() {
    let store = full();
    let view = store.view();
    let asked = |ask: &dyn Fn(&mut crate::Reader)| {
        visits::taken();
        ask(&mut view.read());
        visits::taken()
    };
    let caller = concord_model::ServiceRef::local(ServiceName::parse("source-001000").unwrap());
    let id = Uuid([7; 16]);
    assert!(asked(&|reader| _ = reader.intention(&destination(), &source(1_000)).unwrap()) < 10);
    assert!(asked(&|reader| assert_eq!(reader.intentions_from(&caller).len(), 1)) < 20);
    assert!(asked(&|reader| assert!(reader.intention_by_id(id).is_none())) < 10);
    assert!(asked(&|reader| assert_eq!(reader.intention_heads().len(), 1)) < 10);
    assert!(asked(&|reader| _ = reader.intentions()) >= u64::from(WRITES), "all of it is all of it");
}

#[test]
fn an_instance_more_costs_what_the_first_did() {
    check_flat(Store::new(), |_, number| register(&format!("n{number}"), "web").into());
}

#[test]
fn a_check_changed_costs_the_same_among_many_instances() {
    let mut store = Store::new();
    for number in 0..WRITES {
        let command = register(&format!("n{number}"), "web");
        store.apply_envelope(u64::from(number) + 1, &Envelope::new(command, Timestamp::EPOCH, None)).unwrap();
    }
    check_flat(store, |_, number| {
        let mut command = register(&format!("n{number}"), "web");
        command.checks[0].status = CheckStatus::Critical;
        command.into()
    });
}

#[test]
fn a_token_more_costs_what_the_first_did() {
    check_flat(Store::new(), |_, number| {
        let mut accessor = [0xa0; 16];
        accessor[..4].copy_from_slice(&number.to_be_bytes());
        let token = Token {
            accessor: Uuid(accessor),
            secret_hash: hash_secret(&format!("secret {number}")),
            secret: None,
            description: String::new(),
            policies: Vec::new(),
            identities: Identities::default(),
            local: false,
            expires_at: Some(Timestamp::from_secs(1_000 + i64::from(number))),
            created_at: Timestamp::EPOCH,
            stamp: Stamp::default(),
        };
        SetTokens { tokens: vec![token], mode: SetMode::Create }.into()
    });
}

/// An instance of a service on its own node, with a check.
fn register(node: &str, service: &str) -> Registration {
    let node = Node {
        scope: NodeScope::default(),
        name: NodeName::parse(node).unwrap(),
        id: None,
        address: "10.0.0.1".to_owned(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp::default(),
    };
    let instance = ServiceInstance {
        tags: vec!["v1".to_owned()],
        port: 80,
        ..ServiceInstance::of(InstanceId::parse("web").unwrap(), ServiceName::parse(service).unwrap())
    };
    let check = Check {
        id: CheckId::parse("alive").unwrap(),
        name: "alive".to_owned(),
        status: CheckStatus::Passing,
        notes: String::new(),
        output: String::new(),
        service_id: Some(instance.id.clone()),
        service_name: None,
        namespace: Namespace::default(),
        service_tags: Vec::new(),
        kind: String::new(),
        interval: String::new(),
        timeout: String::new(),
        definition: Default::default(),
        stamp: Stamp::default(),
    };
    let (service, checks) = (Some(instance), vec![check]);
    Registration { node, skip_node_update: false, service, checks }
}
