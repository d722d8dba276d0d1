//! Tests of registrations and of queries for them, and of the rights to write them.

use concord_model::catalog::{Check, CheckStatus, NodeScope, Registered, Registration};
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_model::{CheckId, Namespace, PeerName, Uuid};
use concord_rpc::request::{
    CheckState, ChecksInState, InstanceSelection, ListInstances, ListNodes, ListServices, NodeChecks,
    NodeDump, Register, ServiceChecks, ServiceHealth, ServiceInstances,
};
use concord_rpc::{RpcError, ServerApiExt};

use crate::world::{
    ROOT, Setup, check, deregister, instance, name, node, register, registered, service, target, with,
};

fn proxy_config(destination: &str) -> ProxyConfig {
    ProxyConfig { destination_service: Some(service(destination)), ..ProxyConfig::default() }
}

/// A sidecar of `of`, registered as `of-sidecar-proxy`.
pub(crate) fn sidecar(on: &str, of: &str) -> Register {
    let mut request = register(on, &format!("{of}-sidecar-proxy"));
    let own = request.0.service.as_mut().unwrap();
    (own.kind, own.proxy) = (ServiceKind::ConnectProxy, Some(proxy_config(of)));
    request
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_is_found_and_what_is_removed_is_not() {
    let host = Setup::open().start().await;
    let mut request = register("a", "web");
    request.0.node.meta.insert("zone".to_owned(), "one".to_owned());
    request.0.service.as_mut().unwrap().tags = vec!["v1".to_owned()];
    request.0.checks =
        vec![check("node", None, CheckStatus::Passing), check("web", Some("web"), CheckStatus::Warning)];
    host.ask(request).await.unwrap();
    host.ask(Register(Registration { skip_node_update: true, ..sidecar("a", "web").0 })).await.unwrap();

    let services = host.ask(ListServices::default()).await.unwrap().value;
    assert_eq!(services[&service("web")], ["v1"]);
    assert_eq!(services.len(), 3);
    let zone = |zone: &str| [("zone".to_owned(), zone.to_owned())].into();
    let elsewhere = host.ask(ListServices { node_meta: zone("two") }).await.unwrap().value;
    assert!(elsewhere.is_empty());
    assert_eq!(host.ask(ListNodes { node_meta: zone("one") }).await.unwrap().value.len(), 1);

    let found = host.ask(ServiceInstances { select: InstanceSelection::of(target("web")) }).await.unwrap();
    assert_eq!(found.value[0].service.service, service("web"));
    let connect = InstanceSelection::connect(target("web"));
    let found = host.ask(ServiceInstances { select: connect.clone() }).await.unwrap().value;
    assert_eq!(found[0].service.service, service("web-sidecar-proxy"));
    let tagged = InstanceSelection { tags: vec!["v2".to_owned()], ..InstanceSelection::of(target("web")) };
    assert!(host.ask(ServiceInstances { select: tagged }).await.unwrap().value.is_empty());

    let select = InstanceSelection::of(target("web"));
    let health = host.ask(ServiceHealth { select: select.clone(), worst: None }).await.unwrap().value;
    assert_eq!((health[0].checks.len(), health[0].status()), (2, CheckStatus::Warning));
    let passing = ServiceHealth { select, worst: Some(CheckStatus::Passing) };
    assert!(host.ask(passing).await.unwrap().value.is_empty());
    let of_service = ServiceChecks { service: target("web"), node_meta: Default::default() };
    assert_eq!(host.ask(of_service).await.unwrap().value.len(), 1);
    assert_eq!(host.ask(NodeChecks { node: name("a") }).await.unwrap().value.len(), 2);

    let remove = |what| deregister("a", what);
    host.ask(remove(Registered::Check { id: CheckId::parse("web").unwrap() })).await.unwrap();
    assert_eq!(host.ask(NodeChecks { node: name("a") }).await.unwrap().value.len(), 1);
    host.ask(remove(registered("web"))).await.unwrap();
    let dump = host.ask(NodeDump::of(name("a"))).await.unwrap().value.unwrap();
    assert_eq!(dump.services.len(), 1);
    host.ask(remove(Registered::Node)).await.unwrap();
    assert!(host.ask(NodeDump::of(name("a"))).await.unwrap().value.is_none());
    assert!(host.ask(ServiceInstances { select: connect }).await.unwrap().value.is_empty());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_changes_nothing_moves_no_index() {
    let host = Setup::open().start().await;
    host.ask(register("a", "web")).await.unwrap();
    let before = host.ask(NodeDump::of(name("a"))).await.unwrap();
    host.ask(register("a", "web")).await.unwrap();
    assert_eq!(host.ask(NodeDump::of(name("a"))).await.unwrap().index, before.index);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_of_a_peer_or_partition_cannot_be_registered_from_outside() {
    let host = Setup::open().start().await;
    let mut request = register("a", "web");
    request.0.node.scope = NodeScope { peer: Some(PeerName::parse("east").unwrap()), ..NodeScope::default() };
    assert!(matches!(host.ask(request).await, Err(RpcError::NotAvailable(_))));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_109_what_is_elsewhere_is_not_removed_in_its_name_here() {
    let host = Setup::open().start().await;
    host.ask(register("a", "web")).await.unwrap();
    let mut of_peer = deregister("a", Registered::Node);
    of_peer.0.scope.peer = Some(PeerName::parse("east").unwrap());
    let mut of_partition = deregister("a", Registered::Node);
    of_partition.0.scope.partition = "other".parse().unwrap();
    let other = Namespace::parse("other").unwrap();
    let id = "web".parse().unwrap();
    let of_namespace = deregister("a", Registered::Service { namespace: other, id });
    for request in [of_peer, of_partition, of_namespace] {
        assert!(matches!(host.ask(request).await, Err(RpcError::NotAvailable(_))));
    }
    assert_eq!(host.ask(NodeDump::of(name("a"))).await.unwrap().value.unwrap().services.len(), 1);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn registrations_need_the_right_to_what_changes() {
    let host = Setup::guarded().start().await;
    let web = host.token("web", r#"service "web" { policy = "write" } node "a" { policy = "write" }"#).await;
    host.ask_as(&web.secret, register("a", "web")).await.unwrap();
    let only = host.token("only-web", r#"service "web" { policy = "write" }"#).await.secret;
    // The node stands as it is: no right to it is needed.
    host.ask_as(&only, register("a", "web")).await.unwrap();
    let mut changed = register("a", "web");
    changed.0.node.address = "10.9.9.9".to_owned();
    assert!(denied(host.ask_as(&only, changed).await));
    assert!(denied(host.ask_as(&only, register("b", "web")).await));
    assert!(denied(host.ask_as(&only, register("a", "api")).await));
    let mut with_check = register("a", "web");
    with_check.0.checks = vec![check("node-check", None, CheckStatus::Passing)];
    assert!(denied(host.ask_as(&only, with_check).await));
    assert!(denied(host.ask(register("a", "web")).await.map(|answer| answer.value)), "anonymous");

    let service_of = |id| deregister("a", registered(id));
    host.ask_as(ROOT, register("a", "api")).await.unwrap();
    assert!(denied(host.ask_as(&only, service_of("api")).await));
    assert!(denied(host.ask_as(&only, deregister("a", Registered::Node)).await));
    host.ask_as(&only, service_of("web")).await.unwrap();
    host.stop().await;
}

fn denied<T>(answer: Result<T, RpcError>) -> bool {
    matches!(answer, Err(RpcError::Denied(_)))
}

#[tokio::test(start_paused = true)]
async fn n_62_a_proxy_for_another_service_cannot_be_registered() {
    let host = Setup::guarded().start().await;
    let rules = r#"service "api-sidecar-proxy" { policy = "write" } node "a" { policy = "write" }"#;
    let token = host.token("proxy", rules).await.secret;
    assert!(denied(host.ask_as(&token, sidecar("a", "api")).await));
    let dump = host.ask_as(ROOT, NodeDump::of(name("a"))).await.unwrap();
    assert!(dump.is_none(), "nothing of it was written");
    let both = host.token("both", &format!(r#"{rules} service "api" {{ policy = "write" }}"#)).await.secret;
    host.ask_as(&both, sidecar("a", "api")).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_62_what_belongs_to_another_service_cannot_be_taken_over() {
    let host = Setup::guarded().start().await;
    let mut own = register("a", "api");
    own.0.checks =
        vec![check("c", Some("api"), CheckStatus::Passing), check("n", None, CheckStatus::Passing)];
    // A check of the node that names a service belongs to the node.
    own.0.checks.push(Check { service_name: Some(service("web")), ..check("m", None, CheckStatus::Passing) });
    host.ask_as(ROOT, own).await.unwrap();
    let token = host.token("web", r#"service "web" { policy = "write" }"#).await.secret;
    let mut id = register("a", "web");
    id.0.service = Some(instance("api", "web"));
    assert!(denied(host.ask_as(&token, id).await), "an instance's id");
    for of_whom in ["c", "n", "m"] {
        let mut taken = register("a", "web");
        taken.0.checks = vec![check(of_whom, Some("web"), CheckStatus::Critical)];
        assert!(denied(host.ask_as(&token, taken).await), "the check {of_whom}");
    }
    let mut speaks = register("a", "web");
    speaks.0.checks = vec![check("mine", Some("api"), CheckStatus::Critical)];
    assert!(denied(host.ask_as(&token, speaks).await), "a check for another's instance");
    host.ask_as(&token, register("a", "web")).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_63_a_registration_of_which_part_is_denied_does_nothing() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, register("a", "api")).await.unwrap();
    let before = host.ask_as(ROOT, NodeDump::of(name("a"))).await.unwrap();
    let token = host.token("web", r#"service "web" { policy = "write" }"#).await.secret;
    let mut mixed = register("a", "web");
    mixed.0.checks = vec![
        check("allowed", Some("web"), CheckStatus::Passing),
        check("not", Some("api"), CheckStatus::Critical),
    ];
    assert!(denied(host.ask_as(&token, mixed).await));
    assert_eq!(host.ask_as(ROOT, NodeDump::of(name("a"))).await.unwrap(), before);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_103_the_id_of_another_node_cannot_be_taken() {
    let host = Setup::guarded().start().await;
    let id = Uuid::parse("22222222-0000-4000-8000-000000000002").unwrap();
    let alive = |on: &str, id: Uuid| {
        let mut request = register(on, "web");
        request.0.node.id = Some(id);
        request.0.checks = vec![check("serfHealth", None, CheckStatus::Passing)];
        request
    };
    host.ask_as(ROOT, alive("victim", id)).await.unwrap();
    let rules = r#"node "thief" { policy = "write" } service "web" { policy = "write" }"#;
    let token = host.token("thief", rules).await.secret;
    // By id under its own name, and by name with its own id.
    let by_id = host.ask_as(&token, alive("thief", id)).await;
    assert!(matches!(by_id, Err(RpcError::Conflict(_))), "{by_id:?}");
    assert!(denied(
        host.ask_as(&token, alive("victim", Uuid::parse("33333333-0000-4000-8000-000000000003").unwrap()))
            .await
    ));
    let kept = host.ask_as(ROOT, NodeDump::of(name("victim"))).await.unwrap().unwrap();
    assert_eq!(kept.node.id, Some(id));
    assert_eq!(node("victim").name, kept.node.name);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn checks_are_found_by_their_state() {
    let host = Setup::open().start().await;
    let mut request = register("a", "web");
    request.0.node.meta.insert("zone".to_owned(), "one".to_owned());
    request.0.checks =
        vec![check("disk", None, CheckStatus::Warning), check("web", Some("web"), CheckStatus::Critical)];
    host.ask(request).await.unwrap();
    let mut request = register("b", "web");
    request.0.checks = vec![check("web", Some("web"), CheckStatus::Passing)];
    host.ask(request).await.unwrap();
    let ask = async |state: CheckState, zone: &str| {
        let node_meta = (!zone.is_empty()).then(|| ("zone".to_owned(), zone.to_owned()));
        let query = ChecksInState { state, node_meta: node_meta.into_iter().collect() };
        let found = host.ask(query).await.unwrap().value;
        found.iter().map(|one| format!("{}/{}", one.node, one.check.id)).collect::<Vec<_>>()
    };
    assert_eq!(ask(CheckState::Any, "").await, ["a/disk", "a/web", "b/web", "n1/serfHealth"]);
    assert_eq!(ask(CheckState::Is(CheckStatus::Passing), "").await, ["b/web", "n1/serfHealth"]);
    assert_eq!(ask(CheckState::Is(CheckStatus::Warning), "").await, ["a/disk"]);
    assert_eq!(ask(CheckState::Is(CheckStatus::Critical), "").await, ["a/web"]);
    assert_eq!(ask(CheckState::Any, "one").await, ["a/disk", "a/web"]);
    assert_eq!(ask(CheckState::Is(CheckStatus::Passing), "one").await, [""; 0]);
    assert_eq!(ask(CheckState::Never, "").await, [""; 0]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_33_checks_and_instances_need_the_right_to_node_and_service() {
    let host = Setup::guarded().start().await;
    let mut request = register("a", "web");
    request.0.checks =
        vec![check("disk", None, CheckStatus::Passing), check("web", Some("web"), CheckStatus::Passing)];
    host.ask_as(ROOT, request).await.unwrap();
    for (at, rules, checks, instances) in [
        ("none", r#"node "b" { policy = "read" }"#, 0, 0),
        ("node", r#"node "a" { policy = "read" }"#, 1, 0),
        ("service", r#"service "web" { policy = "read" }"#, 0, 0),
        ("both", r#"node "a" { policy = "read" } service "web" { policy = "read" }"#, 2, 1),
    ] {
        let token = host.token(at, rules).await.secret;
        for state in [CheckState::Any, CheckState::Is(CheckStatus::Passing)] {
            let query = ChecksInState { state, node_meta: Default::default() };
            let found = host.api.call(with(&token), query).await.unwrap();
            assert_eq!((found.value.len(), found.filtered), (checks, true), "{rules}");
        }
        let found = host.api.call(with(&token), ListInstances::default()).await.unwrap();
        assert_eq!((found.value.len(), found.filtered), (instances, true), "{rules}");
    }
    let anonymous = host.ask(ListInstances::default()).await.unwrap();
    assert_eq!((anonymous.value.len(), anonymous.filtered), (0, false));
    let unknown = ChecksInState { state: CheckState::Never, node_meta: Default::default() };
    assert_eq!(host.ask_as("unknown", unknown).await, Err(RpcError::TokenNotFound));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_is_shown_to_who_may_see_it_and_what_it_stands_for() {
    let host = Setup::guarded().start().await;
    host.ask_as(ROOT, sidecar("a", "api")).await.unwrap();
    let query = || ServiceInstances { select: InstanceSelection::connect(target("api")) };
    for (at, rules, seen) in [
        ("one", r#"node_prefix "" { policy = "read" } service "api" { policy = "read" }"#, 0),
        ("two", r#"node_prefix "" { policy = "read" } service "api-sidecar-proxy" { policy = "read" }"#, 0),
        ("three", r#"node_prefix "" { policy = "read" } service_prefix "api" { policy = "read" }"#, 1),
        ("four", r#"service_prefix "api" { policy = "read" }"#, 0),
    ] {
        let token = host.token(at, rules).await.secret;
        assert_eq!(host.ask_as(&token, query()).await.unwrap().len(), seen, "{rules}");
    }
    host.stop().await;
}
