//! Which proxy has what: what the API tells of attached proxies, to whom, and when it tells it.

use concord_envoy_proto::envoy::config::core::v3::Node;
use concord_xds::ResourceType;
use serde_json::{Value, json};

use crate::discovery::{DELTA, Envoy, asks, node, registered, token};
use crate::world::{ROOT, Setup, World};

const PROXIES: &str = "/v1/agent/proxies";
const ID: &str = "web-sidecar-proxy";

async fn write(world: &World, body: Value) {
    let answer = world.put("/v1/config", body.to_string()).token(ROOT).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The status of the proxy, when it fits.
async fn status(world: &World, fits: impl Fn(&Value) -> bool) -> Value {
    let first = |answer: &Value| answer["Proxies"][0].clone();
    world.until(PROXIES, ROOT, |answer| fits(&first(&answer.json()))).await;
    first(&world.get(PROXIES).token(ROOT).json().await)
}

fn cluster(status: &Value) -> Value {
    status["Types"].as_array().unwrap().iter().find(|one| one["Type"] == "cluster").unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_310_who_may_not_read_a_service_sees_nothing_of_its_proxies() {
    let world = Setup::guarded().start().await;
    registered(&world).await;
    write(&world, json!({"Kind": "mesh"})).await;
    let envoy = Envoy::open(&world, DELTA, node(ID, 40), ROOT).await.unwrap();
    status(&world, |one| one["Proxy"] == ID).await;
    let (other, _) = token(&world, r#"service "db" { policy = "write" } mesh = "read""#).await;
    let entry = format!("{PROXIES}/entry/mesh/mesh");
    let counts = |answer: &Value| (answer["Affected"].clone(), answer["Proxies"].as_array().unwrap().len());
    assert_eq!(counts(&world.get(&entry).token(ROOT).json().await), (json!(1), 1));
    for (token, told) in [(other.as_str(), true), ("", false)] {
        let answer = world.get(PROXIES).token(token).send().await;
        assert_eq!((answer.json()["Proxies"].clone(), answer.index()), (json!([]), 1));
        let header = answer.header("x-consul-results-filtered-by-acls");
        assert_eq!(header.is_some(), told, "who has no token is not told");
        let named = world.get(&format!("{PROXIES}?proxy-id={ID}")).token(token).json().await;
        assert_eq!((named["Proxies"].clone(), named["Ended"].clone()), (json!([]), json!([])));
        assert_eq!(counts(&world.get(&entry).token(token).json().await), (json!(0), 0));
    }
    drop(envoy);
    world.until(PROXIES, ROOT, |answer| answer.json()["Ended"][0]["Proxy"] == ID).await;
    assert_eq!(world.get(PROXIES).token(&other).json().await["Ended"], json!([]));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_311_a_refusal_is_told_with_its_words_and_entries_until_a_change_heals_it() {
    let world = Setup::guarded().start().await;
    registered(&world).await;
    write(&world, json!({"Kind": "service-defaults", "Name": "web", "Protocol": "tcp"})).await;
    let mut envoy = Envoy::open(&world, DELTA, node(ID, 40), ROOT).await.unwrap();
    let clusters = envoy.hears(&world).await;
    let shown = status(&world, |one| one["State"] == "pending").await;
    assert_eq!((&shown["EnvoyVersion"], &shown["Kind"]), (&json!("1.40.0"), &json!("envoy")));
    assert_eq!((&shown["Service"], &shown["Node"]), (&json!("web"), &json!("n1")));
    assert_eq!(
        (cluster(&shown)["Delivered"].clone(), cluster(&shown)["Acknowledged"].clone()),
        (json!(1), json!(0))
    );

    envoy.refuses(&clusters, "no such thing\u{1b}[2J").await;
    let shown = status(&world, |one| one["State"] == "rejected").await;
    let one = &shown["Rejections"][0];
    assert_eq!((&one["Type"], &one["Name"]), (&json!("cluster"), &json!("local_app")));
    assert!(one["Words"].as_str().unwrap().starts_with("no such thing"), "{one}");
    let from = json!([{"Registration": ID}, {"Kind": "service-defaults", "Name": "web"}]);
    assert_eq!(one["MadeFrom"], from);
    assert_eq!(
        (cluster(&shown)["Rejected"].clone(), cluster(&shown)["Acknowledged"].clone()),
        (json!(1), json!(0))
    );
    let entry = format!("{PROXIES}/entry/service-defaults/web");
    let told = world.get(&entry).token(ROOT).json().await;
    assert_eq!(
        (&told["Compiled"], &told["Rejected"], &told["Acknowledged"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(told["Proxies"][0]["Rejections"][0]["Name"], "local_app");

    let body = r#"{"Name": "web", "Port": 8081, "Connect": {"SidecarService": {"Port": 21000}}}"#;
    let changed = world.put("/v1/agent/service/register", body).token(ROOT).send().await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let clusters = envoy.hears(&world).await;
    envoy.answers(&clusters).await;
    let shown = status(&world, |one| one["State"] == "acknowledged").await;
    assert_eq!(shown["Rejections"], json!([]));
    assert!(
        cluster(&shown)["LastRejected"]["Version"].as_u64().unwrap() > 0,
        "it is remembered that it refused"
    );
    world.stop().await;
}

/// A sidecar on a node without an agent, as its Envoy.
async fn in_catalog(world: &World) -> Envoy {
    let service = json!({"Kind": "connect-proxy", "ID": ID, "Service": ID, "Port": 21000,
        "Proxy": {"DestinationServiceName": "web", "LocalServicePort": 8080}});
    let body = json!({"Node": "edge", "Address": "192.0.2.1", "Service": service}).to_string();
    let answer = world.put("/v1/catalog/register", body).token(ROOT).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let on = prost_types::Struct {
        fields: [("node_name".to_owned(), prost_types::value::Kind::StringValue("edge".to_owned()).into())]
            .into(),
    };
    Envoy::open(world, DELTA, Node { metadata: Some(on), ..node(ID, 40) }, ROOT).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_of_the_catalog_has_the_entries_that_it_is_merged_with() {
    let world = Setup { at_server: true, ..Setup::guarded() }.start().await;
    write(&world, json!({"Kind": "service-defaults", "Name": "web", "Protocol": "tcp"})).await;
    write(&world, json!({"Kind": "proxy-defaults", "Name": "global"})).await;
    let mut envoy = in_catalog(&world).await;
    let clusters = envoy.hears(&world).await;
    envoy.refuses(&clusters, "no such thing").await;
    let shown = status(&world, |one| one["State"] == "rejected").await;
    assert_eq!((&shown["Proxy"], &shown["Node"]), (&json!(ID), &json!("edge")));
    let from = json!([
        {"Registration": ID},
        {"Kind": "proxy-defaults", "Name": "global"},
        {"Kind": "service-defaults", "Name": "web"},
    ]);
    assert_eq!(shown["Rejections"][0]["MadeFrom"], from);
    for entry in ["service-defaults/web", "proxy-defaults/global"] {
        let path = format!("{PROXIES}/entry/{entry}");
        let at = |told: Value| ["Affected", "Compiled", "Rejected"].map(|key| told[key].as_u64().unwrap());
        world.until(&path, ROOT, |answer| at(answer.json()) == [1, 1, 1]).await;
    }
    let other = json!({"Kind": "service-defaults", "Name": "db", "Protocol": "tcp"});
    write(&world, other).await;
    let other = world.get(&format!("{PROXIES}/entry/service-defaults/db")).token(ROOT).json().await;
    assert_eq!(other["Affected"], 0, "it concerns others");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_312_an_entry_is_not_said_to_be_with_a_proxy_before_it_is() {
    let world = Setup::default().start().await;
    registered(&world).await;
    let mut envoy = Envoy::open(&world, DELTA, node(ID, 40), "").await.unwrap();
    let clusters = envoy.hears(&world).await;
    envoy.answers(&clusters).await;
    for kind in [ResourceType::Listener, ResourceType::Route] {
        envoy.requests.send(asks(kind, None)).await.unwrap();
    }
    let listeners = envoy.hears(&world).await;
    assert_eq!(listeners.type_url, ResourceType::Listener.url());
    envoy.answers(&listeners).await;
    status(&world, |one| one["State"] == "acknowledged").await;

    let intention =
        json!({"Kind": "service-intentions", "Name": "web", "Sources": [{"Name": "db", "Action": "deny"}]});
    write(&world, intention).await;
    let entry = format!("{PROXIES}/entry/service-intentions/web");
    let listeners = envoy.hears(&world).await;
    let at = |told: &Value| {
        ["Affected", "Compiled", "Delivered", "Acknowledged"].map(|key| told[key].as_u64().unwrap())
    };
    world.until(&entry, "", |answer| at(&answer.json()) == [1, 1, 1, 0]).await;
    let told = world.get(&entry).json().await;
    assert!(told["AcceptedAgo"].as_str().is_some_and(|ago| ago.ends_with('s')), "{told}");
    envoy.answers(&listeners).await;
    world.until(&entry, "", |answer| at(&answer.json()) == [1, 1, 1, 1]).await;
    // What concerns others has nobody.
    write(&world, json!({"Kind": "service-defaults", "Name": "db"})).await;
    let other = world.get(&format!("{PROXIES}/entry/service-defaults/db")).json().await;
    assert_eq!(at(&other), [0, 0, 0, 0]);
    let missing = world.get(&format!("{PROXIES}/entry/service-defaults/nobody")).send().await;
    assert_eq!(missing.status, 404, "{missing:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_told_of_the_next_change() {
    let world = Setup::default().start().await;
    registered(&world).await;
    write(&world, json!({"Kind": "mesh"})).await;
    let entry = format!("{PROXIES}/entry/mesh/mesh");
    let (all, of_entry) = (world.get(PROXIES).send().await, world.get(&entry).send().await);
    assert_eq!(all.json()["Proxies"], json!([]));
    let wait = |path: &str, index: u64| format!("{path}?index={index}&wait=1m");
    let (all, of_entry) = (wait(PROXIES, all.index()), wait(&entry, of_entry.index()));
    let written = of_entry.clone();
    let waiting = async { tokio::join!(world.get(&all).send(), world.get(&of_entry).send()) };
    let opening = async {
        world.pause(50).await;
        Envoy::open(&world, DELTA, node(ID, 40), "").await.unwrap()
    };
    let ((all, of_entry), envoy) = world.guard(async { tokio::join!(waiting, opening) }).await;
    assert_eq!(all.json()["Proxies"][0]["Proxy"], ID);
    assert_eq!(of_entry.status, 200, "{written}");
    // A change of the entry alone ends the wait, too.
    drop(envoy);
    world.until(PROXIES, "", |answer| answer.json()["Proxies"] == json!([])).await;
    let index = world.get(&entry).send().await.index();
    let path = wait(&entry, index);
    let waiting = world.get(&path).send();
    let writing = async {
        world.pause(50).await;
        write(&world, json!({"Kind": "mesh", "Meta": {"changed": "yes"}})).await;
    };
    let (told, ()) = world.guard(async { tokio::join!(waiting, writing) }).await;
    assert!(told.index() > index, "{told:?}");
    world.stop().await;
}
