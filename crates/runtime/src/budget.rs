//! Limits what the clients of a process may make it hold: bytes and connections, in one account for all listeners.
//!
//! ```text
//! accept ─► Door::enter ─► Guest ──hold──► Held, Held …      all of it comes back when it is dropped
//!              │             ▲
//!              └─ no room ───┴─ evicted: the largest guest of the source that holds the most
//! ```
//!
//! If no room is left, a client that needs room gets it from the source that holds the most, provided that this
//! source would still hold more afterwards. Otherwise the client is refused. So a source that holds little is always
//! served, however much others hold, and in whatever order they came. The account counts what a client makes us keep:
//! the memory of its connection, the part of a request that has been read, and the part of an answer that is not
//! written yet.
//!
//! The room of an evicted guest counts as free at once, but its memory is freed a moment later, when its task is
//! dropped. If too much is still being freed, a client that is about to hold much waits ([`Guest::settled`]), so that
//! the process does not hold more than it counts.
//!
//! A client that has authenticated ([`Guest::prove`]) may take the room of strangers, and strangers may not take its
//! room. So many proxies behind one address can hold more than each of many strangers. One eighth of the account is
//! reserved for strangers. While strangers hold less than that, an authenticated client takes room from the largest
//! holder of any kind, and strangers take room from the largest authenticated one. So clients that only had to send a
//! request to become known cannot evict a client that is about to authenticate. Among strangers, those that hold
//! little are evicted last, and never for a stranger whose source holds more. Among strangers that hold equally
//! little, the oldest is evicted first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, timeout};
use crate::counted::Counted;
use crate::limits::{
    BUDGET_LEAVING_SHARE, BUDGET_LITTLE_CONNECTIONS, BUDGET_LITTLE_SHARE, BUDGET_SHARE,
    BUDGET_STRANGERS_SHARE, SETTLE_TIMEOUT,
};
use crate::source::Source;
use crate::turns::Turns;

/// The account of a process.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    connections: usize,
    doors: AtomicUsize,
    inside: Mutex<Inside>,
    /// Signalled when an evicted guest has been dropped.
    gone: Notify,
    /// The clients that wait for this: one after the other, each source in turn.
    settling: Arc<Turns>,
    waiting: AtomicUsize,
}

/// The entrance of one listener, or of one kind of listeners, with a limit per source.
#[derive(Debug)]
pub struct Door {
    budget: Arc<Budget>,
    id: usize,
    per_source: AtomicUsize,
}

/// A connection with its place in the account. Dropping it frees the place.
#[derive(Debug)]
pub struct Guest {
    budget: Arc<Budget>,
    source: Source,
    id: u64,
    proved: AtomicBool,
    evicted: CancellationToken,
}

/// Bytes held for a guest. Dropping this frees them.
#[derive(Debug)]
pub struct Held {
    guest: Arc<Guest>,
    bytes: usize,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Full {
    /// The source has as many connections as it may have.
    #[error("this address has as many connections open as one may have")]
    Source,
    /// The process holds as much as it may, and this source has its share.
    #[error("as much is held for callers as may be, and its part for this one")]
    Process,
}

#[derive(Debug, Default)]
struct Inside {
    bytes: usize,
    /// The highest amount since it was last read.
    most: usize,
    connections: usize,
    next: u64,
    /// The amount that unauthenticated clients hold.
    strangers: Amount,
    sources: HashMap<Source, OfSource>,
    /// Evicted guests that are not dropped yet, with the bytes they held.
    leaving: HashMap<u64, usize>,
    leaving_bytes: usize,
}

#[derive(Debug, Default)]
struct OfSource {
    bytes: usize,
    strangers: Amount,
    /// The guests in the order in which they came.
    guests: BTreeMap<u64, OfGuest>,
}

#[derive(Debug)]
struct OfGuest {
    bytes: usize,
    door: usize,
    known: bool,
    evicted: CancellationToken,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Amount {
    bytes: usize,
    connections: usize,
}

/// What there is too little of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Short {
    Bytes,
    Connections,
}

/// Whose room may be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whose {
    Strangers,
    Anybody,
}

// === impl Budget ===

