//! The indexes over what is registered, kept in one place: every record is added, changed and
//! removed here, and nobody has to look at all of them to find those he wants.

mod upkeep;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use concord_model::catalog::CheckStatus;
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId};
use concord_runtime::Instant;

use super::check::CheckRecord;
use super::mark::Mark;
use super::ports::Ports;

/// What a check is about: a service of this node, or the node itself.
type About = Option<InstanceId>;

/// Checks of one thing with one token of their own: they are told together.
type Group = (About, Option<[u8; 32]>);

/// Where to find records without looking at all of them.
#[derive(Debug)]
pub(super) struct Index {
    /// Checks by what they are about, the worst first.
    of: BTreeMap<About, BTreeSet<(Reverse<CheckStatus>, CheckId)>>,
    /// Aliases by what they follow.
    aliases: BTreeMap<About, BTreeSet<CheckId>>,
    /// Checks that can be told now.
    ready: BTreeMap<Group, BTreeSet<CheckId>>,
    /// Checks whose output is told later, by when.
    deferred: BTreeSet<(Instant, CheckId)>,
    /// Checks that become critical unless somebody reports, by when.
    silent: BTreeSet<(Instant, CheckId)>,
    /// Services to tell.
    pending: BTreeSet<InstanceId>,
    /// Sidecars by the service they were expanded from.
    sidecars: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    ports: Ports,
}

/// Where a check stands in the indexes.
#[derive(Eq, PartialEq)]
struct Places {
    about: About,
    status: CheckStatus,
    alias_of: Option<About>,
    ready: Option<Group>,
    deferred: Option<Instant>,
    silent: Option<Instant>,
}

impl Index {
    pub(super) fn new(sidecar_ports: RangeInclusive<u16>) -> Self {
        Self {
            of: BTreeMap::new(),
            aliases: BTreeMap::new(),
            ready: BTreeMap::new(),
            deferred: BTreeSet::new(),
            silent: BTreeSet::new(),
            pending: BTreeSet::new(),
            sidecars: BTreeMap::new(),
            ports: Ports::new(sidecar_ports),
        }
    }

    fn enter(&mut self, id: &CheckId, places: Places) {
        let Places { about, status, alias_of, ready, deferred, silent } = places;
        self.of.entry(about).or_default().insert((Reverse(status), id.clone()));
        if let Some(target) = alias_of {
            self.aliases.entry(target).or_default().insert(id.clone());
        }
        if let Some(group) = ready {
            self.ready.entry(group).or_default().insert(id.clone());
        }
        self.deferred.extend(deferred.map(|at| (at, id.clone())));
        self.silent.extend(silent.map(|at| (at, id.clone())));
    }

    fn leave(&mut self, id: &CheckId, places: &Places) {
        let Places { about, status, alias_of, ready, deferred, silent } = places;
        take_from(&mut self.of, about, &(Reverse(*status), id.clone()));
        if let Some(target) = alias_of {
            take_from(&mut self.aliases, target, id);
        }
        if let Some(group) = ready {
            take_from(&mut self.ready, group, id);
        }
        if let Some(at) = deferred {
            self.deferred.remove(&(*at, id.clone()));
        }
        if let Some(at) = silent {
            self.silent.remove(&(*at, id.clone()));
        }
    }
}

fn take_from<K: Ord, V: Ord>(sets: &mut BTreeMap<K, BTreeSet<V>>, key: &K, value: &V) {
    let Some(set) = sets.get_mut(key) else { return };
    set.remove(value);
    if set.is_empty() {
        sets.remove(key);
    }
}

impl Places {
    /// While the catalog does not have the service it would refuse the check: it is held back.
    fn of(record: &CheckRecord, held: bool) -> Self {
        let alias_of = if let Probe::Alias { node: None, service } = &record.spec.probe {
            Some(service.clone())
        } else {
            None
        };
        let about = record.spec.service_id.clone();
        let ready = !held && record.mark == Mark::Pending;
        Self {
            status: record.check.status,
            alias_of,
            ready: ready.then(|| (about.clone(), record.token_digest)),
            deferred: record.deferred.filter(|_| !held),
            silent: record.silent_since(),
            about,
        }
    }
}
