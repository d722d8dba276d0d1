//! Checks that run through a proxy (`Proxy.Expose.Checks`): through which one, and at which port of it.
//!
//! A service that listens on loopback alone, or admits only its proxy, can be checked over the network in this way. A
//! check keeps its port for as long as it is exposed. A new one gets the lowest free port of the range, in the order of
//! the ids, so that an agent that starts anew gives out the same ports.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use concord_model::proxy::ExposedPath;
use concord_model::{CheckId, InstanceId};

mod follow;
#[cfg(test)]
mod tests;

/// Which checks are exposed.
#[derive(Debug)]
pub(super) struct Exposed {
    free: BTreeSet<u16>,
    /// The service whose checks a proxy exposes.
    of: BTreeMap<InstanceId, InstanceId>,
    /// The proxies that expose the checks of a service. The first one is used.
    by: BTreeMap<InstanceId, BTreeSet<InstanceId>>,
    /// The exposed checks of a service.
    checks: BTreeMap<InstanceId, BTreeMap<CheckId, Through>>,
    /// Services whose exposed checks may have changed.
    moved: BTreeSet<InstanceId>,
}

/// How an exposed check reaches its service.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Through {
    proxy: InstanceId,
    /// `host:port` of the proxy's listener.
    address: String,
    path: ExposedPath,
}

impl Exposed {
    pub(super) fn new(range: RangeInclusive<u16>) -> Self {
        Self {
            free: range.filter(|port| *port != 0).collect(),
            of: BTreeMap::new(),
            by: BTreeMap::new(),
            checks: BTreeMap::new(),
            moved: BTreeSet::new(),
        }
    }

    /// Records whose checks a proxy exposes now.
    pub(super) fn set(&mut self, proxy: &InstanceId, of: Option<InstanceId>) {
        if let Some(before) = self.of.remove(proxy) {
            if let Some(proxies) = self.by.get_mut(&before) {
                proxies.remove(proxy);
                if proxies.is_empty() {
                    self.by.remove(&before);
                }
            }
            self.moved.insert(before);
        }
        if let Some(service) = of {
            self.by.entry(service.clone()).or_default().insert(proxy.clone());
            self.of.insert(proxy.clone(), service.clone());
            self.moved.insert(service);
        }
    }

    /// The checks of this service may have changed.
    pub(super) fn look_at(&mut self, service: Option<&InstanceId>) {
        self.moved.extend(service.filter(|service| self.by.contains_key(*service)).cloned());
    }
}
