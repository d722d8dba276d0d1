//! The resources of a sidecar.

use std::collections::BTreeSet;

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::core::v3::transport_socket::ConfigType;
use concord_envoy_proto::envoy::config::core::v3::{HealthStatus, TransportSocket};
use concord_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::downstream_tls_context::SessionTicketKeysType;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, Secret, UpstreamTlsContext, secret,
};
use concord_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use concord_model::catalog::CheckStatus;
use concord_model::intention::Action;
use concord_proxycfg::Endpoint;
use concord_xds::{Configuration, ResourceType, Unserved, sidecar};
use prost::{Message, Name};

use crate::world;
use crate::world::{DOMAIN, NEWEST, endpoint, message, settings, snapshot, unpacked, upstream};

fn db() -> String {
    format!("db.default.dc1.internal.{DOMAIN}")
}

fn built(endpoints: Vec<Endpoint>) -> Configuration {
    let instance = world::sidecar(vec![upstream("db", 9191)]);
    sidecar(&snapshot(instance, vec![], Action::Deny, vec![("db", endpoints)]), NEWEST).unwrap()
}

fn tls<M: Message + Default + Name>(socket: Option<&TransportSocket>) -> M {
    let socket = socket.expect("mesh traffic has TLS");
    assert_eq!(socket.name, "tls");
    let Some(ConfigType::TypedConfig(config)) = &socket.config_type else { panic!("no configuration") };
    unpacked(config)
}

/// The pattern of whom a peer must be, and the names of the secrets.
fn expected(tls: &CommonTlsContext) -> (MatchPattern, Vec<String>) {
    let Some(ValidationContextType::CombinedValidationContext(both)) = &tls.validation_context_type else {
        panic!("nobody is verified: {tls:?}")
    };
    let own = both.default_validation_context.as_ref().unwrap();
    let [san] = own.match_typed_subject_alt_names.as_slice() else { panic!("{own:?}") };
    let pattern = san.matcher.clone().unwrap().match_pattern.unwrap();
    let roots = both.validation_context_sds_secret_config.as_ref().unwrap();
    let secrets = tls.tls_certificate_sds_secret_configs.iter().chain([roots]);
    (pattern, secrets.map(|secret| secret.name.clone()).collect())
}

#[test]
fn every_resource_has_the_name_that_consul_gives_it() {
    let built = built(vec![]);
    let names = |kind| built.resources.of(kind).map(|one| one.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(ResourceType::Cluster), [db(), "local_app".to_owned()]);
    assert_eq!(names(ResourceType::Listener), ["db:127.0.0.1:9191", "public_listener:0.0.0.0:21000"]);
    assert_eq!(names(ResourceType::Endpoint), [db()]);
    assert_eq!(names(ResourceType::Secret), ["leaf", "roots"]);
    assert_eq!(built.unserved, []);
}

#[test]
fn every_listener_names_clusters_that_are_there() {
    let built = built(vec![]);
    let clusters: BTreeSet<_> =
        built.resources.of(ResourceType::Cluster).map(|one| one.name.clone()).collect();
    for listener in built.resources.of(ResourceType::Listener) {
        assert!(!listener.clusters.is_empty() && listener.clusters.is_subset(&clusters), "{}", listener.name);
    }
}

#[test]
fn n_263_an_upstream_must_be_exactly_the_service() {
    let built = built(vec![]);
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, &db());
    let context: UpstreamTlsContext = tls(cluster.transport_socket.as_ref());
    assert_eq!((context.sni, context.max_session_keys), (db(), Some(0)));
    let identity = format!("spiffe://{DOMAIN}/ns/default/dc/dc1/svc/db");
    let (pattern, secrets) = expected(&context.common_tls_context.unwrap());
    assert_eq!(
        (pattern, secrets),
        (MatchPattern::Exact(identity), vec!["leaf".to_owned(), "roots".to_owned()])
    );
}

#[test]
fn n_264_a_caller_must_show_the_certificate_of_a_service_of_the_trust_domain() {
    let built = built(vec![]);
    let listener: Listener =
        message(&built.resources, ResourceType::Listener, "public_listener:0.0.0.0:21000");
    let [chain] = listener.filter_chains.as_slice() else { panic!("one chain, and no other way in") };
    assert!(listener.default_filter_chain.is_none());
    let context: DownstreamTlsContext = tls(chain.transport_socket.as_ref());
    assert_eq!(context.require_client_certificate, Some(true));
    assert!(context.disable_stateful_session_resumption);
    let no_tickets = SessionTicketKeysType::DisableStatelessSessionResumption(true);
    assert_eq!(context.session_ticket_keys_type, Some(no_tickets));
    let (MatchPattern::SafeRegex(pattern), _) = expected(&context.common_tls_context.unwrap()) else {
        panic!("no pattern")
    };
    let pattern = regex::Regex::new(&format!("^(?:{})$", pattern.regex)).unwrap();
    assert!(pattern.is_match(&format!("spiffe://{DOMAIN}/ns/default/dc/dc2/svc/api")));
    assert!(pattern.is_match(&format!("spiffe://{DOMAIN}/ap/p/ns/default/dc/dc2/svc/api")));
    for other in [
        format!("spiffe://{DOMAIN}/agent/client/dc/dc1/id/n1"),
        format!("spiffe://{DOMAIN}x/ns/default/dc/dc1/svc/api"),
        format!("spiffe://{}/ns/default/dc/dc1/svc/api", DOMAIN.replace('.', "x")),
        format!("spiffe://{DOMAIN}/ns/default/dc/dc1/svc/api/more"),
    ] {
        assert!(!pattern.is_match(&other), "{other}");
    }
}

