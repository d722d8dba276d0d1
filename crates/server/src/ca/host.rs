//! The leader's data about the certificate authority.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use concord_ca::limiter::{CsrLimiter, CsrLimits};
use concord_ca::provider::{ParsedSettings, Provider};
use concord_ca::rotation::Failure;
use concord_model::Timestamp;
use concord_model::ca::CaRoots;
use concord_rpc::RpcError;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};

use super::queue::Queue;
use crate::limits::{CA_CHANGES_WAITING, SIGNATURES_AT_ONCE, SIGNATURES_WAITING};

/// The leader's data about the certificate authority. Its locks are held only for a short access, never during a
/// wait.
#[derive(Debug)]
pub(crate) struct CaHost {
    /// The provider that signs.
    pub(super) slot: watch::Sender<Slot>,
    changes: mpsc::Sender<Ask>,
    asked: Mutex<Option<mpsc::Receiver<Ask>>>,
    pub(super) limiter: Mutex<CsrLimiter>,
    pub(super) freed: Notify,
    pub(super) waiting: Semaphore,
    /// Limits the parallel calls for leaf signatures.
    pub(super) signatures: Semaphore,
    /// Signalled by a request that found the active root not valid: somebody may have set the clock.
    pub(super) look: Notify,
    /// For each root made in this term of leadership, when its last leaf expires. `None` if the root has signed no
    /// leaf.
    signed: Mutex<BTreeMap<String, Option<Timestamp>>>,
}

/// The provider that signs, or the reason why there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) in_use: Option<Arc<InUse>>,
    /// The error of the last attempt to create or open a provider, if it failed.
    pub(super) trouble: Option<String>,
}

/// The provider that signs, and its root.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(super) root: String,
    /// The provider's kind.
    pub(super) kind: String,
    pub(super) provider: Arc<dyn Provider>,
    /// Lifetime of its leaf certificates.
    pub(super) leaf_life: Duration,
}

/// The risks that the operator accepts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Force {
    /// Rotate even if the old root cannot sign the new one.
    pub(crate) without_cross_signing: bool,
    /// Rotate even if leaf certificates still depend on the oldest root, which has to be dropped.
    pub(crate) without_oldest_root: bool,
}

/// A change of the CA configuration, sent to the driver.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) provider: String,
    pub(super) parsed: ParsedSettings,
    pub(super) force: Force,
    /// Receives the index of the log entry that made the change.
    pub(super) answer: oneshot::Sender<Result<u64, RpcError>>,
}

impl Ask {
    pub(super) fn refuse(self, error: RpcError) {
        // The caller may have gone away.
        let _ = self.answer.send(Err(error));
    }
}

impl CaHost {
    pub(crate) fn new() -> Self {
        let (changes, asked) = mpsc::channel(CA_CHANGES_WAITING);
        Self {
            slot: watch::Sender::default(),
            changes,
            asked: Mutex::new(Some(asked)),
            limiter: Mutex::new(CsrLimiter::new(CsrLimits::default())),
            freed: Notify::new(),
            waiting: Semaphore::new(SIGNATURES_WAITING),
            signatures: Semaphore::new(SIGNATURES_AT_ONCE),
            look: Notify::new(),
            signed: Mutex::default(),
        }
    }

    /// Sends a change to the driver.
    pub(super) fn ask(&self, ask: Ask) -> Result<(), RpcError> {
        self.changes.try_send(ask).map_err(|_| RpcError::Busy(Failure::Busy.to_string()))
    }

    /// The queue of requested changes. Only the driver takes it.
    pub(super) fn queue(&self) -> Option<Queue> {
        self.asked.lock().take().map(Queue::new)
    }

    /// The provider that signs.
    pub(crate) fn in_use(&self) -> Option<Arc<InUse>> {
        self.slot.borrow().in_use.clone()
    }

    /// Sets the provider that signs from now on.
    pub(super) fn sign_with(&self, in_use: InUse) {
        self.slot.send_replace(Slot { in_use: Some(Arc::new(in_use)), trouble: None });
    }

    /// Records what is wrong with the provider.
    pub(super) fn report(&self, trouble: String) {
        self.slot.send_modify(|slot| slot.trouble = Some(trouble));
    }

    /// From now on no provider signs.
    pub(super) fn sign_with_none(&self) {
        self.slot.send_modify(|slot| slot.in_use = None);
    }

    /// Drops the provider and the keys that it holds.
    pub(super) fn close(&self) {
        self.slot.send_replace(Slot::default());
        self.signed.lock().clear();
    }

    pub(super) fn not_ready(&self, otherwise: &str) -> RpcError {
        let trouble = self.slot.borrow().trouble.clone();
        RpcError::CaNotReady(trouble.unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Records a root that this server made: it has signed nothing yet.
    pub(super) fn made(&self, root: &str) {
        self.signed.lock().insert(root.to_owned(), None);
    }

    /// Records that this root signs a leaf that expires at `end`.
    pub(super) fn signs_until(&self, root: &str, end: Timestamp) {
        if let Some(last) = self.signed.lock().get_mut(root) {
            *last = (*last).max(Some(end));
        }
    }

    /// The roots that certainly have signed no leaf that is valid at `now`.
    pub(super) fn idle(&self, roots: Option<&CaRoots>, now: Timestamp) -> BTreeSet<String> {
        let mut signed = self.signed.lock();
        let published =
            |id: &String| roots.is_some_and(|roots| roots.roots.iter().any(|root| root.id == *id));
        signed.retain(|id, _| published(id));
        signed.iter().filter(|(_, end)| end.is_none_or(|end| end < now)).map(|(id, _)| id.clone()).collect()
    }
}
