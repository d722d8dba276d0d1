//! Tests of HTTP requests and their answers, valid and invalid.

use std::collections::BTreeMap;

use concord_model::registration::{CheckRequest, CheckTls};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt as _};

use super::tls::{Secure, tls};
use super::*;

fn request(url: String) -> CheckRequest {
    CheckRequest {
        url,
        method: String::new(),
        header: BTreeMap::new(),
        body: String::new(),
        disable_redirects: false,
        tls: CheckTls::default(),
    }
}

fn probe(request: CheckRequest, timeout: Duration) -> Probe {
    Probe::Http { request: Box::new(request), every: every(timeout) }
}

async fn head_of(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Answers each request with what `with` makes of its head, and stores the heads.
async fn answering(
    scope: &Scope,
    with: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let (with, seen) = (Arc::new(with), Arc::clone(&heads));
    let address = serve(scope, move |mut stream| {
        let (with, seen) = (Arc::clone(&with), Arc::clone(&seen));
        async move {
            let head = head_of(&mut stream).await;
            let answer = with(&head);
            seen.lock().push(head);
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (address, heads)
}

#[track_caller]
fn check(found: (CheckStatus, String), status: CheckStatus, output: &str) {
    assert_eq!((found.0, found.1.as_str()), (status, output));
}

#[tokio::test]
async fn the_status_of_the_answer_decides() {
    let scope = scope();
    let (at, _) = answering(&scope, |head| {
        let status = head.split(' ').nth(1).unwrap().trim_start_matches('/').replace('_', " ");
        format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\n\r\nyes")
    })
    .await;
    for (path, status, said) in [
        ("200_OK", Passing, "200 OK"),
        ("204_No_Content", Passing, "204 No Content"),
        ("299_Fine_by_me", Passing, "299 Fine by me"),
        ("429_Too_Many_Requests", Warning, "429 Too Many Requests"),
        ("404_Not_Found", Critical, "404 Not Found"),
        ("301_Moved", Critical, "301 Moved"),
        ("503_", Critical, "503"),
    ] {
        let url = format!("http://{at}/{path}");
        let body = if path.starts_with("204") { "" } else { "yes" };
        let found = run(&maker(), probe(request(url.clone()), PATIENT)).await;
        check(found, status, &format!("HTTP GET {url}: {said} Output: {body}"));
    }
}

#[tokio::test]
async fn the_request_is_as_it_is_written() {
    let scope = scope();
    let (at, heads) = answering(&scope, |_| "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    run(&maker(), probe(request(format!("http://{at}")), PATIENT)).await;
    let own = CheckRequest {
        method: "PUT".to_owned(),
        header: [
            ("Host".to_owned(), vec!["web.example".to_owned()]),
            ("User-Agent".to_owned(), vec!["me".to_owned()]),
            ("X-Two".to_owned(), vec!["a".to_owned(), "b".to_owned()]),
        ]
        .into(),
        body: "hello".to_owned(),
        ..request(format!("http://u:p@{at}/a?b=c"))
    };
    let found = run(&maker(), probe(own, PATIENT)).await;
    check(found, Passing, &format!("HTTP PUT http://u:xxxxx@{at}/a?b=c: 200 OK Output: "));
    let heads = heads.lock().clone();
    let has = |at: usize, line: &str| {
        let there = heads[at].lines().any(|own| own.eq_ignore_ascii_case(line));
        assert!(there, "{line} in {}", heads[at]);
    };
    has(0, "GET / HTTP/1.1");
    has(0, &format!("host: {at}"));
    has(0, "user-agent: Consul Health Check");
    has(0, "accept: text/plain, text/*, */*");
    has(0, "connection: close");
    for line in [
        "PUT /a?b=c HTTP/1.1",
        "host: web.example",
        "user-agent: me",
        "x-two: a",
        "x-two: b",
        "content-length: 5",
        "authorization: Basic dTpw",
    ] {
        has(1, line);
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_critical_and_tells_no_secret() {
    let with = |name: &str, value: &str| CheckRequest {
        header: [(name.to_owned(), vec![value.to_owned()])].into(),
        ..request("http://127.0.0.1:1/".to_owned())
    };
    let method = CheckRequest { method: "G T".to_owned(), ..request("http://a/".to_owned()) };
    for (request, why) in [
        (request("gopher://a/".to_owned()), "Get \"gopher://a/\": unsupported protocol scheme \"gopher\""),
        (request("http:///x".to_owned()), "Get \"http:///x\": "),
        (method, "G t \"http://a/\": invalid method \"G T\""),
        (with("a b", "x"), "Get \"http://127.0.0.1:1/\": invalid header field name \"a b\""),
        (with("x", "canary\n"), "Get \"http://127.0.0.1:1/\": invalid value of header field \"x\""),
    ] {
        let (status, output) = run(&maker(), probe(request, PATIENT)).await;
        assert!(status == Critical && output.starts_with(why) && !output.contains("canary"), "{output}");
    }
    let closed = closed().await;
    let found = run(&maker(), probe(request(format!("http://{closed}/")), PATIENT)).await;
    check(
        found,
        Critical,
        &format!("Get \"http://{closed}/\": dial tcp {closed}: connect: connection refused"),
    );
}

#[tokio::test]
async fn redirects_are_followed_and_not_in_circles() {
    let scope = scope();
    let (other, others) =
        answering(&scope, |_| "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nelse".to_owned()).await;
    let (at, heads) = answering(&scope, move |head| {
        let to = match head.split(' ').nth(1).unwrap() {
            "/once" => "/twice".to_owned(),
            "/twice" => format!("http://{other}/there"),
            _ => "/circle".to_owned(),
        };
        format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
    })
    .await;
    let own = |path: &str| CheckRequest {
        method: "POST".to_owned(),
        body: "x".to_owned(),
        header: [("Authorization".to_owned(), vec!["canary".to_owned()])].into(),
        ..request(format!("http://{at}{path}"))
    };
    let found = run(&maker(), probe(own("/once"), PATIENT)).await;
    check(found, Passing, &format!("HTTP POST http://{at}/once: 200 OK Output: else"));
    assert!(heads.lock()[1].starts_with("GET /twice") && heads.lock()[1].contains("canary"));
    assert!(!others.lock()[0].contains("canary"), "another host hears no secret");
    heads.lock().clear();
    let found = run(&maker(), probe(own("/circle"), PATIENT)).await;
    check(found, Critical, &format!("Post \"http://{at}/circle\": stopped after 10 redirects"));
    assert_eq!(heads.lock().len(), 11);
    let stays = CheckRequest { disable_redirects: true, ..own("/once") };
    let found = run(&maker(), probe(stays, PATIENT)).await;
    check(found, Critical, &format!("HTTP POST http://{at}/once: 302 Found Output: "));
}

#[tokio::test]
async fn a_target_that_never_answers_is_critical_when_its_time_is_over() {
    let scope = scope();
    let silent = serve(&scope, |stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let found = run(&maker(), probe(request(format!("http://{silent}/")), BRIEF)).await;
    let why = "context deadline exceeded while awaiting headers";
    check(found, Critical, &format!("Get \"http://{silent}/\": {why}"));
    let closing = serve(&scope, |_| async {}).await;
    let (status, output) = run(&maker(), probe(request(format!("http://{closing}/")), PATIENT)).await;
    assert!(status == Critical && output.starts_with(&format!("Get \"http://{closing}/\": ")), "{output}");
}

#[tokio::test]
async fn of_an_answer_without_end_so_much_is_read_and_its_end_kept() {
    let scope = scope();
    let endless = serve(&scope, |mut stream| async move {
        head_of(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let line = b"0123456789abcdef".repeat(4096);
        while stream.write_all(&line).await.is_ok() {}
    })
    .await;
    let url = format!("http://{endless}/");
    let (status, output) = run(&maker(), probe(request(url.clone()), PATIENT)).await;
    let said = output.strip_prefix(&format!("HTTP GET {url}: 200 OK Output: ")).expect("as usual");
    assert!(status == Passing && said.len() == KEEP, "{}", said.len());
    // A target that stops in the middle delays a run for at most its time limit.
    let stuck = serve(&scope, |mut stream| async move {
        head_of(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let found = run(&maker(), probe(request(format!("http://{stuck}/")), BRIEF)).await;
    check(found, Passing, &format!("HTTP GET http://{stuck}/: 200 OK Output: half"));
    // A head without an end is invalid.
    let heads = serve(&scope, |mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(&b"X: y\r\n".repeat(1024)).await.is_ok() {}
    })
    .await;
    let (status, output) = run(&maker(), probe(request(format!("http://{heads}/")), PATIENT)).await;
    assert!(status == Critical && output.starts_with("Get "), "{output}");
}

#[tokio::test]
async fn https_is_verified_unless_any_certificate_will_do() {
    let (scope, secure) = (scope(), Secure::new(&["127.0.0.1"], &[b"http/1.1"]));
    let acceptor = secure.acceptor.clone();
    let at = serve(&scope, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            head_of(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let url = format!("https://{at}/");
    let with = |tls| CheckRequest { tls, ..request(url.clone()) };
    let passes = format!("HTTP GET {url}: 200 OK Output: ok");
    check(run(&secure.maker(), probe(with(tls("", false)), PATIENT)).await, Passing, &passes);
    let other = Secure::new(&["127.0.0.1"], &[]);
    let stranger = other.maker();
    check(run(&stranger, probe(with(tls("", true)), PATIENT)).await, Passing, &passes);
    for (maker, with) in [(&stranger, with(tls("", false))), (&secure.maker(), with(tls("other", false)))] {
        let (status, output) = run(maker, probe(with, PATIENT)).await;
        let why = format!("Get \"{url}\": tls: failed to verify certificate: ");
        assert!(status == Critical && output.starts_with(&why), "{output}");
    }
}

#[tokio::test]
async fn a_check_through_a_proxy_asks_for_the_same() {
    let (scope, maker) = (scope(), maker());
    let (proxy, heads) = answering(&scope, |head| match head.starts_with("GET /health?deep=1 ") {
        true => "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n".to_owned(),
        false => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
    })
    .await;
    // Nobody answers at the URL itself.
    let own = closed().await;
    let probe = probe(request(format!("http://{own}/health?deep=1")), Duration::from_secs(5));
    let report =
        maker.run(&Plan { via: Some(proxy.to_string()), ..plan(probe.clone()) }).await.expect("it runs");
    assert_eq!(report.status, Passing, "{}", report.output);
    let heads = heads.lock().clone();
    assert_eq!(heads.len(), 2, "the redirect leads to the same host: {heads:?}");
    assert!(heads.iter().all(|head| head.to_lowercase().contains(&format!("host: {own}\r\n"))), "{heads:?}");
    assert_eq!(run(&maker, probe).await.0, Critical);
}