impl Budget {
    /// An empty account with this many bytes and connections.
    pub fn new(bytes: usize, connections: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes,
            connections,
            doors: AtomicUsize::new(0),
            inside: Mutex::default(),
            gone: Notify::new(),
            settling: Turns::new(1, 1),
            waiting: AtomicUsize::new(0),
        })
    }

    /// An entrance with this limit of connections per source.
    pub fn door(self: &Arc<Self>, per_source: usize) -> Door {
        let id = self.doors.fetch_add(1, Ordering::Relaxed);
        Door { budget: Arc::clone(self), id, per_source: AtomicUsize::new(per_source) }
    }

    /// The limit of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that are held now.
    pub fn held(&self) -> usize {
        self.inside.lock().bytes
    }

    /// The highest number of bytes held since the last call.
    pub fn take_most(&self) -> usize {
        let mut inside = self.inside.lock();
        let held = inside.bytes;
        std::mem::replace(&mut inside.most, held)
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.inside.lock().connections
    }

    /// Takes an amount from the account. If needed, evicts other guests.
    fn take(&self, inside: &mut Inside, source: Source, known: bool, more: Amount) -> bool {
        let own = inside.sources.get(&source).map_or(0, |own| own.bytes) + more.bytes;
        if own > self.bytes / BUDGET_SHARE {
            return false;
        }
        loop {
            let short = if inside.bytes + more.bytes > self.bytes {
                Short::Bytes
            } else if inside.connections + more.connections > self.connections {
                Short::Connections
            } else {
                break;
            };
            if !self.make_room(inside, source, known, more, short) {
                return false;
            }
        }
        inside.bytes += more.bytes;
        inside.most = inside.most.max(inside.bytes);
        inside.connections += more.connections;
        let own = inside.sources.entry(source).or_default();
        own.bytes += more.bytes;
        if !known {
            own.strangers.add(more);
            inside.strangers.add(more);
        }
        true
    }

    /// Evicts one guest, if there is one that has to go before this request is refused.
    fn make_room(
        &self,
        inside: &mut Inside,
        source: Source,
        known: bool,
        more: Amount,
        short: Short,
    ) -> bool {
        let (mut all, mut strangers) = (more, inside.strangers);
        let mut of_strangers = Amount::default();
        if let Some(own) = inside.sources.get(&source) {
            all.add(own.all());
            of_strangers = own.strangers;
        }
        let little =
            Amount { bytes: self.bytes / BUDGET_LITTLE_SHARE, connections: BUDGET_LITTLE_CONNECTIONS };
        if !known {
            of_strangers.add(more);
            strangers.add(more);
        }
        let few = strangers.bytes <= self.bytes / BUDGET_STRANGERS_SHARE
            && strangers.connections <= self.connections / BUDGET_STRANGERS_SHARE;
        let any = |found: &OfSource| found.strangers.of(short);
        let much = |found: &OfSource| Some(any(found)).filter(|held| *held > little.of(short)).unwrap_or(0);
        let fair = |found: &OfSource| if found.all().of(short) >= all.of(short) { any(found) } else { 0 };
        let largest = |found: &OfSource| found.all().of(short);
        let mut evict = |own, whose, held: &dyn Fn(&OfSource) -> usize| {
            inside.evict(source, own, short, whose, little.of(short), held)
        };
        // An authenticated client takes the room of any stranger, except the part reserved for strangers.
        if known && !few {
            return evict(Amount::default(), Whose::Strangers, &any);
        }
        !known && evict(of_strangers, Whose::Strangers, &much)
            || few && evict(all, Whose::Anybody, &largest)
            || !known && evict(of_strangers, Whose::Strangers, &fair)
    }

    /// Whether most memory of evicted guests has been freed.
    fn has_settled(&self) -> bool {
        self.inside.lock().leaving_bytes <= self.bytes / BUDGET_LEAVING_SHARE
    }

    /// Whether that is so and nobody waits for it.
    fn is_settled(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0 && self.has_settled()
    }

    /// Completes when most memory of evicted guests has been freed. Waiting clients are released one after the other.
    async fn settled(&self, source: Source, clock: &dyn Clock) {
        if self.is_settled() {
            return;
        }
        let _waiting = Counted::enter(&self.waiting);
        let line = self.settling.line(source);
        let _turn = line.turn().await;
        let settled = async {
            loop {
                let mut gone = pin!(self.gone.notified());
                gone.as_mut().enable();
                if self.has_settled() {
                    return;
                }
                gone.await;
            }
        };
        let _ = timeout(clock, SETTLE_TIMEOUT, settled).await;
    }
}

