//! Tests of the virtual addresses of services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use concord_model::catalog::{NodeScope, Registered, ServiceInstance};
use concord_model::entry::*;
use concord_model::intention::Action;
use concord_model::proxy::ServiceKind;
use concord_model::{InstanceId, Namespace, Pattern, Stamp};
use concord_state::command::{
    DeleteEntry, DeleteIntention, SetEntry, SetManualAddresses, SetRuleSet, UpsertIntention,
};
use concord_state::{Command, CommandReply, RULE_SET, Store};
use proptest::prelude::*;
use proptest::sample::select;

use crate::samples::*;

fn current() -> Log {
    let mut log = Log::new();
    log.changed(SetRuleSet { rule_set: RULE_SET });
    log
}

fn address(store: &Store, service: &str) -> Option<String> {
    let found = store.view().read().virtual_address(&service_ref(service))?;
    Some(found.address().to_string())
}

fn defaults(name: &str) -> SetEntry {
    let scope = EntryName::parse(EntryKind::ServiceDefaults, name).unwrap().scope;
    let (meta, stamp) = (BTreeMap::new(), Stamp::default());
    let own = Record { scope, said: ServiceDefaults::default(), meta, stamp };
    SetEntry { entry: Entry::ServiceDefaults(own), cas: None }
}

fn no_defaults(name: &str) -> DeleteEntry {
    DeleteEntry { entry: EntryName::parse(EntryKind::ServiceDefaults, name).unwrap(), cas: None }
}

fn removed(on: &str, id: &str) -> Command {
    let id = InstanceId::parse(id).unwrap();
    deregister(on, Registered::Service { namespace: Namespace::default(), id }).into()
}

/// The tagged address of an instance.
fn tagged(store: &Store, on: &str, id: &str) -> Option<(String, u16)> {
    let services = store.view().read().node_services(&NodeScope::default(), &node_name(on));
    let own = services.iter().find(|own| own.id.as_str() == id)?;
    own.tagged_addresses.get("consul-virtual").map(|one| (one.address.clone(), one.port))
}

#[test]
fn what_takes_mesh_traffic_or_has_an_entry_gets_an_address_from_240_0_0_1_on() {
    let mut log = current();
    log.changed(register_on("n1", Some(instance("plain", "plain")), Vec::new()));
    log.changed(register_on("n1", Some(sidecar("web-proxy", "web")), Vec::new()));
    log.changed(defaults("db"));
    log.changed(UpsertIntention {
        destination: destination("api"),
        intention: intention("web", Action::Allow),
    });
    let mut any = destination("api");
    any.name = Pattern::Any;
    log.changed(UpsertIntention { destination: any, intention: intention("web", Action::Allow) });
    let found = ["plain", "web", "web-proxy", "db", "api"].map(|name| address(&log.store, name));
    let at = |last: u8| Some(format!("240.0.0.{last}"));
    assert_eq!(found, [None, at(1), None, at(2), at(3)]);
    assert_eq!(tagged(&log.store, "n1", "web-proxy").unwrap().0, "240.0.0.1");
    assert_eq!(tagged(&log.store, "n1", "plain"), None);
    // Registering again does not change it.
    log.unchanged(register_on("n1", Some(sidecar("web-proxy", "web")), Vec::new()));
}

#[test]
fn an_address_is_kept_while_anything_needs_it_and_then_given_to_the_next() {
    let mut log = current();
    log.changed(register_on("n1", Some(sidecar("web-proxy", "web")), Vec::new()));
    log.changed(defaults("web"));
    log.changed(defaults("db"));
    log.changed(removed("n1", "web-proxy"));
    assert_eq!(address(&log.store, "web").unwrap(), "240.0.0.1");
    log.changed(register_on("n2", Some(instance("web", "web")), Vec::new()));
    log.changed(no_defaults("web"));
    assert_eq!(address(&log.store, "web").unwrap(), "240.0.0.1", "it has an instance");
    log.changed(deregister("n2", Registered::Node));
    assert_eq!(address(&log.store, "web"), None);
    log.changed(defaults("api"));
    assert_eq!(address(&log.store, "api").unwrap(), "240.0.0.1");
    log.changed(defaults("cache"));
    assert_eq!(address(&log.store, "cache").unwrap(), "240.0.0.3");
    // A proxy that turns to another service leaves the address of the first.
    log.changed(register_on("n1", Some(sidecar("p", "one")), Vec::new()));
    log.changed(register_on("n1", Some(sidecar("p", "two")), Vec::new()));
    assert_eq!(
        (address(&log.store, "one"), tagged(&log.store, "n1", "p").unwrap().0.as_str()),
        (None, "240.0.0.5")
    );
    log.changed(UpsertIntention {
        destination: destination("four"),
        intention: intention("web", Action::Allow),
    });
    assert_eq!(address(&log.store, "four").unwrap(), "240.0.0.4");
    log.changed(DeleteIntention { destination: destination("four"), source: source("web") });
    assert_eq!(address(&log.store, "four"), None);
}

