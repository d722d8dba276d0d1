//! Tests of tokens with service or node identities: their rights, where they apply, and how they are shown and
//! changed.

use std::collections::BTreeSet;

use concord_acl::{Access, Authorizer, Policy};
use concord_model::intention::Action;
use concord_model::token::{Identities, NodeLink, ServiceLink, identity_name};
use concord_model::{Datacenter, Uuid};
use concord_rpc::request::{
    ExpandToken, ListTokens, MatchBy, MatchIntentions, ReadToken, ResolveToken, SetToken, TokenRecord,
};

use crate::acl::{denied, invalid};
use crate::world::{Host, ROOT, Setup, new_token, target};

fn identities(services: &[(&str, &[&str])], nodes: &[(&str, &str)]) -> Identities {
    let datacenter = |name: &str| Datacenter::parse(name).unwrap();
    let mut all = Identities::default();
    for (service, at) in services {
        let datacenters = at.iter().map(|name| datacenter(name)).collect();
        all.add_service(ServiceLink { service: identity_name(service).unwrap(), datacenters });
    }
    for (node, at) in nodes {
        all.add_node(NodeLink { node: identity_name(node).unwrap(), datacenter: datacenter(at) });
    }
    all
}

/// The rights of a token with only these identities.
async fn rights(host: &Host, identities: Identities) -> Authorizer {
    let made = host.ask_as(ROOT, SetToken { identities, ..new_token() }).await.unwrap();
    let resolved = host.ask_as(&made.secret, ResolveToken {}).await.unwrap();
    let policies: Vec<_> = resolved.policies.iter().map(|one| Policy::parse(&one.rules).unwrap()).collect();
    Authorizer::new(&policies.iter().collect::<Vec<_>>(), Action::Deny)
}

#[tokio::test(start_paused = true)]
async fn n_166_a_service_identity_is_the_service_and_its_sidecar_and_finds_others() {
    let host = Setup::guarded().start().await;
    let may = rights(&host, identities(&[("web", &[])], &[])).await;
    for allowed in [
        may.service_write("web"),
        may.service_write("web-sidecar-proxy"),
        may.service_read("db"),
        may.node_read("any"),
        may.intention_read("web"),
    ] {
        assert_eq!(allowed, Access::Allow);
    }
    for denied in [
        may.service_write("db"),
        may.service_write("web2"),
        may.service_write("web-"),
        may.service_write(""),
        may.node_write("web"),
        may.intention_write("web"),
        may.acl_read(),
        may.operator_read(),
        may.mesh_write(),
        may.key_read("web"),
        may.agent_read("n1"),
    ] {
        assert_eq!(denied, Access::Deny);
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_166_a_node_identity_is_the_node_and_finds_services() {
    let host = Setup::guarded().start().await;
    let may = rights(&host, identities(&[], &[("n1", "dc1")])).await;
    assert_eq!((may.node_write("n1"), may.service_read("web")), (Access::Allow, Access::Allow));
    for denied in [
        may.node_write("n2"),
        may.node_read("n2"),
        may.service_write("web"),
        may.service_write("n1"),
        may.agent_read("n1"),
        may.acl_read(),
    ] {
        assert_eq!(denied, Access::Deny);
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_166_an_identity_of_another_datacenter_grants_nothing_here() {
    let host = Setup::guarded().start().await;
    let may = rights(&host, identities(&[("web", &["dc2"])], &[("n1", "dc2")])).await;
    for denied in
        [may.service_write("web"), may.service_read("web"), may.node_write("n1"), may.node_read("n1")]
    {
        assert_eq!(denied, Access::Deny);
    }
    let may = rights(&host, identities(&[("web", &["dc1", "dc2"])], &[("n1", "dc2")])).await;
    assert_eq!((may.service_write("web"), may.node_write("n1")), (Access::Allow, Access::Deny));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_identities_a_token_has_is_told_and_changed_as_a_whole() {
    let host = Setup::guarded().start().await;
    let first = identities(&[("web", &[]), ("db", &["dc2"])], &[("n1", "dc1")]);
    let made = host.ask_as(ROOT, SetToken { identities: first.clone(), ..new_token() }).await.unwrap();
    let read = |accessor| ReadToken { accessor };
    assert_eq!(made.identities, first);
    assert_eq!(host.ask_as(ROOT, read(made.accessor)).await.unwrap().unwrap().identities, first);
    // The expanded token shows all rules, including those for other datacenters.
    let all = host.ask_as(ROOT, ExpandToken { accessor: made.accessor }).await.unwrap().unwrap();
    let ids: BTreeSet<Uuid> = all.policies.iter().map(|policy| policy.id).collect();
    assert_eq!((all.policies.len(), ids.len()), (3, 3));
    assert!(all.policies.iter().all(|policy| policy.name.starts_with("synthetic-policy-")));
    assert_eq!(all.policies[1].datacenters, [Datacenter::parse("dc2").unwrap()]);
    // The right ends with the identity, at once.
    let web = || MatchIntentions::of(MatchBy::Destination(target("web")));
    host.ask_as(&made.secret, web()).await.unwrap();
    let second = Identities::default();
    let change = SetToken { accessor: Some(made.accessor), identities: second.clone(), ..new_token() };
    assert_eq!(host.ask_as(ROOT, change).await.unwrap().identities, second);
    denied(host.ask_as(&made.secret, web()).await);
    let third = SetToken { identities: identities(&[("db", &[])], &[]), ..new_token() };
    let third = host.ask_as(ROOT, third).await.unwrap();
    let of = |service: &str| ListTokens { service: identity_name(service), ..ListTokens::default() };
    let accessors = |found: Vec<TokenRecord>| found.iter().map(|one| one.accessor).collect::<Vec<_>>();
    assert_eq!(accessors(host.ask_as(ROOT, of("db")).await.unwrap()), [third.accessor]);
    assert_eq!(accessors(host.ask_as(ROOT, of("web")).await.unwrap()), []);
    // Compared by accessor, whatever the secrets are.
    let all = accessors(host.ask_as(ROOT, ListTokens::default()).await.unwrap());
    assert!(all.is_sorted(), "{all:?}");
    let local = SetToken { local: true, identities: identities(&[("web", &["dc1"])], &[]), ..new_token() };
    invalid(host.ask_as(ROOT, local).await, "cannot specify a list of datacenters on a local token");
    host.stop().await;
}
