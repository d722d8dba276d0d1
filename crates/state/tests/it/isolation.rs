//! Tests that identities which differ in one component never share a row, an index or a wake-up.

use concord_model::catalog::{CheckStatus, Deregistration, NodeScope, Registered, Registration};
use concord_model::intention::{Action, Destination, Source};
use concord_model::{Namespace, NodeName, Partition, Pattern, PeerName, ServiceName, ServiceRef};
use concord_state::command::UpsertIntention;
use concord_state::{ReadSet, View};
use proptest::prelude::*;

use crate::samples::*;

/// Names that are easy to confuse once they are joined.
fn label() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a-b", "a_b", "ab", "default", "-", "_", "0"]).prop_map(str::to_owned)
}

/// Names with every character that is a separator elsewhere.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![label(), "[ab.:|\\\\*?#%&= -]{1,3}".prop_filter("a name", |name| name != "*")]
}

fn service() -> impl Strategy<Value = ServiceRef> {
    (label(), label(), prop::option::of(label()), name()).prop_map(|(partition, namespace, peer, name)| {
        ServiceRef {
            partition: Partition::parse(&partition).unwrap(),
            namespace: Namespace::parse(&namespace).unwrap(),
            peer: peer.map(|peer| PeerName::parse(&peer).unwrap()),
            name: ServiceName::parse(&name).unwrap(),
        }
    })
}

/// Two services that differ in exactly one component.
fn neighbours() -> impl Strategy<Value = (ServiceRef, ServiceRef)> {
    (service(), service(), 0..4u8)
        .prop_map(|(one, other, component)| {
            let mut near = one.clone();
            match component {
                0 => near.partition = other.partition,
                1 => near.namespace = other.namespace,
                2 => near.peer = other.peer,
                _ => near.name = other.name,
            }
            (one, near)
        })
        .prop_filter("two of them", |(one, near)| one != near)
}

fn scope(service: &ServiceRef) -> NodeScope {
    NodeScope { partition: service.partition.clone(), peer: service.peer.clone() }
}

/// Node, instance, sidecar and checks, all with the name of the service.
fn registrations(service: &ServiceRef) -> Vec<Registration> {
    let mut host = node("host", None);
    host.scope = scope(service);
    host.name = NodeName::parse(service.name.as_str()).unwrap();
    let name = service.name.as_str();
    let mut own = instance(name, name);
    own.namespace = service.namespace.clone();
    let mut proxy = sidecar("proxy", name);
    proxy.namespace = service.namespace.clone();
    let mut alive = check(name, Some(name), CheckStatus::Passing);
    alive.namespace = service.namespace.clone();
    vec![
        Registration { service: Some(own), checks: vec![alive], ..register(host.clone()) },
        Registration { service: Some(proxy), ..register(host) },
    ]
}

/// Everything in the state about a service, and what it was read from.
fn about(view: &View, service: &ServiceRef) -> (String, ReadSet) {
    let mut reader = view.read();
    let answer = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        reader.service(service),
        reader.service_instances(service),
        reader.connect_instances(service),
        reader.health_service(service),
        reader.health_connect(service),
        reader.checks_of_service(service),
        reader.intentions_from(service),
    );
    (answer, reader.finish())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn neighbours_in_the_catalog_never_meet((one, near) in neighbours()) {
        let mut log = Log::new();
        for command in registrations(&one) {
            log.changed(command);
        }
        let (before, read) = about(&log.store.view(), &one);
        prop_assert_eq!(log.store.view().read().health_service(&one).len(), 1);
        prop_assert!(log.store.view().read().health_service(&near).is_empty());
        prop_assert!(log.store.view().read().health_connect(&near).is_empty());
        for command in registrations(&near) {
            let shared_node = scope(&one) == scope(&near) && one.name == near.name;
            // Namespaces share nodes: the id of a check is unique on its node, whatever its namespace.
            let command = if shared_node { Registration { checks: vec![], ..command } } else { command };
            let applied = log.write(command);
            prop_assert!(!read.touched_by(&applied.changes), "{:?}", applied.changes);
        }
        prop_assert_eq!(log.store.view().read().health_connect(&near).len(), 1);
        let ids = [near.name.as_str(), "proxy"].map(|id| concord_model::InstanceId::parse(id).unwrap());
        for id in ids {
            let what = Registered::Service { namespace: near.namespace.clone(), id };
            let node_name = NodeName::parse(near.name.as_str()).unwrap();
            let applied = log.changed(Deregistration { scope: scope(&near), node: node_name, what });
            prop_assert!(!read.touched_by(&applied.changes), "{:?}", applied.changes);
        }
        let (after, read_again) = about(&log.store.view(), &one);
        prop_assert_eq!(before, after);
        prop_assert_eq!(read, read_again);
    }

    #[test]
    fn neighbours_among_intentions_never_meet((one, near) in neighbours()) {
        let from = |service: &ServiceRef| {
            let mut intention = intention("*", Action::Allow);
            intention.source = Source {
                partition: service.partition.clone(),
                namespace: Pattern::Exact(service.namespace.clone()),
                peer: service.peer.clone(),
                name: Pattern::Exact(service.name.clone()),
            };
            intention
        };
        let mut log = Log::new();
        log.changed(UpsertIntention { destination: destination("one"), intention: from(&one) });
        let (before, read) = about(&log.store.view(), &one);
        let applied = log.changed(UpsertIntention { destination: destination("near"), intention: from(&near) });
        prop_assert!(!read.touched_by(&applied.changes));
        prop_assert_eq!(&before, &about(&log.store.view(), &one).0);
        // In one entry they are two sources.
        log.changed(UpsertIntention { destination: destination("one"), intention: from(&near) });
        let head = log.store.view().read().intention_head(&destination("one")).unwrap();
        prop_assert_eq!(head.sources, 2);
    }

    #[test]
    fn neighbours_as_destinations_never_meet((one, near) in neighbours()) {
        prop_assume!(one.peer == near.peer);
        let local = |service: &ServiceRef| ServiceRef { peer: None, ..service.clone() };
        let to = |service: &ServiceRef| UpsertIntention {
            destination: Destination {
                partition: service.partition.clone(),
                namespace: Pattern::Exact(service.namespace.clone()),
                name: Pattern::Exact(service.name.clone()),
            },
            intention: intention("web", Action::Allow),
        };
        let mut log = Log::new();
        log.changed(to(&one));
        let mut reader = log.store.view().read();
        prop_assert_eq!(reader.intentions_to(&local(&one)).len(), 1);
        let read = reader.finish();
        prop_assert!(!read.touched_by(&log.changed(to(&near)).changes));
        prop_assert_eq!(log.store.view().read().intentions_to(&local(&near)).len(), 1);
        prop_assert_eq!(log.store.view().read().intentions().len(), 2);
    }
}
