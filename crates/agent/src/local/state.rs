//! Handles of the local registrations: one that only reads, and one that also changes.

use std::ops::Deref;
use std::sync::Arc;

use concord_model::InstanceId;
use concord_model::catalog::ServiceInstance;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{Local, ServiceRecord};

/// Reads the local registrations. Clones refer to the same registrations.
#[derive(Clone, Debug)]
pub(crate) struct LocalView(Arc<Shared>);

/// Also changes them.
#[derive(Clone, Debug)]
pub(crate) struct LocalState(LocalView);

#[derive(Debug)]
struct Shared {
    local: Mutex<Local>,
    /// The revision of `local`.
    changed: watch::Sender<u64>,
    /// Signalled while verdicts have to be saved.
    unsaved: Notify,
}

impl LocalView {
    /// Reads.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Local) -> T) -> T {
        look(&self.0.local.lock())
    }

    /// A receiver that is notified when a record changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Whether it is unknown what configuration entries say about a proxy.
    pub(crate) fn is_awaiting_entries(&self, id: &InstanceId) -> bool {
        self.look(|local| local.services.get(id).is_some_and(ServiceRecord::is_awaiting_entries))
    }

    /// A registered proxy as it is configured.
    pub(crate) fn proxy(&self, id: &InstanceId) -> Option<ServiceInstance> {
        self.look(|local| local.proxy(id))
    }

    /// A registered service, merged with what configuration entries say.
    pub(crate) fn instance(&self, id: &InstanceId) -> Option<ServiceInstance> {
        self.look(|local| local.services.get(id).map(|record| record.service().into_owned()))
    }
}

impl LocalState {
    pub(crate) fn new(local: Local) -> Self {
        let (changed, unsaved) = (watch::channel(local.revision()).0, Notify::new());
        Self(LocalView(Arc::new(Shared { local: Mutex::new(local), changed, unsaved })))
    }

    /// The handle that only reads.
    pub(crate) fn view(&self) -> LocalView {
        self.0.clone()
    }

    /// Changes the registrations, and notifies the tasks that wait for a change.
    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut Local) -> T) -> T {
        let Shared { local, changed, unsaved } = &*self.0.0;
        let mut local = local.lock();
        let result = edit(&mut local);
        let revision = local.revision();
        changed.send_if_modified(|last| std::mem::replace(last, revision) != revision);
        if local.has_unsaved() {
            unsaved.notify_one();
        }
        result
    }

    /// Completes when verdicts have to be saved. Only one task may wait.
    pub(crate) async fn unsaved(&self) {
        self.0.0.unsaved.notified().await;
    }
}

impl Deref for LocalState {
    type Target = LocalView;

    fn deref(&self) -> &LocalView {
        &self.0
    }
}
