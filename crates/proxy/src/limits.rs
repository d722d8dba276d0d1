//! Every limit and timeout of the proxy, by name.

use std::time::Duration;

/// Instances tried for one connection before it fails.
pub(crate) const CONNECT_ATTEMPTS: usize = 3;
/// How long a connection waits if no instance is known: an instance that has just come up becomes known in that time.
pub(crate) const INSTANCE_WAIT: Duration = Duration::from_secs(2);
/// How long an instance that could not be reached is skipped while others are left.
pub(crate) const EJECTION: Duration = Duration::from_secs(10);
/// Default limit of connections per listener.
pub(crate) const CONNECTIONS: usize = 10_000;
/// Connections from the mesh per source address whose caller has not authenticated yet. The process's budget limits
/// their total number.
pub(crate) const STRANGERS_PER_SOURCE: usize = 2_500;
/// Memory of such a connection before its first byte.
pub(crate) const STRANGER_BYTES: usize = 4 * 1024;
/// Memory of a handshake until it is done: the session, and the data from the hello and the certificates.
pub(crate) const HANDSHAKE_BYTES: usize = 48 * 1024;
/// Bytes that a relay reads at first: one TLS record.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// Bytes that a relay reads if reads keep filling the buffer.
pub(crate) const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Buffers that a thread keeps for its relays.
pub(crate) const POOLED_BUFFERS: usize = 32;
/// How long connections may continue after the listeners closed.
pub(crate) const DRAIN: Duration = Duration::from_secs(15);
/// Refusals of one reason that are logged in full per window: enough to see a pattern.
pub(crate) const REFUSALS_TOLD: u64 = 10;
/// Length of a window: a flood of one reason gives at most 66 lines a minute.
pub(crate) const REFUSALS_WINDOW: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, whose usual cause is a lack of file descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Idle time before TCP checks whether the other side is still there.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(60);
/// How often the wall clock is checked: after somebody has set it, a leaf that is valid by the new time is requested
/// within this time.
pub(crate) const CLOCK_CHECK: Duration = Duration::from_secs(2);
/// First and longest pause before a listener that could not be bound is tried again. The first pause is short: when
/// listeners swap addresses, one must wait until the other has closed.
pub(crate) const REBIND: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Time in which the control tasks must stop; they only have to notice the request.
pub(crate) const CONTROL_STOP: Duration = Duration::from_secs(1);
/// First and longest pause before attaching to a lost agent again.
pub(crate) const REATTACH: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

#[cfg(test)]
mod tests {
    use concord_proxycfg::{CONNECT_TIMEOUT_BUILT_IN, HANDSHAKE_TIMEOUT, LOCAL_CONNECT_TIMEOUT_BUILT_IN};
    use concord_runtime::limits::BUDGET_BYTES;

    use super::*;

    /// A number in the form of the page: `10,000`.
    fn written(number: u128) -> String {
        let digits = number.to_string();
        let groups: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
        groups.join(",")
    }

    #[test]
    fn the_page_states_the_limits_that_are_in_force() {
        let page = include_str!("../../../docs/proxy.md");
        let (count, millis) =
            (|number: usize| written(number as u128), |span: Duration| written(span.as_millis()));
        let seconds = |span: Duration| span.as_secs_f64();
        for sentence in [
            format!("asks again after {} s to {} s", seconds(REATTACH.0), seconds(REATTACH.1)),
            format!("pauses accepting for {} ms at a time", millis(ACCEPT_PAUSE)),
            format!("tries again after {} ms to {} s", millis(REBIND.0), seconds(REBIND.1)),
            format!("holds a connection for up to {} s", seconds(INSTANCE_WAIT)),
            format!("tries up to {CONNECT_ATTEMPTS}, and passes over it for {} s", seconds(EJECTION)),
            format!("open connections get {} s", seconds(DRAIN)),
            format!(
                "| `handshake_timeout_ms` | time a caller has for its handshake | {} |",
                millis(HANDSHAKE_TIMEOUT)
            ),
            format!("time to connect to the local service | {} |", millis(LOCAL_CONNECT_TIMEOUT_BUILT_IN)),
            format!("connections from the mesh | {} |", count(CONNECTIONS)),
            format!("time to reach an instance, handshake included | {} |", millis(CONNECT_TIMEOUT_BUILT_IN)),
            format!("connections to this upstream | {} |", count(CONNECTIONS)),
            format!(
                "Fixed: {} connections from one source address that have not",
                count(STRANGERS_PER_SOURCE)
            ),
            format!("{} MiB held for all of them", BUDGET_BYTES >> 20),
            format!("{} KiB for a handshake that has begun", (STRANGER_BYTES + HANDSHAKE_BYTES) >> 10),
            format!("the first {REFUSALS_TOLD} in {} seconds are told in full", seconds(REFUSALS_WINDOW)),
        ] {
            assert!(page.contains(&sentence), "docs/proxy.md says something else than {sentence:?}");
        }
    }
}
