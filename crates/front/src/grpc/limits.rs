//! Every limit of the gRPC port, by name.

use std::time::Duration;

use concord_agent::limits::PROXY_STREAMS_MAX;
use concord_runtime::limits::BUDGET_BYTES_MAX;

/// Connections per client address.
pub const CONNECTIONS_PER_CLIENT: usize = 1_000;
/// Streams on one connection. A proxy needs one and a few more. Consul allows 2,048, which would allow as many
/// half-read requests.
pub const STREAMS: u32 = 128;
/// Time between two pings on an idle connection, and time to answer one (Consul's defaults).
pub const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Time from the connection to the end of the client preface, whose bytes HTTP/2 fixes (RFC 9113 §3.4). After the
/// preface, pings check that the client is alive.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of all headers of a request, plus the 32 per header that HTTP/2 counts (RFC 9113 §6.5.2): several times what
/// clients send. A header can take one byte on the wire and a hundred in memory, so [`STREAM_BYTES`] has to cover as
/// many headers as fit.
pub const HEADER_BYTES: u32 = 4 * 1024;
/// Streams that a client may reset before the server has answered them. More is an attack (CVE-2023-44487).
pub const RESETS: usize = 200;
/// Streams that a client may make the server reset by sending invalid frames. More is the same attack in the other
/// direction (CVE-2025-8671).
pub const OWN_RESETS: usize = 200;
/// Time from a request's headers to the end of its message.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that a client may send on one stream before we read them: a whole request.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// The same for all streams of a connection: the unread bytes that we have to keep.
pub const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Bytes of answers that a stream may hand to the connection before the client reads them.
pub const SEND_BYTES: usize = 64 * 1024;
/// A client that takes less than [`PROGRESS_BYTES`] of the waiting bytes in this time is disconnected.
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that count as progress: less than the slowest line carries in a second.
pub const PROGRESS_BYTES: usize = 16 * 1024;
/// Frames without content (PING, SETTINGS, PRIORITY, WINDOW_UPDATE and others) that a client may send at once.
pub const IDLE_FRAMES: u32 = 1_000;
/// Further such frames per second. A client that measures the line sends a few; keep-alive sends one in many seconds.
pub const IDLE_FRAMES_PER_SECOND: u32 = 100;
/// Written bytes that earn the client one more such frame. A client opens its window as it reads, usually for more
/// bytes at once.
pub const IDLE_FRAME_BYTES: usize = 2 * 1024;
/// The most frames that a client can earn.
pub const IDLE_FRAMES_MAX: u32 = 50_000;
/// Memory of a connection before its first byte.
pub const CONNECTION_BYTES: usize = 4 * 1024;
/// Memory of a connection after its first byte: the library's buffers for frames and headers in both directions.
pub const SPEAKING_BYTES: usize = 48 * 1024;
/// Memory of a stream besides its content, until its last frame has been sent.
pub const STREAM_BYTES: usize = 8 * 1024;
/// Memory of an ended stream until the connection ends: the library does not free its slot.
pub const STREAM_KEPT_BYTES: usize = 2 * 1024;
/// Streams of a connection that may wait to be refused because the budget is full. One more ends the connection.
pub const STREAMS_BEYOND: usize = 8;
/// Bytes of one request of Envoy. Its first one on a stream tells the version of every resource that it has.
pub const XDS_REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Responses that wait for one Envoy: more than there are types, of which each has at most one unanswered.
pub const XDS_RESPONSES: usize = 8;
/// Further memory of a stream to which a proxy is attached: its state machine, its watches, its waiting sections.
pub const ATTACHED_BYTES: usize = 16 * 1024;

// A client that attaches too many proxies reaches the budget first, which is fair between clients. The agent's limit
// is not fair, so it must be the higher one.
const _: () = assert!(PROXY_STREAMS_MAX * (STREAM_BYTES + ATTACHED_BYTES) >= 2 * BUDGET_BYTES_MAX);
