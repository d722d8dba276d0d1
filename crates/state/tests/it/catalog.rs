//! Tests of registering and deregistering, and of who may have which node name and id.

use concord_model::catalog::{
    CheckStatus, NodeScope, Registered, Registration, SERF_HEALTH, ServiceInstance,
};
use concord_model::{CheckId, InstanceId, Namespace, PeerName, ServiceName, Uuid};
use concord_state::reply::CatalogRefusal;
use concord_state::{Blame, Refusal};

use crate::samples::*;

fn all() -> NodeScope {
    NodeScope::default()
}

fn alive(status: CheckStatus) -> concord_model::catalog::Check {
    check(SERF_HEALTH, None, status)
}

/// A log with one node, its id, a service on it and, optionally, the status of its `serfHealth` check.
fn with_node(name: &str, id: Option<Uuid>, health: Option<CheckStatus>) -> Log {
    let mut log = Log::new();
    log.changed(Registration {
        service: Some(instance("web", "web")),
        checks: health.map(alive).into_iter().collect(),
        ..register(node(name, id))
    });
    log
}

#[test]
fn a_registration_is_stored_once_and_stamped() {
    let mut log = Log::new();
    let command = Registration {
        service: Some(instance("web-1", "web")),
        checks: vec![check("alive", Some("web-1"), CheckStatus::Passing)],
        ..register(node("n1", Some(uuid(1))))
    };
    log.changed(command.clone());
    log.unchanged(command.clone());
    log.changed(Registration {
        service: Some(ServiceInstance { port: 81, ..instance("web-1", "web") }),
        ..command
    });

    let view = log.store.view();
    let mut reader = view.read();
    let row = &reader.health_service(&service_ref("web"))[0];
    assert_eq!((row.service.stamp.create, row.service.stamp.modify, row.service.port), (1, 3, 81));
    assert_eq!((row.node.stamp.create, row.node.stamp.modify), (1, 1));
    assert_eq!(row.checks[0].service_name, Some(ServiceName::parse("web").unwrap()));
    assert_eq!(reader.finish().index(), 3);
}

#[test]
fn a_registration_is_all_or_nothing() {
    let mut log = Log::new();
    let refusal = log.refused(Registration {
        checks: vec![check("c", Some("gone"), CheckStatus::Passing)],
        ..register(node("n1", None))
    });
    assert!(matches!(refusal, Refusal::Catalog(CatalogRefusal::UnknownService { .. })));
    assert_eq!(refusal.blame(), Blame::Conflict);
    assert!(log.store.view().read().nodes(&all()).is_empty());
}

#[test]
fn what_is_removed_takes_along_what_hangs_on_it() {
    let mut log = with_node("n1", None, Some(CheckStatus::Passing));
    log.changed(register_on(
        "n1",
        Some(sidecar("web-proxy", "web")),
        vec![
            check("c1", Some("web-proxy"), CheckStatus::Warning),
            check("c2", Some("web"), CheckStatus::Passing),
        ],
    ));
    let id = InstanceId::parse("web-proxy").unwrap();
    let proxy = Registered::Service { namespace: Namespace::default(), id };
    log.changed(deregister("n1", proxy.clone()));
    log.unchanged(deregister("n1", proxy));
    let view = log.store.view();
    assert!(view.read().connect_instances(&service_ref("web")).is_empty());
    let checks = view.read().checks_of_node(&all(), &node_name("n1"));
    assert_eq!(checks.iter().map(|check| check.id.as_str()).collect::<Vec<_>>(), ["c2", SERF_HEALTH]);

    log.changed(deregister("n1", Registered::Check { id: CheckId::parse("c2").unwrap() }));
    log.changed(deregister("n1", Registered::Node));
    let mut reader = log.store.view().read();
    assert!(reader.nodes(&all()).is_empty());
    assert!(reader.checks_in_state(&all(), None).is_empty());
    assert!(reader.services(&Default::default()).is_empty());
    assert!(reader.service_instances(&service_ref("web")).is_empty());
}

