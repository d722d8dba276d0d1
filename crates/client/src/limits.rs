//! The limits of this crate, each with its reason.

use std::time::Duration;

/// Largest accepted body. A list of all intentions or instances of a very large datacenter is smaller. A peer that
/// sends without end cannot exhaust the memory.
pub const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// Largest part of an error's body that becomes its message; messages are for a person.
pub const ERROR_BYTES_MAX: usize = 16 << 10;

/// Time limit for connecting, including TLS. The agent is near, and a person waits for the answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for an answer, in addition to the wait that the request asks for.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an agent waits for a blocking request without a wait time: its `default_query_time`.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(300);

/// Idle connections kept: more than a program usually needs in parallel. Further ones are closed when they become
/// idle.
pub const IDLE_CONNECTIONS_MAX: usize = 16;

/// How long an idle connection is kept. This is shorter than the agent's own limit, so that a reused connection is
/// seldom closed already.
pub const IDLE_AGE_MAX: Duration = Duration::from_secs(45);

/// Largest head of an answer; an agent's own headers take less than two KiB.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Largest TLS file read; a bundle of every public root is below half a MiB.
pub const TLS_FILE_BYTES_MAX: u64 = 4 << 20;

/// Most files read from a directory of certificates; the systems' own directories contain a few hundred.
pub const TLS_DIRECTORY_FILES_MAX: usize = 4096;
