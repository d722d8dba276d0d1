//! Every limit of the HTTP API, by name.

use std::time::Duration;

/// Bytes read, if they have arrived, from a connection that is refused. Most requests are not longer.
pub const REFUSED_READ_BYTES: usize = 4 * 1024;
/// Time from the first byte of a request to the end of its headers. A slower client is disconnected.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two requests on a connection. It is longer than clients wait (Go: 90 s), so that the client closes
/// first.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);
/// Time from the end of the headers to the end of the body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of headers in a request. It is the library's own limit, and nothing sets it.
pub const HEADERS: usize = 100;
/// Bytes of a request's body, unless the endpoint states another limit.
pub const BODY_BYTES: usize = 512 * 1024;
/// Bytes of a request's path and query together.
pub const TARGET_BYTES: usize = 16 * 1024;
/// Query parameters in one request.
pub const QUERY_PARAMETERS: usize = 256;
/// How long a question about attached proxies waits for a change: if the request names no time, and at most. As with
/// servers, which have their own.
pub const PROXIES_WAIT: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(600));
/// How long running requests may continue after the listener stops.
pub const DRAIN: Duration = Duration::from_secs(5);
/// Pause after a failed `accept`, whose usual cause is a lack of file descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Shorter answers are not compressed: they fit into one packet anyway (Consul has the same limit).
pub const GZIP_BYTES_MIN: usize = 1400;
/// Bytes compressed before other tasks run: about a millisecond of work.
pub const GZIP_PIECE_BYTES: usize = 64 * 1024;
/// A client that takes less than [`ANSWER_PROGRESS_BYTES`] of the waiting bytes in this time is disconnected.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that count as progress: less than the slowest line carries in a second.
pub const ANSWER_PROGRESS_BYTES: usize = 16 * 1024;
/// Bytes read from a client at a time. The library's buffer grows with this size.
pub const READ_BYTES: usize = 8 * 1024;
/// Memory of a connection before its first byte.
pub const CONNECTION_BYTES: usize = 4 * 1024;
/// Memory of a connection after its first byte: the library's buffers in both directions, and the request's headers.
pub const REQUEST_BYTES: usize = 24 * 1024;
/// Bytes of a head that [`REQUEST_BYTES`] covers.
pub const USUAL_HEAD_BYTES: usize = 8 * 1024;
/// Budget taken before an answer is built. If the endpoint's last answer was larger, its size is taken instead. So no
/// answer is built for a client whose budget cannot hold it.
pub const ANSWER_BYTES: usize = 16 * 1024;
/// The expected size of an answer is at most the budget divided by this. An address that holds little else always
/// gets that much. So a large answer is tried again, and may be smaller by then.
pub const EXPECTED_SHARE: usize = 8;

/// Bytes that may wait for one reader of an endless answer: some thousand lines of a log. They are held for as long
/// as the client reads.
pub const STREAM_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use concord_config::section::HttpSection;
    use concord_runtime::limits::{BUDGET_BYTES, BUDGET_BYTES_MAX, BUDGET_DESCRIPTORS_PERCENT, BUDGET_SHARE};

    use super::*;
    use crate::grpc::limits as grpc;

    #[test]
    fn the_pages_state_the_limits_that_are_in_force() {
        let differences = include_str!("../../../../docs/differences.md");
        let api = include_str!("../../../../docs/http-api.md");
        let envoy = include_str!("../../../../docs/envoy.md");
        let configuration = include_str!("../../../../docs/configuration.md");
        let of_an_envoy =
            grpc::CONNECTION_BYTES + grpc::SPEAKING_BYTES + grpc::STREAM_BYTES + grpc::ATTACHED_BYTES;
        let (kib, mib) = (|bytes: usize| bytes >> 10, |bytes: usize| bytes >> 20);
        let seconds = |span: Duration| span.as_secs();
        let section = HttpSection::default();
        assert_eq!(
            (ANSWER_PROGRESS_BYTES, BUDGET_SHARE),
            (grpc::PROGRESS_BYTES, 2),
            "half of it, and one row for both"
        );
        let compressed = format!("nswers from {GZIP_BYTES_MIN} bytes");
        for (page, sentence) in [
            (
                envoy,
                format!(
                    "Each Envoy counts {} KiB of what clients may make an agent hold, so that the {} MiB of \
                     `limits.client_memory_mib`",
                    kib(of_an_envoy),
                    mib(BUDGET_BYTES)
                ),
            ),
            (configuration, format!("| `limits.client_memory_mib` | `{}` |", mib(BUDGET_BYTES))),
            (
                configuration,
                format!("16 to {}. An Envoy counts {} KiB", mib(BUDGET_BYTES_MAX), kib(of_an_envoy)),
            ),
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
            (
                differences,
                format!("{} KiB of head (`http_config.max_header_bytes`", kib(section.header_bytes_max)),
            ),
            (
                differences,
                format!(
                    "{HEADERS} headers, {} KiB of body, {} KiB of URL; {} connections a client address",
                    kib(BODY_BYTES),
                    kib(TARGET_BYTES),
                    section.connections_per_client_max
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
