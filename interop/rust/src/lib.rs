//! `rs-consul` against the agents named by `INTEROP_ADDR` (no ACLs) and `INTEROP_ACL_ADDR` (with `INTEROP_TOKEN`).
//! Holds tests only. The client offers the catalog, health of services, tokens and policies, keys and locks.

#![forbid(unsafe_code)]
#![cfg(test)]

use std::collections::HashMap;
use std::future::Future;
use std::time::{Duration, Instant};

use rs_consul::{
    Config, Consul, CreateACLPolicyRequest, CreateACLTokenPayload, CreateOrUpdateKeyRequest,
    DeleteKeyRequest, DeregisterEntityPayload, GetNodesRequest, GetServiceNodesRequest, LockRequest,
    QueryOptions, ReadKeyRequest, RegisterEntityCheck, RegisterEntityPayload, RegisterEntityService,
};

/// How long something may take that comes by itself. A guard against hangs, nothing is measured.
const PATIENCE: Duration = Duration::from_secs(40);

fn client(address: &str, token: Option<&str>) -> Consul {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let config = Config {
        address: format!("http://{}", variable(address)),
        token: token.map(variable),
        ..Config::default()
    };
    Consul::new(config)
}

fn plain() -> Consul {
    client("INTEROP_ADDR", None)
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn service(name: &str) -> RegisterEntityService {
    RegisterEntityService::builder()
        .ID(format!("{name}-1"))
        .Service(name.to_owned())
        .Tags(vec!["a".to_owned()])
        .Port(443)
        .build()
}

async fn register(consul: &Consul, node: &str, name: &str, status: &str) {
    let check = RegisterEntityCheck::builder()
        .Node(node.to_owned())
        .CheckID(format!("{name}-alive"))
        .Name("alive".to_owned())
        .Notes("by hand".to_owned())
        .Status(status.to_owned())
        .ServiceID(format!("{name}-1"))
        .build();
    let payload = RegisterEntityPayload::builder()
        .Node(node.to_owned())
        .Address("192.0.2.10".to_owned())
        .NodeMeta(HashMap::from([("external".to_owned(), "yes".to_owned())]))
        .Service(service(name))
        .Checks(vec![check])
        .build();
    consul.register_entity(&payload).await.unwrap();
}

async fn deregister(consul: &Consul, node: &str) {
    consul
        .deregister_entity(&DeregisterEntityPayload::builder().Node(node.to_owned()).build())
        .await
        .unwrap();
}

async fn instances(consul: &Consul, name: &str, passing: bool) -> usize {
    let request = GetServiceNodesRequest::builder().service(name).passing(passing).build();
    consul.get_service_nodes(request, None).await.unwrap().response.len()
}

#[track_caller]
fn says<T: std::fmt::Debug, E: std::fmt::Display>(answer: Result<T, E>, text: &str) {
    let told = answer.expect_err("must be refused").to_string();
    assert!(told.contains(text), "{told}");
}

#[test]
fn nodes() {
    run(async {
        let found = plain().get_nodes(GetNodesRequest::builder().build(), None).await.unwrap();
        let node = found.response.iter().find(|node| node.node == "n1").expect("the agent's node");
        assert_eq!((node.datacenter.as_str(), node.address.as_str()), ("dc1", "127.0.0.1"));
        assert_eq!(node.Meta.as_ref().unwrap()["rack"], "r1");
        assert!(found.index > 0);
    });
}

/// The client puts a filter into the address as it gets it.
#[test]
fn nodes_by_filter_and_near() {
    run(async {
        let consul = plain();
        let request = GetNodesRequest { filter: Some("Meta.rack%20==%20%22r1%22"), near: Some("n1") };
        assert_eq!(consul.get_nodes(request, None).await.unwrap().response.len(), 1);
        let request = GetNodesRequest { filter: Some("Meta.rack%20==%20%22r2%22"), near: None };
        assert_eq!(consul.get_nodes(request, None).await.unwrap().response.len(), 0);
    });
}

#[test]
fn register_read_and_deregister() {
    run(async {
        let consul = plain();
        register(&consul, "rs-node", "rs-ext", "passing").await;
        let names = consul.get_all_registered_service_names(None).await.unwrap();
        assert!(names.response.contains(&"rs-ext".to_owned()), "{:?}", names.response);
        let request = GetServiceNodesRequest::builder().service("rs-ext").build();
        let found = consul.get_service_nodes(request, None).await.unwrap().response;
        let [one] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(
            (one.node.node.as_str(), one.service.id.as_str(), one.service.port),
            ("rs-node", "rs-ext-1", 443)
        );
        assert_eq!(one.service.tags, ["a"]);
        deregister(&consul, "rs-node").await;
        assert_eq!(instances(&consul, "rs-ext", false).await, 0);
    });
}

#[test]
fn addresses_of_healthy_instances() {
    run(async {
        let consul = plain();
        register(&consul, "rs-well", "rs-sick", "passing").await;
        register(&consul, "rs-ill", "rs-sick", "critical").await;
        assert_eq!(instances(&consul, "rs-sick", false).await, 2);
        assert_eq!(instances(&consul, "rs-sick", true).await, 1);
        let found = consul.get_service_addresses_and_ports("rs-sick", None).await.unwrap();
        assert_eq!(found, [("192.0.2.10".to_owned(), 443)]);
        for node in ["rs-well", "rs-ill"] {
            deregister(&consul, node).await;
        }
    });
}

#[test]
fn instances_by_filter() {
    run(async {
        let consul = plain();
        register(&consul, "rs-filtered", "rs-f", "passing").await;
        for (filter, number) in [("Service.Port%20==%20443", 1), ("Service.Port%20==%2080", 0)] {
            let request = GetServiceNodesRequest::builder().service("rs-f").filter(filter).build();
            assert_eq!(consul.get_service_nodes(request, None).await.unwrap().response.len(), number);
        }
        deregister(&consul, "rs-filtered").await;
    });
}

#[test]
fn a_service_or_a_check_goes_alone() {
    run(async {
        let consul = plain();
        register(&consul, "rs-parts", "rs-p", "critical").await;
        let check = DeregisterEntityPayload::builder()
            .Node("rs-parts".to_owned())
            .CheckID("rs-p-alive".to_owned())
            .build();
        consul.deregister_entity(&check).await.unwrap();
        assert_eq!(instances(&consul, "rs-p", true).await, 1);
        let one = DeregisterEntityPayload::builder()
            .Node("rs-parts".to_owned())
            .ServiceID("rs-p-1".to_owned())
            .build();
        consul.deregister_entity(&one).await.unwrap();
        assert_eq!(instances(&consul, "rs-p", false).await, 0);
        deregister(&consul, "rs-parts").await;
    });
}

#[test]
fn a_wait_ends_at_the_change() {
    run(async {
        let (consul, other) = (plain(), plain());
        let request = || GetServiceNodesRequest::builder().service("rs-late").build();
        let mut index = consul.get_service_nodes(request(), None).await.unwrap().index;
        let wait = async {
            let begun = Instant::now();
            loop {
                let options = QueryOptions {
                    index: Some(index),
                    wait: Some(PATIENCE),
                    timeout: Some(2 * PATIENCE),
                    ..QueryOptions::default()
                };
                let found = consul.get_service_nodes(request(), Some(options)).await.unwrap();
                if found.response.len() == 1 {
                    return;
                }
                assert!(begun.elapsed() < PATIENCE, "not woken");
                index = found.index;
            }
        };
        let change = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            register(&other, "rs-late-node", "rs-late", "passing").await;
        };
        tokio::join!(wait, change);
        deregister(&other, "rs-late-node").await;
    });
}

