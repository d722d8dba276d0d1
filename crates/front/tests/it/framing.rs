//! Tests of bytes that are not plain HTTP: each is refused, and nothing after it is read.

use crate::world::{Response, Setup, World};

const NEXT: &str = "GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Checks that the request is refused with one 400 and the connection is closed.
async fn refused(world: &World, what: &str, request: &[u8]) {
    let mut bytes = request.to_vec();
    bytes.extend_from_slice(NEXT.as_bytes());
    let answer = world.raw(&bytes).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{what}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer:?}");
}

#[tokio::test]
async fn n_44_requests_others_could_read_differently_are_refused() {
    let world = Setup::default().start().await;
    let put = |headers: &str, body: &str| {
        format!("PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}")
            .into_bytes()
    };
    let get = |headers: &str| {
        format!("GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").into_bytes()
    };
    // The same request without the error is answered, and so is the next one.
    let good = [get("X: y\r\n"), NEXT.as_bytes().to_vec()].concat();
    assert_eq!(world.raw(&good).await.matches("HTTP/1.1 200 ").count(), 2);
    let chunked = "Transfer-Encoding: chunked\r\n";
    let good = put(&format!("{chunked}Connection: close\r\n"), "e\r\n{\"Name\":\"web\"}\r\n0\r\n\r\n");
    assert!(world.raw(&good).await.starts_with("HTTP/1.1 200 "));

    for (what, request) in [
        ("length before chunks", put(&format!("Content-Length: 4\r\n{chunked}"), "0\r\n\r\n")),
        ("length after chunks", put(&format!("{chunked}Content-Length: 4\r\n"), "0\r\n\r\n")),
        ("two codings", put(&format!("{chunked}Transfer-Encoding: identity\r\n"), "0\r\n\r\n")),
        ("two codings the other way", put(&format!("Transfer-Encoding: identity\r\n{chunked}"), "0\r\n\r\n")),
        ("chunked twice", put(&format!("{chunked}{chunked}"), "0\r\n\r\n")),
        ("an unknown coding", put("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")),
        ("two lengths", put("Content-Length: 2\r\nContent-Length: 3\r\n", "{}")),
        ("one length twice", put("Content-Length: 2\r\nContent-Length: 2\r\n", "{}")),
        ("lengths in a list", put("Content-Length: 2, 2\r\n", "{}")),
        ("a sign", put("Content-Length: +2\r\n", "{}")),
        ("hexadecimal", put("Content-Length: 0x2\r\n", "{}")),
        ("a negative length", put("Content-Length: -2\r\n", "{}")),
        ("a length out of all bounds", put("Content-Length: 99999999999999999999999\r\n", "{}")),
        ("a folded line", get("X: a\r\n b\r\n")),
        ("a bare line feed after a header", get("X: a\nY: b\r\n")),
        ("a bare line feed at the end", b"GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\n".to_vec()),
        (
            "a bare line feed after the request line",
            b"GET /v1/status/leader HTTP/1.1\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("a bare carriage return", get("X: a\rY: b\r\n")),
        ("NUL in a name", get("X\0: a\r\n")),
        ("NUL in a value", get("X: a\0b\r\n")),
        ("space before the colon", get("Content-Length : 2\r\n")),
        ("no name", get(": a\r\n")),
        ("no host", b"GET /v1/status/leader HTTP/1.1\r\nX: y\r\n\r\n".to_vec()),
        ("no host but in the request line", b"GET http://a/v1/status/leader HTTP/1.1\r\n\r\n".to_vec()),
        ("two hosts", get("Host: b\r\n")),
        ("one host twice", get("host: a\r\n")),
        ("a host with a path", b"GET /v1/status/leader HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec()),
        ("a fragment", b"GET /v1/status/leader#x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("another host", b"GET http://b/v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("another port", b"GET http://a:1/v1/status/leader HTTP/1.1\r\nHost: a:2\r\n\r\n".to_vec()),
        ("a user", b"GET http://u@localhost/v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a user in both", b"GET http://u@a/v1/status/leader HTTP/1.1\r\nHost: u@a\r\n\r\n".to_vec()),
        (
            "another scheme",
            b"GET https://localhost/v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("a file", b"GET file:///v1/status/leader HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("a tunnel", b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n".to_vec()),
        ("the whole server", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()),
        ("two hosts beside a body", put("Host: b\r\nContent-Length: 14\r\n", "{\"Name\":\"web\"}")),
        ("a line feed in a chunk's extension", put(chunked, "2;a\nb\r\n{}\r\n0\r\n\r\n")),
        ("a chunk out of all bounds", put(chunked, "fffffffffffffffff\r\n{}\r\n0\r\n\r\n")),
        ("a chunk with a sign", put(chunked, "+2\r\n{}\r\n0\r\n\r\n")),
        ("a chunk with a prefix", put(chunked, "0x2\r\n{}\r\n0\r\n\r\n")),
        ("a chunk without its end", put(chunked, "2\r\n{}x\r\n0\r\n\r\n")),
    ] {
        refused(&world, what, &request).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn hosts_may_be_empty_and_were_not_there_before_1_1() {
    let world = Setup::default().start().await;
    for request in [
        "GET /v1/status/leader HTTP/1.0\r\n\r\n",
        "GET /v1/status/leader HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n",
        "GET http://localhost/v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 OK\r\n"), "{request}: {answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_is_read_after_a_chunked_body() {
    let world = Setup::default().start().await;
    let body = "2\r\n{}\r\n0\r\n\r\n";
    let request = format!(
        "PUT /v1/agent/check/update/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{body}{NEXT}"
    );
    let answer = world.raw(request.as_bytes()).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert_eq!(Response::parse(&answer).header("connection"), Some("close"));
    world.stop().await;
}

#[tokio::test]
async fn n_37_bodies_over_the_limit_are_refused() {
    let world = Setup::default().start().await;
    let limit = concord_front::http::limits::BODY_BYTES;
    let head = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: localhost\r\n";
    // The announced length decides: the body is not awaited.
    let claimed = format!("{head}Content-Length: {}\r\n\r\n", 1_u64 << 40);
    assert!(world.raw(claimed.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    // The received bytes decide, without an announced length.
    let mut chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..=limit / 4096 {
        chunked.extend_from_slice(b"1000\r\n");
        chunked.extend_from_slice(&[b' '; 4096]);
        chunked.extend_from_slice(b"\r\n");
    }
    assert!(world.raw(&chunked).await.starts_with("HTTP/1.1 413 "));
    // Bytes beyond the announced length do not belong to the body.
    let lying = format!("{head}Content-Length: 14\r\n\r\n{{\"Name\":\"web\"}}{}", "x".repeat(limit));
    let answer = world.raw(lying.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{answer}");
    // A body of exactly the limit is read.
    let body = format!("{{\"Name\":\"web\"}}{}", " ".repeat(limit - 14));
    world.put("/v1/agent/service/register", body).ok().await;
    world.stop().await;
}

#[tokio::test]
async fn n_20_deep_nesting_in_a_body_is_refused() {
    let world = Setup::default().start().await;
    let deep = format!("{{\"Name\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for path in ["/v1/agent/service/register", "/v1/catalog/register", "/v1/config"] {
        world.put(path, deep.clone()).refused(400, "").await;
    }
    world.post("/v1/agent/connect/authorize", deep).refused(400, "").await;
    world.get("/v1/status/leader").ok().await;
    world.stop().await;
}

#[tokio::test]
async fn more_headers_than_the_limit_are_refused() {
    let world = Setup::default().start().await;
    let limit = concord_front::http::limits::HEADERS;
    for (count, status) in [(limit, "HTTP/1.1 200 "), (limit + 1, "HTTP/1.1 431 ")] {
        let more: String = (2..count).map(|at| format!("X-{at}: y\r\n")).collect();
        let request =
            format!("GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n");
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with(status), "{count}: {answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn heads_over_the_limit_are_refused() {
    let world = Setup::default().start().await;
    for size in [70_000, 100_000, 1_000_000] {
        let header = "x".repeat(size);
        let long = format!(
            "GET /v1/status/leader HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: {header}\r\n\r\n"
        );
        let answer = world.raw(long.as_bytes()).await;
        // The answer may be lost if the rest of the head was never read.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{size}: {answer}");
    }
    world.get("/v1/status/leader").header("X", &"x".repeat(10_000)).ok().await;
    let target = format!("/v1/status/leader?{}", "x".repeat(20_000));
    world.get(&target).refused(414, "longer than 16 KiB").await;
    world.stop().await;
}
