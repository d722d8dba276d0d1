//! Every limit and time-out of the proxy, by name.

use std::time::Duration;

/// Instances tried for one connection before it is given up.
pub(crate) const CONNECT_ATTEMPTS: usize = 3;
/// How long a connection waits for an instance where none is known: one that has just come up is told in that time.
pub(crate) const INSTANCE_WAIT: Duration = Duration::from_secs(2);
/// How long an instance that could not be reached is passed over while others are left.
pub(crate) const EJECTION: Duration = Duration::from_secs(10);
/// Connections per listener where the configuration states no limit.
pub(crate) const CONNECTIONS: usize = 10_000;
/// Connections from the mesh that have not proved yet who calls, of one source address. Of all there are as many as the
/// process's budget has room for.
pub(crate) const STRANGERS_PER_SOURCE: usize = 2_500;
/// What such a connection costs before its first byte, in memory.
pub(crate) const STRANGER_BYTES: usize = 4 * 1024;
/// What a handshake costs until it is done: the session, and what came of a hello and of certificates.
pub(crate) const HANDSHAKE_BYTES: usize = 48 * 1024;
/// Bytes a relay reads at once to begin with: one TLS record.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// Bytes it reads at once when reads keep filling the buffer.
pub(crate) const BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Buffers a thread keeps for its relays between reads.
pub(crate) const POOLED_BUFFERS: usize = 32;
/// How long connections may go on after the listeners closed.
pub(crate) const DRAIN: Duration = Duration::from_secs(15);
/// Refusals of one reason that are told in full in a window: enough to see a pattern.
pub(crate) const REFUSALS_TOLD: u64 = 10;
/// How long a window lasts: a flood of one reason is then at most 66 lines a minute.
pub(crate) const REFUSALS_WINDOW: Duration = Duration::from_secs(10);
/// Pause after `accept` failed, most often for want of descriptors.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Idle time before TCP asks whether the other side is still there.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(60);
/// How often the wall clock is looked at: who has set it waits no longer for a leaf that is valid by it.
pub(crate) const CLOCK_CHECK: Duration = Duration::from_secs(2);
/// First and longest pause before a listener that could not be bound is tried again. The first is
/// short: when listeners swap their addresses, one must wait until the other has let go.
pub(crate) const REBIND: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// Time the control tasks have to stop; they only have to notice.
pub(crate) const CONTROL_STOP: Duration = Duration::from_secs(1);
/// First and longest pause before asking a lost agent again.
pub(crate) const REATTACH: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

#[cfg(test)]
mod tests {
    use concord_proxycfg::{CONNECT_TIMEOUT_BUILT_IN, HANDSHAKE_TIMEOUT, LOCAL_CONNECT_TIMEOUT_BUILT_IN};
    use concord_runtime::limits::BUDGET_BYTES;

    use super::*;

    /// A number as the page writes it: `10,000`.
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
