//! Catalog, health and status over HTTP.

use serde_json::{Value, json};

use crate::acl::token;
use crate::world::{ROOT, Setup, World};

async fn fill(world: &World) {
    let record = json!({
        "Node": "n2", "Address": "10.0.0.2", "NodeMeta": {"rack": "a"},
        "Service": {"ID": "web1", "Service": "web", "Tags": ["v1", "blue"], "Port": 8080, "Meta": {"version": "1"}},
        "Checks": [{"Node": "n2", "CheckID": "c1", "Name": "c1", "Status": "passing", "ServiceID": "web1"}],
    });
    assert_eq!(world.put("/v1/catalog/register", record.to_string()).json().await, json!(true));
    let proxy = json!({
        "Node": "n2", "Address": "10.0.0.2", "SkipNodeUpdate": true,
        "Service": {"ID": "web1-proxy", "Service": "web-proxy", "Kind": "connect-proxy", "Port": 21000,
                    "Proxy": {"DestinationServiceName": "web"}},
        "Check": {"Node": "n2", "CheckID": "c2", "Name": "c2", "Status": "critical", "ServiceID": "web1-proxy"},
    });
    world.put("/v1/catalog/register", proxy.to_string()).ok().await;
}

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|one| one.pointer(field).unwrap().as_str().unwrap()).collect()
}

#[tokio::test]
async fn ports_by_name_are_shown_wherever_their_service_is() {
    let world = Setup::default().start().await;
    let written = json!([{"Name": "http", "Port": 8080, "Default": true}, {"Name": "metrics", "Port": 9090}]);
    let shown = json!([{"Name": "http", "Port": 8080, "Default": true},
                       {"Name": "metrics", "Port": 9090, "Default": false}]);
    let record =
        json!({"Node": "n2", "Address": "10.0.0.2", "Service": {"Service": "far", "Ports": written}});
    world.put("/v1/catalog/register", record.to_string()).ok().await;
    let body = json!({"Name": "web", "Ports": written}).to_string();
    world.put("/v1/agent/service/register", body).ok().await;
    let is = |value: &Value, port: &str, ports: &str| {
        assert_eq!((&value[port], &value[ports]), (&json!(8080), &shown));
    };
    is(&world.get("/v1/agent/services").json().await["web"], "Port", "Ports");
    is(&world.get("/v1/agent/service/web").json().await, "Port", "Ports");
    for name in ["far", "web"] {
        let path = format!("/v1/catalog/service/{name}");
        world.until(&path, "", |answer| answer.body.contains("9090")).await;
        is(&world.get(&path).json().await[0], "ServicePort", "ServicePorts");
        let health = world.get(&format!("/v1/health/service/{name}")).json().await;
        is(&health[0]["Service"], "Port", "Ports");
    }
    is(&world.get("/v1/catalog/node/n2").json().await["Services"]["far"], "Port", "Ports");
    is(&world.get("/v1/catalog/node-services/n2").json().await["Services"][0], "Port", "Ports");
    // Consul's filters do not know them.
    let filtered = world.get("/v1/catalog/node-services/n2?filter=Ports+is+empty").send().await;
    assert_eq!(filtered.status, 500);
    world.stop().await;
}

