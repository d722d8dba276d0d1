//! What gateways serve, exports and neighbours, as JSON.

use serde_json::{Value, json};

use crate::world::{Setup, World};

async fn register(world: &World, node: &str, service: Value) {
    let body = json!({"Node": node, "Address": "10.0.0.1", "Service": service});
    world.put("/v1/catalog/register", body.to_string()).ok().await;
}

async fn write(world: &World, entry: Value) {
    world.put("/v1/config", entry.to_string()).ok().await;
}

/// An answer without the indexes in it.
async fn get(world: &World, path: &str) -> Value {
    let mut value = world.get(path).json().await;
    without_indexes(&mut value);
    value
}

fn without_indexes(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "CreateIndex" | "ModifyIndex"));
            fields.values_mut().for_each(without_indexes);
        }
        Value::Array(items) => items.iter_mut().for_each(without_indexes),
        _ => {}
    }
}

async fn filled() -> World {
    let world = Setup::default().start().await;
    register(
        &world,
        "a",
        json!({"Service": "web", "Tags": ["v1"], "Meta": {"external-source": "kubernetes"}}),
    )
    .await;
    let proxy = json!({"DestinationServiceName": "web", "Mode": "transparent"});
    register(
        &world,
        "a",
        json!({"Kind": "connect-proxy", "Service": "web-proxy", "Port": 1, "Proxy": proxy}),
    )
    .await;
    register(&world, "g", json!({"Kind": "ingress-gateway", "Service": "edge", "Port": 443})).await;
    write(&world, json!({"Kind": "service-defaults", "Name": "web", "Protocol": "http"})).await;
    world
}

#[tokio::test]
async fn services_of_gateways_have_the_documented_shape() {
    let world = filled().await;
    let listeners = json!([
        {"Port": 8080, "Protocol": "http", "Services": [{"Name": "*"}]},
        {"Port": 8081, "Services": [{"Name": "lost"}]},
        {"Port": 8082, "Protocol": "http", "Services": [{"Name": "web", "Hosts": ["web.example.com"]}]},
    ]);
    write(&world, json!({"Kind": "ingress-gateway", "Name": "edge", "Listeners": listeners})).await;
    let links = json!([
        {"Name": "db", "CAFile": "/ca", "CertFile": "/cert", "KeyFile": "/key", "SNI": "db.example.com"},
        {"Name": "old", "DisableAutoHostRewrite": true},
    ]);
    write(&world, json!({"Kind": "terminating-gateway", "Name": "out", "Services": links})).await;
    let (edge, out) = (json!({"Name": "edge"}), json!({"Name": "out"}));
    assert_eq!(
        get(&world, "/v1/catalog/gateway-services/edge").await,
        json!([
            {"Gateway": edge, "Service": {"Name": "lost"}, "GatewayKind": "ingress-gateway", "Port": 8081,
             "Protocol": "tcp"},
            {"Gateway": edge, "Service": {"Name": "web"}, "GatewayKind": "ingress-gateway", "Port": 8080,
             "Protocol": "http", "FromWildcard": true, "ServiceKind": "service"},
            {"Gateway": edge, "Service": {"Name": "web"}, "GatewayKind": "ingress-gateway", "Port": 8082,
             "Protocol": "http", "Hosts": ["web.example.com"], "ServiceKind": "service"},
        ])
    );
    assert_eq!(
        get(&world, "/v1/catalog/gateway-services/out").await,
        json!([
            {"Gateway": out, "Service": {"Name": "db"}, "GatewayKind": "terminating-gateway", "CAFile": "/ca",
             "CertFile": "/cert", "KeyFile": "/key", "SNI": "db.example.com", "AutoHostRewrite": true},
            {"Gateway": out, "Service": {"Name": "old"}, "GatewayKind": "terminating-gateway"},
        ])
    );
    assert_eq!(get(&world, "/v1/catalog/gateway-services/nobody").await, json!([]));
    let ingress = get(&world, "/v1/health/ingress/web").await;
    assert_eq!((ingress.as_array().unwrap().len(), &ingress[0]["Service"]["ID"]), (1, &json!("edge")));
    assert_eq!(get(&world, "/v1/health/ingress/web?passing&tag=none").await, json!([]));
    let nodes = get(&world, "/v1/internal/ui/gateway-services-nodes/edge").await;
    let told: Vec<_> =
        nodes.as_array().unwrap().iter().map(|own| (&own["Name"], &own["InstanceCount"])).collect();
    assert_eq!(told, [(&json!("lost"), &json!(0)), (&json!("web"), &json!(1))]);
    assert_eq!(nodes[1]["GatewayConfig"], json!({"Addresses": ["web.example.com:8082"]}));
    world.stop().await;
}

