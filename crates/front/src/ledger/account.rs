//! What is known of one stream: its snapshot, what that is made from, and what the proxy has of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::ServiceRef;
use concord_model::entry::EntryName;
use concord_proxycfg::{ChainId, ProxySnapshot};
use concord_rpc::{Basis, Received, RpcError, SnapshotEvent};
use concord_runtime::Instant;
use concord_xds::bootstrap::version::Version;
use concord_xds::causes::Part;
use concord_xds::delta::{Effect, Event, Progress, State};
use concord_xds::{ResourceSet, ResourceType, Unserved};

/// What is attached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProxyKind {
    /// An Envoy, with its version as it told.
    Envoy(Option<Version>),
    /// The built-in proxy.
    BuiltIn,
}

impl ProxyKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Envoy(_) => "envoy",
            Self::BuiltIn => "built-in",
        }
    }
}

/// What is known of one stream.
#[derive(Debug)]
pub(crate) struct Account {
    pub(super) received: Received,
    basis: Option<Arc<Basis>>,
    /// When the parts of the snapshot that an entry can belong to became as new as they are.
    fresh: Fresh,
    pub(super) has: Has,
}

#[derive(Debug, Default)]
struct Fresh {
    registration: Option<Instant>,
    intentions: Option<Instant>,
    chains: BTreeMap<ChainId, Instant>,
    entries: BTreeMap<EntryName, Instant>,
}

/// What the proxy has.
#[derive(Debug)]
pub(super) enum Has {
    Envoy(Box<OfEnvoy>),
    /// The version of the snapshot that it was given last, and when.
    BuiltIn(u64, Instant),
}

/// The stream of an Envoy.
#[derive(Debug, Default)]
pub(super) struct OfEnvoy {
    pub(super) machine: State,
    resources: Arc<ResourceSet>,
    pub(super) unserved: Vec<Unserved>,
    /// By type; `None`: Envoy has not asked for it.
    times: [Option<Times>; ResourceType::ALL.len()],
    /// When it refused what it refuses.
    pub(super) refused: BTreeMap<(ResourceType, String), Instant>,
}

/// When the last responses of a type were sent and answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) progress: Progress,
    pub(super) delivered: Instant,
    pub(super) acknowledged: Instant,
    pub(super) refused: Instant,
}

impl Account {
    pub(super) fn new(kind: ProxyKind, now: Instant) -> Self {
        let has = match kind {
            ProxyKind::Envoy(_) => Has::Envoy(Box::default()),
            ProxyKind::BuiltIn => Has::BuiltIn(0, now),
        };
        Self { received: Received::default(), basis: None, fresh: Fresh::default(), has }
    }

    pub(super) fn basis(&self) -> Option<&Basis> {
        self.basis.as_deref()
    }

    pub(super) fn service(&self) -> Option<&ServiceRef> {
        self.basis.as_ref().map(|basis| &basis.service)
    }

    /// The snapshot so far.
    pub(crate) fn snapshot(&self) -> Option<&ProxySnapshot> {
        self.received.snapshot()
    }

    /// Takes an event of the proxy's snapshots. Returns the snapshot if it is complete with it.
    pub(crate) fn take(
        &mut self,
        event: SnapshotEvent,
        now: Instant,
    ) -> Result<Option<&ProxySnapshot>, RpcError> {
        if let SnapshotEvent::Basis(basis) = event {
            self.fresh.take(self.basis.as_deref(), &basis, now);
            self.basis = Some(basis);
            return Ok(None);
        }
        let complete = self.received.take(event)?;
        if let (Has::BuiltIn(version, at), Some(snapshot)) = (&mut self.has, complete) {
            (*version, *at) = (snapshot.version, now);
        }
        Ok(complete)
    }

    /// Up to which index a part contains the entries, and since when; `None` if it is not there.
    pub(super) fn index_of(&self, part: &Part, entry: &EntryName) -> Option<(u64, Option<Instant>)> {
        let (basis, fresh) = (self.basis.as_ref()?, &self.fresh);
        Some(match part {
            Part::Registration => (basis.registration.as_ref()?.index, fresh.registration),
            Part::Intentions => (basis.intentions, fresh.intentions),
            Part::Entry => (*basis.entries.get(entry)?, fresh.entries.get(entry).copied()),
            Part::Chain(id) => (*basis.chains.get(id)?, fresh.chains.get(id).copied()),
        })
    }

    /// Envoy should have these from now on. Returns what is not served and was not said before.
    pub(crate) fn want(
        &mut self,
        resources: ResourceSet,
        unserved: Vec<Unserved>,
    ) -> Option<(Arc<ResourceSet>, Vec<Unserved>)> {
        let Has::Envoy(own) = &mut self.has else { return None };
        own.resources = Arc::new(resources);
        let is_news = own.unserved != unserved;
        own.unserved = unserved;
        let said = if is_news { own.unserved.clone() } else { Vec::new() };
        Some((Arc::clone(&own.resources), said))
    }

    /// Handles an event of an Envoy's stream. Returns the actions.
    pub(crate) fn on(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        let Has::Envoy(own) = &mut self.has else { return effects };
        own.machine.on(event, &mut effects);
        own.note(now);
        effects
    }
}

impl OfEnvoy {
    /// When the last responses of a type were sent and answered; `None`: Envoy has not asked for it.
    pub(super) fn times(&self, kind: ResourceType) -> Option<&Times> {
        self.times[kind as usize].as_ref()
    }

    /// Notes when something was sent, acknowledged or refused.
    fn note(&mut self, now: Instant) {
        for kind in ResourceType::ALL {
            let Some(progress) = self.machine.progress(kind) else { continue };
            self.times[kind as usize].get_or_insert_default().note(progress, now);
        }
        let refused = std::mem::take(&mut self.refused);
        let still = self.machine.rejections().map(|(kind, name, _)| (kind, name.to_owned()));
        self.refused = still
            .map(|key| (refused.get(&key).copied().unwrap_or(now), key))
            .map(|(at, key)| (key, at))
            .collect();
    }
}

impl Times {
    fn note(&mut self, progress: Progress, now: Instant) {
        let last = std::mem::replace(&mut self.progress, progress);
        for (before, after, at) in [
            (last.delivered, progress.delivered, &mut self.delivered),
            (last.acknowledged, progress.acknowledged, &mut self.acknowledged),
            (last.refused, progress.refused, &mut self.refused),
        ] {
            if before != after {
                *at = now;
            }
        }
    }
}

impl Fresh {
    fn take(&mut self, last: Option<&Basis>, basis: &Basis, now: Instant) {
        if last.is_none_or(|last| last.registration != basis.registration) {
            self.registration = Some(now);
        }
        if last.is_none_or(|last| last.intentions != basis.intentions) {
            self.intentions = Some(now);
        }
        fresh(&mut self.chains, last.map(|last| &last.chains), &basis.chains, now);
        fresh(&mut self.entries, last.map(|last| &last.entries), &basis.entries, now);
    }
}

fn fresh<K: Clone + Ord>(
    times: &mut BTreeMap<K, Instant>,
    last: Option<&BTreeMap<K, u64>>,
    now_has: &BTreeMap<K, u64>,
    now: Instant,
) {
    times.retain(|key, _| now_has.contains_key(key));
    for (key, index) in now_has {
        if last.and_then(|last| last.get(key)) != Some(index) {
            times.insert(key.clone(), now);
        }
    }
}
