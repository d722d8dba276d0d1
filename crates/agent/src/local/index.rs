//! The indexes of the local registrations. Every record is added, changed and removed through this module, so that
//! lookups need not scan all records.

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

/// The service of this node that a check belongs to; `None`: the node itself.
type About = Option<InstanceId>;

/// Checks of one service (or the node) with the same token of their own; they are sent together.
type Group = (About, Option<[u8; 32]>);

/// Lookup tables, so that records are found without a scan.
#[derive(Debug)]
pub(super) struct Index {
    /// Checks by the service (or node) they belong to, the worst first.
    of: BTreeMap<About, BTreeSet<(Reverse<CheckStatus>, CheckId)>>,
    /// Aliases by what they follow.
    aliases: BTreeMap<About, BTreeSet<CheckId>>,
    /// Checks that can be sent to the catalog now.
    ready: BTreeMap<Group, BTreeSet<CheckId>>,
    /// Checks with a delayed change of output, by the time to send it.
    deferred: BTreeSet<(Instant, CheckId)>,
    /// Checks that become critical without a report, by time.
    silent: BTreeSet<(Instant, CheckId)>,
    /// Services to send to the catalog.
    pending: BTreeSet<InstanceId>,
    /// Sidecars by the service whose definition contains them.
    sidecars: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    ports: Ports,
}

/// The positions of a check in the indexes.
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
    /// If `held`, the catalog does not have the service yet and would refuse the check, so the check is not sent.
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
