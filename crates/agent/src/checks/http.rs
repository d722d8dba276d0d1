//! HTTP checks: one request on one connection. It follows redirects, and the status decides.
//!
//! It connects directly to the URL and ignores proxy settings in the environment.

use std::time::Duration;

use bytes::Bytes;
use concord_model::catalog::CheckStatus;
use concord_model::registration::CheckRequest;
use concord_runtime::timeout;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, COOKIE, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;

use super::alongside::Driver;
use super::dial::dial;
use super::tail::Tail;
use super::tools::Tools;
use super::url::{Url, shown};
use crate::limits::{CHECK_HTTP_BODY_BYTES_MAX, CHECK_HTTP_HEAD_BYTES_MAX, CHECK_HTTP_REDIRECTS_MAX};
use crate::local::Report;

const PROTOCOL: &[u8] = b"http/1.1";
/// The user agent by which services recognise health checks.
const AGENT: HeaderValue = HeaderValue::from_static("Consul Health Check");
const ACCEPTED: HeaderValue = HeaderValue::from_static("text/plain, text/*, */*");

/// An answer whose body has not been read.
struct ProbedReply {
    response: Response<Incoming>,
    driver: Driver,
}

/// The next request to send.
struct Next {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

/// Runs it. With `via`, the URL's host is reached at that address, and the request is the same.
pub(super) async fn run(
    tools: &Tools,
    request: &CheckRequest,
    via: Option<&str>,
    within: Duration,
    keep: usize,
) -> Report {
    let method = if request.method.is_empty() { "GET" } else { &request.method };
    let critical = |why: String| {
        let word = method.chars().take(1).chain(method.chars().skip(1).flat_map(char::to_lowercase));
        let word: String = word.collect();
        Report::run(CheckStatus::Critical, format!("{word} \"{}\": {why}", shown(&request.url)))
    };
    let until = tools.clock.now() + within;
    let reply = match timeout(&*tools.clock, within, ask(tools, request, via, method)).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(why)) => return critical(why),
        Err(_) => return critical("context deadline exceeded while awaiting headers".to_owned()),
    };
    let (status, said) = (reply.response.status(), status_line(&reply.response));
    let mut tail = Tail::new(keep);
    // The status is known already, so a body that does not end changes nothing.
    let left = until.saturating_since(tools.clock.now());
    let _ = timeout(&*tools.clock, left, read(reply, &mut tail)).await;
    let verdict = match status {
        StatusCode::TOO_MANY_REQUESTS => CheckStatus::Warning,
        status if status.is_success() => CheckStatus::Passing,
        _ => CheckStatus::Critical,
    };
    Report::run(verdict, format!("HTTP {method} {}: {said} Output: {}", shown(&request.url), tail.text()))
}

async fn read(mut reply: ProbedReply, tail: &mut Tail) {
    let mut body = reply.response.into_body();
    while let Some(Ok(frame)) = reply.driver.alongside(body.frame()).await {
        if let Some(data) = frame.data_ref() {
            tail.push(data);
        }
        if tail.total() >= CHECK_HTTP_BODY_BYTES_MAX as u64 {
            return;
        }
    }
}

/// The status line as received: `200 OK`.
fn status_line(response: &Response<Incoming>) -> String {
    let status = response.status();
    let own = response.extensions().get::<ReasonPhrase>().map(|own| String::from_utf8_lossy(own.as_bytes()));
    let reason = own.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().into());
    format!("{} {reason}", status.as_u16()).trim_end().to_owned()
}

async fn ask(
    tools: &Tools,
    request: &CheckRequest,
    via: Option<&str>,
    method: &str,
) -> Result<ProbedReply, String> {
    let mut next = first(request, method)?;
    let own = next.url.authority.clone();
    for _ in 0..=CHECK_HTTP_REDIRECTS_MAX {
        let at = via.filter(|_| next.url.authority == own).map_or_else(|| next.url.address(), str::to_owned);
        let reply = send(tools, request, &next, &at).await?;
        if request.disable_redirects || !redirect(&mut next, &reply.response)? {
            return Ok(reply);
        }
    }
    Err(format!("stopped after {CHECK_HTTP_REDIRECTS_MAX} redirects"))
}

fn first(request: &CheckRequest, method: &str) -> Result<Next, String> {
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("invalid method {method:?}"))?;
    let url = Url::parse(&request.url)?;
    let mut headers = HeaderMap::new();
    for (name, values) in &request.header {
        let key = HeaderName::try_from(name).map_err(|_| format!("invalid header field name {name:?}"))?;
        for value in values {
            // Do not print the value: it may be a secret.
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("invalid value of header field {name:?}"))?;
            headers.append(key.clone(), value);
        }
    }
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.entry(ACCEPT).or_insert(ACCEPTED);
    Ok(Next { method, url, headers, body: Bytes::copy_from_slice(request.body.as_bytes()) })
}

async fn send(tools: &Tools, request: &CheckRequest, next: &Next, at: &str) -> Result<ProbedReply, String> {
    let Next { method, url, headers, body } = next;
    let tls = url.secure.then_some(&request.tls);
    let stream = dial(&tools.tls, at, tls, &[PROTOCOL]).await?;
    let (mut requests, connection) = http1::Builder::new()
        .max_buf_size(CHECK_HTTP_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let mut driver = Driver::new(async move {
        let _ = connection.await;
    });
    let host = HeaderValue::try_from(&url.authority).map_err(|error| error.to_string())?;
    let mut built = Request::new(Full::new(body.clone()));
    *built.method_mut() = method.clone();
    *built.uri_mut() = url.path.clone().into();
    *built.headers_mut() = headers.clone();
    built.headers_mut().entry(HOST).or_insert(host);
    built.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    if let Some(authorization) = &url.authorization
        && !headers.contains_key(AUTHORIZATION)
    {
        let value = HeaderValue::try_from(authorization).map_err(|error| error.to_string())?;
        built.headers_mut().insert(AUTHORIZATION, value);
    }
    let response = driver.alongside(requests.send_request(built)).await.map_err(|error| told(&error))?;
    Ok(ProbedReply { response, driver })
}

/// Whether an answer is a redirect; if so, sets the next request.
fn redirect(next: &mut Next, response: &Response<Incoming>) -> Result<bool, String> {
    let keeps = match response.status().as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(false),
    };
    let Some(location) = response.headers().get(LOCATION) else { return Ok(false) };
    let location = location.to_str().map_err(|_| "a Location header that is no text".to_owned())?;
    let url = next.url.follow(location)?;
    if url.authority != next.url.authority {
        // Do not send these headers to another host: they were meant for the first one.
        [HOST, AUTHORIZATION, COOKIE].iter().for_each(|name| drop(next.headers.remove(name)));
    }
    if !keeps && next.method != Method::HEAD {
        next.method = Method::GET;
        next.body = Bytes::new();
    }
    next.url = url;
    Ok(true)
}

fn told(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    if error.is_incomplete_message() { "EOF".to_owned() } else { format!("{error}{cause}") }
}