#[test]
fn secrets_carry_the_certificate_its_key_and_all_roots() {
    let built = built(vec![]);
    let leaf: Secret = message(&built.resources, ResourceType::Secret, "leaf");
    let Some(secret::Type::TlsCertificate(leaf)) = leaf.r#type else { panic!("no certificate") };
    assert!(format!("{:?}", leaf.certificate_chain).contains("PEM of the leaf"));
    assert!(format!("{:?}", leaf.private_key).contains("the key"));
    let roots: Secret = message(&built.resources, ResourceType::Secret, "roots");
    let Some(secret::Type::ValidationContext(roots)) = roots.r#type else { panic!("no roots") };
    assert!(format!("{:?}", roots.trusted_ca).contains("PEM of old\\nPEM of new\\n"));
}

#[test]
fn instances_have_their_weight_and_health() {
    let warned = Endpoint { weight: 1_000, ..endpoint("db", "10.0.0.1") };
    let drained = Endpoint { weight: 0, ..endpoint("db", "10.0.0.2") };
    let critical = Endpoint { status: CheckStatus::Critical, weight: 0, ..endpoint("db", "10.0.0.3") };
    let foreign = Endpoint { identity: endpoint("other", "10.0.0.4").identity, ..endpoint("db", "10.0.0.4") };
    let named = endpoint("db", "db.example");
    let built = built(vec![warned, drained, critical, foreign, named]);
    let assignment: ClusterLoadAssignment = message(&built.resources, ResourceType::Endpoint, &db());
    let found: Vec<_> = assignment.endpoints[0]
        .lb_endpoints
        .iter()
        .map(|one| (one.health_status(), one.load_balancing_weight.unwrap()))
        .collect();
    let unhealthy = (HealthStatus::Unhealthy, 1);
    assert_eq!(found, [(HealthStatus::Healthy, 128), unhealthy, unhealthy]);
    assert!(matches!(&built.unserved[..], [Unserved::Address { address, .. }] if address == "db.example"));
}

#[test]
fn a_change_of_endpoints_changes_no_other_resource() {
    let (before, after) = (built(vec![]).resources, built(vec![endpoint("db", "10.0.0.1")]).resources);
    for kind in [ResourceType::Secret, ResourceType::Cluster, ResourceType::Listener] {
        assert_eq!(before.of(kind).collect::<Vec<_>>(), after.of(kind).collect::<Vec<_>>());
    }
    let version =
        |set: &concord_xds::ResourceSet| set.find(ResourceType::Endpoint, &db()).unwrap().version.clone();
    assert_ne!(version(&before), version(&after));
}

#[test]
fn a_cluster_with_a_time_limit_of_its_own_has_a_name_of_its_own() {
    let mut own = upstream("db", 9191);
    own.config = settings(r#"{"connect_timeout_ms": 1500, "limits": {"max_connections": 0}}"#);
    let instance = world::sidecar(vec![own]);
    let built = sidecar(&snapshot(instance, vec![], Action::Deny, vec![("db", vec![])]), NEWEST).unwrap();
    let name = built
        .resources
        .of(ResourceType::Cluster)
        .find(|one| *one.name != *"local_app")
        .unwrap()
        .name
        .to_string();
    assert!(name.len() == db().len() + 9 && name.ends_with(&format!("~{}", db())), "{name}");
    let cluster: Cluster = message(&built.resources, ResourceType::Cluster, &name);
    assert_eq!(cluster.connect_timeout.unwrap().nanos, 500_000_000);
    assert_eq!(cluster.circuit_breakers.unwrap().thresholds[0].max_connections, Some(0));
    let context: UpstreamTlsContext = tls(cluster.transport_socket.as_ref());
    assert_eq!(context.sni, db(), "the name on the wire has no hash");
}

#[test]
fn n_331_who_is_denied_takes_no_place_of_the_others() {
    let mut instance = world::sidecar(vec![]);
    instance.proxy.as_mut().unwrap().config = settings(r#"{"max_inbound_connections": 5}"#);
    let built = sidecar(&snapshot(instance, vec![], Action::Deny, vec![]), NEWEST).unwrap();
    let listener: Listener =
        message(&built.resources, ResourceType::Listener, "public_listener:0.0.0.0:21000");
    let names: Vec<_> = listener.filter_chains[0].filters.iter().map(|own| own.name.as_str()).collect();
    let expected =
        ["rbac", "connection_limit", "tcp_proxy"].map(|own| format!("envoy.filters.network.{own}"));
    assert_eq!(names, expected);
}
