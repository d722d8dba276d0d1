//! The ports in use, so that a sidecar gets a free one without a scan of all services.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use concord_model::InstanceId;

/// The ports of the local services, and the free ports of the sidecar range.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    range: RangeInclusive<u16>,
    of: BTreeMap<InstanceId, u16>,
    /// How many services use each port of the range.
    taken: BTreeMap<u16, usize>,
    free: BTreeSet<u16>,
}

impl Ports {
    pub(super) fn new(range: RangeInclusive<u16>) -> Self {
        let free = range.clone().filter(|port| *port != 0).collect();
        Self { range, of: BTreeMap::new(), taken: BTreeMap::new(), free }
    }

    /// The port for a sidecar, by the rule of [`concord_api::definition::lowest_free_port`]: its current port if that
    /// is in the range, otherwise the lowest free one.
    pub(crate) fn pick(&self, sidecar: &InstanceId) -> Option<u16> {
        let own = self.of.get(sidecar).filter(|port| self.range.contains(port));
        own.or_else(|| self.free.first()).copied()
    }

    /// Records a service's port.
    pub(crate) fn set(&mut self, id: InstanceId, port: u16) {
        self.remove(&id);
        self.of.insert(id, port);
        if self.range.contains(&port) {
            *self.taken.entry(port).or_default() += 1;
            self.free.remove(&port);
        }
    }

    /// Removes a service.
    pub(super) fn remove(&mut self, id: &InstanceId) {
        let Some(port) = self.of.remove(id) else { return };
        let Some(count) = self.taken.get_mut(&port) else { return };
        *count -= 1;
        if *count == 0 {
            self.taken.remove(&port);
            if port != 0 {
                self.free.insert(port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use concord_api::definition::lowest_free_port;
    use concord_runtime::{Entropy, SeededEntropy};

    use super::*;

    #[test]
    fn a_port_is_picked_as_if_everybody_were_asked() {
        let entropy = SeededEntropy::new(11);
        let below = |bound: u64| u16::try_from(entropy.below(bound)).expect("small");
        for range in [100..=103, 0..=2, RangeInclusive::new(5, 4)] {
            let (mut ports, mut all) = (Ports::new(range.clone()), BTreeMap::new());
            for _ in 0..500 {
                let id = InstanceId::parse(&format!("s{}", below(6))).expect("a name");
                let port = if below(2) == 0 { below(4) } else { 99 + below(6) };
                if below(3) == 0 {
                    ports.remove(&id);
                    all.remove(&id);
                } else {
                    ports.set(id.clone(), port);
                    all.insert(id, port);
                }
                let asking = InstanceId::parse(&format!("s{}", below(8))).expect("a name");
                let everybody =
                    lowest_free_port(range.clone(), &asking, all.iter().map(|(id, port)| (id, *port)));
                assert_eq!(ports.pick(&asking), everybody, "{asking} in {range:?} with {all:?}");
            }
        }
    }
}
