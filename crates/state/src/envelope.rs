//! The form of a command in the log: a header that every version can read, then the command.
//!
//! Encoded as MessagePack with named fields. If a server cannot decode an entry, it applies nothing further and its
//! error names the remedy. Skipping the command would make this server's state differ from the others' without
//! notice.

use concord_model::{Timestamp, Uuid};
use rmp_serde::Deserializer;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::limits::{COMMAND_BYTES_MAX, DEPTH_MAX};

/// The newest log format that this version reads; it writes this one.
pub const FORMAT: u32 = 1;
/// The newest rule set that this version supports. Since rule set 2, a configuration entry must be consistent with
/// the stored ones. Since 3, the data of a CA provider names its kind. Since 4, an instance
/// may have several ports. Since 5, a proxy has the settings that configuration entries give it, services have virtual
/// addresses, entries must find the entries that they refer to, and no change of an entry breaks a discovery chain.
/// Since 6, it is kept when an entry was accepted.
pub const RULE_SET: u32 = 6;

/// A command with everything needed to apply it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Envelope {
    /// Format of the encoding.
    pub format: u32,
    /// The rule set that the leader assumed. The state holds the one in force.
    pub rule_set: u32,
    /// The cluster id; `None` until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Uuid>,
    /// The leader's clock when it proposed the command.
    pub at: Timestamp,
    /// The command.
    pub command: Command,
}

/// A command that must not be written to the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EncodeError {
    /// It is too large.
    #[error("{command} is {bytes} bytes long; at most {COMMAND_BYTES_MAX} fit in the log")]
    TooLarge {
        /// Name of the command.
        command: &'static str,
        /// Its size when encoded.
        bytes: usize,
    },
    /// Decoding it gives another command.
    #[error("{command} does not survive its encoding")]
    Unfaithful {
        /// Name of the command.
        command: &'static str,
    },
    /// It cannot be encoded, or the result cannot be decoded.
    #[error("{command} cannot be encoded: {reason}")]
    Unencodable {
        /// Name of the command.
        command: &'static str,
        /// The error of the encoder.
        reason: String,
    },
}

/// Why bytes of the log cannot be decoded. The server then has to stop applying.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Written in a newer format.
    #[error("it is written in format {found}, this version reads up to {FORMAT}; {UPGRADE}")]
    NewerFormat {
        /// The format.
        found: u32,
    },
    /// Written under a newer rule set.
    #[error("it needs rule set {found}, this version knows up to {RULE_SET}; {UPGRADE}")]
    NewerRules {
        /// The rule set.
        found: u32,
    },
    /// This version does not know the command.
    #[error("this version does not know the command {name:?}; {UPGRADE}")]
    UnknownCommand {
        /// Its name.
        name: String,
    },
    /// This version knows the command, but not a variant in it, as a kind of entry.
    #[error("the command {name} says something that this version does not know ({reason}); {UPGRADE}")]
    UnknownContent {
        /// Its name.
        name: String,
        /// The error of the decoder.
        reason: String,
    },
    /// This version knows the command but cannot decode its content.
    #[error("the command {name} cannot be read ({reason}); {DAMAGED}")]
    UnreadableCommand {
        /// Its name.
        name: String,
        /// The error of the decoder.
        reason: String,
    },
    /// The bytes are not an envelope.
    #[error("it is not a command of this program ({reason}); {DAMAGED}")]
    NoEnvelope {
        /// The error of the decoder.
        reason: String,
    },
}

const UPGRADE: &str = "upgrade this server to the version its leader runs and start it again, \
                       it continues where it stopped";
const DAMAGED: &str = "the log of this server is damaged: remove its data directory and let it join again, \
                       or restore a snapshot if it is the only server";

/// The part of an envelope that every version can read.
#[derive(Deserialize)]
struct Header {
    format: u32,
    rule_set: u32,
}

/// The name of the command in an envelope, without its content.
#[derive(Deserialize)]
struct Named {
    command: Name,
}

struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        let mut names = map.into_keys();
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(Self(name)),
            _ => Err(serde::de::Error::custom("a command has exactly one name")),
        }
    }
}

impl Envelope {
    /// Puts a command into an envelope of the current format.
    pub fn new(command: impl Into<Command>, at: Timestamp, cluster: Option<Uuid>) -> Self {
        Self { format: FORMAT, rule_set: RULE_SET, cluster, at, command: command.into() }
    }

    /// The bytes of the log entry. They are decoded once as a check: an entry that one server cannot decode would
    /// stop all servers.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let command = self.command.name();
        let mut bytes = rmp_serde::to_vec_named(self)
            .map_err(|error| EncodeError::Unencodable { command, reason: error.to_string() })?;
        if bytes.len() > COMMAND_BYTES_MAX {
            return Err(EncodeError::TooLarge { command, bytes: bytes.len() });
        }
        match Self::decode(&bytes) {
            Ok(read) if read == *self => {
                // The log keeps it for a while.
                bytes.shrink_to_fit();
                Ok(bytes)
            }
            Ok(_) => Err(EncodeError::Unfaithful { command }),
            Err(error) => Err(EncodeError::Unencodable { command, reason: error.to_string() }),
        }
    }

    /// Decodes a log entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let envelope: Self = decode(bytes).map_err(|reason| explain(bytes, reason))?;
        envelope.check()?;
        Ok(envelope)
    }

    /// Whether this version can apply the command.
    pub(crate) fn check(&self) -> Result<(), DecodeError> {
        Header { format: self.format, rule_set: self.rule_set }.check()
    }
}

impl Header {
    fn check(&self) -> Result<(), DecodeError> {
        if self.format > FORMAT {
            return Err(DecodeError::NewerFormat { found: self.format });
        }
        if self.rule_set > RULE_SET {
            return Err(DecodeError::NewerRules { found: self.rule_set });
        }
        Ok(())
    }
}

/// Finds out why bytes are not a valid envelope.
fn explain(bytes: &[u8], reason: String) -> DecodeError {
    if let Ok(header) = decode::<Header>(bytes)
        && let Err(newer) = header.check()
    {
        return newer;
    }
    let Ok(Named { command: Name(name) }) = decode::<Named>(bytes) else {
        return DecodeError::NoEnvelope { reason };
    };
    match Command::NAMES.contains(&name.as_str()) {
        false => DecodeError::UnknownCommand { name: name.chars().take(64).collect() },
        // The words of serde's `Error::unknown_variant`.
        true if reason.contains("unknown variant") => DecodeError::UnknownContent { name, reason },
        true => DecodeError::UnreadableCommand { name, reason },
    }
}

/// Decodes one value that fills `bytes` completely.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut decoder = Deserializer::new(bytes);
    decoder.set_max_depth(DEPTH_MAX);
    let value = T::deserialize(&mut decoder).map_err(|error| error.to_string())?;
    match decoder.get_ref().len() {
        0 => Ok(value),
        left => Err(format!("{left} bytes follow it")),
    }
}
