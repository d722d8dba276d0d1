//! The limits of DNS, each with its reason.

use std::time::Duration;

/// Questions over UDP that are under way at the same time and wait for something. Further ones are dropped: clients
/// ask again.
pub const QUESTIONS_WAITING: usize = 1_024;
/// Connections of one client over TCP, so that others find room. How many there are of all clients is up to the account
/// that the listeners of a process share.
pub const CONNECTIONS_PER_CLIENT: usize = 64;
/// Memory of a connection: its task and a question. An answer counts as long as the client takes it.
pub const CONNECTION_BYTES: usize = 8 * 1_024;
/// Questions on one connection. Then it is closed, and the client opens another.
pub const QUESTIONS_PER_CONNECTION: usize = 1_024;
/// How long a connection may be without a question.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to send the rest of a question, or to take an answer.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a question. Questions are a name and a few options; 512 would be enough.
pub const QUESTION_BYTES: usize = 4_096;
/// Bytes of an answer over UDP to a client that names no size (RFC 1035 §4.2.1).
pub const UDP_ANSWER_BYTES: usize = 512;
/// Bytes of an answer over UDP, whatever size the client names: what a datagram carries.
pub const UDP_ANSWER_BYTES_MAX: usize = 65_467;
/// Bytes of an answer over TCP: its length has 16 bits. Consul keeps the header's size free.
pub const TCP_ANSWER_BYTES_MAX: usize = 65_523;
/// Bytes that stay free in an answer over UDP, as in Consul: the header of a datagram.
pub const UDP_SPARE_BYTES: usize = 8;
/// Records in an answer over UDP to a client without EDNS, whatever `udp_answer_limit` says, as in Consul.
pub const UDP_ANSWERS: usize = 8;
/// Records that are considered for one answer: more never fit into 64 KiB.
pub const ANSWERS: usize = 4_096;
/// The same for SRV records, which are longer.
pub const SRV_ANSWERS: usize = 1_024;
/// Name servers in one answer, as in Consul.
pub const NAME_SERVERS: usize = 3;
/// How often an address that is a name of ours leads to another one. Loops end here.
pub const ALIAS_DEPTH: usize = 3;
/// Addresses of one alias in answers to clients without EDNS, as in Consul.
pub const ALIAS_RECORDS: usize = 5;
/// Records of one alias at all.
pub const ALIAS_RECORDS_MAX: usize = 64;
/// Aliases that are resolved for one answer.
pub const ALIASES: usize = 16;
/// Questions that wait for other DNS servers.
pub const RECURSIONS: usize = 512;
/// Datagrams on a recursor's socket that are no answer to the question. An attacker who guesses gets no more attempts.
pub const STRAY_DATAGRAMS: usize = 16;
/// Reverse questions under way: each looks through all nodes and instances.
pub const REVERSE_QUESTIONS: usize = 8;
/// How long the servers may take.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers that are older are counted as stale, as in Consul.
pub const STALE_AFTER: Duration = Duration::from_secs(5);
/// How long it is remembered which names are not written in lower case.
pub const SPELLINGS_AGE: Duration = Duration::from_secs(5);
/// Such names that are remembered.
pub const SPELLINGS: usize = 16_384;
/// Spellings of one name that are looked up.
pub const SPELLINGS_OF_NAME: usize = 4;
/// Answers per second to one network that are much larger than the question. Beyond, the client is told to come over
/// TCP, which proves its address. Local clients and TCP have no such limit.
pub const AMPLIFIED_PER_SECOND: u32 = 1_000;
/// Counters for such networks. Networks that meet in one counter share its limit.
pub const AMPLIFIED_NETWORKS: usize = 4_096;
