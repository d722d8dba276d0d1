//! Tests of `jwt-provider`: what it may say, and what intentions need of it.

use concord_mesh::entry::{Change, check_graph};
use concord_model::entry::Entry;
use concord_model::intention::{
    Action, Decision, JwtProviderRequirement, JwtRequirement, Permission, ServiceIntentions,
};
use serde_json::{Value, json};

use crate::defaults::{Kept, intentions};
use crate::kinds::{check, told};

const KIND: &str = "jwt-provider";

fn with(mut more: Value) -> Value {
    let keys = json!({ "local": { "jwks": "e30=" } });
    more.as_object_mut().unwrap().entry("json_web_key_set").or_insert(keys);
    more
}

fn remote(more: Value) -> Value {
    let mut remote = json!({ "uri": "https://issuer.example.com/keys" });
    remote.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "json_web_key_set": { "remote": remote } })
}

fn cluster(more: Value) -> Value {
    remote(json!({ "jwks_cluster": more }))
}

#[test]
fn what_a_provider_says_wrongly_is_told_by_its_field() {
    let keys = |keys: Value| json!({ "json_web_key_set": keys });
    let local = |local: Value| json!({ "json_web_key_set": { "local": local } });
    let location = |location: Value| with(json!({ "locations": [location] }));
    check(KIND, with(json!({})), &[]);
    check(KIND, remote(json!({})), &[]);
    check(KIND, local(json!({ "filename": "/keys.json" })), &[]);
    check(KIND, json!({}), &["JSONWebKeySet is required"]);
    let one = "JSONWebKeySet must specify exactly one of Local, Remote;";
    check(KIND, keys(json!({})), &[one]);
    let both = json!({ "local": { "filename": "/x" }, "remote": { "uri": "https://x" } });
    check(KIND, keys(both), &[one]);
    let one = "JSONWebKeySet.Local must specify exactly one of JWKS, Filename;";
    check(KIND, local(json!({})), &[one]);
    check(KIND, local(json!({ "jwks": "e30=", "filename": "/x" })), &[one]);
    for jwks in ["e30", "e3-_", "=e30", "e=30", "e 0="] {
        check(KIND, local(json!({ "jwks": jwks })), &["JSONWebKeySet.Local.JWKS must be valid base64"]);
    }
    let long = "A".repeat(256 * 1024 + 4);
    check(KIND, local(json!({ "jwks": long })), &["JSONWebKeySet.Local.JWKS exceeds maximum length 262144"]);
    check(KIND, remote(json!({ "uri": "" })), &["JSONWebKeySet.Remote.URI is required"]);
    for uri in ["issuer.example.com/keys", "ftp://x/y", "https://", "https:///keys", "https://a b"] {
        check(
            KIND,
            remote(json!({ "uri": uri })),
            &["JSONWebKeySet.Remote.URI is invalid; use an absolute URL"],
        );
    }
    check(
        KIND,
        remote(json!({ "cache_duration": -1 })),
        &["JSONWebKeySet.Remote.CacheDuration cannot be negative"],
    );
    let pauses = |base: i64, max: i64| {
        let pauses = json!({ "base_interval": base, "max_interval": max });
        remote(json!({ "retry_policy": { "retry_policy_back_off": pauses } }))
    };
    check(KIND, pauses(5, 0), &[]);
    check(KIND, pauses(5, 5), &[]);
    let at = "JSONWebKeySet.Remote.RetryPolicy.RetryPolicyBackOff";
    check(KIND, pauses(6, 5), &[&format!("{at}.MaxInterval should be greater or equal to BaseInterval")]);
    check(
        KIND,
        pauses(-6, -5),
        &[&format!("{at}.BaseInterval cannot be negative"), &format!("{at}.MaxInterval cannot be negative")],
    );
    let at = "JSONWebKeySet.Remote.JWKSCluster";
    check(
        KIND,
        cluster(json!({ "connect_timeout": -1 })),
        &[&format!("{at}.ConnectTimeout cannot be negative")],
    );
    let one =
        format!("{at}.TLSCertificates must specify exactly one of CaCertificateProviderInstance, TrustedCA;");
    check(KIND, cluster(json!({ "tls_certificates": {} })), &[&one]);
    let both = json!({ "CaCertificateProviderInstance": {}, "trusted_ca": { "filename": "/x" } });
    check(KIND, cluster(json!({ "tls_certificates": both })), &[&one]);
    let at = format!("{at}.TLSCertificates.TrustedCA");
    let trusted = |ca: Value| cluster(json!({ "tls_certificates": { "trusted_ca": ca } }));
    let one =
        format!("{at} must specify exactly one of Filename, EnvironmentVariable, InlineString, InlineBytes;");
    check(KIND, trusted(json!({})), &[&one]);
    check(KIND, trusted(json!({ "filename": "/x", "inline_string": "PEM" })), &[&one]);
    check(
        KIND,
        trusted(json!({ "inline_bytes": "?" })),
        &[&format!("{at}.InlineBytes must be valid base64")],
    );
    let one = "Locations[0] must specify exactly one of Header, QueryParam, Cookie;";
    check(KIND, location(json!({})), &[one]);
    check(KIND, location(json!({ "cookie": { "name": "a" }, "header": { "name": "a" } })), &[one]);
    check(KIND, location(json!({ "header": {} })), &["Locations[0].Header.Name is required"]);
    check(KIND, location(json!({ "query_param": {} })), &["Locations[0].QueryParam.Name is required"]);
    check(KIND, location(json!({ "cookie": {} })), &["Locations[0].Cookie.Name is required"]);
    check(KIND, with(json!({ "forwarding": {} })), &["Forwarding.HeaderName is required"]);
    let many = |key: &str, count: usize, one: Value| with(json!({ key: vec![one; count] }));
    check(KIND, many("audiences", 257, json!("a")), &["Audiences exceeds maximum element count 256"]);
    let cookie = json!({ "cookie": { "name": "a" } });
    check(KIND, many("locations", 65, cookie), &["Locations exceeds maximum element count 64"]);
    let long = "a".repeat(8193);
    check(KIND, with(json!({ "issuer": long })), &["Issuer exceeds maximum length 8192"]);
    check(KIND, with(json!({ "audiences": [long] })), &["Audiences[0] exceeds maximum length 8192"]);
    told(KIND, "*", with(json!({})), &["Name must be the name of one entry, and not a wildcard"]);
}

