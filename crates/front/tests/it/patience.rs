//! Slow clients, idle clients, and clients that hold many connections.

use std::time::Duration;

use concord_front::http::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{Response, Setup};

fn hasty() -> Setup {
    let patience = Duration::from_millis(200);
    let settings = Settings {
        header_timeout: patience,
        idle_timeout: patience,
        body_timeout: patience,
        ..Settings::default()
    };
    Setup { settings, ..Setup::default() }
}

const REQUEST: &str = "GET /v1/status/leader HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn n_11_a_client_that_says_nothing_is_closed() {
    let world = hasty().start().await;
    assert_eq!(world.raw(b"").await, "");
    // And one that says nothing more.
    let answer = world.raw(REQUEST.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn n_12_a_head_byte_by_byte_is_cut() {
    let world = hasty().start().await;
    let (mut read, mut write) = world.connect().await.into_split();
    let dribble = async {
        // Each byte in time, the whole never.
        while write.write_all(b"G").await.is_ok() {
            world.pause(20).await;
        }
    };
    let closed = async {
        let mut bytes = Vec::new();
        let _ = read.read_to_end(&mut bytes).await;
    };
    world
        .guard(async {
            tokio::select! { () = dribble => {}, () = closed => {} }
        })
        .await;
    let mut stream = world.connect().await;
    let blank = async {
        while stream.write_all(b"\r\n").await.is_ok() {
            world.pause(20).await;
        }
    };
    world.guard(blank).await;
    world.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = hasty().start().await;
    let request = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{";
    let answer = world.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn a_request_that_waits_is_not_idle() {
    let world = hasty().start().await;
    let index = world.get("/v1/catalog/service/web").send().await.index();
    let waited = world.get(&format!("/v1/catalog/service/web?index={index}&wait=700ms")).send().await;
    assert_eq!((waited.status, waited.index()), (200, index));
    world.stop().await;
}

#[tokio::test]
async fn n_10_one_client_holds_so_many_connections() {
    let settings = Settings { connections_per_client: 2, ..Settings::default() };
    let world = Setup { settings, ..Setup::default() }.start().await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = world.connect().await;
        stream.write_all(REQUEST.as_bytes()).await.unwrap();
        let mut bytes = [0; 1024];
        let n = stream.read(&mut bytes).await.unwrap();
        assert_eq!(Response::parse(std::str::from_utf8(&bytes[..n]).unwrap()).status, 200);
        held.push(stream);
    }
    // Said at once, whether a request comes or not.
    for request in [REQUEST, ""] {
        let refused = Response::parse(&world.raw(request.as_bytes()).await);
        let text = "Your IP is issuing too many concurrent connections, please rate limit your calls";
        assert_eq!((refused.status, refused.body.as_str()), (429, text));
        assert_eq!(refused.header("content-length"), Some(text.len().to_string().as_str()));
    }
    held.pop();
    // Its place is free once the other side has noticed.
    let closing = REQUEST.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    world
        .guard(async {
            while !world.raw(closing.as_bytes()).await.starts_with("HTTP/1.1 200 ") {
                world.pause(10).await;
            }
        })
        .await;
    world.stop().await;
}
