//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// Largest body accepted. A list of every intention or instance of a very large datacenter stays below it; a peer
/// that sends without end does not exhaust the process.
pub const RESPONSE_BYTES_MAX: usize = 256 << 20;

/// Largest part of an error's body kept as its message; messages are for a person to read.
pub const ERROR_BYTES_MAX: usize = 16 << 10;

/// How long connecting may take, TLS included. An agent is near; a person waits for the answer.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take beyond what the request asked the agent to wait for.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What an agent waits for when a blocking request names no time: its `default_query_time`.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(300);

/// Idle connections kept. More than a program's usual parallel requests; the rest are closed when they fall idle.
pub const IDLE_CONNECTIONS_MAX: usize = 16;

/// How long an idle connection is kept: below the agent's own idle time, so that reuse seldom meets a closed one.
pub const IDLE_AGE_MAX: Duration = Duration::from_secs(45);

/// Largest head of an answer; an agent's own headers take less than two KiB.
pub const HEAD_BYTES_MAX: usize = 64 << 10;

/// Largest TLS file read; a bundle of every public root is below half a MiB.
pub const TLS_FILE_BYTES_MAX: u64 = 4 << 20;

/// Most files taken from a directory of certificates; the systems' own directories hold a few hundred.
pub const TLS_DIRECTORY_FILES_MAX: usize = 4096;