#[tokio::test]
async fn exports_have_the_documented_shape() {
    let world = filled().await;
    assert_eq!(get(&world, "/v1/exported-services").await, json!([]));
    let rows = json!([
        {"Name": "*", "Consumers": [{"Peer": "east"}]},
        {"Name": "web", "Consumers": [{"Peer": "west"}, {"Peer": "east"}]},
    ]);
    write(&world, json!({"Kind": "exported-services", "Name": "default", "Services": rows})).await;
    let expected = json!([{"Service": "web", "Consumers": {"Peers": ["east", "west"]}}]);
    assert_eq!(get(&world, "/v1/exported-services").await, expected);
    world.stop().await;
}

#[tokio::test]
async fn neighbours_have_the_documented_shape() {
    let world = filled().await;
    register(&world, "b", json!({"Service": "db"})).await;
    let proxy = json!({"DestinationServiceName": "db", "Upstreams": [{"DestinationName": "web", "LocalBindPort": 9}]});
    register(&world, "b", json!({"Kind": "connect-proxy", "Service": "db-proxy", "Port": 1, "Proxy": proxy}))
        .await;
    let sources = json!([{"Name": "db", "Action": "deny"}]);
    let entry = json!({"Kind": "service-intentions", "Name": "web", "Sources": sources, "Meta": {"external-source": "nomad"}});
    write(&world, entry).await;
    let none = json!({"GatewayConfig": {}, "TransparentProxy": false, "ConnectNative": false, "ChecksPassing": 0,
                      "ChecksWarning": 0, "ChecksCritical": 0});
    let beside = |name: &str, own: Value| {
        let mut one = none.clone();
        one.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        one["Name"] = json!(name);
        one
    };
    let db = beside(
        "db",
        json!({"Datacenter": "dc1", "Tags": null, "Nodes": ["b"], "ExternalSources": null,
        "InstanceCount": 1, "Source": "proxy-registration", "Intention": {"Allowed": false, "HasPermissions": false,
        "ExternalSource": "nomad", "HasExact": true, "DefaultAllow": true}}),
    );
    let shown = get(&world, "/v1/internal/ui/service-topology/web?kind=").await;
    assert_eq!(shown["Downstreams"], json!([db]));
    assert_eq!((&shown["Protocol"], &shown["TransparentProxy"]), (&json!("http"), &json!(true)));
    let web = beside(
        "web",
        json!({"Datacenter": "dc1", "Tags": ["v1"], "Nodes": ["a"],
        "ExternalSources": ["kubernetes"], "InstanceCount": 1, "TransparentProxy": true,
        "Source": "proxy-registration", "Intention": {"Allowed": false, "HasPermissions": false,
        "ExternalSource": "nomad", "HasExact": true, "DefaultAllow": true}}),
    );
    let shown = get(&world, "/v1/internal/ui/service-topology/db?kind=").await;
    assert_eq!((&shown["Upstreams"], &shown["FilteredByACLs"]), (&json!([web]), &json!(false)));
    let of =
        async |query: &str| world.get(&format!("/v1/internal/ui/service-topology/db{query}")).send().await;
    assert_eq!((of("").await.status, of("").await.body.as_str()), (400, "Missing service kind"));
    let other = of("?kind=mesh-gateway").await;
    assert!(other.status == 400 && other.body.contains("kind must be empty, ingress-gateway or api-gateway"));
    world.stop().await;
}