fn asks_for(provider: &str) -> Option<JwtRequirement> {
    let provider = JwtProviderRequirement { name: provider.to_owned(), verify_claims: Vec::new() };
    Some(JwtRequirement { providers: vec![provider] })
}

fn allowed(jwt: Option<JwtRequirement>) -> ServiceIntentions {
    ServiceIntentions { jwt, ..intentions("web", Decision::Connection(Action::Allow)) }
}

fn by_permission(provider: &str) -> ServiceIntentions {
    let permission = Permission { action: Action::Allow, http: None, jwt: asks_for(provider) };
    intentions("web", Decision::Requests(vec![permission]))
}

fn http() -> Kept {
    Kept::default().with(crate::kinds::entry("service-defaults", "web", json!({ "protocol": "http" })))
}

fn okta() -> Entry {
    crate::kinds::entry(KIND, "okta", with(json!({})))
}

#[test]
fn n_190_tokens_need_an_issuer_that_stands() {
    let missing = "Referenced JWT Provider does not exist. Provider Name: okta;";
    for own in [allowed(asks_for("okta")), by_permission("okta")] {
        let own = Entry::ServiceIntentions(own);
        http().refuses(&own, missing);
        let kept = http().with(okta()).takes(own.clone());
        let removal = Change { name: &okta().name(), to: None };
        let refused = check_graph(&kept, removal).unwrap_err().to_string();
        assert!(
            refused.starts_with("cannot delete jwt provider config entry referenced by an intention. Provider name: okta, intention name: \"web\""),
            "{refused}"
        );
        assert_eq!(kept.asked(&okta()), Ok(()), "it may change");
        let other = crate::kinds::entry(KIND, "other", with(json!({}))).name();
        assert_eq!(check_graph(&kept.with(Entry::clone(&okta())), Change { name: &other, to: None }), Ok(()));
    }
    let kept = http().with(okta());
    let own = &by_permission("other").sources[0];
    let destination = allowed(None).destination;
    let refused = concord_mesh::entry::check_source(&kept, &destination, own).unwrap_err().to_string();
    assert!(refused.starts_with("Referenced JWT Provider does not exist. Provider Name: other"), "{refused}");
    let removal = Change { name: &okta().name(), to: None };
    assert_eq!(check_graph(&kept.takes(Entry::ServiceIntentions(allowed(None))), removal), Ok(()));
}