impl Amount {
    fn add(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.connections += more.connections;
    }

    fn of(self, short: Short) -> usize {
        match short {
            Short::Bytes => self.bytes,
            Short::Connections => self.connections,
        }
    }
}

impl OfSource {
    fn all(&self) -> Amount {
        Amount { bytes: self.bytes, connections: self.guests.len() }
    }
}

impl Inside {
    /// Evicts a guest of the source that holds the most of what is short, if that is more than `own`; `held` gives
    /// the amount that counts for a source. Returns false if there is no such guest. If all sources hold equally
    /// much, a newcomer is still let in, however many addresses hold one connection each. If connections are short,
    /// the guest that holds the least is evicted, the oldest first. If bytes are short among strangers that hold
    /// little, the largest is evicted, the oldest first. So a client that has just connected has time to
    /// authenticate.
    fn evict(
        &mut self,
        but: Source,
        own: Amount,
        short: Short,
        whose: Whose,
        little: usize,
        held: impl Fn(&OfSource) -> usize,
    ) -> bool {
        let own = own.of(short);
        let others = || self.sources.iter().filter(|(source, _)| **source != but);
        let Some(most) = others().map(|(_, found)| held(found)).max().filter(|most| *most > 0) else {
            return false;
        };
        let all_little = whose == Whose::Strangers && most <= little;
        let enough = match short {
            Short::Bytes => most > own || most == own && all_little,
            Short::Connections => most >= own,
        };
        if !enough {
            return false;
        }
        let largest = others().filter(|(_, found)| held(found) == most);
        let guests =
            largest.flat_map(|(source, found)| found.guests.iter().map(|(id, guest)| (*source, *id, guest)));
        let guests = guests.filter(|(_, _, guest)| whose == Whose::Anybody || !guest.known);
        let chosen = match short {
            Short::Bytes if all_little => guests.max_by_key(|(_, id, guest)| (guest.bytes, Reverse(*id))),
            Short::Bytes => guests.max_by_key(|(_, id, guest)| (guest.bytes, *id)),
            Short::Connections => guests.min_by_key(|(_, id, guest)| (guest.bytes, *id)),
        };
        let Some((source, id)) = chosen.map(|(source, id, _)| (source, id)) else { return false };
        let Some(guest) = self.remove(source, id) else { return false };
        self.leaving.insert(id, guest.bytes);
        self.leaving_bytes += guest.bytes;
        guest.evicted.cancel();
        true
    }

    /// Removes a guest with everything it holds.
    fn remove(&mut self, source: Source, id: u64) -> Option<OfGuest> {
        let own = self.sources.get_mut(&source)?;
        let guest = own.guests.remove(&id)?;
        own.bytes -= guest.bytes;
        if !guest.known {
            for strangers in [&mut own.strangers, &mut self.strangers] {
                strangers.bytes -= guest.bytes;
                strangers.connections -= 1;
            }
        }
        if own.guests.is_empty() {
            self.sources.remove(&source);
        }
        self.bytes -= guest.bytes;
        self.connections -= 1;
        Some(guest)
    }

    /// Whether the guest has authenticated; `None` if it was evicted.
    fn is_known(&self, source: Source, id: u64) -> Option<bool> {
        self.sources.get(&source)?.guests.get(&id).map(|guest| guest.known)
    }
}

// === impl Door ===

