//! Tests which answers are compressed, and for which clients, on the wire.

use std::io::Read as _;

use flate2::read::GzDecoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{ROOT, Response, Setup, World};

/// The answer with its body decoded, if it was encoded.
async fn get(world: &World, path: &str, accepts: &str) -> Response {
    let mut stream = world.connect().await;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Consul-Token: {ROOT}\r\n{accepts}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    world.guard(stream.read_to_end(&mut all)).await.unwrap();
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let mut answer = Response::parse(std::str::from_utf8(&all[..end]).unwrap());
    let body = &all[end..];
    assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()), "{path}");
    answer.body = match answer.header("content-encoding") {
        None => String::from_utf8(body.to_vec()).unwrap(),
        Some(coding) => {
            assert_eq!(coding, "gzip");
            let mut text = String::new();
            GzDecoder::new(body).read_to_string(&mut text).unwrap();
            assert!(body.len() < text.len());
            text
        }
    };
    answer
}

const GZIP: &str = "Accept-Encoding: gzip\r\n";

async fn stocked() -> World {
    let world = Setup::guarded().start().await;
    for at in 0..20 {
        let body = format!(r#"{{"Name":"web","ID":"web-{at}","Tags":["one","two","three"]}}"#);
        world.put("/v1/agent/service/register", body).token(ROOT).ok().await;
    }
    world.until("/v1/health/service/web", ROOT, |answer| answer.body.matches("web-").count() >= 20).await;
    world
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_asks() {
    let world = stocked().await;
    for path in ["/v1/health/service/web", "/v1/catalog/service/web", "/v1/agent/services"] {
        let (plain, packed) = (get(&world, path, "").await, get(&world, path, GZIP).await);
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{path}");
        assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")), "{path}");
        assert_eq!(packed.json(), plain.json(), "{path}");
        for answer in [&plain, &packed] {
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{path}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        }
    }
    // A waiting read is treated like any other.
    let index = get(&world, "/v1/health/service/web", GZIP).await.index();
    let waited = get(&world, &format!("/v1/health/service/web?index={index}&wait=10ms"), GZIP).await;
    assert_eq!(waited.header("content-encoding"), Some("gzip"));
    for accepts in ["Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: br, *\r\n"] {
        let answer = get(&world, "/v1/agent/services", accepts).await;
        assert_eq!(answer.header("content-encoding"), None, "{accepts}");
    }
    world.stop().await;
}

#[tokio::test]
async fn short_answers_refusals_and_secrets_are_not_compressed() {
    let world = stocked().await;
    world.put("/v1/acl/token", format!(r#"{{"Description":"{}"}}"#, "x".repeat(2000))).token(ROOT).ok().await;
    // With a long name a leaf is long enough for compression, too.
    let leaf = format!("/v1/agent/connect/ca/leaf/{}", "w".repeat(63));
    for (path, status, least) in [
        ("/v1/status/leader", 200, 0),
        ("/v1/catalog/datacenters", 200, 0),
        ("/v1/nothing", 404, 0),
        // These contain keys and tokens.
        (&*leaf, 200, 1400),
        ("/v1/acl/tokens", 200, 2000),
    ] {
        let answer = get(&world, path, GZIP).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (status, None), "{path}");
        assert!(answer.body.len() >= least, "{path}: {}", answer.body.len());
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{path}");
    }
    let head = world.ask("HEAD", "/v1/agent/services").header("Accept-Encoding", "gzip").send().await;
    assert_eq!((head.status, head.header("content-encoding"), head.body.as_str()), (405, None, ""));
    world.stop().await;
}
