//! Tests of intended differences from Consul: each row of docs/differences.md about the content of a request, or
//! about the answer to it.

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
        (
            "/v1/catalog/register",
            json!({ "Node": "n2", "Address": "10.0.0.2", "Service": { "Service": "" } }),
        ),
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
    for wrong in [json!(1.5), json!(["1s"]), json!(true), json!({})] {
        let body = json!({ "Name": "ttl", "TTL": "10m", "Timeout": wrong });
        put(body).refused(400, "expected a duration").await;
    }
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
    let script = r#"{"Name":"alive","Args":["true"],"Interval":"1h"}"#;
    world.put("/v1/agent/check/register", script).refused(500, "Scripts are disabled").await;
    assert_eq!(world.get("/v1/agent/checks").json().await["alive"]["Type"], "ttl");
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
    assert_eq!(register(&world, &json!({ "Name": "web" })).await.0, 200);
    world.get("/v1/agent/service/web?index=x").refused(400, "Invalid index").await;
    world.get("/v1/agent/service/web?index=1").ok().await;
    let empty = "/v1/connect/intentions/check?source=&destination=web";
    world.get(empty).refused(400, "required query parameter 'source' not set").await;
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
    for path in ["/v1/health/connect/web", "/v1/catalog/connect/web"] {
        let unseen = world.get(path).token(&other).send().await;
        assert_eq!((unseen.status, unseen.body.trim()), (200, "[]"), "{path}");
        assert_eq!(unseen.header("x-consul-knownleader"), Some("true"), "{path}");
    }
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

#[tokio::test]
async fn services_of_the_mesh_have_a_virtual_address_in_the_catalog() {
    let world = Setup::default().start().await;
    let tagged = json!({ "lan": { "Address": "10.0.0.9", "Port": 81 } });
    let web = json!({ "Name": "web", "Port": 80, "TaggedAddresses": tagged, "Connect": { "Native": true } });
    assert_eq!(register(&world, &web).await.0, 200);
    let node = json!({ "Node": "n2", "Address": "10.0.0.2", "Service": { "Service": "db", "Connect": { "Native": true }, "Port": 80 } });
    world.put("/v1/catalog/register", node.to_string()).ok().await;
    assert_eq!(world.get("/v1/agent/service/web").json().await["TaggedAddresses"], tagged);
    let db = world.get("/v1/health/connect/db").json().await;
    assert_eq!(db[0]["Service"]["Service"], "db");
    let shown = &db[0]["Service"]["TaggedAddresses"]["consul-virtual"];
    assert!(shown["Address"].as_str().unwrap().starts_with("240.0.0."), "{db}");
    assert_eq!(shown["Port"], 80);
    let agents = "/v1/catalog/service/web";
    world.until(agents, "", |answer| answer.body.contains("consul-virtual")).await;
    // It stays there when the agent compares its registrations with the catalog.
    let before = world.get(agents).json().await;
    world.put("/v1/agent/service/register", web.to_string()).ok().await;
    assert_eq!(
        world.get(agents).json().await[0]["ServiceTaggedAddresses"],
        before[0]["ServiceTaggedAddresses"]
    );
    // Operators give a service further ones.
    let set = async |service: &str, addresses: Value| {
        let body = json!({ "Service": service, "ManualVIPs": addresses });
        world.put("/v1/internal/service-virtual-ip", body.to_string()).json().await
    };
    assert_eq!(set("db", json!(["10.1.0.1"])).await, json!({ "Found": true, "UnassignedFrom": null }));
    let lost = json!([{ "ServiceName": { "Name": "db" }, "Peer": "" }]);
    assert_eq!(set("web", json!(["10.1.0.1"])).await, json!({ "Found": true, "UnassignedFrom": lost }));
    assert_eq!(set("none", json!([])).await, json!({ "Found": false, "UnassignedFrom": null }));
    let many: Vec<String> = (0..9).map(|last| format!("10.1.0.{last}")).collect();
    let body = json!({ "Service": "web", "ManualVIPs": many });
    world.put("/v1/internal/service-virtual-ip", body.to_string()).refused(400, "at most 8 addresses").await;
    let body = json!({ "Service": "web", "ManualVIPs": ["x"] });
    world.put("/v1/internal/service-virtual-ip", body.to_string()).refused(400, "not a valid IPv4").await;
    world.stop().await;
}

