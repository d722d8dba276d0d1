//! Tests that each method requests the right path, with the right parameters and body.

use concord_api::agent::{CheckUpdate, Reloaded};
use concord_api::connect::AuthorizeBody;
use concord_client::testing::{Scripted, ScriptedServer};
use concord_client::{Cas, Client, Error, QueryOptions, TtlVerdict};
use serde_json::json;

use crate::pair;

/// Checks the last request: its line, then its body if it has one.
#[track_caller]
fn check<T>(server: &ScriptedServer, outcome: Result<T, Error>, line: &str, body: &str) -> T {
    let value = outcome.unwrap_or_else(|error| panic!("{line}: {error}"));
    let seen = server.seen().pop().expect("a request was made");
    assert_eq!((seen.line().as_str(), seen.body.as_str()), (line, body));
    value
}

async fn answering(body: &'static str) -> (ScriptedServer, Client) {
    pair(move |_| Scripted::ok(body), |_| {}).await
}

#[tokio::test]
async fn writes_of_the_agent() {
    let (s, c) = answering("").await;
    let o = &QueryOptions::default();
    check(&s, c.agent_leave(o).await, "PUT /v1/agent/leave", "");
    assert_eq!(check(&s, c.agent_reload(o).await, "PUT /v1/agent/reload", ""), Reloaded::default());
    let line = "PUT /v1/agent/service/register";
    check(&s, c.service_register(&json!({"Name": "a"}), false, o).await, line, r#"{"Name":"a"}"#);
    let line = "PUT /v1/agent/service/register?replace-existing-checks=true";
    check(&s, c.service_register(&json!({}), true, o).await, line, "{}");
    check(&s, c.service_deregister("a b", o).await, "PUT /v1/agent/service/deregister/a%20b", "");
    check(
        &s,
        c.check_register(&json!({"Name": "a"}), o).await,
        "PUT /v1/agent/check/register",
        r#"{"Name":"a"}"#,
    );
    check(&s, c.check_deregister("a", o).await, "PUT /v1/agent/check/deregister/a", "");
    let verdicts = [(TtlVerdict::Pass, "pass"), (TtlVerdict::Warn, "warn"), (TtlVerdict::Fail, "fail")];
    for (verdict, word) in verdicts {
        let line = format!("PUT /v1/agent/check/{word}/a?note=so");
        check(&s, c.check_ttl("a", verdict, "so", o).await, &line, "");
    }
    let update = CheckUpdate { status: "passing".to_owned(), output: "so".to_owned() };
    let line = "PUT /v1/agent/check/update/a";
    check(&s, c.check_update("a", &update, o).await, line, r#"{"Status":"passing","Output":"so"}"#);
    check(&s, c.catalog_register(&json!({}), o).await, "PUT /v1/catalog/register", "{}");
    check(&s, c.catalog_deregister(&json!({}), o).await, "PUT /v1/catalog/deregister", "{}");
    check(&s, c.ca_config_set(&json!({}), o).await, "PUT /v1/connect/ca/configuration", "{}");
}

#[tokio::test]
async fn reads_of_lists() {
    let (s, c) = answering("[]").await;
    let o = &QueryOptions::default();
    let members = c.agent_members(true, "_all", o).await;
    check(&s, members, "GET /v1/agent/members?wan=1&segment=_all", "");
    check(&s, c.agent_members(false, "", o).await, "GET /v1/agent/members", "");
    check(&s, c.status_peers(o).await, "GET /v1/status/peers", "");
    check(&s, c.catalog_nodes(o).await, "GET /v1/catalog/nodes", "");
    check(&s, c.catalog_service("a", o).await, "GET /v1/catalog/service/a", "");
    check(&s, c.catalog_connect("a", o).await, "GET /v1/catalog/connect/a", "");
    check(&s, c.health_node("a", o).await, "GET /v1/health/node/a", "");
    check(&s, c.health_checks("a", o).await, "GET /v1/health/checks/a", "");
    check(&s, c.health_state("any", o).await, "GET /v1/health/state/any", "");
    let passing = QueryOptions { passing: true, ..QueryOptions::default() };
    check(&s, c.health_service("a", &passing).await, "GET /v1/health/service/a?passing=1", "");
    check(&s, c.health_connect("a", o).await, "GET /v1/health/connect/a", "");
    check(&s, c.intentions(o).await, "GET /v1/connect/intentions", "");
    check(&s, c.acl_tokens(o).await, "GET /v1/acl/tokens", "");
    check(&s, c.acl_policies(o).await, "GET /v1/acl/policies", "");
    let entries = c.config_entries::<serde_json::Value>("service-intentions", o).await;
    check(&s, entries, "GET /v1/config/service-intentions", "");
}

#[tokio::test]
async fn reads_of_objects() {
    let (s, c) = answering("{}").await;
    let o = &QueryOptions::default();
    check(&s, c.agent_self(o).await, "GET /v1/agent/self", "");
    check(&s, c.agent_services(o).await, "GET /v1/agent/services", "");
    let hash = QueryOptions { hash: "h".to_owned(), ..QueryOptions::default() };
    check(&s, c.agent_service("a", &hash).await, "GET /v1/agent/service/a?hash=h", "");
    check(&s, c.agent_checks(o).await, "GET /v1/agent/checks", "");
    check(&s, c.catalog_services(o).await, "GET /v1/catalog/services", "");
    check(&s, c.connect_roots(o).await, "GET /v1/agent/connect/ca/roots", "");
    check(&s, c.ca_roots(o).await, "GET /v1/connect/ca/roots", "");
    check(&s, c.ca_config(o).await, "GET /v1/connect/ca/configuration", "");
    let pair = "source=web&destination=default%2Fdb";
    let exact = format!("/v1/connect/intentions/exact?{pair}");
    check(&s, c.intention_exact("web", "default/db", o).await, &format!("GET {exact}"), "");
    let body = json!({"Action": "deny"});
    let write = c.intention_write("web", "default/db", &body, o).await;
    check(&s, write, &format!("PUT {exact}"), r#"{"Action":"deny"}"#);
    check(&s, c.intention_delete("web", "default/db", o).await, &format!("DELETE {exact}"), "");
    check(&s, c.intention_by_id("i", o).await, "GET /v1/connect/intentions/i", "");
    check(&s, c.intention_delete_by_id("i", o).await, "DELETE /v1/connect/intentions/i", "");
    let line = "GET /v1/connect/intentions/match?by=source&name=a&name=b";
    check(&s, c.intention_match("source", &["a", "b"], o).await, line, "");
    let line = format!("GET /v1/connect/intentions/check?{pair}");
    assert!(!check(&s, c.intention_check("web", "default/db", o).await, &line, "").value.allowed);
    let line = "GET /v1/config/service-intentions/web";
    check(&s, c.config_entry::<serde_json::Value>("service-intentions", "web", o).await, line, "");
    check(&s, c.acl_policy("i", o).await, "GET /v1/acl/policy/i", "");
    check(&s, c.acl_policy_by_name("n", o).await, "GET /v1/acl/policy/name/n", "");
    check(&s, c.acl_policy_create(&json!({"Name": "n"}), o).await, "PUT /v1/acl/policy", r#"{"Name":"n"}"#);
    check(&s, c.acl_policy_update("i", &json!({}), o).await, "PUT /v1/acl/policy/i", "{}");
    check(&s, c.acl_policy_delete("i", o).await, "DELETE /v1/acl/policy/i", "");
    check(&s, c.acl_token_delete("i", o).await, "DELETE /v1/acl/token/i", "");
}

#[tokio::test]
async fn tokens_and_leaves_bring_their_secrets() {
    let (s, c) = answering(r#"{"AccessorID":"a","SecretID":"s"}"#).await;
    let o = &QueryOptions::default();
    let token = check(&s, c.acl_bootstrap("", o).await, "PUT /v1/acl/bootstrap", "");
    assert_eq!(token.value.secret_id.expose(), "s");
    let line = "PUT /v1/acl/bootstrap";
    check(&s, c.acl_bootstrap("x", o).await, line, r#"{"BootstrapSecret":"x"}"#);
    check(&s, c.acl_token("a", o).await, "GET /v1/acl/token/a", "");
    check(&s, c.acl_token_self(o).await, "GET /v1/acl/token/self", "");
    check(&s, c.acl_token_create(&json!({}), o).await, "PUT /v1/acl/token", "{}");
    check(&s, c.acl_token_update("a", &json!({}), o).await, "PUT /v1/acl/token/a", "{}");
    check(&s, c.acl_token_clone("a", "d", o).await, "PUT /v1/acl/token/a/clone", r#"{"Description":"d"}"#);
    let leaf = concat!(
        r#"{"SerialNumber":"1","CertPEM":"c","PrivateKeyPEM":"k","Service":"web","#,
        r#""ServiceURI":"u","ValidAfter":"2025-01-01T00:00:00Z","ValidBefore":"2025-01-04T00:00:00Z"}"#
    );
    let (s, c) = answering(leaf).await;
    let leaf = check(&s, c.connect_leaf("web", o).await, "GET /v1/agent/connect/ca/leaf/web", "");
    assert_eq!(leaf.value.private_key_pem.expose(), "k");
}

#[tokio::test]
async fn authorize_posts_its_question() {
    let (s, c) = answering(r#"{"Authorized":true,"Reason":"r"}"#).await;
    let question = AuthorizeBody {
        target: "db".into(),
        client_cert_uri: "spiffe://t/x".into(),
        client_cert_serial: "01".into(),
    };
    let body = r#"{"Target":"db","ClientCertURI":"spiffe://t/x","ClientCertSerial":"01"}"#;
    let outcome = c.connect_authorize(&question, &QueryOptions::default()).await;
    assert!(check(&s, outcome, "POST /v1/agent/connect/authorize", body).value.authorized);
}

#[tokio::test]
async fn entries_are_compared_and_set() {
    let (s, c) = answering("false").await;
    let o = &QueryOptions::default();
    let entry = json!({"Kind": "k"});
    let at = Cas::IfModifiedAt(9);
    assert!(!check(&s, c.config_entry_write(&entry, at, o).await, "PUT /v1/config?cas=9", r#"{"Kind":"k"}"#));
    assert!(!check(
        &s,
        c.config_entry_write(&entry, Cas::Always, o).await,
        "PUT /v1/config",
        r#"{"Kind":"k"}"#
    ));
    assert!(!check(&s, c.config_entry_delete("k", "n", at, o).await, "DELETE /v1/config/k/n?cas=9", ""));
    let (s, c) = answering("{}").await;
    assert!(check(&s, c.config_entry_delete("k", "n", Cas::Always, o).await, "DELETE /v1/config/k/n", ""));
}

#[tokio::test]
async fn gos_null_is_nothing() {
    let (s, c) = answering("null").await;
    let o = &QueryOptions::default();
    assert!(check(&s, c.intentions(o).await, "GET /v1/connect/intentions", "").value.is_empty());
    assert!(check(&s, c.acl_tokens(o).await, "GET /v1/acl/tokens", "").value.is_empty());
    assert!(check(&s, c.catalog_node("n", o).await, "GET /v1/catalog/node/n", "").value.is_none());
    let (_, c) = answering(r#"{"a":null}"#).await;
    let matches = c.intention_match("source", &["a"], o).await.unwrap().value;
    assert_eq!(matches.get("a").map(Vec::len), Some(0));
}