#[tokio::test]
async fn records_are_shown_in_every_view() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let nodes = world.get("/v1/catalog/nodes?node-meta=rack:a").json().await;
    assert_eq!(names(&nodes, "/Node"), ["n2"]);
    let services = world.get("/v1/catalog/services").json().await;
    assert_eq!(services["web"], json!(["blue", "v1"]));
    let instances = world.get("/v1/catalog/service/web?tag=blue&near=n2").json().await;
    assert_eq!(names(&instances, "/ServiceID"), ["web1"]);
    assert_eq!(world.get("/v1/catalog/service/web?tag=red").json().await, json!([]));
    // As in Consul, an empty tag is a tag that no instance has.
    assert_eq!(world.get("/v1/catalog/service/web?tag=").json().await, json!([]));
    assert_eq!(world.get("/v1/health/service/web?tag=").json().await, json!([]));
    let mesh = world.get("/v1/catalog/connect/web").json().await;
    assert_eq!(names(&mesh, "/ServiceID"), ["web1-proxy"]);
    // Tags are not compared with proxies, as in Consul.
    assert_eq!(world.get("/v1/catalog/connect/web?tag=red").json().await, mesh);
    let all = world.get("/v1/health/connect/web").json().await;
    assert_eq!(names(&all, "/Service/ID"), ["web1-proxy"]);
    assert_eq!(world.get("/v1/health/connect/web?tag=red").json().await, all);
    let node = world.get("/v1/catalog/node/n2").json().await;
    assert_eq!(node["Services"]["web1"]["Port"], 8080);
    assert_eq!(world.get("/v1/catalog/node/nobody").send().await.body, "null");
    let list = world.get("/v1/catalog/node-services/n2").json().await;
    assert_eq!(names(&list["Services"], "/ID"), ["web1", "web1-proxy"]);
    let nobody = world.get("/v1/catalog/node-services/nobody").json().await;
    assert_eq!(nobody["Services"], Value::Null);

    let health = world.get("/v1/health/service/web?passing").json().await;
    assert_eq!(names(&health, "/Service/ID"), ["web1"]);
    assert_eq!(names(&health[0]["Checks"], "/CheckID"), ["c1"]);
    assert_eq!(world.get("/v1/health/connect/web?passing").json().await, json!([]));
    assert_eq!(world.get("/v1/health/connect/web?passing=false").json().await.as_array().unwrap().len(), 1);
    assert_eq!(names(&world.get("/v1/health/checks/web").json().await, "/CheckID"), ["c1"]);
    assert_eq!(names(&world.get("/v1/health/node/n2").json().await, "/CheckID"), ["c1", "c2"]);
    world.stop().await;
}

#[tokio::test]
async fn lists_are_filtered() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let count = async |path: &str| world.get(path).json().await.as_array().unwrap().len();
    assert_eq!(count("/v1/catalog/nodes?filter=Meta.rack+%3D%3D+a").await, 1);
    assert_eq!(count("/v1/catalog/nodes?filter=Meta.rack+%3D%3D+b").await, 0);
    assert_eq!(count("/v1/catalog/service/web?filter=%22blue%22+in+ServiceTags").await, 1);
    assert_eq!(count("/v1/catalog/service/web?filter=ServiceMeta.version+%3D%3D+2").await, 0);
    assert_eq!(count("/v1/health/service/web?filter=Checks.Status+%3D%3D+passing").await, 1);
    assert_eq!(count("/v1/health/node/n2?filter=Status+%3D%3D+critical").await, 1);
    let node = world.get("/v1/catalog/node/n2?filter=Port+%3D%3D+8080").json().await;
    assert_eq!(node["Services"].as_object().unwrap().len(), 1);
    world.stop().await;
}

#[tokio::test]
async fn checks_are_listed_by_their_state() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let list = async |path: &str| {
        let all = world.get(&format!("/v1/health/state/{path}")).json().await;
        names(&all, "/CheckID").into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(list("any").await, ["serfHealth", "c1", "c2"]);
    assert_eq!(list("passing").await, ["serfHealth", "c1"]);
    assert_eq!(list("critical").await, ["c2"]);
    assert_eq!(list("warning").await, [""; 0]);
    assert_eq!(list("maint").await, [""; 0]);
    assert_eq!(list("any?node-meta=rack:a").await, ["c1", "c2"]);
    assert_eq!(list("any?node-meta=rack:b").await, [""; 0]);
    assert_eq!(list("any?node-meta=").await, [""; 0]);
    assert_eq!(list("any?filter=ServiceName+%3D%3D+web").await, ["c1"]);
    assert_eq!(list("any?near=n2&stale").await.len(), 3);
    world.get("/v1/health/state/any?filter=Stauts+%3D%3D+x").refused(500, "not valid here").await;
    world.get("/v1/health/state/any?near=nobody").ok().await;
    world.get("/v1/health/state/").refused(400, "Missing check state").await;

    // A wait for critical checks ignores changes of other checks.
    let index = world.get("/v1/health/state/critical").send().await.index();
    let path = format!("/v1/health/state/critical?index={index}&wait=10m");
    let wait = async { world.get(&path).send().await };
    let set = |id: &str, status: &str| {
        let check = json!({"Node": "n2", "CheckID": id, "Name": id, "Status": status});
        let body = json!({"Node": "n2", "Address": "10.0.0.2", "SkipNodeUpdate": true, "Check": check});
        world.put("/v1/catalog/register", body.to_string()).ok()
    };
    let change = async {
        world.pause(100).await;
        set("c3", "passing").await;
        world.pause(100).await;
        set("c4", "critical").await;
    };
    let (answer, ()) = tokio::join!(world.guard(wait), change);
    assert_eq!(names(&answer.json(), "/CheckID"), ["c2", "c4"]);
    world.stop().await;
}

