//! The store: applies commands in the order of the log and provides views.
//!
//! One owner applies commands. Readers hold views, which never change and block nobody.

use std::sync::Arc;

use concord_model::Uuid;

use crate::apply;
use crate::changes::Changes;
use crate::command::Command;
use crate::envelope::{DecodeError, Envelope, RULE_SET};
use crate::reply::CommandReply;
use crate::snapshot::{self, SnapshotError, SnapshotHeader};
use crate::table::Commit;
use crate::tables::Tables;
use crate::view::View;

/// The state of a cluster, up to the last applied log entry.
#[derive(Debug)]
pub struct Store {
    tables: Arc<Tables>,
    epoch: u64,
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The reply to the command.
    pub reply: CommandReply,
    /// What changed; empty if the command was refused or already in effect.
    pub changes: Changes,
}

/// Why nothing more can be applied. The state is unchanged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Halt {
    /// The bytes cannot be decoded.
    #[error("entry {index} of the log cannot be applied: {reason}")]
    Undecodable {
        /// Index of the entry.
        index: u64,
        /// The reason, with the remedy.
        #[source]
        reason: DecodeError,
    },
    /// The command belongs to another cluster.
    #[error(
        "entry {index} of the log belongs to cluster {found}, this server to {own}; \
         it was started with another cluster's data: remove its data directory and let it join again"
    )]
    ForeignCluster {
        /// Index of the entry.
        index: u64,
        /// Cluster id in the entry.
        found: Uuid,
        /// Cluster id in the state.
        own: Uuid,
    },
    /// The command raises the rule set beyond what this version supports.
    #[error(
        "entry {index} of the log puts rule set {found} in force, this version knows up to {RULE_SET}; \
         upgrade this server to the version its leader runs and start it again, it continues where it stopped"
    )]
    NewerRules {
        /// Index of the entry.
        index: u64,
        /// The rule set.
        found: u32,
    },
    /// The entry was applied before.
    #[error(
        "entry {index} of the log came after entry {applied} was applied; \
         this is a fault of the program: start the server again, it replays its log"
    )]
    OutOfOrder {
        /// Index of the entry.
        index: u64,
        /// Index of the last applied entry.
        applied: u64,
    },
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty state.
    pub fn new() -> Self {
        Self { tables: Arc::new(Tables::new()), epoch: 0 }
    }

    /// Applies the log entry at `index`. Indexes increase; some are missing, because the log also holds entries of
    /// the consensus engine.
    pub fn apply(&mut self, index: u64, bytes: &[u8]) -> Result<Applied, Halt> {
        let envelope = Envelope::decode(bytes).map_err(|reason| Halt::Undecodable { index, reason })?;
        self.apply_envelope(index, &envelope)
    }

    /// Applies a decoded entry of the log.
    pub fn apply_envelope(&mut self, index: u64, envelope: &Envelope) -> Result<Applied, Halt> {
        self.admit(index, envelope)?;
        let mut next = Tables::clone(&self.tables);
        next.at = next.at.max(envelope.at);
        let mut commit = Commit::new(index);
        let reply = match apply::apply(&mut next, &mut commit, &envelope.command) {
            Ok(reply) => reply,
            Err(refusal) => {
                next = Tables::clone(&self.tables);
                next.at = next.at.max(envelope.at);
                commit = Commit::new(index);
                CommandReply::Refused(refusal)
            }
        };
        next.applied = index;
        self.tables = Arc::new(next);
        Ok(Applied { reply, changes: Changes::new(commit) })
    }

    fn admit(&self, index: u64, envelope: &Envelope) -> Result<(), Halt> {
        if index <= self.tables.applied {
            return Err(Halt::OutOfOrder { index, applied: self.tables.applied });
        }
        envelope.check().map_err(|reason| Halt::Undecodable { index, reason })?;
        if let Command::SetRuleSet(command) = &envelope.command
            && command.rule_set > RULE_SET
        {
            return Err(Halt::NewerRules { index, found: command.rule_set });
        }
        match (envelope.cluster, apply::cluster::id(&self.tables)) {
            (Some(found), Some(own)) if found != own => Err(Halt::ForeignCluster { index, found, own }),
            _ => Ok(()),
        }
    }

    /// The state of a view, to apply commands on trial. The view stays as it is.
    pub fn on_trial(view: &View) -> Self {
        Self { tables: Arc::clone(&view.tables), epoch: view.epoch }
    }

    /// Replaces the whole state by that of a snapshot. The snapshot is checked before anything is changed.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<SnapshotHeader, SnapshotError> {
        let (header, tables) = snapshot::decode(snapshot)?;
        self.tables = Arc::new(tables);
        self.epoch += 1;
        Ok(header)
    }

    /// The state after the last applied command.
    pub fn view(&self) -> View {
        View { tables: Arc::clone(&self.tables), epoch: self.epoch }
    }
}

#[cfg(test)]
mod tests;