#[test]
fn checks_of_the_node_stand_before_those_of_the_instance() {
    let mut log = with_node("n1", None, Some(CheckStatus::Passing));
    log.changed(register_on("n1", None, vec![check("a", Some("web"), CheckStatus::Critical)]));
    let rows = log.store.view().read().health_service(&service_ref("web"));
    assert_eq!(rows[0].checks.iter().map(|check| check.id.as_str()).collect::<Vec<_>>(), [SERF_HEALTH, "a"]);
}

#[test]
fn a_renamed_instance_takes_its_checks_along() {
    let mut log = with_node("n1", None, None);
    log.changed(register_on("n1", None, vec![check("a", Some("web"), CheckStatus::Passing)]));
    log.changed(register_on("n1", Some(instance("web", "shop")), vec![]));
    let view = log.store.view();
    assert!(view.read().checks_of_service(&service_ref("web")).is_empty());
    assert_eq!(view.read().checks_of_service(&service_ref("shop")).len(), 1);
    assert_eq!(view.read().health_service(&service_ref("shop"))[0].checks.len(), 1);
}

#[test]
fn a_check_that_leaves_an_instance_as_it_is_renamed_wakes_nobody_of_the_new_name() {
    for (moved_to, other) in [(None, None), (Some("other"), Some(instance("other", "cache")))] {
        let mut log = Log::new();
        log.changed(Registration {
            service: Some(instance("i1", "web")),
            checks: vec![check("c", Some("i1"), CheckStatus::Passing)],
            ..register(node("n1", None))
        });
        if let Some(other) = other {
            log.changed(register_on("n1", Some(other), vec![]));
        }
        let mut reader = log.store.view().read();
        assert!(reader.checks_of_service(&service_ref("db")).is_empty());
        let read = reader.finish();
        let left = vec![check("c", moved_to, CheckStatus::Passing)];
        let changes = log.changed(register_on("n1", Some(instance("i1", "db")), left)).changes;
        assert!(!read.touched_by(&changes), "{moved_to:?}: {changes:?}");
        let mut reader = log.store.view().read();
        assert!(reader.checks_of_service(&service_ref("db")).is_empty());
        assert!(reader.checks_of_service(&service_ref("web")).is_empty());
        assert!(
            reader.health_service(&service_ref("db"))[0]
                .checks
                .iter()
                .all(|check| check.service_id.is_none())
        );
    }
}

#[test]
fn a_change_wakes_only_those_it_concerns() {
    let mut log = with_node("n1", None, None);
    log.changed(register_on("n1", Some(instance("api", "api")), vec![]));
    let read = |log: &Log, service: &str| {
        let mut reader = log.store.view().read();
        reader.health_service(&service_ref(service));
        reader.finish()
    };
    let (web, api, nothing) = (read(&log, "web"), read(&log, "api"), read(&log, "nothing"));
    let applied = log.changed(register_on("n1", None, vec![check("a", Some("api"), CheckStatus::Passing)]));
    assert!(api.touched_by(&applied.changes));
    assert!(!web.touched_by(&applied.changes) && !nothing.touched_by(&applied.changes));
    assert_eq!((read(&log, "web").index(), read(&log, "api").index()), (1, 3));
    let applied = log.changed(register_on("n1", None, vec![alive(CheckStatus::Passing)]));
    assert!(api.touched_by(&applied.changes) && web.touched_by(&applied.changes));
    assert!(!nothing.touched_by(&applied.changes));
    assert!(web.keys().any(|key| applied.changes.contains(key)));
}

#[test]
fn the_index_outlives_what_it_was_about() {
    let mut log = with_node("n1", None, None);
    log.changed(deregister("n1", Registered::Node));
    let mut reader = log.store.view().read();
    assert!(reader.service_instances(&service_ref("web")).is_empty());
    assert_eq!(reader.finish().index(), 2);
    let mut reader = log.store.view().read();
    assert!(reader.service_instances(&service_ref("never")).is_empty());
    assert_eq!(reader.finish().index(), 1);
}

// === Names and ids of nodes ===