#[test]
fn what_cannot_be_is_refused() {
    run(async {
        let consul = plain();
        let payload = RegisterEntityPayload::builder().Node("rs-x".to_owned()).Address(String::new()).build();
        says(consul.register_entity(&payload).await, "400");
        let options = QueryOptions { datacenter: Some("nowhere".to_owned()), ..QueryOptions::default() };
        says(
            consul.get_nodes(GetNodesRequest::builder().build(), Some(options)).await.map(|_| ()),
            "No path to datacenter",
        );
    });
}

#[test]
fn keys_and_locks_are_not_built() {
    run(async {
        let consul = plain();
        let what = "not available yet: the key-value store";
        says(consul.read_key(ReadKeyRequest::builder().key("a").build()).await.map(|_| ()), what);
        let write = CreateOrUpdateKeyRequest::builder().key("a").build();
        says(consul.create_or_update_key(write, b"b".to_vec()).await.map(|_| ()), what);
        says(consul.delete_key(DeleteKeyRequest::builder().key("a").build()).await.map(|_| ()), what);
        says(
            consul.get_lock(LockRequest::builder().key("a").build(), b"").await.map(|_| ()),
            "not available yet: sessions",
        );
    });
}

#[test]
fn policies_and_tokens() {
    run(async {
        let consul = client("INTEROP_ACL_ADDR", Some("INTEROP_TOKEN"));
        let rules = r#"service "rs-acl" { policy = "write" } node_prefix "" { policy = "write" }"#;
        let policy =
            CreateACLPolicyRequest::builder().name("rs-pol".to_owned()).rules(rules.to_owned()).build();
        let policy = consul.create_acl_policy(&policy).await.unwrap();
        let all = consul.get_acl_policies().await.unwrap();
        assert!(
            all.iter().any(|one| one.name == "rs-pol")
                && all.iter().any(|one| one.name == "global-management")
        );
        let link = rs_consul::ACLTokenPolicyLink::builder().name("rs-pol".to_owned()).build();
        let wish =
            CreateACLTokenPayload::builder().description("of rust".to_owned()).policies(vec![link]).build();
        let token = consul.create_acl_token(&wish).await.unwrap();
        let read = consul.read_acl_token(token.accessor_id.clone()).await.unwrap();
        assert_eq!((read.secret_id.as_str(), read.policies.len()), (token.secret_id.as_str(), 1));
        assert!(
            consul.get_acl_tokens().await.unwrap().iter().any(|one| one.accessor_id == token.accessor_id)
        );
        consul.delete_acl_token(token.accessor_id.clone()).await.unwrap();
        consul.delete_acl_policy(policy.id).await.unwrap();
        says(consul.read_acl_token(token.accessor_id).await.map(|_| ()), "ACL not found");
    });
}

#[test]
fn nothing_without_a_token() {
    run(async {
        let anonymous = client("INTEROP_ACL_ADDR", None);
        says(anonymous.get_acl_tokens().await.map(|_| ()), "Permission denied");
        assert_eq!(
            anonymous.get_nodes(GetNodesRequest::builder().build(), None).await.unwrap().response.len(),
            0
        );
        let payload =
            RegisterEntityPayload::builder().Node("rs-y".to_owned()).Address("192.0.2.1".to_owned()).build();
        says(anonymous.register_entity(&payload).await, "Permission denied");
    });
}

#[test]
fn without_acls_there_are_no_tokens() {
    run(async { says(plain().get_acl_tokens().await.map(|_| ()), "ACL support disabled") });
}
