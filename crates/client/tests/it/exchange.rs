//! Tests of requests and answers on the wire, and of reused connections.

use std::time::Duration;

use concord_client::testing::{Scripted, ScriptedServer};
use concord_client::{Address, BasicAuth, CacheHit, Client, Config, QueryOptions};
use concord_model::Secret;
use http::Method;

use crate::{pair, scope};

#[tokio::test]
async fn a_request_carries_token_auth_and_options() {
    let (server, client) = pair(
        |_| Scripted::ok("[]"),
        |config| {
            config.token = Some(Secret::new("s3cret".to_owned()));
            config.basic_auth = Some(BasicAuth::parse("ann:pw"));
            config.namespace = "default".to_owned();
        },
    )
    .await;
    let options = QueryOptions {
        datacenter: "dc2".to_owned(),
        filter: "Name == \"a&b\"".to_owned(),
        index: 7,
        wait: Some(Duration::from_secs(2)),
        ..QueryOptions::default()
    };
    client.catalog_nodes(&options).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(
        seen.line(),
        "GET /v1/catalog/nodes?dc=dc2&ns=default&filter=Name%20%3D%3D%20%22a%26b%22&index=7&wait=2000ms"
    );
    assert_eq!(seen.header("x-consul-token"), "s3cret");
    assert_eq!(seen.header("authorization"), "Basic YW5uOnB3");
    assert!(seen.header("host").starts_with("127.0.0.1:"));
    assert!(seen.header("content-type").is_empty());
}

#[tokio::test]
async fn a_token_of_the_request_wins_and_an_empty_one_is_not_sent() {
    let (server, client) =
        pair(|_| Scripted::ok("[]"), |config| config.token = Some(Secret::new("general".to_owned()))).await;
    let with =
        |token: &str| QueryOptions { token: Some(Secret::new(token.to_owned())), ..QueryOptions::default() };
    client.catalog_nodes(&with("own")).await.unwrap();
    client.catalog_nodes(&with("")).await.unwrap();
    let tokens: Vec<_> = server.seen().iter().map(|seen| seen.header("x-consul-token").to_owned()).collect();
    assert_eq!(tokens, ["own", ""]);
}

#[tokio::test]
async fn names_cannot_leave_their_segment_of_the_path() {
    let (server, client) = pair(|_| Scripted::ok("{}"), |_| {}).await;
    client.call(Method::GET, &["agent", "service", "../leave?x=1#y"]).done().await.unwrap();
    assert_eq!(server.seen()[0].target, "/v1/agent/service/..%2Fleave%3Fx%3D1%23y");
}

#[tokio::test]
async fn the_answers_headers_become_its_meta() {
    let script = |_: &_| {
        Scripted::ok("[\"dc1\"]")
            .header("X-Consul-Index", "12")
            .header("X-Consul-KnownLeader", "true")
            .header("X-Cache", "HIT")
            .header("Age", "4")
            .header("X-Consul-Results-Filtered-By-ACLs", "true")
    };
    let (_, client) = pair(script, |_| {}).await;
    let answer = client.catalog_datacenters(&QueryOptions::default()).await.unwrap();
    assert_eq!(answer.value, ["dc1"]);
    assert_eq!((answer.meta.index, answer.meta.known_leader), (12, Some(true)));
    assert_eq!(answer.meta.cache, Some(CacheHit::Hit(Duration::from_secs(4))));
    assert!(answer.meta.filtered_by_acls);
}

#[tokio::test]
async fn requests_one_after_another_share_a_connection() {
    let (server, client) = pair(|_| Scripted::ok("[]"), |_| {}).await;
    for _ in 0..20 {
        client.catalog_nodes(&QueryOptions::default()).await.unwrap();
    }
    assert_eq!((server.connections(), server.seen().len()), (1, 20));
}

#[tokio::test]
async fn refused_requests_share_it_too() {
    let (server, client) = pair(|_| Scripted::status(403, "Permission denied"), |_| {}).await;
    for _ in 0..5 {
        assert!(client.catalog_nodes(&QueryOptions::default()).await.is_err());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn parallel_requests_do_not_wait_for_each_other() {
    let (server, client) = pair(|_| Scripted::ok("[]"), |_| {}).await;
    let options = QueryOptions::default();
    let (a, b, c) = tokio::join!(
        client.catalog_nodes(&options),
        client.catalog_nodes(&options),
        client.catalog_nodes(&options)
    );
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!((server.connections(), server.seen().len()), (3, 3));
}

#[tokio::test]
async fn a_connection_the_server_closes_is_not_used_again() {
    let (server, client) = pair(|_| Scripted::ok("[]").header("Connection", "close"), |_| {}).await;
    for _ in 0..5 {
        client.catalog_nodes(&QueryOptions::default()).await.unwrap();
    }
    assert_eq!((server.connections(), server.seen().len()), (5, 5));
}

#[tokio::test]
async fn a_unix_socket_is_an_address_too() {
    let scope = scope();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let server = ScriptedServer::new(|_| Scripted::ok("\"127.0.0.1:8300\""));
    server.listen_unix(&scope, &path).unwrap();
    let address = Address::parse(&format!("unix://{}", path.display())).unwrap();
    let client = Client::new(Config::new(address), &scope).unwrap();
    let leader = client.status_leader(&QueryOptions::default()).await.unwrap();
    assert_eq!(leader.value, "127.0.0.1:8300");
    assert_eq!(server.seen()[0].header("host"), "localhost");
}