#[tokio::test]
async fn services_are_filtered_by_their_instances() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let green = json!({
        "Node": "n3", "Address": "10.0.0.3", "NodeMeta": {"rack": "b"},
        "Service": {"ID": "web2", "Service": "web", "Tags": ["v2"]},
    });
    world.put("/v1/catalog/register", green.to_string()).ok().await;
    let ask = async |query: &str| world.get(&format!("/v1/catalog/services?{query}")).json().await;
    assert_eq!(ask("filter=ServiceName+%3D%3D+web").await, json!({"web": ["blue", "v1", "v2"]}));
    // Only the tags of the remaining instances are listed.
    assert_eq!(ask("filter=NodeMeta.rack+%3D%3D+b").await, json!({"web": ["v2"]}));
    assert_eq!(ask("filter=%22blue%22+in+ServiceTags").await, json!({"web": ["blue", "v1"]}));
    assert_eq!(ask("filter=ServiceKind+%3D%3D+%22connect-proxy%22").await, json!({"web-proxy": []}));
    assert_eq!(ask("filter=ServiceName+%3D%3D+web&node-meta=rack:a").await, json!({"web": ["blue", "v1"]}));
    assert_eq!(ask("filter=ServiceName+%3D%3D+nothing").await, json!({}));
    world.get("/v1/catalog/services?filter=Name+%3D%3D+web").refused(500, "not valid here").await;
    let answer = world.get("/v1/catalog/services?filter=ServiceName+%3D%3D+web&consistent").send().await;
    assert_eq!(answer.header("x-consul-effective-consistency"), Some("consistent"));
    world.stop().await;
}

#[tokio::test]
async fn a_check_of_a_node_is_listed_for_the_service_that_it_names() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let check =
        json!({"CheckID": "n", "Name": "n", "Status": "warning", "ServiceName": "web", "ServiceTags": ["x"]});
    let record = json!({"Node": "n2", "Address": "10.0.0.2", "SkipNodeUpdate": true, "Check": check});
    world.put("/v1/catalog/register", record.to_string()).ok().await;
    let checks = world.get("/v1/health/checks/web?filter=CheckID==n").json().await;
    assert_eq!(names(&checks, "/ServiceName"), ["web"]);
    assert_eq!((&checks[0]["ServiceID"], &checks[0]["ServiceTags"]), (&json!(""), &json!(["x"])));
    // The check belongs to the node, so it counts for all services of the node.
    let entry = world.get("/v1/health/service/web-proxy").json().await;
    assert!(names(&entry[0]["Checks"], "/CheckID").contains(&"n"));
    // A check of an instance gets the instance's name and tags, whatever it says.
    let check = json!({"CheckID": "i", "Name": "i", "Status": "passing", "ServiceID": "web1", "ServiceName": "other"});
    let record = json!({"Node": "n2", "Address": "10.0.0.2", "SkipNodeUpdate": true, "Check": check});
    world.put("/v1/catalog/register", record.to_string()).ok().await;
    let checks = world.get("/v1/health/checks/web?filter=CheckID==i").json().await;
    assert_eq!(checks[0]["ServiceTags"], json!(["v1", "blue"]));
    assert_eq!(world.get("/v1/health/checks/other").json().await, json!([]));
    world.stop().await;
}

#[tokio::test]
async fn the_cache_says_when_it_answers() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let miss = world.get("/v1/health/service/web?cached").send().await;
    assert_eq!((miss.header("x-cache"), miss.header("age")), (Some("MISS"), None));
    let hit = world.get("/v1/health/service/web?cached").send().await;
    assert_eq!((hit.header("x-cache"), hit.header("age")), (Some("HIT"), Some("0")));
    assert_eq!(hit.body, miss.body);
    assert_eq!(hit.index(), miss.index());
    for path in ["/v1/catalog/services", "/v1/catalog/service/db", "/v1/catalog/connect/web"] {
        let told = world.get(path).json().await;
        let miss = world.get(&format!("{path}?cached")).send().await;
        assert_eq!((miss.header("x-cache"), miss.json()), (Some("MISS"), told.clone()), "{path}");
        let hit = world.get(&format!("{path}?cached")).send().await;
        assert_eq!((hit.header("x-cache"), hit.json()), (Some("HIT"), told), "{path}");
        assert_eq!(hit.index(), miss.index());
    }
    world.stop().await;
}

