//! Where answers differ from Consul's on purpose: each row of docs/differences.md that is about what a request
//! may say, or about what is told of it.

use serde_json::{Value, json};

use crate::acl::token;
use crate::world::{ROOT, Setup, World};

async fn register(world: &World, body: &Value) -> (u16, String) {
    let answer = world.put("/v1/agent/service/register", body.to_string()).send().await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn what_is_wrong_with_a_request_in_itself_is_the_callers_fault() {
    let world = Setup::default().start().await;
    for (path, body) in [
        ("/v1/catalog/register", json!({ "Address": "10.0.0.1" })),
        ("/v1/catalog/deregister", json!({})),
        ("/v1/config", json!({ "Kind": "service-intentions", "Name": "web", "Sources": [] })),
        ("/v1/connect/intentions/exact?source=web", json!({ "Action": "allow" })),
    ] {
        assert_eq!(world.put(path, body.to_string()).send().await.status, 400, "{path}");
    }
    world.get("/v1/connect/intentions/x").refused(400, "UUID").await;
    world.stop().await;
}

#[tokio::test]
async fn keys_are_known_in_both_styles_and_what_was_told_may_be_sent_back() {
    let world = Setup::default().start().await;
    let check = json!({ "Name": "c", "CheckID": "own", "TTL": "10m", "success_before_passing": 2 });
    world.put("/v1/agent/check/register", check.to_string()).ok().await;
    assert_eq!(world.get("/v1/agent/checks").json().await["own"]["Name"], "c");
    let node =
        json!({ "node": "n2", "address": "10.0.0.2", "Service": { "Service": "web", "CreateIndex": 7 } });
    world.put("/v1/catalog/register", node.to_string()).ok().await;
    world.put("/v1/catalog/register", r#"{"Node":"n2","Bogus":1}"#).refused(400, "Bogus").await;
    world.stop().await;
}

#[tokio::test]
async fn an_empty_duration_is_none() {
    let world = Setup::default().start().await;
    let put = |body: Value| world.put("/v1/agent/check/register", body.to_string());
    put(json!({ "Name": "ttl", "TTL": "10m", "Interval": "", "Timeout": "" })).ok().await;
    let text = "Interval must be > 0";
    put(json!({ "Name": "tcp", "TCP": "127.0.0.1:1", "Interval": "" })).refused(400, text).await;
    put(json!({ "Name": "tcp", "TCP": "127.0.0.1:1", "Interval": "soon" })).refused(400, "Interval").await;
    world.stop().await;
}

#[tokio::test]
async fn a_refused_registration_takes_no_check_over_and_leaves_nothing() {
    let world = Setup::default().start().await;
    world.put("/v1/agent/check/register", r#"{"Name":"alive","TTL":"10m"}"#).ok().await;
    let (status, text) =
        register(&world, &json!({ "Name": "web", "Check": { "CheckID": "alive", "TTL": "10m" } })).await;
    assert_eq!(status, 400);
    assert!(text.contains("is that of a check of the node"), "{text}");
    assert_eq!(world.get("/v1/agent/services").send().await.body, "{}");
    world.stop().await;
}

#[tokio::test]
async fn names_have_no_slashes() {
    let world = Setup::default().start().await;
    let (status, text) = register(&world, &json!({ "Name": "team/web" })).await;
    assert_eq!(status, 400);
    assert!(text.contains("contains '/'"), "{text}");
    for path in ["/v1/catalog/service/team/web", "/v1/health/service/team%2Fweb", "/v1/health/node/team/n1"] {
        world.get(path).refused(400, "contains '/'").await;
    }
    assert_eq!(register(&world, &json!({ "Name": "web", "ID": "team/web" })).await.0, 200);
    world.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_of_a_query_is_refused_wherever_it_stands() {
    let world = Setup::default().start().await;
    world.get("/v1/catalog/datacenters?wait=x").refused(400, "Invalid wait time").await;
    world.get("/v1/status/leader?index=x").refused(400, "Invalid index").await;
    world.get("/v1/catalog/datacenters?wait=1s").ok().await;
    world.stop().await;
}

#[tokio::test]
async fn a_node_keeps_its_id() {
    let world = Setup::default().start().await;
    let id = "11111111-1111-1111-1111-111111111111";
    for body in [
        json!({ "Node": "n2", "Address": "10.0.0.2", "ID": id }),
        json!({ "Node": "n2", "Address": "10.0.0.3" }),
    ] {
        world.put("/v1/catalog/register", body.to_string()).ok().await;
    }
    let node = world.get("/v1/catalog/node/n2").json().await;
    assert_eq!((&node["Node"]["ID"], &node["Node"]["Address"]), (&json!(id), &json!("10.0.0.3")));
    world.stop().await;
}

#[tokio::test]
async fn who_may_not_see_a_service_is_told_of_no_instance_that_stands_for_it() {
    let world = Setup::guarded().start().await;
    let body = json!({ "Node": "n2", "Address": "10.0.0.2", "Service": { "Service": "web", "Port": 80, "Connect": { "Native": true } } });
    world.put("/v1/catalog/register", body.to_string()).token(ROOT).ok().await;
    let (_, other) = token(&world, r#"service "db" { policy = "read" }"#).await;
    assert_eq!(world.get("/v1/health/connect/web").token(&other).json().await, json!([]));
    let seen = world.get("/v1/health/connect/web").token(ROOT).json().await;
    assert_eq!(seen.as_array().map(Vec::len), Some(1));
    world.stop().await;
}

#[tokio::test]
async fn sources_of_equal_precedence_stand_by_name() {
    let world = Setup::default().start().await;
    for source in ["b", "a", "*", "c"] {
        let path = format!("/v1/connect/intentions/exact?source={source}&destination=web");
        world.put(&path, r#"{"Action":"allow"}"#).ok().await;
    }
    let entry = world.get("/v1/config/service-intentions/web").json().await;
    let names: Vec<_> =
        entry["Sources"].as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "b", "c", "*"]);
    world.stop().await;
}
