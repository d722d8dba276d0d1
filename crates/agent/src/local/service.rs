//! One registered service.

use std::sync::Arc;

use concord_model::registration::LocalService;
use concord_model::{CheckId, InstanceId};

use super::{Mark, Source};

/// A service with what the catalog knows of it.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRecord {
    /// The service, with the checks that came with its definition.
    pub(crate) registration: Arc<LocalService>,
    /// Where it comes from.
    pub(crate) source: Source,
    /// Whether the catalog knows.
    pub(crate) mark: Mark,
    /// Which change of it this is.
    pub(crate) version: u64,
}

impl ServiceRecord {
    pub(super) fn new(registration: LocalService, source: Source, version: u64) -> Self {
        Self { registration: Arc::new(registration), source, mark: Mark::Pending, version }
    }

    /// The instance's id.
    pub(crate) fn id(&self) -> &InstanceId {
        &self.registration.service.id
    }

    /// A check no longer comes with the definition; whether it did.
    pub(super) fn forget_inline(&mut self, check: &CheckId) -> bool {
        let had = self.registration.checks.iter().any(|inline| inline.id == *check);
        if had {
            Arc::make_mut(&mut self.registration).checks.retain(|inline| inline.id != *check);
        }
        had
    }

    /// Takes over the catalog's tags, which win if the service says so.
    pub(crate) fn take_tags(&mut self, tags: &[String]) -> bool {
        let own = &self.registration.service;
        if !own.enable_tag_override || own.tags == tags {
            return false;
        }
        tags.clone_into(&mut Arc::make_mut(&mut self.registration).service.tags);
        true
    }
}
