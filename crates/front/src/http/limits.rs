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
