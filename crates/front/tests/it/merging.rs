//! Registrations of proxies that are merged with configuration entries, over HTTP.

use serde_json::{Value, json};

use crate::world::{Setup, World};

async fn registered(world: &World) {
    let body = json!({"Name": "web", "Port": 8080, "Connect": {"SidecarService": {"Proxy": {"Upstreams":
        [{"DestinationName": "db", "LocalBindPort": 9001}]}}}});
    world.put("/v1/agent/service/register", body.to_string()).ok().await;
}

async fn write(world: &World, entry: Value) {
    world.put("/v1/config", entry.to_string()).ok().await;
}

#[tokio::test]
async fn an_agents_sidecar_has_the_settings_of_entries_and_its_hash_wakes_for_them() {
    let world = Setup::default().start().await;
    write(&world, json!({"Kind": "proxy-defaults", "Name": "global", "Config": {"protocol": "http"}})).await;
    registered(&world).await;
    let path = "/v1/agent/service/web-sidecar-proxy";
    let first = world.get(path).json().await;
    assert_eq!(first["Proxy"]["Config"], json!({"protocol": "http"}));
    assert_eq!(first["Proxy"]["Upstreams"][0]["Config"], json!({"protocol": "http"}));
    let waiting = format!("{path}?hash={}&wait=10m", first["ContentHash"].as_str().unwrap());
    let wait = async { world.get(&waiting).send().await };
    let change = async {
        world.pause(100).await;
        write(&world, json!({"Kind": "service-defaults", "Name": "other", "Protocol": "grpc"})).await;
        world.pause(100).await;
        write(&world, json!({"Kind": "service-defaults", "Name": "db", "Protocol": "tcp"})).await;
    };
    let (second, ()) = tokio::join!(world.guard(wait), change);
    let second = second.json();
    assert_eq!(second["Proxy"]["Upstreams"][0]["Config"], json!({"protocol": "tcp"}));
    assert_ne!(second["ContentHash"], first["ContentHash"]);
    // The catalog is told what was merged, so its answer needs no parameter.
    let catalog = "/v1/catalog/service/web-sidecar-proxy";
    world.until(catalog, "", |answer| answer.body.contains(r#""protocol":"tcp""#)).await;
    world.stop().await;
}

#[tokio::test]
async fn what_was_written_to_the_catalog_is_merged_for_who_asks_for_it() {
    let world = Setup::default().start().await;
    let proxy = json!({"Node": "n2", "Address": "10.0.0.2", "Service": {"Kind": "connect-proxy", "Service": "web-proxy",
        "Port": 1, "Proxy": {"DestinationServiceName": "web"}}});
    world.put("/v1/catalog/register", proxy.to_string()).ok().await;
    write(&world, json!({"Kind": "service-defaults", "Name": "web", "Protocol": "grpc"})).await;
    let merged = json!({"protocol": "grpc"});
    for (path, at) in [
        ("/v1/catalog/service/web-proxy", "/0/ServiceProxy/Config"),
        ("/v1/catalog/connect/web", "/0/ServiceProxy/Config"),
        ("/v1/catalog/node-services/n2", "/Services/0/Proxy/Config"),
        ("/v1/health/service/web-proxy", "/0/Service/Proxy/Config"),
        ("/v1/health/connect/web", "/0/Service/Proxy/Config"),
    ] {
        let raw = world.get(path).json().await;
        assert_eq!(raw.pointer(at), None, "{path}");
        for parameter in [
            "merge-central-config",
            "merge-central-config=",
            "merge-central-config=true",
            "cached&merge-central-config",
        ] {
            let shown = world.get(&format!("{path}?{parameter}")).json().await;
            assert_eq!(shown.pointer(at), Some(&merged), "{path}?{parameter}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn service_defaults_can_be_filtered_and_no_other_kind() {
    let world = Setup::default().start().await;
    for body in [
        r#"{"Kind":"service-defaults","Name":"web","Protocol":"http","Expose":{"Paths":[{"Path":"/health","ListenerPort":1,"LocalPathPort":2}]}}"#,
        r#"{"Kind":"service-defaults","Name":"db","Protocol":"tcp","MaxInboundConnections":7,"Meta":{"team":"shop"}}"#,
    ] {
        world.put("/v1/config", body).ok().await;
    }
    let listed = |filter: &str| world.get(&format!("/v1/config/service-defaults?filter={filter}"));
    for (filter, expected) in [
        ("Protocol+%3D%3D+http", "web"),
        ("Meta.team+%3D%3D+shop", "db"),
        ("MaxInboundConnections+%3D%3D+7", "db"),
        ("Expose.Paths.Path+%3D%3D+%22/health%22", "web"),
        ("Name+%21%3D+db+and+ModifyIndex+%21%3D+0", "web"),
    ] {
        let found = listed(filter).json().await;
        let names: Vec<_> = found.as_array().unwrap().iter().map(|one| one["Name"].clone()).collect();
        assert_eq!(names, [expected], "{filter}");
    }
    listed("Nothing+%3D%3D+1").refused(500, "Nothing").await;
    let other = world.get("/v1/config/proxy-defaults?filter=Name+%3D%3D+x");
    other.refused(400, "filtering not supported for config entry kind=proxy-defaults").await;
    world.stop().await;
}
