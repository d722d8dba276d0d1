//! How rules ask for tokens, by the version of Envoy.

use concord_envoy_proto::envoy::config::rbac::v3::Permission;
use concord_envoy_proto::envoy::config::rbac::v3::permission::Rule;
use concord_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use concord_envoy_proto::envoy::extensions::filters::http::rbac::v3::RbacPerRoute;
use concord_model::intention::{Action, Decision, JwtProviderRequirement, JwtRequirement, Permission as Own};
use concord_xds::bootstrap::version::Version;
use concord_xds::{ResourceType, sidecar};

use crate::world::{self, NEWEST, entry, message, settings, snapshot, source, unpacked};

/// The permissions of the only policy of an Envoy whose requests all must show a token.
fn permissions(version: Option<Version>) -> Vec<Permission> {
    let provider = JwtProviderRequirement { name: "p1".to_owned(), verify_claims: vec![] };
    let jwt = Some(JwtRequirement { providers: vec![provider] });
    let own = Own { action: Action::Allow, http: None, jwt };
    let intentions = vec![entry("web", vec![(source("a"), Decision::Requests(vec![own]))])];
    let mut instance = world::sidecar(vec![]);
    instance.proxy.as_mut().unwrap().config = settings(r#"{"protocol": "http"}"#);
    let built = sidecar(&snapshot(instance, intentions, Action::Deny, vec![]), version).unwrap();
    let routes: RouteConfiguration = message(&built.resources, ResourceType::Route, "public_listener");
    let config = &routes.virtual_hosts[0].routes[0].typed_per_filter_config["envoy.filters.http.rbac"];
    let rules = unpacked::<RbacPerRoute>(config).rbac.unwrap().rules.unwrap();
    assert_eq!(rules.policies.len(), 1);
    rules.policies.into_values().next().unwrap().permissions
}

#[test]
#[allow(deprecated, reason = "older Envoys know no other field")]
fn n_302_an_older_envoy_is_asked_for_tokens_in_the_way_that_it_knows() {
    let of = |minor| Some(Version { major: 1, minor, patch: 9 });
    for version in [None, of(28), of(32)] {
        let permissions = permissions(version);
        assert!(matches!(permissions[0].rule, Some(Rule::Metadata(_))), "{version:?}: {permissions:?}");
    }
    for version in [of(33), NEWEST] {
        let permissions = permissions(version);
        assert!(matches!(permissions[0].rule, Some(Rule::SourcedMetadata(_))), "{version:?}");
    }
}
