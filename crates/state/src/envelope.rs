//! The form of a command in the log: a header every version can read, then the command.
//!
//! Encoded as MessagePack with named fields. Bytes that cannot be understood stop the server
//! from applying anything further and name the remedy; skipping a command would make this server
//! disagree with the others in silence.

use concord_model::{Timestamp, Uuid};
use rmp_serde::Deserializer;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::limits::{COMMAND_BYTES_MAX, DEPTH_MAX};

/// The newest form of the log this version reads, and the one it writes.
pub const FORMAT: u32 = 1;
/// The newest rules this version can apply commands by. From 2 on a configuration entry must fit those that are kept;
/// from 3 on what a provider of the certificate authority keeps names its kind.
pub const RULE_SET: u32 = 3;

/// A command with what is needed to apply it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Envelope {
    /// Form of the encoding.
    pub format: u32,
    /// Rules the leader reckoned with. Those in force are in the state.
    pub rule_set: u32,
    /// Identity of the cluster; `None` until it has one.
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
    /// It would read as another command.
    #[error("{command} does not survive its encoding")]
    Unfaithful {
        /// Name of the command.
        command: &'static str,
    },
    /// It has no encoding, or none that can be read.
    #[error("{command} cannot be encoded: {reason}")]
    Unencodable {
        /// Name of the command.
        command: &'static str,
        /// What the encoder said.
        reason: String,
    },
}

/// Why bytes of the log cannot be understood. Whoever applies them has to stop.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Written in a newer form.
    #[error("it is written in format {found}, this version reads up to {FORMAT}; {UPGRADE}")]
    NewerFormat {
        /// The form.
        found: u32,
    },
    /// Written under newer rules.
    #[error("it needs rule set {found}, this version knows up to {RULE_SET}; {UPGRADE}")]
    NewerRules {
        /// The rules.
        found: u32,
    },
    /// A command this version does not know.
    #[error("this version does not know the command {name:?}; {UPGRADE}")]
    UnknownCommand {
        /// Its name.
        name: String,
    },
    /// A command this version knows, with content it cannot read.
    #[error("the command {name} cannot be read ({reason}); {DAMAGED}")]
    UnreadableCommand {
        /// Its name.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// No envelope at all.
    #[error("it is not a command of this program ({reason}); {DAMAGED}")]
    NoEnvelope {
        /// What the decoder said.
        reason: String,
    },
}

const UPGRADE: &str = "upgrade this server to the version its leader runs and start it again, \
                       it continues where it stopped";
const DAMAGED: &str = "the log of this server is damaged: remove its data directory and let it join again, \
                       or restore a snapshot if it is the only server";

/// What every version can read of an envelope.
#[derive(Deserialize)]
struct Header {
    format: u32,
    rule_set: u32,
}

/// The name of the command in an envelope, whatever its content.
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
    /// Puts a command in an envelope of the current format.
    pub fn new(command: impl Into<Command>, at: Timestamp, cluster: Option<Uuid>) -> Self {
        Self { format: FORMAT, rule_set: RULE_SET, cluster, at, command: command.into() }
    }

    /// The bytes of the log entry. They are read back before they are given out: what one server
    /// cannot read would stop all of them.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let command = self.command.name();
        let bytes = rmp_serde::to_vec_named(self)
            .map_err(|error| EncodeError::Unencodable { command, reason: error.to_string() })?;
        if bytes.len() > COMMAND_BYTES_MAX {
            return Err(EncodeError::TooLarge { command, bytes: bytes.len() });
        }
        match Self::decode(&bytes) {
            Ok(read) if read == *self => Ok(bytes),
            Ok(_) => Err(EncodeError::Unfaithful { command }),
            Err(error) => Err(EncodeError::Unencodable { command, reason: error.to_string() }),
        }
    }

    /// Reads a log entry.
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

/// Finds out what is wrong with bytes that are no envelope.
fn explain(bytes: &[u8], reason: String) -> DecodeError {
    if let Ok(header) = decode::<Header>(bytes)
        && let Err(newer) = header.check()
    {
        return newer;
    }
    let Ok(Named { command: Name(name) }) = decode::<Named>(bytes) else {
        return DecodeError::NoEnvelope { reason };
    };
    if Command::NAMES.contains(&name.as_str()) {
        DecodeError::UnreadableCommand { name, reason }
    } else {
        DecodeError::UnknownCommand { name: name.chars().take(64).collect() }
    }
}

/// Reads one value that fills `bytes` entirely.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut decoder = Deserializer::new(bytes);
    decoder.set_max_depth(DEPTH_MAX);
    let value = T::deserialize(&mut decoder).map_err(|error| error.to_string())?;
    match decoder.get_ref().len() {
        0 => Ok(value),
        left => Err(format!("{left} bytes follow it")),
    }
}
