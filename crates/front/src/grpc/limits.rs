//! Every limit of the gRPC port, by name.

use std::time::Duration;

use concord_agent::limits::PROXY_STREAMS_MAX;
use concord_runtime::limits::BUDGET_BYTES;

/// Connections one client address may hold.
pub const CONNECTIONS_PER_CLIENT: usize = 1_000;
/// Streams on one connection: a proxy needs one and a few more; Consul's 2,048 would be as many requests half read.
pub const STREAMS: u32 = 128;
/// Between two pings on an idle connection, and the time to answer one (Consul's defaults).
pub const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// From the connection to the end of the client's first words, which HTTP/2 fixes (RFC 9113 §3.4); who has
/// said them is asked for signs of life from then on.
pub const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request's headers together, each with the 32 that HTTP/2 counts for it (RFC 9113 §6.5.2): several times what
/// clients send. A header takes one byte on the wire and a hundred in memory, so [`STREAM_BYTES`] has to pay for as many as fit.
pub const HEADER_BYTES: u32 = 4 * 1024;
/// Streams a client may reset before the server has answered them; more is an attack (CVE-2023-44487).
pub const RESETS: usize = 200;
/// Streams a client may have the server reset by frames that are against the rules; more is the same attack the
/// other way round (CVE-2025-8671).
pub const OWN_RESETS: usize = 200;
/// From a request's headers to the end of its message.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// What a client may send ahead on one stream: a whole request.
pub const STREAM_WINDOW: u32 = 64 * 1024;
/// And on all streams of a connection: what it makes us keep without anybody having looked at it.
pub const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Bytes of answers a stream may hand to the connection ahead of what the client reads.
pub const SEND_BYTES: usize = 64 * 1024;
/// A client that takes less than [`PROGRESS_BYTES`] of what waits for it in this time is closed.
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// What counts as progress; less a second than the slowest line carries.
pub const PROGRESS_BYTES: usize = 16 * 1024;
/// Frames without content (PING, SETTINGS, PRIORITY, WINDOW_UPDATE and others) a client may send at once.
pub const IDLE_FRAMES: u32 = 1_000;
/// And each second: a client that measures the line sends a few, a keep-alive one in many seconds.
pub const IDLE_FRAMES_PER_SECOND: u32 = 100;
/// Bytes written that earn the client one more: it opens its window as it reads, most often for more at once.
pub const IDLE_FRAME_BYTES: usize = 2 * 1024;
/// The most that can be earned.
pub const IDLE_FRAMES_MAX: u32 = 50_000;
/// What a connection costs before its first byte, in memory.
pub const CONNECTION_BYTES: usize = 4 * 1024;
/// What it costs once it speaks: buffers of the library for frames and headers both ways.
pub const SPEAKING_BYTES: usize = 48 * 1024;
/// What a stream costs beside what it carries, until its end has gone out.
pub const STREAM_BYTES: usize = 8 * 1024;
/// What is kept of a stream that has ended, until the connection ends: the library gives no place back.
pub const STREAM_KEPT_BYTES: usize = 2 * 1024;
/// Streams of a connection that may wait to be refused because there is no room; one more ends the connection.
pub const STREAMS_BEYOND: usize = 8;
/// What a proxy that is attached costs beside that: its machine, its watches, what waits for it.
pub const ATTACHED_BYTES: usize = 16 * 1024;

// Who attaches what there is room for in all meets the budget, which is fair, before the limit of the agent, which is not.
const _: () = assert!(PROXY_STREAMS_MAX * (STREAM_BYTES + ATTACHED_BYTES) >= 2 * BUDGET_BYTES);
