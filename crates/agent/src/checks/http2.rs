//! Checks over HTTP/2: a ping, and gRPC's health protocol.
//!
//! That protocol has one message with one field in each direction, so it is encoded and decoded here by hand.

use bytes::Bytes;
use concord_model::catalog::CheckStatus;
use concord_model::registration::CheckTls;
use h2::client::SendRequest;
use h2::{Ping, PingPong};
use http::{HeaderMap, Request};

use super::alongside::Driver;
use super::dial::dial;
use super::tools::Tools;
use super::url::unescaped;
use crate::limits::CHECK_GRPC_BYTES_MAX;
use crate::local::Report;

const PROTOCOL: &[u8] = b"h2";
/// The names of gRPC's codes, by number.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];
/// The serving states of gRPC's health protocol, by number.
const SERVING: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

struct Connection {
    requests: SendRequest<Bytes>,
    pings: PingPong,
    driver: Driver,
}

async fn connect(tools: &Tools, address: &str, tls: Option<&CheckTls>) -> Result<Connection, String> {
    let stream = dial(&tools.tls, address, tls, &[PROTOCOL]).await?;
    let (requests, mut connection) = h2::client::Builder::new()
        // Refuse server push: the check needs none, and each pushed stream would use memory.
        .enable_push(false)
        .max_header_list_size(CHECK_GRPC_BYTES_MAX as u32)
        .handshake(stream)
        .await
        .map_err(|error| error.to_string())?;
    let pings = connection.ping_pong().ok_or("the connection takes no pings")?;
    let driver = Driver::new(async move {
        let _ = connection.await;
    });
    Ok(Connection { requests, pings, driver })
}

/// Whether the other side answers a ping.
pub(super) async fn ping(tools: &Tools, address: &str, tls: Option<&CheckTls>) -> Report {
    let mut connection = match connect(tools, address, tls).await {
        Ok(connection) => connection,
        Err(why) => return Report::run(CheckStatus::Critical, format!("Failed to dial to {address}: {why}")),
    };
    match connection.driver.alongside(connection.pings.ping(Ping::opaque())).await {
        Ok(_) => Report::run(CheckStatus::Passing, "HTTP2 ping was successful".to_owned()),
        Err(error) => Report::run(CheckStatus::Critical, format!("HTTP2 ping failed: {error}")),
    }
}

/// Asks a gRPC server, which is reached at `at`, for the health of one of its services, or of the whole server.
pub(super) async fn health(
    tools: &Tools,
    (address, at): (&str, &str),
    service: &str,
    tls: Option<&CheckTls>,
) -> Report {
    let target = if service.is_empty() { address.to_owned() } else { format!("{address}/{service}") };
    match ask(tools, (address, at), service, tls).await {
        Ok(1) => Report::run(CheckStatus::Passing, format!("gRPC check {target}: success")),
        Ok(other) => {
            let status =
                usize::try_from(other).ok().and_then(|at| SERVING.get(at).copied()).unwrap_or("UNKNOWN");
            Report::run(CheckStatus::Critical, format!("gRPC {target} serving status: {status}"))
        }
        Err((code, why)) => Report::run(CheckStatus::Critical, failure(code, &why)),
    }
}

/// A failure in the words of Go's gRPC.
pub(super) fn failure(code: usize, why: &str) -> String {
    let code = CODES.get(code).copied().map_or_else(|| format!("Code({code})"), str::to_owned);
    format!("rpc error: code = {code} desc = {why}")
}

const UNKNOWN: usize = 2;
const INTERNAL: usize = 13;
const UNAVAILABLE: usize = 14;

