//! Tests with servers that refuse, stall, break off or send without end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_client::testing::Scripted;
use concord_client::{Address, Client, Config, Error, QueryOptions};
use concord_runtime::Scope;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{pair, scope};

const KEPT_ALIVE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";

async fn read_request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    let mut buffer = [0; 1024];
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(count) => read.extend_from_slice(&buffer[..count]),
        }
    }
    true
}

/// A server that answers this many requests per connection, and closes the connection on the next one. Counts
/// connections and requests.
async fn answering(scope: &Scope, answers: usize) -> (SocketAddr, Arc<(AtomicUsize, AtomicUsize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let (shared, tasks) = (Arc::clone(&counts), scope.clone());
    scope.spawn("server", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let shared = Arc::clone(&shared);
            tasks.spawn("connection", async move {
                shared.0.fetch_add(1, Ordering::SeqCst);
                for _ in 0..answers {
                    if !read_request(&mut stream).await {
                        return;
                    }
                    shared.1.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(KEPT_ALIVE).await;
                }
                if read_request(&mut stream).await {
                    shared.1.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (address, counts)
}

fn client(address: SocketAddr, scope: &Scope) -> Client {
    Client::new(Config::new(Address::parse(&address.to_string()).unwrap()), scope).unwrap()
}

#[tokio::test]
async fn nobody_there_is_said_with_the_remedy() {
    let scope = scope();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client(free, &scope).agent_leave(&QueryOptions::default()).await.unwrap_err();
    match &error {
        Error::Connect { source, .. } => assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
    let remedy = error.remedy().unwrap();
    assert!(remedy.contains(&free.to_string()) && remedy.contains("-http-addr"), "{remedy}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_missing_unix_socket_is_nobody_there() {
    let config = Config::new(Address::Unix("/nonexistent/agent.sock".into()));
    let error =
        Client::new(config, &scope()).unwrap().agent_leave(&QueryOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_keeps_status_and_text() {
    let (_, client) = pair(|_| Scripted::status(403, "Permission denied: no\n"), |_| {}).await;
    let error = client.agent_leave(&QueryOptions::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "Unexpected response code: 403 (Permission denied: no)");
    assert_eq!(error.status(), Some(403));
    assert!(!error.is_retryable() && !error.is_not_found());
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_is_broken() {
    let (_, client) = pair(|_| Scripted::status(404, ""), |_| {}).await;
    assert!(client.agent_service("x", &QueryOptions::default()).await.unwrap_err().is_not_found());
    let (_, client) = pair(|_| Scripted::status(500, "No cluster leader"), |_| {}).await;
    let error = client.agent_service("x", &QueryOptions::default()).await.unwrap_err();
    assert!(!error.is_not_found() && error.is_retryable());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let (_, client) = pair(
        |_| Scripted::ok(format!("[\"{}\"]", "x".repeat(5000))),
        |config| config.response_bytes_max = 1000,
    )
    .await;
    let error = client.catalog_datacenters(&QueryOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes_max: 1000 }), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_promised_is_named() {
    let (_, client) = pair(|_| Scripted::ok("<html>"), |_| {}).await;
    let error = client.catalog_datacenters(&QueryOptions::default()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot read the answer to GET /v1/catalog/datacenters:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let scope = scope();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Config::new(Address::parse(&listener.local_addr().unwrap().to_string()).unwrap());
    config.answer_timeout = Duration::from_millis(50);
    let error = Client::new(config, &scope).unwrap().agent_leave(&QueryOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_write_that_may_have_arrived_is_not_repeated() {
    let scope = scope();
    let (address, counts) = answering(&scope, 1).await;
    let client = client(address, &scope);
    client.catalog_nodes(&QueryOptions::default()).await.unwrap();
    let error = client.agent_leave(&QueryOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert_eq!((counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst)), (1, 2));
}

#[tokio::test]
async fn a_read_on_a_kept_connection_is_repeated_once() {
    let scope = scope();
    let (address, counts) = answering(&scope, 1).await;
    let client = client(address, &scope);
    client.catalog_nodes(&QueryOptions::default()).await.unwrap();
    client.catalog_nodes(&QueryOptions::default()).await.unwrap();
    assert_eq!((counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst)), (2, 3));
    let (address, counts) = answering(&scope, 0).await;
    let error = self::client(address, &scope).catalog_nodes(&QueryOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    assert_eq!(counts.1.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_died_while_idle_is_replaced_unnoticed() {
    let scope = scope();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = scope.spawn("server", async move {
        let mut served = 0;
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(read_request(&mut stream).await);
            stream.write_all(KEPT_ALIVE).await.unwrap();
            served += 1;
        }
        served
    });
    let client = client(address, &scope);
    for _ in 0..3 {
        client.catalog_nodes(&QueryOptions::default()).await.unwrap();
        // The server has closed the connection by now, or closes it while the next request is being sent.
        tokio::task::yield_now().await;
    }
    assert_eq!(server.join().await, Ok(3));
}

#[tokio::test]
async fn a_token_no_header_can_carry_is_refused_without_being_shown() {
    let (server, client) = pair(|_| Scripted::ok("[]"), |_| {}).await;
    let token = Some(concord_model::Secret::new("line\nbreak".to_owned()));
    let error = client.catalog_nodes(&QueryOptions { token, ..QueryOptions::default() }).await.unwrap_err();
    assert!(matches!(error, Error::Request { .. }));
    assert!(!format!("{error} {error:?}").contains("break"));
    assert!(server.seen().is_empty());
}
