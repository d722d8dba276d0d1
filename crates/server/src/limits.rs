//! Every limit of a server, by name.

use std::time::Duration;

/// How long a blocking query waits if the caller does not say.
pub(crate) const DEFAULT_QUERY_TIME: Duration = Duration::from_secs(300);
/// How long a blocking query may wait (Consul's `max_query_time`).
pub(crate) const MAX_QUERY_TIME: Duration = Duration::from_secs(600);
/// Part of the wait that is added at random, so that callers do not come back together: a sixteenth.
pub(crate) const WAIT_JITTER_PART: u32 = 16;
/// Queries waiting at once: 10,000 agents with ten each, at about a kilobyte apiece.
pub(crate) const WAITERS: usize = 100_000;
/// Authorizers kept for combinations of policies.
pub(crate) const AUTHORIZERS: usize = 4_096;
/// How long a request waits for a leader to appear before it is refused (Consul's `rpc_hold_timeout`).
pub(crate) const LEADER_HOLD: Duration = Duration::from_secs(7);
/// How often leader duties run without being woken.
pub(crate) const DUTY_PERIOD: Duration = Duration::from_secs(30);
/// Tokens removed by one command of the reaper.
pub(crate) const REAP_BATCH: usize = 256;
/// Signatures waiting for the rate limiter at once.
pub(crate) const SIGNATURES_WAITING: usize = 1_024;
/// Turns of writers: enough that agents of a large cluster seldom share one, at some 50 bytes apiece.
pub(crate) const TURNS: usize = 1_024;
/// Changes of the CA's configuration waiting for their turn: operators, not machines, ask for them.
pub(crate) const CA_CHANGES_WAITING: usize = 16;
/// Longest time between two looks of the CA at the clock, which may have been set meanwhile.
pub(crate) const CA_TIMER_MAX: Duration = Duration::from_secs(10);
/// Shortest time between them: a timer whose time has come must not become a loop.
pub(crate) const CA_TIMER_MIN: Duration = Duration::from_millis(100);
/// How long a change of the CA's configuration waits while another is under way, before it is told to come back: longer
/// than a slow machine takes to make an RSA key.
pub(crate) const CA_CHANGE_HOLD: Duration = Duration::from_secs(10);
/// How long a signature waits while the root is being changed; a change takes two writes to the log.
pub(crate) const SIGNING_HOLD: Duration = Duration::from_secs(5);
/// Longest time for a signature, whatever its provider does: well within the 30 s after which a leaf manager counts it as
/// failed, and asks again.
pub(crate) const SIGNING_TIME: Duration = Duration::from_secs(20);
/// Signatures of leaves that a provider makes at once: with an authority 100 ms away that is 320 a second.
pub(crate) const SIGNATURES_AT_ONCE: usize = 32;
/// How long one call for the signature of a leaf may take.
pub(crate) const SIGN_CALL: Duration = Duration::from_secs(5);
/// How long any other call of a provider may take: a remote authority makes a key and a root meanwhile.
pub(crate) const PROVIDER_CALL: Duration = Duration::from_secs(15);
/// How long a call that was not answered is made again: as long as an operator waits for a change.
pub(crate) const PROVIDER_TIME: Duration = Duration::from_secs(60);
/// First pause before a call of a provider is made again; doubles up to [`PROVIDER_PAUSE_MAX`].
pub(crate) const PROVIDER_PAUSE_MIN: Duration = Duration::from_millis(200);
/// Longest pause before a call of a provider is made again: short beside the time there is for it.
pub(crate) const PROVIDER_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a reader of the roots waits for the first one of a new cluster.
pub(crate) const FIRST_ROOT_HOLD: Duration = Duration::from_secs(5);