async fn ask(
    tools: &Tools,
    (address, at): (&str, &str),
    service: &str,
    tls: Option<&CheckTls>,
) -> Result<u64, (usize, String)> {
    let connected = connect(tools, at, tls).await;
    let connection = connected.map_err(|why| (UNAVAILABLE, format!("connection error: desc = {why:?}")))?;
    let Connection { requests, pings: _, mut driver } = connection;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let request = Request::post(format!("{scheme}://{address}/grpc.health.v1.Health/Check"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "concord health check")
        .body(())
        .map_err(|error| (UNAVAILABLE, format!("{address:?} is not host:port: {error}")))?;
    driver.alongside(exchange(requests, request, message(service))).await
}

async fn exchange(
    requests: SendRequest<Bytes>,
    request: Request<()>,
    message: Bytes,
) -> Result<u64, (usize, String)> {
    let lost = |error: h2::Error| (UNAVAILABLE, error.to_string());
    let mut requests = requests.ready().await.map_err(lost)?;
    let (response, mut body) = requests.send_request(request, false).map_err(lost)?;
    body.send_data(message, true).map_err(lost)?;
    let (head, mut answer) = response.await.map_err(lost)?.into_parts();
    if !head.status.is_success() {
        return Err((UNKNOWN, format!("unexpected HTTP status code received from server: {}", head.status)));
    }
    // An error without a message is in the headers.
    judged(&head.headers)?;
    let mut read = Vec::new();
    while let Some(data) = answer.data().await {
        let data = data.map_err(lost)?;
        let _ = answer.flow_control().release_capacity(data.len());
        if read.len() + data.len() > CHECK_GRPC_BYTES_MAX {
            return Err((INTERNAL, format!("an answer of more than {CHECK_GRPC_BYTES_MAX} bytes")));
        }
        read.extend_from_slice(&data);
    }
    judged(&answer.trailers().await.map_err(lost)?.unwrap_or_default())?;
    status(&read).ok_or_else(|| (INTERNAL, "the answer is not one of gRPC's health protocol".to_owned()))
}

/// The gRPC error in headers or trailers, if there is one.
fn judged(headers: &HeaderMap) -> Result<(), (usize, String)> {
    let Some(code) = headers.get("grpc-status") else { return Ok(()) };
    let code = code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(UNKNOWN);
    if code == 0 {
        return Ok(());
    }
    let why = headers.get("grpc-message").map_or(&b""[..], |why| why.as_bytes());
    Err((code, String::from_utf8_lossy(&unescaped(why)).into_owned()))
}

/// The request: field 1 is the service; it is left out for the whole server.
fn message(service: &str) -> Bytes {
    let mut field = Vec::new();
    if !service.is_empty() {
        field.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend_from_slice(service.as_bytes());
    }
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(&field);
    framed.into()
}

/// The reply: field 1 is the status; it is left out if the status is unknown.
fn status(framed: &[u8]) -> Option<u64> {
    let (head, field) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head[1..].try_into().ok()?);
    if head[0] != 0 || field.len() as u64 != u64::from(length) {
        return None;
    }
    match field {
        [] => Some(0),
        [0x08, digits @ ..] if digits.len() <= 9 => {
            let (last, first) = digits.split_last()?;
            let ends = last & 0x80 == 0 && first.iter().all(|digit| digit & 0x80 != 0);
            let value = |sum, digit: &u8| sum << 7 | u64::from(digit & 0x7f);
            ends.then(|| digits.iter().rev().fold(0, value))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_have_the_form_of_the_protocol() {
        assert_eq!(&message("")[..], b"\0\0\0\0\0");
        assert_eq!(&message("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = message(&"x".repeat(300));
        assert_eq!((&long[..8], long.len()), (&b"\0\0\0\x01\x2f\x0a\xac\x02"[..], 308));
    }

    #[track_caller]
    fn check(answer: &[u8], expected: Option<u64>) {
        assert_eq!(status(answer), expected, "{answer:?}");
    }

    #[test]
    fn answers_are_read_whole_or_not_at_all() {
        check(b"\0\0\0\0\0", Some(0));
        check(b"\0\0\0\0\x02\x08\x01", Some(1));
        check(b"\0\0\0\0\x02\x08\x02", Some(2));
        check(b"\0\0\0\0\x03\x08\x81\x01", Some(129));
        check(b"", None);
        check(b"\x01\0\0\0\x02\x08\x01", None);
        check(b"\0\0\0\0\x02\x08", None);
        check(b"\0\0\0\0\x02\x08\x81", None);
        check(b"\0\0\0\0\x02\x10\x01", None);
        check(b"\0\0\0\0\x02\x08\x01\x01", None);
    }

    #[test]
    fn failures_read_as_those_of_go() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "12".parse().unwrap());
        trailers.insert("grpc-message", "no%20such%25 thing%".parse().unwrap());
        let (code, why) = judged(&trailers).unwrap_err();
        assert_eq!(failure(code, &why), "rpc error: code = Unimplemented desc = no such% thing%");
        assert_eq!(failure(99, "x"), "rpc error: code = Code(99) desc = x");
        trailers.insert("grpc-status", "0".parse().unwrap());
        assert!(judged(&trailers).is_ok() && judged(&HeaderMap::new()).is_ok());
    }
}