#[tokio::test]
async fn checks_have_one_shape_wherever_the_agent_tells_of_them() {
    let world = Setup::default().start().await;
    let web = json!({ "Name": "web", "Port": 80, "Check": { "CheckID": "own", "TTL": "10m" } });
    assert_eq!(register(&world, &web).await.0, 200);
    let listed = world.get("/v1/agent/checks").json().await;
    assert_eq!(listed["own"]["Type"], "ttl");
    let by_id = world.get("/v1/agent/health/service/id/web").send().await;
    let by_name = world.get("/v1/agent/health/service/name/web").send().await;
    assert_eq!((by_id.status, by_name.status), (503, 503));
    let read = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    assert_eq!(read(&by_id.body)["Checks"], json!([listed["own"]]));
    assert_eq!(read(&by_name.body)[0]["Checks"], json!([listed["own"]]));
    world.stop().await;
}

#[tokio::test]
async fn waits_for_health_are_answered_by_a_blocking_query_and_by_no_stream() {
    let world = Setup::default().start().await;
    let web = json!({ "Name": "web", "Port": 80, "Connect": { "Native": true } });
    assert_eq!(register(&world, &web).await.0, 200);
    for path in ["/v1/health/service/web", "/v1/health/connect/web"] {
        let waited = world.get(&format!("{path}?index=1&wait=1ms")).send().await;
        assert_eq!(waited.status, 200, "{path}");
        assert_eq!(waited.header("x-consul-query-backend"), Some("blocking-query"), "{path}");
        assert_eq!(waited.header("x-cache"), None, "{path}");
    }
    let datacenters = world.get("/v1/catalog/datacenters?cached").send().await;
    assert_eq!((datacenters.status, datacenters.header("x-cache")), (200, None));
    world.stop().await;
}

