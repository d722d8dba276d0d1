//! How rules ask for tokens, by the version of Envoy.

use concord_envoy_proto::envoy::config::listener::v3::{Listener, filter::ConfigType};
use concord_envoy_proto::envoy::config::rbac::v3::Permission;
use concord_envoy_proto::envoy::config::rbac::v3::permission::Rule;
use concord_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use concord_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication;
use concord_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use concord_envoy_proto::envoy::extensions::filters::http::rbac::v3::RbacPerRoute;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType as HttpConfigType;
use concord_model::intention::{Action, Decision, JwtProviderRequirement, JwtRequirement, Permission as Own};
use concord_xds::bootstrap::version::Version;
use concord_xds::{Configuration, ResourceType, sidecar};

use crate::world::{self, NEWEST, Told, entry, message, settings, snapshot, source, unpacked};

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
fn keys_are_fetched_and_tokens_judged_as_the_entry_says() {
    let said = |timeout: u32| {
        let remote = format!(r#"{{"uri": "http://keys.example/k", "request_timeout_ms": {timeout}}}"#);
        format!(
            r#"{{"issuer": "i", "clock_skew_seconds": 20, "cache_config": {{"size": 7}},
                "json_web_key_set": {{"remote": {remote}}}}}"#
        )
    };
    let demanded = JwtProviderRequirement { name: "p1".to_owned(), verify_claims: vec![] };
    let jwt = Some(JwtRequirement { providers: vec![demanded] });
    let own = Own { action: Action::Allow, http: None, jwt };
    for (millis, expected) in [(1500, (1, 500_000_000)), (0, (5, 0))] {
        let told = Told {
            intentions: vec![entry("web", vec![(source("a"), Decision::Requests(vec![own.clone()]))])],
            ..Told::default()
        };
        let mut instance = world::sidecar(vec![]);
        instance.proxy.as_mut().unwrap().config = settings(r#"{"protocol": "http"}"#);
        let told = told.write("jwt-provider", "p1", &said(millis)).snapshot(instance, Action::Deny);
        let built = sidecar(&told, NEWEST).unwrap();
        let provider = authentication(&built).providers["p1"].clone();
        assert_eq!((provider.clock_skew_seconds, provider.jwt_cache_config.unwrap().jwt_cache_size), (20, 7));
        let Some(JwksSourceSpecifier::RemoteJwks(keys)) = provider.jwks_source_specifier else { panic!() };
        let timeout = keys.http_uri.unwrap().timeout.unwrap();
        assert_eq!((timeout.seconds, timeout.nanos), expected);
    }
}

/// The filter of the public listener that verifies tokens.
#[track_caller]
fn authentication(built: &Configuration) -> JwtAuthentication {
    let own: Listener = message(&built.resources, ResourceType::Listener, "public_listener:0.0.0.0:21000");
    let Some(ConfigType::TypedConfig(config)) = &own.filter_chains[0].filters[0].config_type else {
        panic!("no manager")
    };
    let manager: HttpConnectionManager = unpacked(config);
    let filter = manager.http_filters.iter().find(|own| own.name == "envoy.filters.http.jwt_authn");
    let Some(HttpConfigType::TypedConfig(config)) = &filter.expect("the filter").config_type else {
        panic!("no filter")
    };
    unpacked(config)
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
