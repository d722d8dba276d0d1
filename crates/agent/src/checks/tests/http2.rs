//! Tests of pings and of gRPC's health protocol.

use ::http::{HeaderMap, Response};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::tls::{Secure, tls};
use super::*;

/// Answers each question with this status, or with an error.
async fn grpc(stream: impl dial::Stream + 'static, answer: Result<u8, (u16, &'static str)>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
        assert_eq!(request.headers()["content-type"], "application/grpc");
        let response = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
        let mut trailers = HeaderMap::new();
        let mut send = respond.send_response(response, false).unwrap();
        match answer {
            Ok(status) => {
                send.send_data(Bytes::from(vec![0, 0, 0, 0, 2, 8, status]), false).unwrap();
                trailers.insert("grpc-status", "0".parse().unwrap());
            }
            Err((code, why)) => {
                trailers.insert("grpc-status", code.into());
                trailers.insert("grpc-message", why.parse().unwrap());
            }
        }
        send.send_trailers(trailers).unwrap();
    }
}

fn health(address: String, service: &str, tls: Option<concord_model::registration::CheckTls>) -> Probe {
    Probe::Grpc { address, service: service.to_owned(), tls, every: every(PATIENT) }
}

#[tokio::test]
async fn a_grpc_server_says_how_it_is() {
    let (scope, maker) = (scope(), maker());
    for (answer, status, said) in [
        (Ok(1), Passing, "gRPC check {at}: success"),
        (Ok(2), Critical, "gRPC {at} serving status: NOT_SERVING"),
        (Ok(3), Critical, "gRPC {at} serving status: SERVICE_UNKNOWN"),
        (Ok(0), Critical, "gRPC {at} serving status: UNKNOWN"),
        (Err((5, "unknown%20service")), Critical, "rpc error: code = NotFound desc = unknown service"),
        (Err((12, "none")), Critical, "rpc error: code = Unimplemented desc = none"),
    ] {
        let address = serve(&scope, move |stream| grpc(stream, answer)).await.to_string();
        for (service, at) in [("", address.clone()), ("some.Service", format!("{address}/some.Service"))] {
            let found = run(&maker, health(address.clone(), service, None)).await;
            assert_eq!(found, (status, said.replace("{at}", &at)));
        }
    }
}

#[tokio::test]
async fn a_grpc_server_that_is_none_is_critical() {
    let (scope, maker) = (scope(), maker());
    let closed = closed().await.to_string();
    let (status, output) = run(&maker, health(closed.clone(), "", None)).await;
    let why = format!("connection error: desc = \"dial tcp {closed}: connect: connection refused\"");
    assert_eq!((status, output), (Critical, format!("rpc error: code = Unavailable desc = {why}")));
    let http1 = serve(&scope, |stream| async move {
        let _ = stream.writable().await;
        let _ = stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    })
    .await;
    let (status, output) = run(&maker, health(http1.to_string(), "", None)).await;
    assert!(status == Critical && output.starts_with("rpc error: code = Unavailable"), "{output}");
    let silent = serve(&scope, |stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let probe =
        Probe::Grpc { address: silent.to_string(), service: String::new(), tls: None, every: every(BRIEF) };
    let late = "rpc error: code = DeadlineExceeded desc = context deadline exceeded".to_owned();
    assert_eq!(run(&maker, probe).await, (Critical, late));
    let address = silent.to_string();
    let (status, output) = run(&maker, Probe::H2ping { address, tls: None, every: every(BRIEF) }).await;
    assert!(status == Critical && output.starts_with("HTTP2 ping failed: "), "{output}");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_critical() {
    let scope = scope();
    let at = serve(&scope, |stream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        let mut open = Vec::new();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data(Bytes::from(vec![0; 16_000]), false).unwrap();
            open.push(send);
        }
    })
    .await;
    let (status, output) = run(&maker(), health(at.to_string(), "", None)).await;
    let why = "rpc error: code = Internal desc = an answer of more than 4096 bytes";
    assert_eq!((status, output.as_str()), (Critical, why));
}

#[tokio::test]
async fn n_168_what_a_target_offers_by_itself_ends_the_run() {
    let scope = scope();
    let at = serve(&scope, |mut stream| async move {
        let mut said = vec![0; 1024];
        let mut have = 0;
        // Until the request has begun: its length and text vary, so search for the header of a HEADERS frame on
        // stream 1.
        while !said[..have].windows(9).any(|head| head[3..] == *b"\x01\x04\0\0\0\x01") {
            match stream.read(&mut said[have..]).await {
                Ok(0) | Err(_) => return,
                Ok(more) => have += more,
            }
        }
        let offer = |stream: u32| {
            let offered = [&stream.to_be_bytes()[..], b"\x82\x86\x84\x41\x01a"].concat();
            [&[0, 0, u8::try_from(offered.len()).unwrap(), 5, 4, 0, 0, 0, 1][..], &offered].concat()
        };
        let settings = b"\0\0\0\x04\0\0\0\0\0".to_vec();
        let offers = (1..=100).map(|number| offer(2 * number));
        let _ = stream.write_all(&std::iter::once(settings).chain(offers).collect::<Vec<_>>().concat()).await;
        std::future::pending::<()>().await;
    })
    .await;
    let (status, output) = run(&maker(), health(at.to_string(), "", None)).await;
    assert!(status == Critical && output.contains("Unavailable"), "{output}");
}

#[tokio::test]
async fn both_go_over_tls_too() {
    let (scope, secure) = (scope(), Secure::new(&["127.0.0.1"], &[b"h2"]));
    let acceptor = secure.acceptor.clone();
    let at = serve(&scope, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                grpc(stream, Ok(1)).await;
            }
        }
    })
    .await;
    let ping = |with| Probe::H2ping { address: at.to_string(), tls: Some(with), every: every(PATIENT) };
    let asked = |with| health(at.to_string(), "", Some(with));
    let pings = (Passing, "HTTP2 ping was successful".to_owned());
    let serves = (Passing, format!("gRPC check {at}: success"));
    let knows = secure.maker();
    assert_eq!(run(&knows, ping(tls("", false))).await, pings);
    assert_eq!(run(&knows, asked(tls("", false))).await, serves);
    let other = Secure::new(&["x"], &[]);
    let stranger = other.maker();
    assert_eq!(run(&stranger, ping(tls("", true))).await, pings);
    assert_eq!(run(&stranger, asked(tls("", true))).await, serves);
    let (status, output) = run(&stranger, ping(tls("", false))).await;
    let why = format!("Failed to dial to {at}: tls: failed to verify certificate: ");
    assert!(status == Critical && output.starts_with(&why), "{output}");
    let (status, output) = run(&stranger, asked(tls("", false))).await;
    assert!(status == Critical && output.contains("tls: failed to verify certificate"), "{output}");
    let plain = serve(&scope, |stream| grpc(stream, Ok(1))).await;
    let probe = Probe::H2ping { address: plain.to_string(), tls: None, every: every(PATIENT) };
    assert_eq!(run(&knows, probe).await, pings, "and without");
}