#[tokio::test]
async fn a_datacenter_that_is_not_there_is_asked_for_nothing() {
    let world = Setup::guarded().start().await;
    let text = "No path to datacenter";
    world.get("/v1/catalog/datacenters?dc=nope").token(ROOT).refused(500, text).await;
    world.put("/v1/acl/token?dc=nope", "{}").token(ROOT).refused(500, text).await;
    world.put("/v1/acl/token?dc=dc1", "{}").token(ROOT).ok().await;
    let leaf = "/v1/agent/connect/ca/leaf/web";
    world.get(leaf).token(ROOT).ok().await;
    world.get(&format!("{leaf}?dc=nope")).token(ROOT).refused(500, text).await;
    world.get("/v1/catalog/datacenters?dc=dc1").token(ROOT).ok().await;
    // The cache of this datacenter does not answer for another one.
    let intentions = "/v1/connect/intentions/match?by=destination&name=web&cached";
    world.get(intentions).token(ROOT).ok().await;
    world.get(&format!("{intentions}&dc=nope")).token(ROOT).refused(500, text).await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_registered_again_is_as_it_was_registered_last() {
    let world = Setup::default().start().await;
    let node = |more: Value| {
        let mut body = json!({ "Node": "n2", "Address": "10.0.0.2" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        world.put("/v1/catalog/register", body.to_string())
    };
    node(json!({})).ok().await;
    node(json!({ "Locality": { "Region": "r", "Zone": "z" } })).ok().await;
    let there = world.get("/v1/catalog/node/n2").json().await;
    assert_eq!(there["Node"]["Locality"], json!({ "Region": "r", "Zone": "z" }));
    node(json!({})).ok().await;
    assert!(world.get("/v1/catalog/node/n2").json().await["Node"].get("Locality").is_none());

    for (check, kind) in [
        (json!({ "TTL": "10m" }), "ttl"),
        (json!({ "AliasService": "other" }), "alias"),
        (json!({ "TTL": "10m" }), "ttl"),
    ] {
        assert_eq!(register(&world, &json!({ "Name": "web", "Check": check })).await.0, 200);
        let shown = |body: &str| {
            let checks: Value = serde_json::from_str(body).unwrap();
            checks[0]["Type"] == kind
        };
        world.until("/v1/health/checks/web", "", |answer| shown(&answer.body)).await;
        let heard = world.put("/v1/agent/check/pass/service:web", "").send().await.status;
        assert_eq!(heard, if kind == "ttl" { 200 } else { 400 }, "{kind}");
    }
    world.stop().await;
}

#[tokio::test]
async fn checks_follow_the_service_they_are_about() {
    let world = Setup::guarded().start().await;
    let put = |body: Value| world.put("/v1/agent/service/register", body.to_string()).token(ROOT);
    let check = json!({ "CheckID": "c1", "TTL": "10m" });
    put(json!({ "Name": "db", "ID": "i", "Tags": ["old"], "Check": check })).ok().await;
    let (_, of_db) = token(&world, r#"service "db" { policy = "write" }"#).await;
    let (_, of_web) = token(&world, r#"service "web" { policy = "write" }"#).await;
    world.put("/v1/agent/check/pass/c1", "").token(&of_db).ok().await;
    put(json!({ "Name": "web", "ID": "i", "Tags": ["new"] })).ok().await;
    let own = world.get("/v1/agent/checks").token(ROOT).json().await["c1"].clone();
    assert_eq!((&own["ServiceName"], &own["ServiceTags"]), (&json!("web"), &json!(["new"])));
    world.put("/v1/agent/check/deregister/c1", "").token(&of_db).refused(403, "service:write").await;
    world.put("/v1/agent/check/deregister/c1", "").token(&of_web).ok().await;
    world.stop().await;
}

#[tokio::test]
async fn what_is_hidden_is_told_whatever_tag_or_filter_asks_for() {
    let world = Setup::guarded().start().await;
    let body =
        json!({ "Node": "n2", "Address": "10.0.0.2", "Service": { "Service": "web", "Tags": ["red"] } });
    world.put("/v1/catalog/register", body.to_string()).token(ROOT).ok().await;
    let (_, other) = token(&world, r#"service "db" { policy = "read" }"#).await;
    for query in ["", "?tag=red", "?tag=blue", "?filter=Service.Port==7"] {
        let told = world.get(&format!("/v1/health/service/web{query}")).token(&other).send().await;
        assert_eq!((told.status, told.body.trim()), (200, "[]"), "{query}");
        assert_eq!(told.header("x-consul-results-filtered-by-acls"), Some("true"), "{query}");
        let all = world.get(&format!("/v1/health/service/web{query}")).token(ROOT).send().await;
        assert_eq!(all.header("x-consul-results-filtered-by-acls"), None, "{query}");
    }
    world.stop().await;
}

#[tokio::test]
async fn tags_of_a_service_stand_by_name() {
    let world = Setup::default().start().await;
    for (id, tags) in [("1", json!(["c", "a"])), ("2", json!(["d", "b", "a"]))] {
        let body = json!({ "Node": "n2", "Address": "10.0.0.2", "Service": { "ID": id, "Service": "web", "Tags": tags } });
        world.put("/v1/catalog/register", body.to_string()).ok().await;
    }
    assert_eq!(world.get("/v1/catalog/services").json().await["web"], json!(["a", "b", "c", "d"]));
    world.stop().await;
}

#[tokio::test]
async fn an_exposed_check_tells_no_port() {
    let world = Setup::default().start().await;
    let every = json!({ "CheckID": "c1", "HTTP": "http://127.0.0.1:1/h", "Interval": "1h" });
    assert_eq!(register(&world, &json!({ "Name": "web", "Port": 80, "Check": every })).await.0, 200);
    let proxy = json!({ "DestinationServiceName": "web", "DestinationServiceID": "web", "Expose": { "Checks": true } });
    let body = json!({ "Name": "p", "Kind": "connect-proxy", "Port": 21000, "Proxy": proxy });
    assert_eq!(register(&world, &body).await.0, 200);
    assert_eq!(world.get("/v1/agent/service/p").json().await["Proxy"]["Expose"]["Checks"], true);
    assert_eq!(world.get("/v1/agent/checks").json().await["c1"]["ExposedPort"], 0);
    world.stop().await;
}
