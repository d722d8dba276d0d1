//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// How long a resolved token is believed without asking again. Consul's documented default.
pub const TOKEN_TTL: Duration = Duration::from_secs(30);
/// How long an unknown token is refused without asking again: long enough to blunt a flood of one bad
/// token, short enough that a token made just now works at once for a person.
pub const UNKNOWN_TOKEN_WINDOW: Duration = Duration::from_secs(1);
/// Resolved tokens kept. Far more than one node's callers have; a few hundred bytes each.
pub const TOKENS_MAX: usize = 8192;
/// Unknown tokens remembered. 32 bytes each; beyond it they are asked about again.
pub const UNKNOWN_TOKENS_MAX: usize = 1024;
/// Questions about tokens under way at a time; others wait for their turn.
pub const RESOLVES_MAX: usize = 64;
/// Questions about tokens waiting for their turn; beyond it callers are told to retry.
pub const RESOLVES_WAITING_MAX: usize = 1024;
/// Tokens watched for revocation at a time, one per token with open streams or blocking reads.
pub const FOLLOWS_MAX: usize = 8192;

/// Longest wait of one blocking question the agent asks for itself; then it asks again.
pub const REFRESH_WAIT: Duration = Duration::from_secs(600);
/// Wait of a blocking read that names none, unless configured. Consul's documented default.
pub const WAIT_DEFAULT: Duration = Duration::from_secs(300);
/// Longest wait of a blocking read, unless configured. Consul's documented bound.
pub const WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a plain read waits for the first answer of the servers.
pub const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Failures in a row after which refreshing backs off; Consul's cache retries as often at once.
pub const REFRESH_RETRIES_AT_ONCE: u32 = 3;
/// Longest pause between refreshes, to which up to the same is added at random. Consul's bound.
pub const REFRESH_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Bytes of one changing answer that are fetched anew a second: 10,000 intentions, which servers read, agents
/// compile and proxies compile again, ten times a second; they take a fifth of a core for that.
pub const REFRESH_BYTES_PER_SECOND: u64 = 64 << 20;
/// A shorter pause between refreshes is none: what takes no longer need not be spared.
pub const REFRESH_DIGEST_MIN: Duration = Duration::from_millis(2);
/// Longest pause between refreshes of something large: what was denied has to be refused within a second.
pub const REFRESH_DIGEST_MAX: Duration = Duration::from_millis(750);

/// Bytes of cached answers, unless configured.
pub const CACHE_BYTES: usize = 128 << 20;
/// What an entry costs beside its answer: keys, slots, the task that refreshes it.
pub const CACHE_ENTRY_BYTES: usize = 2048;
/// Entries in the cache: each is a task and an open question to the servers.
pub const CACHE_ENTRIES_MAX: usize = 16_384;
/// How long an entry nobody reads is kept. Consul's documented value.
pub const CACHE_IDLE: Duration = Duration::from_secs(72 * 3600);
/// How often idle entries are looked for.
pub const CACHE_SWEEP: Duration = Duration::from_secs(60);
/// How often one read may find that the entry it waited for was given up, and begin anew.
pub const CACHE_READ_ATTEMPTS: usize = 4;

