//! Every limit of a server, by name.

use std::time::Duration;

/// How long a blocking query waits by default.
pub(crate) const DEFAULT_QUERY_TIME: Duration = Duration::from_secs(300);
/// How long a blocking query may wait (Consul's `max_query_time`).
pub(crate) const MAX_QUERY_TIME: Duration = Duration::from_secs(600);
/// The part of the wait that is added at random, one sixteenth, so that callers do not all return at the same time.
pub(crate) const WAIT_JITTER_PART: u32 = 16;
/// Queries that wait at the same time: 10,000 agents with ten each, about a kilobyte per query.
pub(crate) const WAITERS: usize = 100_000;
/// Authorizers that are cached, one per combination of policies.
pub(crate) const AUTHORIZERS: usize = 4_096;
/// How long a request waits for a leader before it is refused (Consul's `rpc_hold_timeout`).
pub(crate) const LEADER_HOLD: Duration = Duration::from_secs(7);
/// How often the leader's duties run without being woken.
pub(crate) const DUTY_PERIOD: Duration = Duration::from_secs(30);
/// Tokens that one command removes when they have expired.
pub(crate) const REAP_BATCH: usize = 256;
/// Signature requests that may wait for the rate limiter.
pub(crate) const SIGNATURES_WAITING: usize = 1_024;
/// Locks for writers: enough that agents of a large cluster seldom share one. About 50 bytes each.
pub(crate) const TURNS: usize = 1_024;
/// Changes of the CA configuration that may wait. Operators send them, not machines.
pub(crate) const CA_CHANGES_WAITING: usize = 16;
/// Longest time between two checks of the wall clock by the CA: somebody may have set it.
pub(crate) const CA_TIMER_MAX: Duration = Duration::from_secs(10);
/// Shortest time between two such checks, so that an expired timer cannot cause a busy loop.
pub(crate) const CA_TIMER_MIN: Duration = Duration::from_millis(100);
/// How long a change of the CA configuration waits for another change before the caller is told to retry. This is
/// longer than a slow machine needs to create an RSA key.
pub(crate) const CA_CHANGE_HOLD: Duration = Duration::from_secs(10);
/// How long a signature request waits while the root changes. A change takes two writes to the log.
pub(crate) const SIGNING_HOLD: Duration = Duration::from_secs(5);
/// Longest time for a signature, whatever its provider does. It is well below the 30 s after which a leaf manager
/// treats the request as failed and repeats it.
pub(crate) const SIGNING_TIME: Duration = Duration::from_secs(20);
/// Leaf signatures that a provider makes in parallel: 320 per second with an authority 100 ms away.
pub(crate) const SIGNATURES_AT_ONCE: usize = 32;
/// Time limit of one call to a provider for a leaf signature.
pub(crate) const SIGN_CALL: Duration = Duration::from_secs(5);
/// Time limit of any other call to a provider: a remote authority may have to create a key and a root.
pub(crate) const PROVIDER_CALL: Duration = Duration::from_secs(15);
/// How long a failed call is repeated: as long as an operator waits for a change.
pub(crate) const PROVIDER_TIME: Duration = Duration::from_secs(60);
/// First pause before a failed call is repeated. Doubles up to [`PROVIDER_PAUSE_MAX`].
pub(crate) const PROVIDER_PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause before a failed call is repeated. It is short compared with [`PROVIDER_TIME`].
pub(crate) const PROVIDER_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Longest time between two checks of the wall clock by the keeper of the server's certificate: somebody may have set it.
pub(crate) const CERTIFICATE_TICK_MAX: Duration = Duration::from_secs(10);
/// How long a read of the roots waits for the first root of a new cluster.
pub(crate) const FIRST_ROOT_HOLD: Duration = Duration::from_secs(5);

/// Virtual addresses that an operator gives one service. Consul's limit.
pub(crate) const MANUAL_ADDRESSES_MAX: usize = 8;
/// Studies (plans, statuses of entries) that are made at the same time: they never take more than one processor.
pub(crate) const STUDIES_AT_ONCE: usize = 1;
/// How long a study waits for its turn. It is longer than the one before it may take.
pub(crate) const STUDY_HOLD: Duration = Duration::from_secs(30);
/// How long a study goes on. What it has not compared by then is not compared, and its counts are lower bounds.
pub(crate) const STUDY_TIME: Duration = Duration::from_secs(10);
