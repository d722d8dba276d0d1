//! Queries about the certificate authority.

use std::sync::Arc;

use concord_model::ca::{CaConfig, CaRoots, ProviderRecord};

use crate::apply::ca::FIRST_SERIAL;
use crate::keys::{self, Class};
use crate::read::Reader;

impl Reader {
    /// The published roots, once there are any.
    pub fn ca_roots(&mut self) -> Option<Arc<CaRoots>> {
        self.row(keys::ca_roots::row())
    }

    /// The configuration, once there is one.
    pub fn ca_config(&mut self) -> Option<Arc<CaConfig>> {
        self.row(keys::ca_config::row())
    }

    /// The provider's data for the root with this id.
    pub fn ca_provider_state(&mut self, id: &str) -> Option<Arc<ProviderRecord>> {
        self.row(keys::ca_provider_states::row(id))
    }

    /// The data of all providers, by the ids of their roots.
    pub fn ca_provider_states(&mut self) -> Vec<Arc<ProviderRecord>> {
        self.rows(Class::<keys::ca_provider_states::Rows>::all())
    }

    /// The next serial number.
    pub fn next_serial(&mut self) -> u64 {
        self.row(keys::ca_serial::row()).map_or(FIRST_SERIAL, |next| *next)
    }
}
