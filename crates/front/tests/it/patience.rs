//! Slow clients, idle clients, and clients that hold many connections.

use std::time::Duration;

use concord_front::http::{Settings, limits};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::world::{ROOT, Response, Setup, World};

fn hasty() -> Setup {
    let patience = Duration::from_millis(200);
    let settings = Settings {
        header_timeout: patience,
        idle_timeout: patience,
        body_timeout: patience,
        answer_timeout: patience,
        ..Settings::default()
    };
    Setup { settings, ..Setup::default() }
}

const REQUEST: &str = "GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn n_11_a_client_that_says_nothing_is_closed() {
    let world = hasty().start().await;
    assert_eq!(world.raw(b"").await, "");
    // And a client that sends nothing more.
    let answer = world.raw(REQUEST.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn n_12_a_head_byte_by_byte_is_cut() {
    let world = hasty().start().await;
    let (mut read, mut write) = world.connect().await.into_split();
    let dribble = async {
        // Each byte is in time, but the head never ends.
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
    let request = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{";
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
    let mut settings = Settings::default();
    settings.section.connections_per_client_max = 2;
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
    // The refusal is sent at once, with or without a request.
    for request in [REQUEST, ""] {
        let refused = Response::parse(&world.raw(request.as_bytes()).await);
        let text = "Your IP is issuing too many concurrent connections, please rate limit your calls";
        assert_eq!((refused.status, refused.body.as_str()), (429, text));
        assert_eq!(refused.header("content-length"), Some(text.len().to_string().as_str()));
    }
    held.pop();
    // The place is free once the server has noticed the end.
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

/// A connection from its own address.
async fn from(world: &World, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, last], 0).into()).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(world.address).await.unwrap()
}

#[tokio::test]
async fn n_12_unfinished_heads_of_one_address_leave_room_for_another() {
    let room = 5 * (limits::CONNECTION_BYTES + limits::REQUEST_BYTES) + limits::ANSWER_BYTES;
    let world = Setup { budget: Some(2 * room), ..Setup::default() }.start().await;
    let mut held = Vec::new();
    let refused = world
        .guard(async {
            loop {
                let mut stream = from(&world, 2).await;
                stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\n").await.unwrap();
                // An accepted client receives nothing yet.
                let mut said = [0; 1024];
                tokio::select! {
                    read = stream.read(&mut said) => break String::from_utf8_lossy(&said[..read.unwrap()]).into_owned(),
                    () = world.pause(300) => held.push(stream),
                }
            }
        })
        .await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert_eq!(Response::parse(&refused).header("content-length"), Some("81"));
    assert_eq!(held.len(), 5);
    for _ in 0..3 {
        world.get("/v1/status/leader").ok().await;
    }
    // If no room is left, a third client takes it from the one that holds the most.
    let mut others = Vec::new();
    for last in 3..9 {
        let mut stream = from(&world, last).await;
        stream.write_all(b"GET /v1/status/leader HTTP/1.1\r\n").await.unwrap();
        others.push(stream);
    }
    world.get("/v1/status/leader").ok().await;
    drop((held, others));
    world
        .guard(async {
            while world.budget.held() > 0 {
                world.pause(10).await;
            }
        })
        .await;
    world.stop().await;
}

#[tokio::test]
async fn n_10_strangers_do_not_end_the_waits_of_who_has_a_token() {
    let speaking = limits::CONNECTION_BYTES + limits::REQUEST_BYTES;
    let waiting = speaking + limits::ANSWER_BYTES;
    let world = Setup { budget: Some(12 * waiting), ..Setup::guarded() }.start().await;
    let index = world.get("/v1/catalog/service/web").token(ROOT).send().await.index();
    let mut waits = Vec::new();
    for _ in 0..4 {
        let mut stream = from(&world, 2).await;
        let target = format!("/v1/catalog/service/web?index={index}&wait=60s");
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: {ROOT}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        waits.push(stream);
    }
    world
        .guard(async {
            while world.budget.held() < 4 * waiting {
                world.pause(10).await;
            }
        })
        .await;
    // Each holds less than the address with a token. An unknown token does not authenticate.
    let mut strangers = Vec::new();
    for last in 10..50 {
        let mut stream = from(&world, last).await;
        let head = "GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nX-Consul-Token: none\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        world.pause(5).await;
        strangers.push(stream);
    }
    assert!(world.budget.held() > 11 * waiting, "there is no room left");
    for stream in &mut waits {
        let mut said = [0; 100];
        tokio::select! {
            read = stream.read(&mut said) => panic!("a wait ended: {read:?}"),
            () = world.pause(50) => {}
        }
    }
    drop((waits, strangers));
    world.stop().await;
}

#[tokio::test]
async fn n_37_a_body_beyond_the_budget_is_refused() {
    let world = Setup { budget: Some(256 << 10), ..Setup::default() }.start().await;
    let body = |bytes: usize| format!("{{\"Name\":\"web\"}}{}", " ".repeat(bytes));
    world.put("/v1/agent/service/register", body(10_000)).ok().await;
    world.put("/v1/agent/service/register", body(200 << 10)).refused(503, "try again later").await;
    world.stop().await;
}

#[tokio::test]
async fn n_37_a_large_head_is_under_the_budget() {
    let world = Setup { budget: Some(100 << 10), ..Setup::default() }.start().await;
    let get = |bytes: usize| {
        format!(
            "GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {}\r\n\r\n",
            "x".repeat(bytes)
        )
    };
    assert!(world.raw(get(4 << 10).as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(world.raw(get(40 << 10).as_bytes()).await, "");
    world.stop().await;
}

/// Registers services; their list has about six megabytes.
async fn fill(world: &World) {
    for number in 0..12 {
        let service = json!({ "Name": format!("web-{number}"), "Tags": vec!["x".repeat(1_000); 500] });
        world.put("/v1/agent/service/register", service.to_string()).ok().await;
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_is_not_idle() {
    let settings = Settings { answer_timeout: Duration::from_secs(30), ..hasty().settings };
    let world = Setup { settings, ..Setup::default() }.start().await;
    fill(&world).await;
    let mut stream = from(&world, 2).await;
    stream.write_all(b"GET /v1/agent/services HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let (mut read, mut part) = (0, vec![0; 64 << 10]);
    for round in 0.. {
        // Several pauses, each longer than the idle limit.
        if round < 5 {
            world.pause(300).await;
        }
        match world.guard(stream.read(&mut part)).await.unwrap() {
            0 => break,
            bytes => read += bytes,
        }
    }
    assert!(read > 6_000_000, "it got {read} bytes");
    world.stop().await;
}

#[tokio::test]
async fn n_18_a_client_that_does_not_read_its_answer_is_closed() {
    let settings = Settings { answer_timeout: Duration::from_millis(200), ..Settings::default() };
    let world = Setup { settings, ..Setup::default() }.start().await;
    fill(&world).await;
    let mut stream = from(&world, 2).await;
    stream.write_all(b"GET /v1/agent/services HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    world
        .guard(async {
            while world.budget.held() < 5 << 20 {
                world.pause(1).await;
            }
            while world.budget.connections() > 0 {
                world.pause(10).await;
            }
        })
        .await;
    assert_eq!(world.budget.held(), 0);
    // A client that reads gets the whole answer.
    let answer = world.get("/v1/agent/services").send().await;
    assert_eq!(answer.json().as_object().unwrap().len(), 12);
    world.stop().await;
}

#[tokio::test]
async fn n_18_an_answer_beyond_the_budget_is_refused_until_it_is_smaller() {
    let world = Setup { budget: Some(3 << 20), ..Setup::default() }.start().await;
    let service = |number: usize, bytes: usize| {
        json!({ "Name": format!("web-{number}"), "Tags": vec!["x".repeat(1_000); bytes / 1_000] }).to_string()
    };
    world.put("/v1/agent/service/register", service(0, 400_000)).ok().await;
    world.get("/v1/agent/services").ok().await;
    for number in 1..5 {
        world.put("/v1/agent/service/register", service(number, 400_000)).ok().await;
    }
    // Together with the connection, two megabytes are more than half the budget.
    for _ in 0..2 {
        world.get("/v1/agent/services").refused(503, "try again later").await;
    }
    for number in 1..5 {
        world.put(&format!("/v1/agent/service/deregister/web-{number}"), "").ok().await;
    }
    world.get("/v1/agent/services").ok().await;
    world.stop().await;
}