impl Door {
    /// Lets in a connection that holds this many bytes from the start.
    pub fn enter(&self, source: Source, bytes: usize) -> Result<Arc<Guest>, Full> {
        let mut inside = self.budget.inside.lock();
        let guests = inside.sources.get(&source).map(|own| &own.guests);
        let open = guests.map_or(0, |all| all.values().filter(|guest| guest.door == self.id).count());
        if source != Source::UNIX && open >= self.per_source.load(Ordering::Relaxed) {
            return Err(Full::Source);
        }
        if !self.budget.take(&mut inside, source, false, Amount { bytes, connections: 1 }) {
            return Err(Full::Process);
        }
        let id = inside.next;
        inside.next += 1;
        let evicted = CancellationToken::new();
        let guest = OfGuest { bytes, door: self.id, known: false, evicted: evicted.clone() };
        inside.sources.entry(source).or_default().guests.insert(id, guest);
        drop(inside);
        let proved = AtomicBool::new(false);
        Ok(Arc::new(Guest { budget: Arc::clone(&self.budget), source, id, proved, evicted }))
    }

    /// Changes the limit of connections per source. Open connections beyond it stay.
    pub fn limit(&self, per_source: usize) {
        self.per_source.store(per_source, Ordering::Relaxed);
    }
}

// === impl Guest ===

impl Guest {
    /// Takes bytes for this connection until the result is dropped.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Full> {
        let mut held = Held { guest: Arc::clone(self), bytes: 0 };
        held.grow(bytes)?;
        Ok(held)
    }

    /// Completes when most memory of evicted guests has been freed, or when none was freed for [`SETTLE_TIMEOUT`].
    /// Waiting clients are released one after the other, each source in turn. Await this before holding much. Do not
    /// await it before accepting a connection: connections that are not accepted pile up in the kernel, which resets
    /// them.
    pub async fn settled(&self, clock: &dyn Clock) {
        self.budget.settled(self.source, clock).await;
    }

    /// Whether [`settled`](Self::settled) would complete at once.
    pub fn is_settled(&self) -> bool {
        self.budget.is_settled()
    }

    /// Records that the client has authenticated.
    pub fn prove(&self) {
        if self.proved.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut inside = self.budget.inside.lock();
        let Inside { sources, strangers, .. } = &mut *inside;
        if let Some(own) = sources.get_mut(&self.source)
            && let Some(guest) = own.guests.get_mut(&self.id)
        {
            guest.known = true;
            for strangers in [&mut own.strangers, strangers] {
                strangers.bytes -= guest.bytes;
                strangers.connections -= 1;
            }
        }
    }

    /// The source of the connection.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Whether the client has authenticated.
    pub fn has_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }

    /// Completes when the connection has to end, because a client that holds less needs the room.
    pub async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Whether the connection has to end.
    pub fn is_evicted(&self) -> bool {
        self.evicted.is_cancelled()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut inside = self.budget.inside.lock();
        if let Some(bytes) = inside.leaving.remove(&self.id) {
            inside.leaving_bytes -= bytes;
            drop(inside);
            self.budget.gone.notify_waiters();
        } else {
            inside.remove(self.source, self.id);
        }
    }
}

// === impl Held ===

impl Held {
    /// Takes more bytes.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes == 0 {
            return Ok(());
        }
        let Guest { budget, source, id, .. } = &*self.guest;
        let mut inside = budget.inside.lock();
        // An evicted guest holds nothing any more, and gets nothing.
        let Some(known) = inside.is_known(*source, *id) else { return Err(Full::Process) };
        if !budget.take(&mut inside, *source, known, Amount { bytes, connections: 0 }) {
            return Err(Full::Process);
        }
        if let Some(guest) = inside.sources.get_mut(source).and_then(|own| own.guests.get_mut(id)) {
            guest.bytes += bytes;
        }
        drop(inside);
        self.bytes += bytes;
        Ok(())
    }

    /// Frees everything beyond this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less == 0 {
            return;
        }
        let Guest { budget, source, id, .. } = &*self.guest;
        let mut inside = budget.inside.lock();
        let Inside { sources, strangers, bytes: all, .. } = &mut *inside;
        if let Some(own) = sources.get_mut(source)
            && let Some(guest) = own.guests.get_mut(id)
        {
            guest.bytes -= less;
            own.bytes -= less;
            *all -= less;
            if !guest.known {
                own.strangers.bytes -= less;
                strangers.bytes -= less;
            }
        }
        drop(inside);
        self.bytes -= less;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests;
