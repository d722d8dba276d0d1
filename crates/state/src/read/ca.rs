//! Queries about the certificate authority.

use std::sync::Arc;

use concord_model::ca::{BuiltinCaState, CaConfig, CaRoots};

use crate::apply::ca;
use crate::keys;
use crate::read::Reader;
use crate::tables::TableId;

impl Reader {
    /// The published roots, once there are any.
    pub fn ca_roots(&mut self) -> Option<Arc<CaRoots>> {
        self.note(TableId::CaRoots, keys::only());
        self.tables().ca_roots.get(&keys::only()).cloned()
    }

    /// The configuration, once there is one.
    pub fn ca_config(&mut self) -> Option<Arc<CaConfig>> {
        self.note(TableId::CaConfig, keys::only());
        self.tables().ca_config.get(&keys::only()).cloned()
    }

    /// What the built-in provider keeps for one of its configurations.
    pub fn ca_provider_state(&mut self, id: &str) -> Option<Arc<BuiltinCaState>> {
        let key = keys::text(id);
        let found = self.tables().ca_provider_states.get(&key).cloned();
        self.note(TableId::CaProviderStates, key);
        found
    }

    /// What the built-in provider keeps for all of its configurations.
    pub fn ca_provider_states(&mut self) -> Vec<Arc<BuiltinCaState>> {
        self.scan(|tables| &tables.ca_provider_states, TableId::CaProviderStates, keys::all())
    }

    /// The serial number handed out next.
    pub fn next_serial(&mut self) -> u64 {
        self.note(TableId::CaSerial, keys::only());
        ca::next_serial(self.tables())
    }
}