/// A terminating gateway for these services.
fn exit(services: &[&str]) -> SetEntry {
    let scope = EntryName::parse(EntryKind::TerminatingGateway, "exit").unwrap().scope;
    let link =
        |name: &&str| LinkedService { name: Some(Pattern::parse(name).unwrap()), ..LinkedService::default() };
    let said = TerminatingGateway { services: services.iter().map(link).collect() };
    let own = Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() };
    SetEntry { entry: Entry::TerminatingGateway(own), cas: None }
}

fn no_exit() -> DeleteEntry {
    DeleteEntry { entry: EntryName::parse(EntryKind::TerminatingGateway, "exit").unwrap(), cas: None }
}

fn gateway(id: &str) -> ServiceInstance {
    ServiceInstance { kind: ServiceKind::TerminatingGateway, ..instance(id, "exit") }
}

/// `name=address` of the services behind a gateway, as its instance shows them.
fn behind(store: &Store, on: &str, id: &str) -> Vec<String> {
    let services = store.view().read().node_services(&NodeScope::default(), &node_name(on));
    let Some(own) = services.iter().find(|own| own.id.as_str() == id) else { return Vec::new() };
    let linked = own
        .tagged_addresses
        .iter()
        .filter_map(|(tag, one)| Some((tag.strip_prefix("consul-virtual:")?, one)));
    linked.map(|(name, one)| format!("{name}={}", one.address)).collect()
}

#[test]
fn a_terminating_gateway_shows_the_addresses_of_the_services_that_it_names() {
    let mut log = current();
    log.changed(register_on("n1", Some(gateway("before")), Vec::new()));
    assert!(behind(&log.store, "n1", "before").is_empty());
    log.changed(exit(&["*", "billing", "web"]));
    let both = ["billing=240.0.0.1", "web=240.0.0.2"];
    assert_eq!(behind(&log.store, "n1", "before"), both);
    log.changed(register_on("n2", Some(gateway("after")), Vec::new()));
    assert_eq!(behind(&log.store, "n2", "after"), both);
    log.unchanged(register_on("n2", Some(gateway("after")), Vec::new()));
    // What its entry does not name any more loses its address, and what needs it otherwise keeps it.
    log.changed(defaults("web"));
    log.changed(exit(&["cache"]));
    assert_eq!(behind(&log.store, "n1", "before"), ["cache=240.0.0.3"]);
    assert_eq!(
        (address(&log.store, "billing"), address(&log.store, "web").as_deref()),
        (None, Some("240.0.0.2"))
    );
    log.changed(no_exit());
    assert!(behind(&log.store, "n1", "before").is_empty() && behind(&log.store, "n2", "after").is_empty());
    assert_eq!(address(&log.store, "cache"), None);
}

#[test]
fn a_new_rule_set_gives_gateways_the_addresses_of_their_services() {
    let mut log = Log::new();
    log.changed(register_on("n1", Some(gateway("exit")), Vec::new()));
    log.changed(exit(&["billing"]));
    assert!(behind(&log.store, "n1", "exit").is_empty() && address(&log.store, "billing").is_none());
    log.changed(SetRuleSet { rule_set: RULE_SET });
    assert_eq!(behind(&log.store, "n1", "exit"), ["billing=240.0.0.1"]);
}

#[test]
fn a_new_rule_set_gives_addresses_to_what_is_there() {
    let mut log = Log::new();
    log.changed(register_on("n1", Some(sidecar("web-proxy", "web")), Vec::new()));
    log.changed(defaults("db"));
    assert_eq!((address(&log.store, "web"), tagged(&log.store, "n1", "web-proxy")), (None, None));
    log.changed(SetRuleSet { rule_set: RULE_SET });
    assert!(address(&log.store, "web").is_some() && address(&log.store, "db").is_some());
    assert_eq!(tagged(&log.store, "n1", "web-proxy").map(|own| own.0), address(&log.store, "web"));
}