#[tokio::test]
async fn what_is_deregistered_is_gone() {
    let world = Setup::default().start().await;
    fill(&world).await;
    let deregister = |body: Value| world.put("/v1/catalog/deregister", body.to_string());
    deregister(json!({"Node": "n2", "ServiceID": "web1"})).ok().await;
    assert_eq!(world.get("/v1/catalog/service/web").json().await, json!([]));
    deregister(json!({"Node": "n2"})).ok().await;
    assert_eq!(world.get("/v1/catalog/node/n2").send().await.body, "null");
    world.put("/v1/catalog/deregister", "{}").refused(400, "Must provide node").await;
    assert_eq!(
        world.get("/v1/catalog/node-services/n2").send().await.body,
        r#"{"Node":null,"Services":null}"#
    );
    world.put("/v1/catalog/register", r#"{"Node":"n3","Address":"10.0.0.3"}"#).ok().await;
    let bare = world.get("/v1/catalog/node-services/n3").json().await;
    assert_eq!((&bare["Services"], &bare["Node"]["Meta"]), (&Value::Null, &Value::Null));
    assert_eq!(world.get("/v1/catalog/node/n3").json().await["Services"], json!({}));
    // Otherwise a misspelt key would remove the whole node.
    for wrong in [json!({"Node": "n1", "Bogus": 1}), json!({"Node": "n1", "Service": "web"})] {
        let before = world.get("/v1/catalog/node/n1").send().await.body;
        deregister(wrong.clone()).refused(400, "").await;
        assert_eq!(world.get("/v1/catalog/node/n1").send().await.body, before, "{wrong}");
        assert_ne!(before, "null");
    }
    world.put("/v1/catalog/register", "{").refused(400, "Request decode failed").await;
    world.put("/v1/catalog/register", r#"{"Node":"n3"}"#).refused(400, "").await;
    world.stop().await;
}

#[tokio::test]
async fn the_leader_is_known() {
    let world = Setup::default().start().await;
    assert_eq!(world.get("/v1/status/leader").send().await.body, "\"127.0.0.1:8300\"");
    assert_eq!(world.get("/v1/status/peers").send().await.body, "[\"127.0.0.1:8300\"]");
    world.stop().await;
}

#[tokio::test]
async fn a_list_of_services_is_null_only_where_there_never_was_one() {
    let world = Setup::guarded().start().await;
    let put = |body: &Value| world.put("/v1/catalog/register", body.to_string()).token(ROOT);
    put(&json!({ "Node": "n2", "Address": "10.0.0.2", "Service": { "Service": "web" } })).ok().await;
    put(&json!({ "Node": "n3", "Address": "10.0.0.3" })).ok().await;
    let of =
        |path: &str, token: &str| world.get(&format!("/v1/catalog/node-services/{path}")).token(token).json();
    let filter = "?filter=Service+%3D%3D+%22db%22";
    assert_eq!(of("n3", ROOT).await["Services"], json!(null));
    assert_eq!(of(&format!("n3{filter}"), ROOT).await["Services"], json!([]));
    assert_eq!(of(&format!("n2{filter}"), ROOT).await["Services"], json!([]));
    let (_, sees) = token(&world, r#"node "n2" { policy = "read" }"#).await;
    assert_eq!(of("n2", &sees).await["Services"], json!([]));
    // A caller that may not see the node learns nothing about it.
    let (_, other) = token(&world, r#"node "n3" { policy = "read" }"#).await;
    assert_eq!(of("n2", &other).await, json!({ "Node": null, "Services": null }));
    // An unknown selector is refused even if the list is empty.
    for path in ["node-services/nobody", "node/nobody"] {
        let path = format!("/v1/catalog/{path}?filter=Nope+%3D%3D+1");
        world.get(&path).token(ROOT).refused(500, "Nope").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn the_datacenter_of_a_registration_is_said_in_its_body_alone() {
    let world = Setup::default().start().await;
    let body = json!({ "Node": "n2", "Address": "10.0.0.2" });
    world.put("/v1/catalog/register?dc=nope", body.to_string()).ok().await;
    assert_eq!(world.get("/v1/catalog/node/n2").json().await["Node"]["Datacenter"], "dc1");
    let elsewhere = json!({ "Node": "n2", "Address": "10.0.0.2", "Datacenter": "nope" });
    world.put("/v1/catalog/register", elsewhere.to_string()).refused(500, "No path to datacenter").await;
    world.put("/v1/catalog/deregister?dc=nope", r#"{"Node":"n2"}"#).ok().await;
    assert_eq!(world.get("/v1/catalog/node/n2").send().await.body, "null");
    world.stop().await;
}