/// Services of one agent. Real nodes run some dozens.
pub const SERVICES_MAX: usize = 4096;
/// Checks of one agent; each may be a task.
pub const CHECKS_MAX: usize = 8192;
/// Bytes of a check's name; it is shown in lists.
pub const CHECK_NAME_BYTES_MAX: usize = 1024;
/// Bytes of a check's notes.
pub const CHECK_NOTES_BYTES_MAX: usize = 4096;
/// Bytes of a check's output, unless configured. Consul's documented default.
pub const CHECK_OUTPUT_BYTES_MAX: usize = 4096;
/// How long output alone may lag behind in the catalog. Consul's documented default.
pub const CHECK_UPDATE_INTERVAL: Duration = Duration::from_secs(300);
/// Bytes of a check's output kept over a restart: more than anybody configures, and a bound all the same.
pub const CHECK_STATE_OUTPUT_BYTES_MAX: usize = 64 << 10;
/// Bytes of a file with a verdict that are read: the output with each of its bytes escaped, and some.
pub const CHECK_STATE_FILE_BYTES_MAX: usize = 8 * CHECK_STATE_OUTPUT_BYTES_MAX;
/// Pause after verdicts were saved: reports meanwhile are saved together, and a flood costs no more.
pub const CHECK_STATE_PAUSE: Duration = Duration::from_millis(200);
/// Verdicts saved at a time: with their output they are copied for that.
pub const CHECK_STATES_AT_ONCE: usize = 256;
/// Bytes of output on top of that for what is said around a target's words: its URL, its status, a reason.
pub const CHECK_OUTPUT_FRAME_BYTES_MAX: usize = 4096;
/// Checks more often than this cost more than they tell; Consul raises them to it too.
pub const CHECK_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Between two runs of a check of what is about to come up, and how many they are at most: a proxy that got its certificate
/// listens a moment later.
pub const CHECK_SOON: Duration = Duration::from_millis(100);
/// See [`CHECK_SOON`].
pub const CHECK_SOON_RUNS: u32 = 10;
/// How long a run may take where nothing is said. Consul's documented default.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a program may take where nothing is said. Consul's documented default.
pub const CHECK_PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);
/// Runs at a time; each is a connection. Others wait for their turn: a thousand targets that do not answer
/// hold up what is behind them, and cost no more than that.
pub const CHECK_RUNS_AT_ONCE: usize = 512;
/// Programs at a time, of scripts and of the operating system's service manager; each is a process or several.
pub const CHECK_PROGRAMS_AT_ONCE: usize = 32;
/// Bytes of the head of an answer to an HTTP check, and of what is read ahead of its body.
pub const CHECK_HTTP_HEAD_BYTES_MAX: usize = 64 << 10;
/// Bytes of a body that are read; its status has been told before. Consul reads until the time is over.
pub const CHECK_HTTP_BODY_BYTES_MAX: usize = 1 << 20;
/// Redirects that one run follows. Go's bound.
pub const CHECK_HTTP_REDIRECTS_MAX: usize = 10;
/// Bytes of the answer to a gRPC check, which has a byte or two.
pub const CHECK_GRPC_BYTES_MAX: usize = 4096;
/// Bytes of the file with the authorities that targets are verified by; systems have 200 KiB of them.
pub const CHECK_AUTHORITIES_BYTES_MAX: u64 = 4 << 20;
/// Bytes read at a time of what a program prints.
pub const CHECK_PROGRAM_READ_BYTES: usize = 16 << 10;
/// How often services that were critical too long are looked for. Consul's documented value.
pub const REAP_INTERVAL: Duration = Duration::from_secs(30);
/// How many aliases may follow each other before the rest has to wait for the next change.
pub const ALIAS_DEPTH_MAX: usize = 8;

/// Time between full comparisons with the catalog, to which up to the same is added at random.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(60);
/// First pause after a failed exchange with the catalog.
pub const SYNC_RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest pause after failed exchanges. Consul's is 15 s and up to 15 s more.
pub const SYNC_RETRY_MAX: Duration = Duration::from_secs(30);
/// In development mode nothing waits longer than this at random (D26).
pub const DEV_JITTER_MAX: Duration = Duration::from_millis(500);

/// Streams of proxy snapshots at a time: twice as many as there is room for at their port, since those that have to end do so
/// a moment later.
pub const PROXY_STREAMS_MAX: usize = 8192;
/// Changes on their way into one proxy's machine.
pub const PROXY_INPUTS: usize = 64;
/// Messages on their way to one proxy. Few: more are waiting their turn as references to sections that are there anyway.
pub const PROXY_MESSAGES: usize = 16;

/// Wishes to leave or reload that the binary has not taken up yet.
pub const AGENT_REQUESTS: usize = 4;
/// Leaf certificates held at a time. Each has a private key and is renewed while it is read.
pub const LEAVES_MAX: usize = 4096;
/// How often a leaf's driver looks at the wall clock at least: it may have been set. A reader makes it look at once.
pub const LEAF_TICK_MAX: Duration = Duration::from_secs(10);
/// Pause before asking for the roots again after a failure.
pub const ROOTS_RETRY: Duration = Duration::from_secs(1);
