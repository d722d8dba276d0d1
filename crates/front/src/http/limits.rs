//! Every limit of the HTTP face, by name.

use std::time::Duration;

/// Connections one client address may hold (Consul's `limits.http_max_conns_per_client`).
pub const CONNECTIONS_PER_CLIENT: usize = 200;
/// Read, if it is there already, of a request on a connection that is refused: most are no longer.
pub const REFUSED_READ_BYTES: usize = 4 * 1024;
/// From the first byte of a request to the end of its headers; a slower client is cut off.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests on a connection: more than clients keep one (Go's 90 s), so that they close first.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// From the end of the headers to the end of the body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's line and headers together, unless `http_config.max_header_bytes` says otherwise.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Number of headers in a request.
pub const HEADERS: usize = 100;
/// Bytes of a request's body, unless the endpoint states another limit.
pub const BODY_BYTES: usize = 512 * 1024;
/// Bytes of a request's path and query together.
pub const TARGET_BYTES: usize = 16 * 1024;
/// Query parameters in one request.
pub const QUERY_PARAMETERS: usize = 256;
/// How long requests in flight may go on once the listener stops.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Pause after `accept` failed, most often for want of descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Answers below this go as they are: a packet holds them anyway (Consul's handler has the same).
pub const GZIP_BYTES_MIN: usize = 1400;
/// Bytes compressed before others have their turn: a millisecond or so.
pub const GZIP_PIECE_BYTES: usize = 64 * 1024;
/// A client that takes less than [`ANSWER_PROGRESS_BYTES`] of what waits for it in this time is closed.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// What counts as progress; less a second than the slowest line carries.
pub const ANSWER_PROGRESS_BYTES: usize = 16 * 1024;
/// Bytes read from a client at a time: what the library's buffer grows to follows it.
pub const READ_BYTES: usize = 8 * 1024;
/// What a connection costs before its first byte, in memory.
pub const CONNECTION_BYTES: usize = 4 * 1024;
/// What it costs once it speaks: the library's buffers both ways, and the request's headers.
pub const REQUEST_BYTES: usize = 24 * 1024;
/// Bytes of a head that are paid for with that.
pub const USUAL_HEAD_BYTES: usize = 8 * 1024;
/// Taken for an answer before it is made, or as much as the last one of its endpoint had if that is more: none is made
/// for a client that has no room for it.
pub const ANSWER_BYTES: usize = 16 * 1024;
/// Which part of the budget an answer is expected to need at most: an address that holds little else always has that, so
/// that a large answer is tried again, and may be smaller.
pub const EXPECTED_SHARE: usize = 8;

/// Bytes that may wait for one reader of an answer without end: some thousand lines of a log. They are held for as long as it
/// reads.
pub const STREAM_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use concord_runtime::limits::{BUDGET_BYTES, BUDGET_DESCRIPTORS_PERCENT, BUDGET_SHARE};

    use super::*;
    use crate::grpc::limits as grpc;

    #[test]
    fn the_pages_state_the_limits_that_are_in_force() {
        let differences = include_str!("../../../../docs/differences.md");
        let api = include_str!("../../../../docs/http-api.md");
        let (kib, mib) = (|bytes: usize| bytes >> 10, |bytes: usize| bytes >> 20);
        let seconds = |span: Duration| span.as_secs();
        assert_eq!(
            (ANSWER_PROGRESS_BYTES, BUDGET_SHARE),
            (grpc::PROGRESS_BYTES, 2),
            "half of it, and one row for both"
        );
        let compressed = format!("nswers from {GZIP_BYTES_MIN} bytes");
        for (page, sentence) in [
            (
                differences,
                format!(
                    "{} s for a head, {} s for a body, {} s between requests; a client that takes less than {} KiB of a waiting \
                     answer in {} s is closed",
                    seconds(HEADER_TIMEOUT),
                    seconds(BODY_TIMEOUT),
                    seconds(IDLE_TIMEOUT),
                    kib(ANSWER_PROGRESS_BYTES),
                    seconds(ANSWER_TIMEOUT)
                ),
            ),
            (differences, format!("one budget of {} MiB for HTTP and gRPC together", mib(BUDGET_BYTES))),
            (differences, format!("{BUDGET_DESCRIPTORS_PERCENT} % of the descriptors the process may open")),
            (differences, format!("{} KiB of head (`http_config.max_header_bytes`", kib(HEADER_BYTES))),
            (
                differences,
                format!(
                    "{HEADERS} headers, {} KiB of body, {} KiB of URL; {CONNECTIONS_PER_CLIENT} connections a client address",
                    kib(BODY_BYTES),
                    kib(TARGET_BYTES)
                ),
            ),
            (
                differences,
                format!(
                    "at most {} KiB within {} s; {} streams a connection, each with at most {} KiB of headers",
                    kib(grpc::STREAM_WINDOW as usize),
                    seconds(grpc::REQUEST_TIMEOUT),
                    grpc::STREAMS,
                    kib(grpc::HEADER_BYTES as usize)
                ),
            ),
            (differences, compressed.replace("nswers", "nswer")),
            (api, compressed),
        ] {
            assert!(page.contains(&sentence), "a page says something else than {sentence:?}");
        }
    }
}
