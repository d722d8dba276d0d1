//! Tests that blocking queries wait for what they read, and for nothing else.

use serde_json::json;

use crate::world::Setup;

fn instance(service: &str, id: &str) -> String {
    json!({"Node": "n2", "Address": "10.0.0.2", "SkipNodeUpdate": true, "Service": {"ID": id, "Service": service}}).to_string()
}

#[tokio::test]
async fn a_query_wakes_for_what_it_is_about_and_nothing_else() {
    let world = Setup::default().start().await;
    world.put("/v1/catalog/register", instance("web", "web1")).ok().await;
    let index = world.get("/v1/health/service/web").send().await.index();
    let path = format!("/v1/health/service/web?index={index}&wait=10m");
    let wait = async { world.get(&path).send().await };
    let change = async {
        world.pause(100).await;
        // If this had ended the wait, the answer would have one instance.
        world.put("/v1/catalog/register", instance("other", "other1")).ok().await;
        world.pause(100).await;
        world.put("/v1/catalog/register", instance("web", "web2")).ok().await;
    };
    let (answer, ()) = tokio::join!(world.guard(wait), change);
    assert!(answer.index() > index);
    assert_eq!(answer.json().as_array().unwrap().len(), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_wait_ends_with_the_same_index() {
    let world = Setup::default().start().await;
    let first = world.get("/v1/connect/intentions").send().await;
    assert_eq!(first.body, "[]");
    let path = format!("/v1/connect/intentions?index={}&wait=50ms", first.index());
    let second = world.get(&path).send().await;
    assert_eq!((second.status, second.index()), (200, first.index()));
    world.stop().await;
}

#[tokio::test]
async fn an_entry_can_be_waited_for_to_appear_and_to_go() {
    let world = Setup::default().start().await;
    let path = "/v1/config/service-intentions/db";
    let entry = |name: &str| {
        let entry = json!({"Kind": "service-intentions", "Name": name,
            "Sources": [{"Name": "web", "Action": "deny"}]});
        world.put("/v1/config", entry.to_string())
    };
    let absent = world.get(path).send().await;
    assert_eq!((absent.status, absent.header("x-consul-knownleader")), (404, Some("true")));
    let still = world.get(&format!("{path}?index={}&wait=50ms", absent.index())).send().await;
    assert_eq!((still.status, still.index()), (404, absent.index()));

    let waiting = format!("{path}?index={}&wait=10m", absent.index());
    let wait = async { world.get(&waiting).send().await };
    let change = async {
        world.pause(100).await;
        entry("other").ok().await;
        world.pause(100).await;
        entry("db").ok().await;
    };
    let (there, ()) = tokio::join!(world.guard(wait), change);
    assert_eq!((there.status, there.json()["Name"].as_str()), (200, Some("db")), "{}", there.body);
    assert!(there.index() > absent.index());

    let waiting = format!("{path}?index={}&wait=10m", there.index());
    let wait = async { world.get(&waiting).send().await };
    let change = async {
        world.pause(100).await;
        world.delete(path).ok().await;
    };
    let (gone, ()) = tokio::join!(world.guard(wait), change);
    assert_eq!(gone.status, 404);
    assert!(gone.index() > there.index());
    world.stop().await;
}

#[tokio::test]
async fn where_no_index_is_told_nobody_waits_for_one() {
    let world = Setup::default().start().await;
    let exact = "/v1/connect/intentions/exact?source=web&destination=db";
    world.put(exact, r#"{"Action":"deny"}"#).ok().await;
    for path in [
        "/v1/status/leader?",
        "/v1/status/peers?",
        "/v1/catalog/datacenters?",
        "/v1/connect/intentions/check?source=web&destination=db&",
        "/v1/connect/ca/configuration?",
    ] {
        // Any of these may be the index of the requested data.
        for index in 1..=20 {
            let path = format!("{path}index={index}&wait=10m");
            let answer = world.guard(world.get(&path).send()).await;
            assert_eq!((answer.status, answer.header("x-consul-index")), (200, None), "{path}");
        }
    }
    // A query with an index can wait.
    let index = world.get(exact).send().await.index();
    let waiting = format!("{exact}&index={index}&wait=10m");
    let wait = async { world.get(&waiting).send().await };
    let change = async {
        world.pause(100).await;
        world.put(exact, r#"{"Action":"allow"}"#).ok().await;
    };
    let (answer, ()) = tokio::join!(world.guard(wait), change);
    assert_eq!(answer.json()["Action"], "allow");
    world.stop().await;
}

#[tokio::test]
async fn several_matches_wait_together() {
    for cached in ["", "&cached"] {
        several_matches_wait(cached).await;
    }
}

async fn several_matches_wait(cached: &str) {
    let world = Setup::default().start().await;
    let path = format!("/v1/connect/intentions/match?by=destination&name=a&name=b{cached}");
    let first = world.get(&path).send().await;
    assert_eq!(first.json(), json!({"a": null, "b": null}));
    let waiting = format!("{path}&index={}&wait=10m", first.index());
    let wait = async { world.get(&waiting).send().await };
    let change = async {
        world.pause(100).await;
        let exact =
            |pair: &str| world.put(&format!("/v1/connect/intentions/exact?{pair}"), r#"{"Action":"deny"}"#);
        exact("source=web&destination=c").ok().await;
        world.pause(100).await;
        exact("source=web&destination=b").ok().await;
    };
    let (answer, ()) = tokio::join!(world.guard(wait), change);
    assert_eq!(answer.json()["b"][0]["SourceName"], "web");
    assert_eq!(answer.json()["a"], json!(null));
    let of_b = world.get("/v1/connect/intentions/match?by=destination&name=b").send().await;
    assert_eq!((answer.json()["b"].clone(), answer.index()), (of_b.json()["b"].clone(), of_b.index()));
    assert_eq!(answer.header("x-cache"), (!cached.is_empty()).then_some("HIT"));
    world.stop().await;
}

#[tokio::test]
async fn a_local_service_is_watched_by_its_hash() {
    let world = Setup::default().start().await;
    let register =
        |port: u16| world.put("/v1/agent/service/register", json!({"Name": "web", "Port": port}).to_string());
    register(8080).ok().await;
    let first = world.get("/v1/agent/service/web").send().await;
    let hash = first.header("x-consul-contenthash").unwrap().to_owned();
    assert_eq!(first.json()["ContentHash"], hash.as_str());
    let same = world.get(&format!("/v1/agent/service/web?hash={hash}&wait=50ms")).send().await;
    assert_eq!(same.header("x-consul-contenthash"), Some(hash.as_str()));
    let path = format!("/v1/agent/service/web?hash={hash}&wait=10m");
    let wait = async { world.get(&path).send().await };
    let change = async {
        world.pause(100).await;
        register(8080).ok().await;
        world.pause(100).await;
        register(9090).ok().await;
    };
    let (answer, ()) = tokio::join!(world.guard(wait), change);
    assert_eq!(answer.json()["Port"], 9090);
    assert_ne!(answer.header("x-consul-contenthash"), Some(hash.as_str()));
    world.stop().await;
}
