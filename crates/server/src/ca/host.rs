//! What the leader holds of the certificate authority.

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

/// What the leader holds of the certificate authority. Its locks are held for a look, never while somebody is waited
/// for.
#[derive(Debug)]
pub(crate) struct CaHost {
    /// The provider that signs.
    pub(super) slot: watch::Sender<Slot>,
    changes: mpsc::Sender<Ask>,
    asked: Mutex<Option<mpsc::Receiver<Ask>>>,
    pub(super) limiter: Mutex<CsrLimiter>,
    pub(super) freed: Notify,
    pub(super) waiting: Semaphore,
    /// Places for calls of the provider that sign leaves.
    pub(super) signatures: Semaphore,
    /// Told by a request that found the active root not valid: somebody may have set the clock.
    pub(super) look: Notify,
    /// When the last leaf ends that each root made under this leadership has signed; `None` if it has signed none.
    signed: Mutex<BTreeMap<String, Option<Timestamp>>>,
}

/// The provider that signs, or why none does.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) in_use: Option<Arc<InUse>>,
    /// What is wrong, if the last attempt to make or open a provider failed.
    pub(super) trouble: Option<String>,
}

/// The provider that signs, and whose root it holds.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(super) root: String,
    /// The name of its kind.
    pub(super) kind: String,
    pub(super) provider: Arc<dyn Provider>,
    /// How long its leaves live.
    pub(super) leaf_life: Duration,
}

/// The risks that an operator accepts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Force {
    /// Rotate even if the old root cannot sign the new one.
    pub(crate) without_cross_signing: bool,
    /// Rotate even if leaves depend on the root that has to make room.
    pub(crate) without_oldest_root: bool,
}

/// A change of the configuration, on its way to the driver.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) provider: String,
    pub(super) parsed: ParsedSettings,
    pub(super) force: Force,
    /// Told the index of the log entry that made the change.
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

    /// Hands a change to the driver.
    pub(super) fn ask(&self, ask: Ask) -> Result<(), RpcError> {
        self.changes.try_send(ask).map_err(|_| RpcError::Busy(Failure::Busy.to_string()))
    }

    /// The changes that are asked for; for the one driver.
    pub(super) fn queue(&self) -> Option<Queue> {
        self.asked.lock().take().map(Queue::new)
    }

    /// The provider that signs.
    pub(crate) fn in_use(&self) -> Option<Arc<InUse>> {
        self.slot.borrow().in_use.clone()
    }

    /// Has a provider sign from now on.
    pub(super) fn sign_with(&self, in_use: InUse) {
        self.slot.send_replace(Slot { in_use: Some(Arc::new(in_use)), trouble: None });
    }

    /// Says what is wrong with the provider.
    pub(super) fn report(&self, trouble: String) {
        self.slot.send_modify(|slot| slot.trouble = Some(trouble));
    }

    /// Has no provider sign any more.
    pub(super) fn sign_with_none(&self) {
        self.slot.send_modify(|slot| slot.in_use = None);
    }

    /// Lets go of the provider, and of the keys it holds.
    pub(super) fn close(&self) {
        self.slot.send_replace(Slot::default());
        self.signed.lock().clear();
    }

    pub(super) fn not_ready(&self, otherwise: &str) -> RpcError {
        let trouble = self.slot.borrow().trouble.clone();
        RpcError::CaNotReady(trouble.unwrap_or_else(|| otherwise.to_owned()))
    }

    /// Keeps account of a root that has been made here: it has signed nothing yet.
    pub(super) fn made(&self, root: &str) {
        self.signed.lock().insert(root.to_owned(), None);
    }

    /// Keeps account of a leaf that this root signs, which ends then.
    pub(super) fn signs_until(&self, root: &str, end: Timestamp) {
        if let Some(last) = self.signed.lock().get_mut(root) {
            *last = (*last).max(Some(end));
        }
    }

    /// Of these roots, those that are known to have signed no leaf that is valid at `now`.
    pub(super) fn idle(&self, roots: Option<&CaRoots>, now: Timestamp) -> BTreeSet<String> {
        let mut signed = self.signed.lock();
        let published =
            |id: &String| roots.is_some_and(|roots| roots.roots.iter().any(|root| root.id == *id));
        signed.retain(|id, _| published(id));
        signed.iter().filter(|(_, end)| end.is_none_or(|end| end < now)).map(|(id, _)| id.clone()).collect()
    }
}
