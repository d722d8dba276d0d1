//! Endpoints out of the catalog.

use concord_model::catalog::{Check, CheckStatus, Node, NodeScope, ServiceAddress, ServiceInstance, Weights};
use concord_model::entry::ResolverSubset;
use concord_model::proxy::ServiceKind;
use concord_model::{CheckId, Namespace, NodeName, ServiceIdentity, Stamp, TrustDomain};
use concord_proxycfg::{ENDPOINTS_MAX, Endpoint, Endpoints, ExpectedIdentity};

use crate::world::{dc, endpoint, name, service, sidecar};

fn node() -> Node {
    Node {
        scope: NodeScope::default(),
        name: NodeName::parse("n2").unwrap(),
        id: None,
        address: "10.0.0.2".to_owned(),
        datacenter: dc("dc1"),
        tagged_addresses: [("wan".to_owned(), "1.2.3.4".to_owned())].into(),
        meta: [].into(),
        locality: None,
        stamp: Stamp::default(),
    }
}

fn check(status: CheckStatus) -> Check {
    Check {
        id: CheckId::parse("c").unwrap(),
        name: String::new(),
        status,
        notes: String::new(),
        output: String::new(),
        service_id: None,
        service_name: None,
        namespace: Namespace::default(),
        service_tags: vec![],
        kind: String::new(),
        interval: String::new(),
        timeout: String::new(),
        definition: Default::default(),
        stamp: Stamp::default(),
    }
}

fn read(service: &ServiceInstance, checks: &[Check], local: &str) -> Option<Endpoint> {
    Endpoint::of_catalog(&node(), service, checks, &dc(local))
}

fn all() -> ResolverSubset {
    ResolverSubset::default()
}

#[test]
fn a_sidecar_stands_for_its_service() {
    let one = read(&sidecar("api", vec![]), &[], "dc1").unwrap();
    assert_eq!((one.address.as_str(), one.port, one.weight), ("10.0.0.2", 21000, 1));
    assert_eq!(one.identity, ExpectedIdentity { service: service("api"), datacenter: dc("dc1") });
    assert!(one.takes_connections(&all()));
}

#[test]
fn what_takes_no_mesh_connections_is_no_endpoint() {
    let mut plain = sidecar("api", vec![]);
    (plain.kind, plain.proxy) = (ServiceKind::Typical, None);
    assert_eq!(read(&plain, &[], "dc1"), None);
    plain.native = true;
    let native = read(&plain, &[], "dc1").unwrap();
    assert_eq!(native.identity.service, service("api-sidecar-proxy"));
    plain.port = 0;
    assert_eq!(read(&plain, &[], "dc1"), None);
}

#[test]
fn the_worst_check_counts() {
    let mut api = sidecar("api", vec![]);
    api.weights = Weights { passing: 10, warning: 2 };
    let warned = [check(CheckStatus::Passing), check(CheckStatus::Warning)];
    let one = read(&api, &warned, "dc1").unwrap();
    assert_eq!((one.status, one.weight, one.takes_connections(&all())), (CheckStatus::Warning, 2, true));
    let critical = [check(CheckStatus::Critical), check(CheckStatus::Passing)];
    let one = read(&api, &critical, "dc1").unwrap();
    assert_eq!((one.status, one.weight, one.takes_connections(&all())), (CheckStatus::Critical, 0, false));
    api.weights = Weights { passing: 0, warning: 0 };
    assert!(!read(&api, &[], "dc1").unwrap().takes_connections(&all()));
}

#[test]
fn another_datacenter_is_reached_at_its_wan_address() {
    let mut api = sidecar("api", vec![]);
    assert_eq!(read(&api, &[], "dc2").unwrap().address, "1.2.3.4");
    api.address = "10.9.9.9".to_owned();
    assert_eq!(read(&api, &[], "dc1").unwrap().address, "10.9.9.9");
    assert_eq!(read(&api, &[], "dc2").unwrap().address, "10.9.9.9");
    let wan = ServiceAddress { address: "5.6.7.8".to_owned(), port: 443 };
    api.tagged_addresses.insert("wan".to_owned(), wan);
    let one = read(&api, &[], "dc2").unwrap();
    assert_eq!((one.address.as_str(), one.port), ("5.6.7.8", 443));
    assert_eq!(read(&api, &[], "dc1").unwrap().address, "10.9.9.9");
}

#[test]
fn every_component_of_an_identity_has_to_be_proved() {
    let trust_domain = TrustDomain::parse("a.consul").unwrap();
    let expected = ExpectedIdentity { service: service("api"), datacenter: dc("dc1") };
    let presented = |td: &str, partition: &str, namespace: &str, datacenter: &str, of: &str| {
        ServiceIdentity::try_new(
            TrustDomain::parse(td).unwrap(),
            partition.parse().unwrap(),
            namespace.parse().unwrap(),
            dc(datacenter),
            name(of),
        )
        .unwrap()
    };
    let proves = |one: ServiceIdentity| expected.is_proved_by(&one, &trust_domain);
    assert!(proves(presented("a.consul", "default", "default", "dc1", "api")));
    assert!(!proves(presented("b.consul", "default", "default", "dc1", "api")));
    assert!(!proves(presented("a.consul", "eu", "default", "dc1", "api")));
    assert!(!proves(presented("a.consul", "default", "team", "dc1", "api")));
    assert!(!proves(presented("a.consul", "default", "default", "dc2", "api")));
    assert!(!proves(presented("a.consul", "default", "default", "dc1", "web")));
    let mut imported = expected.clone();
    imported.service.peer = Some("east".parse().unwrap());
    assert!(
        !imported.is_proved_by(&presented("a.consul", "default", "default", "dc1", "api"), &trust_domain)
    );
}

#[test]
fn endpoints_are_ordered_each_once_and_bounded() {
    let shuffled = vec![endpoint("api", "n3", 1), endpoint("api", "n1", 1), endpoint("api", "n3", 1)];
    let nodes: Vec<_> =
        Endpoints::from_unordered(shuffled).list.into_iter().map(|one| one.node.to_string()).collect();
    assert_eq!(nodes, ["n1", "n3"]);

    let mut many: Vec<_> = (0..ENDPOINTS_MAX + 2).map(|i| endpoint("api", &format!("n{i:06}"), 1)).collect();
    many[0].status = CheckStatus::Critical;
    let kept = Endpoints::from_unordered(many);
    assert_eq!((kept.list.len(), kept.left_out), (ENDPOINTS_MAX, 2));
    assert!(kept.list.iter().all(|one| one.status == CheckStatus::Passing), "the critical one goes first");
    assert!(kept.list.is_sorted_by(|a, b| a.node < b.node));
}

#[test]
fn n_330_a_subset_of_those_that_pass_takes_no_instance_that_warns() {
    let passing = ResolverSubset { only_passing: true, ..all() };
    let takes = |checks: &[Check]| {
        let one = read(&sidecar("api", vec![]), checks, "dc1").unwrap();
        (one.takes_connections(&all()), one.takes_connections(&passing))
    };
    assert_eq!(takes(&[check(CheckStatus::Passing)]), (true, true));
    assert_eq!(takes(&[check(CheckStatus::Warning)]), (true, false));
    assert_eq!(takes(&[check(CheckStatus::Critical)]), (false, false));
}
