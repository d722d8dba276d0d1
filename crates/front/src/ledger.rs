//! Which proxy has what (D60): a row for each proxy that is attached to this agent, and the last of those that were.
//!
//! ```text
//! stream ─► Seat: snapshots, responses, answers ─► Account, under a lock of its own ◄─ a reader, who sees services
//!              │                                                                        that it may read
//!              └─ each change: the row's index, which wakes those who wait
//! ```
//!
//! A row refers to the state by which the stream is served; nothing is copied until somebody reads. The number of rows
//! is that of the streams, which the agent bounds. Ended streams are kept up to [`ENDED_MAX`]; the oldest goes first,
//! which readers are told.

mod account;
mod delivery;
mod report;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use concord_acl::{Labelled, Level, Right};
use concord_api::proxy_status::EndedProxy;
use concord_model::ServiceRef;
use concord_rpc::Caller;
use concord_runtime::{Clock, Instant};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

pub(crate) use self::account::{Account, ProxyKind};
pub use self::delivery::Accepted;

/// Streams that ended and are kept.
pub const ENDED_MAX: usize = 256;
/// Proxies that one answer lists.
pub const LISTED_MAX: usize = 1_000;
/// Refused resources that are listed of one proxy. Each has up to [`concord_xds::delta::WORDS_BYTES_MAX`] bytes of words.
pub const REJECTIONS_MAX: usize = 32;

/// Which proxy has what. Clones refer to the same table.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    rows: Mutex<Rows>,
    /// The index of the last change.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Rows {
    /// By the order in which they came.
    live: BTreeMap<u64, Arc<Row>>,
    next: u64,
    /// The oldest first.
    ended: VecDeque<Ended>,
    forgotten: u64,
    /// The index at which something was last forgotten.
    forgotten_at: u64,
}

/// A stream.
#[derive(Debug)]
struct Row {
    proxy: String,
    kind: ProxyKind,
    since: Instant,
    index: AtomicU64,
    account: Mutex<Account>,
}

/// A stream that ended.
#[derive(Debug)]
struct Ended {
    /// As it is shown, but for the age.
    told: EndedProxy,
    service: ServiceRef,
    at: Instant,
    index: u64,
}

/// What a caller is shown, and what was hidden from it.
#[derive(Debug)]
pub struct Shown<T> {
    /// What it is shown.
    pub value: T,
    /// The index of that.
    pub index: u64,
    /// Whether there is something that it may not see.
    pub filtered: bool,
}

impl Ledger {
    /// An empty table.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { clock, rows: Mutex::default(), changed: watch::channel(1).0 }))
    }

    /// A stream begins.
    pub(crate) fn begin(&self, proxy: String, kind: ProxyKind) -> Seat {
        let mut rows = self.0.rows.lock();
        let account = Account::new(kind, self.now());
        let row = Arc::new(Row {
            proxy,
            kind,
            since: self.now(),
            index: AtomicU64::new(0),
            account: Mutex::new(account),
        });
        let number = rows.next;
        rows.next += 1;
        rows.live.insert(number, Arc::clone(&row));
        drop(rows);
        let seat = Seat { ledger: self.clone(), row, number, reason: String::new() };
        seat.changed();
        seat
    }

    /// Completes at the next change after this index.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    fn now(&self) -> Instant {
        self.0.clock.now()
    }

    /// The index of what the caller may see, of one proxy or of all.
    pub(crate) fn index(&self, caller: &Caller, proxy: Option<&str>) -> u64 {
        let (shown, _) = self.rows(caller, proxy);
        let live = shown.iter().map(|row| row.index.load(Ordering::Acquire));
        let rows = self.0.rows.lock();
        let ended = rows
            .ended
            .iter()
            .filter(|ended| is_asked(&ended.told.proxy, proxy) && may(caller, &ended.service));
        let forgotten = rows.forgotten_at;
        ended.map(|ended| ended.index).chain(live).chain([forgotten, 1]).max().unwrap_or(1)
    }

    /// The rows that a caller may see, by proxy, and whether there are others.
    fn rows(&self, caller: &Caller, proxy: Option<&str>) -> (Vec<Arc<Row>>, bool) {
        let all: Vec<_> = self.0.rows.lock().live.values().cloned().collect();
        let mut hidden = false;
        let mut shown: Vec<_> = all
            .into_iter()
            .filter(|row| is_asked(&row.proxy, proxy))
            // Whose it is, is known with the first message of its snapshots. Until then nobody sees it.
            .filter(|row| {
                let service = row.account.lock().service().cloned();
                let is_shown = service.as_ref().is_some_and(|service| may(caller, service));
                hidden |= service.is_some() && !is_shown;
                is_shown
            })
            .collect();
        shown.sort_by(|a, b| a.proxy.cmp(&b.proxy));
        (shown, hidden)
    }
}

fn is_asked(proxy: &str, asked: Option<&str>) -> bool {
    asked.is_none_or(|asked| asked == proxy)
}

/// Whether a caller may see the proxies of a service.
fn may(caller: &Caller, service: &ServiceRef) -> bool {
    caller.may(&Right::named(Labelled::Service, service.name.as_str(), Level::Read))
}

/// The row of a stream, as long as it lasts.
#[derive(Debug)]
pub(crate) struct Seat {
    ledger: Ledger,
    row: Arc<Row>,
    number: u64,
    reason: String,
}

impl Seat {
    /// What is known of the stream. [`Seat::changed`] tells of changes.
    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.row.account.lock()
    }

    /// The present time, by which ages are counted.
    pub(crate) fn now(&self) -> Instant {
        self.ledger.now()
    }

    /// The account has changed.
    pub(crate) fn changed(&self) {
        self.ledger.0.changed.send_modify(|last| {
            *last += 1;
            self.row.index.store(*last, Ordering::Release);
        });
    }

    /// The stream ends for this reason.
    pub(crate) fn ends(&mut self, reason: impl Into<String>) {
        self.reason = reason.into();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Shared { rows, changed, .. } = &*self.ledger.0;
        let whose = {
            let account = self.row.account.lock();
            account.basis().map(|basis| (basis.node.clone(), basis.service.clone()))
        };
        changed.send_modify(|last| {
            *last += 1;
            let mut rows = rows.lock();
            rows.live.remove(&self.number);
            let Some((node, service)) = whose else { return };
            let reason = match self.reason.is_empty() {
                true => "the proxy closed the connection".to_owned(),
                false => std::mem::take(&mut self.reason),
            };
            // Of each proxy the last one.
            rows.ended.retain(|ended| ended.told.proxy != self.row.proxy || ended.service != service);
            if rows.ended.len() >= ENDED_MAX {
                rows.ended.pop_front();
                rows.forgotten += 1;
                rows.forgotten_at = *last;
            }
            let told = EndedProxy {
                proxy: self.row.proxy.clone(),
                node: node.to_string(),
                service: service.to_string(),
                kind: self.row.kind.as_str().to_owned(),
                reason,
                ago: String::new(),
            };
            rows.ended.push_back(Ended { told, service, at: self.ledger.now(), index: *last });
        });
    }
}

#[cfg(test)]
mod tests;