#[test]
fn addresses_of_operators_belong_to_one_service_at_a_time() {
    let mut log = current();
    log.changed(defaults("web"));
    log.changed(defaults("db"));
    let mut set = |name: &str, last: &[u8]| {
        let addresses = last.iter().map(|last| Ipv4Addr::new(10, 0, 0, *last)).collect();
        log.write(SetManualAddresses { service: service_ref(name), addresses }).reply
    };
    let done = |taken_from: &[&str]| CommandReply::Addressed {
        found: true,
        taken_from: taken_from.iter().map(|name| service_ref(name)).collect(),
    };
    assert_eq!(set("nobody", &[1]), CommandReply::Addressed { found: false, taken_from: Vec::new() });
    assert_eq!(set("web", &[2, 1, 2]), done(&[]));
    assert_eq!(set("web", &[1, 2]), done(&[]));
    assert_eq!(set("db", &[2]), done(&["web"]));
    let manual =
        |name: &str| log.store.view().read().virtual_address(&service_ref(name)).unwrap().manual.clone();
    assert_eq!(manual("web"), [Ipv4Addr::new(10, 0, 0, 1)]);
    assert_eq!(manual("db"), [Ipv4Addr::new(10, 0, 0, 2)]);
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn step() -> impl Strategy<Value = Command> {
    let (on, name) = (select(vec!["n1", "n2"]), select(NAMES.to_vec()));
    (on, name, select(NAMES.to_vec()), 0..13u8).prop_map(|(on, name, other, kind)| match kind {
        0 | 1 => register_on(on, Some(sidecar(&format!("{name}-proxy"), name)), Vec::new()).into(),
        2 => register_on(on, Some(instance(name, name)), Vec::new()).into(),
        3 => removed(on, &format!("{name}-proxy")),
        4 => removed(on, name),
        5 => deregister(on, Registered::Node).into(),
        6 => defaults(name).into(),
        7 => no_defaults(name).into(),
        8 | 9 if name != other => exit(&[name, other]).into(),
        8 | 9 => exit(&["*", name]).into(),
        10 => no_exit().into(),
        11 => register_on(on, Some(gateway("exit")), Vec::new()).into(),
        _ => {
            UpsertIntention { destination: destination(name), intention: intention("x", Action::Deny) }.into()
        }
    })
}

/// The services that have an address, by their names.
fn all(store: &Store) -> BTreeMap<&'static str, String> {
    NAMES.into_iter().filter_map(|name| Some((name, address(store, name)?))).collect()
}

proptest! {
    #[test]
    fn addresses_are_unique_stable_used_again_and_the_same_everywhere(
        steps in prop::collection::vec(step(), 1..60),
        cut in 0..60usize,
    ) {
        let (mut log, mut copy) = (current(), current());
        let (mut before, mut most) = (BTreeMap::new(), 0);
        for (at, step) in steps.into_iter().enumerate() {
            if at == cut {
                let snapshot = log.store.view().snapshot(1).unwrap();
                copy.store = Store::new();
                copy.store.restore(&snapshot).unwrap();
            }
            log.write(step.clone());
            copy.write(step);
            let now = all(&log.store);
            prop_assert_eq!(now.values().collect::<BTreeSet<_>>().len(), now.len(), "unique");
            for (name, address) in &now {
                prop_assert!(before.get(name).is_none_or(|was| was == address), "stable");
            }
            most = most.max(now.len());
            let last = now.values().map(|text| text.rsplit('.').next().unwrap().parse::<usize>().unwrap()).max();
            // An entry that names two others gives them addresses before it gives back those of the first.
            prop_assert!(last.unwrap_or(0) <= most + 2, "used again");
            prop_assert_eq!(log.store.view().digest().unwrap(), copy.store.view().digest().unwrap());
            for name in NAMES {
                for on in ["n1", "n2"] {
                    let tag = tagged(&log.store, on, &format!("{name}-proxy")).map(|own| own.0);
                    prop_assert!(tag.is_none() || tag.as_ref() == now.get(name), "shown");
                }
            }
            for on in ["n1", "n2"] {
                for line in behind(&log.store, on, "exit") {
                    let (name, shown) = line.split_once('=').unwrap();
                    prop_assert_eq!(now.get(name).map(String::as_str), Some(shown), "shown by the gateway");
                }
            }
            before = now;
        }
    }
}