#[test]
fn n_103_a_living_nodes_id_is_not_taken_by_another_name() {
    // A node that the gossip pool does not know counts as alive.
    for health in [Some(CheckStatus::Passing), Some(CheckStatus::Warning), None] {
        let mut log = with_node("n1", Some(uuid(1)), health);
        let refusal = log.refused(register(node("thief", Some(uuid(1)))));
        assert!(
            matches!(&refusal, Refusal::Catalog(CatalogRefusal::NodeIdTaken { holder, .. }) if *holder == node_name("n1"))
        );
        assert_eq!(log.store.view().read().service_instances(&service_ref("web")).len(), 1);
    }
}

#[test]
fn n_103_a_living_nodes_name_is_not_taken_by_another_id() {
    let mut log = with_node("n1", Some(uuid(1)), Some(CheckStatus::Passing));
    for skip_node_update in [false, true] {
        let thief = register(node("n1", Some(uuid(2))));
        let refusal =
            log.refused(Registration { skip_node_update, service: Some(instance("web", "evil")), ..thief });
        assert!(
            matches!(refusal, Refusal::Catalog(CatalogRefusal::NodeNameTaken { holder, .. }) if holder == uuid(1))
        );
    }
}

#[test]
fn n_103_a_registration_that_leaves_the_node_alone_proves_no_failure() {
    let mut log = with_node("n1", Some(uuid(1)), Some(CheckStatus::Critical));
    for (name, id) in [("n1", 2), ("n2", 1)] {
        let thief = Registration { skip_node_update: true, ..register(node(name, Some(uuid(id)))) };
        log.refused(Registration { service: Some(instance("web", "evil")), ..thief });
    }
}

#[test]
fn a_failed_nodes_id_goes_over_with_a_new_name() {
    let mut log = with_node("n1", Some(uuid(1)), Some(CheckStatus::Critical));
    log.changed(register(node("n2", Some(uuid(1)))));
    let mut reader = log.store.view().read();
    assert!(reader.node(&all(), &node_name("n1")).is_none());
    assert!(reader.service_instances(&service_ref("web")).is_empty());
    assert_eq!(reader.node(&all(), &node_name("n2")).unwrap().id, Some(uuid(1)));
}

#[test]
fn a_failed_nodes_name_goes_over_to_a_new_id() {
    let mut log = with_node("n1", Some(uuid(1)), Some(CheckStatus::Critical));
    log.changed(register(node("n1", Some(uuid(2)))));
    // It is another machine: what ran on the failed one is removed with it.
    assert!(log.store.view().read().service_instances(&service_ref("web")).is_empty());
    assert!(log.store.view().read().checks_of_node(&all(), &node_name("n1")).is_empty());
    // The former id is free again, the new one is not.
    log.changed(register(node("n2", Some(uuid(1)))));
    log.refused(register(node("n3", Some(uuid(2)))));
}

#[test]
fn an_id_may_be_absent_and_is_not_lost_by_that() {
    let mut log = with_node("n1", None, Some(CheckStatus::Passing));
    log.changed(register(node("n1", Some(uuid(1)))));
    log.unchanged(register(node("n1", None)));
    assert_eq!(log.store.view().read().node(&all(), &node_name("n1")).unwrap().id, Some(uuid(1)));
}

#[test]
fn n_109_a_peers_service_of_our_name_leaves_ours_alone() {
    let mut log = with_node("n1", Some(uuid(1)), Some(CheckStatus::Passing));
    let scope = NodeScope { peer: Some(PeerName::parse("peer").unwrap()), ..NodeScope::default() };
    let mut theirs = node("n1", Some(uuid(1)));
    theirs.scope = scope.clone();
    let mut reader = log.store.view().read();
    let ours = reader.health_service(&service_ref("web"));
    let read = reader.finish();
    let applied = log.changed(Registration { service: Some(instance("web", "web")), ..register(theirs) });
    assert!(!read.touched_by(&applied.changes));
    assert_eq!(log.store.view().read().health_service(&service_ref("web")), ours);
    let imported = concord_model::ServiceRef { peer: scope.peer, ..service_ref("web") };
    assert_eq!(log.store.view().read().health_service(&imported).len(), 1);
}
