//! The limits of this crate, each with its reason.

use std::time::Duration;

/// How long an unknown token is refused without asking again. It is long enough to limit a flood of requests with one
/// bad token, and short enough that a new token works at once for a person.
pub const UNKNOWN_TOKEN_WINDOW: Duration = Duration::from_secs(1);
/// Resolved tokens that are kept: far more than the callers of one node, a few hundred bytes each.
pub const TOKENS_MAX: usize = 8192;
/// Unknown tokens that are remembered, 32 bytes each. Beyond this limit the servers are asked again.
pub const UNKNOWN_TOKENS_MAX: usize = 1024;
/// Concurrent requests that resolve tokens; others wait for their turn.
pub const RESOLVES_MAX: usize = 64;
/// Requests that wait to resolve a token. Beyond this limit callers are told to retry.
pub const RESOLVES_WAITING_MAX: usize = 1024;
/// Tokens watched for revocation: one per token with open streams or blocking reads.
pub const FOLLOWS_MAX: usize = 8192;

/// Longest wait of one blocking request that the agent sends for itself; then it sends the next one.
pub const REFRESH_WAIT: Duration = Duration::from_secs(600);
/// How long a plain read waits for the first answer of the servers.
pub const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Failures in a row before refreshing backs off; Consul's cache retries as often without a pause.
pub const REFRESH_RETRIES_AT_ONCE: u32 = 3;
/// Longest pause between refreshes; up to the same time is added at random. Consul's limit.
pub const REFRESH_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Bytes per second of one changing answer that are fetched again. With 10,000 intentions this allows ten refreshes
/// per second, in which servers read, agents compile and proxies compile them again; that needs a fifth of a core.
pub const REFRESH_BYTES_PER_SECOND: u64 = 64 << 20;
/// A shorter pause between refreshes is skipped: work that takes no longer needs no limit.
pub const REFRESH_DIGEST_MIN: Duration = Duration::from_millis(2);
/// Longest pause between refreshes of a large answer: a denied connection has to be refused within a second.
pub const REFRESH_DIGEST_MAX: Duration = Duration::from_millis(750);

/// Limit of the cache in bytes, unless configured.
pub const CACHE_BYTES: usize = 128 << 20;
/// Memory of an entry besides its answer: key, slot, refreshing task.
pub const CACHE_ENTRY_BYTES: usize = 2048;
/// Entries in the cache. Each is a task and an open request to the servers.
pub const CACHE_ENTRIES_MAX: usize = 16_384;
/// How long an entry is kept that nobody reads. Consul's documented value.
pub const CACHE_IDLE: Duration = Duration::from_secs(72 * 3600);
/// How often idle entries are removed.
pub const CACHE_SWEEP: Duration = Duration::from_secs(60);
/// How often one read may begin again because the entry it waited for was removed.
pub const CACHE_READ_ATTEMPTS: usize = 4;

/// Answers about entries that wait to be merged. Watches wait for room, so a few are enough.
pub const MERGES_QUEUED: usize = 16;
/// How long a registration of a proxy waits until it is merged with the entries, so that who reads it next sees what it
/// will be. Servers answer in milliseconds; without an answer the registration stands, and is merged later.
pub const MERGE_WAIT: Duration = Duration::from_secs(1);

/// Services per agent. Real nodes have a few dozen.
pub const SERVICES_MAX: usize = 4096;
/// Checks per agent; each may be a task.
pub const CHECKS_MAX: usize = 8192;
/// Bytes of a check's name; lists show it.
pub const CHECK_NAME_BYTES_MAX: usize = 1024;
/// Bytes of a check's notes.
pub const CHECK_NOTES_BYTES_MAX: usize = 4096;
/// Bytes of a check's output kept over a restart: a limit above all usual configurations.
pub const CHECK_STATE_OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Bytes read of a file with a verdict: the output with every byte escaped, and the rest of the record.
pub const CHECK_STATE_FILE_BYTES_MAX: usize = 8 * CHECK_STATE_OUTPUT_BYTES_MAX;
/// Pause after verdicts were saved. Reports during the pause are saved together, so a flood of them costs no more.
pub const CHECK_STATE_PAUSE: Duration = Duration::from_millis(200);
/// Verdicts saved in one batch; they and their output are copied for it.
pub const CHECK_STATES_AT_ONCE: usize = 256;
/// Further bytes of output for the text around the target's own output: its URL, its status, a reason.
pub const CHECK_OUTPUT_FRAME_BYTES_MAX: usize = 4096;
/// The shortest interval of a check. Consul raises shorter ones to the same value.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Time between two runs of a check of an instance that is about to come up. A proxy listens a moment after it gets
/// its certificate.
pub const CHECK_SOON: Duration = Duration::from_millis(100);
/// How many such runs there are at most; see [`CHECK_SOON`].
pub const CHECK_SOON_RUNS: u32 = 10;
/// Default time limit of a run. Consul's documented default.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// Default time limit of a program. Consul's documented default.
pub const CHECK_PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);
/// Concurrent runs; each is a connection, and others wait for their turn. If a thousand targets do not answer, the
/// checks behind them are late, and nothing else happens.
pub const CHECK_RUNS_AT_ONCE: usize = 512;
/// Concurrent programs, of scripts and of the operating system's service manager. Each is one process or several.
pub const CHECK_PROGRAMS_AT_ONCE: usize = 32;
/// Bytes of the head of an answer to an HTTP check, and of data read ahead of its body.
pub const CHECK_HTTP_HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes read of a body; its status is known already. Consul reads until the time limit.
pub const CHECK_HTTP_BODY_BYTES_MAX: usize = 1 << 20;
/// Redirects that one run follows. Go's limit.
pub const CHECK_HTTP_REDIRECTS_MAX: usize = 10;
/// Bytes of the answer to a gRPC check; it normally has one or two.
pub const CHECK_GRPC_BYTES_MAX: usize = 4096;
/// Bytes of the file with the authorities for check targets; system bundles have about 200 KiB.
pub const CHECK_AUTHORITIES_BYTES_MAX: u64 = 4 << 20;
/// Bytes of a program's output that are read at a time.
pub const CHECK_PROGRAM_READ_BYTES: usize = 16 << 10;
/// How many aliases in a chain are followed at once; longer chains wait for the next change.
pub const ALIAS_DEPTH_MAX: usize = 8;

/// Time between full comparisons with the catalog; up to the same time is added at random.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(60);
/// First pause after a failed request to the catalog.
pub const SYNC_RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest pause after failed requests. Consul's is 15 s plus up to 15 s.
pub const SYNC_RETRY_MAX: Duration = Duration::from_secs(30);
/// Longest random wait in development mode (D26).
pub const DEV_JITTER_MAX: Duration = Duration::from_millis(500);

/// Streams of proxy snapshots. This is twice the number that the port has room for, because a stream that ends is
/// removed only a moment later.
pub const PROXY_STREAMS_MAX: usize = 1 << 17;
/// Messages queued for one proxy. A few suffice: further sections wait as references to data that exists anyway.
pub const PROXY_MESSAGES: usize = 16;

/// Leave and reload requests that the program has not taken yet.
pub const AGENT_REQUESTS: usize = 4;
/// Leaf certificates of this agent. Each has a private key, and is renewed while it is read.
pub const LEAVES_MAX: usize = 4096;
/// Longest time between two checks of the wall clock by a leaf's driver: somebody may have set it. A reader can
/// trigger the check at once.
pub const LEAF_TICK_MAX: Duration = Duration::from_secs(10);
/// Pause after a failure before the roots are requested again.
pub const ROOTS_RETRY: Duration = Duration::from_secs(1);
