//! What the leader holds of the certificate authority.

use std::collections::{BTreeMap, BTreeSet};

use concord_ca::limiter::{CsrLimiter, CsrLimits};
use concord_ca::provider::{BuiltinProvider, ParsedSettings};
use concord_model::Timestamp;
use concord_model::ca::CaRoots;
use concord_rpc::RpcError;
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, mpsc, oneshot, watch};

use crate::limits::{CA_CHANGES_WAITING, SIGNATURES_WAITING};

/// What the leader holds of the certificate authority.
#[derive(Debug)]
pub(crate) struct CaHost {
    /// The provider that signs. Held while signing: it signs one at a time.
    pub(super) provider: AsyncMutex<Option<InUse>>,
    /// Told each time another provider signs, or none does.
    pub(super) moved: watch::Sender<()>,
    /// Why no provider signs, if the last attempt to open one failed.
    pub(super) trouble: Mutex<Option<String>>,
    pub(super) changes: mpsc::Sender<Ask>,
    pub(super) asked: Mutex<Option<mpsc::Receiver<Ask>>>,
    pub(super) limiter: Mutex<CsrLimiter>,
    pub(super) freed: Notify,
    pub(super) waiting: Semaphore,
    /// Told by a request that found the active root not valid: somebody may have set the clock.
    pub(super) look: Notify,
    /// When the last leaf ends that each root made under this leadership has signed; `None` if it has signed none.
    pub(super) signed: Mutex<BTreeMap<String, Option<Timestamp>>>,
}

/// The provider that signs, and whose root it holds.
#[derive(Debug)]
pub(super) struct InUse {
    pub(super) root: String,
    pub(super) provider: BuiltinProvider,
}

/// What an operator takes upon himself.
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

impl CaHost {
    pub(crate) fn new() -> Self {
        let (changes, asked) = mpsc::channel(CA_CHANGES_WAITING);
        Self {
            provider: AsyncMutex::default(),
            moved: watch::Sender::new(()),
            trouble: Mutex::default(),
            changes,
            asked: Mutex::new(Some(asked)),
            limiter: Mutex::new(CsrLimiter::new(CsrLimits::default())),
            freed: Notify::new(),
            waiting: Semaphore::new(SIGNATURES_WAITING),
            look: Notify::new(),
            signed: Mutex::default(),
        }
    }

    /// Keeps account of a root that has been made here: it has signed nothing yet.
    pub(super) fn made(&self, root: &str) {
        self.signed.lock().insert(root.to_owned(), None);
    }

    /// Of these roots, those that are known to have signed no leaf that is valid at `now`.
    pub(super) fn idle(&self, roots: Option<&CaRoots>, now: Timestamp) -> BTreeSet<String> {
        let mut signed = self.signed.lock();
        let published =
            |id: &String| roots.is_some_and(|roots| roots.roots.iter().any(|root| root.id == *id));
        signed.retain(|id, _| published(id));
        signed.iter().filter(|(_, end)| end.is_none_or(|end| end < now)).map(|(id, _)| id.clone()).collect()
    }

    /// Says that something was done about the provider, and what is wrong with it, if anything is.
    pub(super) fn report(&self, trouble: Option<String>) {
        *self.trouble.lock() = trouble;
        self.moved.send_replace(());
    }

    /// Lets go of the provider, and of the keys it holds.
    pub(super) async fn close(&self) {
        *self.provider.lock().await = None;
        self.signed.lock().clear();
        self.report(None);
    }

    pub(super) fn not_ready(&self, otherwise: &str) -> RpcError {
        let trouble = self.trouble.lock().clone();
        RpcError::CaNotReady(trouble.unwrap_or_else(|| otherwise.to_owned()))
    }
}
