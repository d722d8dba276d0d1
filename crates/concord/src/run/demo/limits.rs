//! Every limit and wait of the demo, by name.

use std::time::Duration;

/// How long a part may take to start. A debug build on a busy machine needs seconds.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a change may take until it has its effect.
pub(super) const SEEN_WITHIN: Duration = Duration::from_secs(20);
/// How long one request may take.
pub(super) const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two checks of a file, a process or a counter.
pub(super) const LOOK: Duration = Duration::from_millis(10);
/// Pause between two checks of the parts while the demo keeps running.
pub(super) const WATCH: Duration = Duration::from_millis(500);
/// How long a part may take to end before it is killed.
pub(super) const END_WITHIN: Duration = Duration::from_secs(3);

/// Tasks that open a new connection through the mesh for every request.
pub(super) const TRAFFIC_WORKERS: usize = 2;
/// Pause of such a task between two requests: enough traffic to notice every gap, without being a load test.
pub(super) const TRAFFIC_PAUSE: Duration = Duration::from_millis(5);
/// Requests that must succeed before, during and after each change of the mesh.
pub(super) const TRAFFIC_LEAST: u64 = 20;
/// Requests in a row that must be refused before the demo prints "refused".
pub(super) const REFUSALS: usize = 5;

/// Spread of new certificates after a change of the root: there are only two sidecars.
pub(super) const ROTATION_JITTER: Duration = Duration::from_millis(200);

/// Largest body read from one of the demo's own services, or from the explanation.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest log line of a part that is parsed.
pub(super) const LOG_LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines printed from the end of a log after an error.
pub(super) const TAIL_LINES: usize = 12;
/// Bytes read from the end of a log for that.
pub(super) const TAIL_BYTES: u64 = 16 * 1024;

/// Connections that one of the demo's services serves at the same time.
pub(super) const SERVICE_CONNECTIONS: usize = 256;

/// Names tried for the demo's directory. A directory for the same process id exists only if a killed demo left it
/// behind.
pub(super) const DIRECTORY_NAMES: u32 = 16;

/// Ports that are tried. They are below the range for outgoing connections, so that a port that is free now stays
/// free while the agent is down, although connections are opened all the time.
pub(super) const PORTS: std::ops::RangeInclusive<u16> = 22_000..=31_999;
/// Distance between the first ports that processes with neighbouring ids try.
pub(super) const PORTS_STRIDE: u32 = 16;
