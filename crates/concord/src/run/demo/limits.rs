//! Every limit and wait of the demo, by name.

use std::time::Duration;

/// How long a part may take from its start until it says it is ready. A debug build on a busy machine needs seconds.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long something written may take until it is seen where it matters.
pub(super) const SEEN_WITHIN: Duration = Duration::from_secs(20);
/// How long one request may take.
pub(super) const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two looks at a file, a process or a counter.
pub(super) const LOOK: Duration = Duration::from_millis(10);
/// Pause between two looks at the parts while the demo stays up.
pub(super) const WATCH: Duration = Duration::from_millis(500);
/// How long a part may take to end when asked, before it is killed.
pub(super) const END_WITHIN: Duration = Duration::from_secs(3);

/// Workers that open a new connection through the mesh for every request.
pub(super) const TRAFFIC_WORKERS: usize = 2;
/// Pause of a worker between two requests: enough traffic to notice any gap, no load test.
pub(super) const TRAFFIC_PAUSE: Duration = Duration::from_millis(5);
/// Requests that must have gone through before, during and after something happens to the mesh.
pub(super) const TRAFFIC_LEAST: u64 = 20;
/// Requests that must be refused in a row before "refused" is said.
pub(super) const REFUSALS: usize = 5;

/// Spread of re-issues after a change of the root: the sidecars here are two.
pub(super) const ROTATION_JITTER: Duration = Duration::from_millis(200);

/// Largest body read from one of the demo's own services, or from the explanation.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest line of a part's log that is looked at.
pub(super) const LOG_LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines shown of the end of a log when something went wrong.
pub(super) const TAIL_LINES: usize = 12;
/// Bytes read of the end of a log for that.
pub(super) const TAIL_BYTES: u64 = 16 * 1024;

/// Connections one of the demo's services serves at once.
pub(super) const SERVICE_CONNECTIONS: usize = 256;

/// Names tried for the demo's directory: another of the same process id was left behind only by a demo that was killed.
pub(super) const DIRECTORY_NAMES: u32 = 16;

/// Ports tried. Below those that systems give to outgoing connections: a port that is free now stays free while the
/// agent is away, although connections are opened all the time.
pub(super) const PORTS: std::ops::RangeInclusive<u16> = 22_000..=31_999;
/// Distance between the first ports tried by processes of neighbouring ids.
pub(super) const PORTS_STRIDE: u32 = 16;
