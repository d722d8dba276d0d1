//! Chooses the instance of an upstream for the next connection. Pure: time and randomness are arguments.
//!
//! Of two random instances, the one with fewer open connections is chosen (power of two choices), taking weights into
//! account. An instance that could not be reached is skipped for a while, unless no other is left: a wrong suspicion
//! must not make a service unreachable.

use std::collections::BTreeMap;

use concord_runtime::Instant;

use crate::limits::EJECTION;

/// The address of an instance, which identifies it within its upstream.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Address {
    /// Host or IP address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The known state of the instances of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Balancer {
    known: BTreeMap<Address, Known>,
}

#[derive(Debug, Default)]
struct Known {
    weight: u32,
    open: u32,
    ejected_until: Option<Instant>,
}

impl Balancer {
    /// Replaces the instances. The state of those that remain is kept.
    pub(crate) fn replace(&mut self, instances: impl IntoIterator<Item = (Address, u32)>) {
        let mut before = std::mem::take(&mut self.known);
        for (address, weight) in instances {
            let mut known = before.remove(&address).unwrap_or_default();
            known.weight = weight.max(1);
            self.known.insert(address, known);
        }
        // Removed instances may still have open connections, which must be counted down.
        before.retain(|_, known| known.open > 0);
        for (address, mut known) in before {
            known.weight = 0;
            self.known.insert(address, known);
        }
    }

    /// Takes an instance that was not yet tried for this connection, and counts the connection.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        tried: &[Address],
        mut draw: impl FnMut(u64) -> u64,
    ) -> Option<Address> {
        let left = |(address, known): &(&Address, &Known)| known.weight > 0 && !tried.contains(address);
        let well = |(_, known): &(&Address, &Known)| known.ejected_until.is_none_or(|until| until <= now);
        let mut candidates: Vec<(&Address, &Known)> = self.known.iter().filter(left).filter(well).collect();
        if candidates.is_empty() {
            candidates = self.known.iter().filter(left).collect();
        }
        let total: u64 = candidates.iter().map(|(_, known)| u64::from(known.weight)).sum();
        if total == 0 {
            return None;
        }
        let mut by_weight = || {
            let mut at = draw(total);
            candidates.iter().find(|(_, known)| {
                let own = u64::from(known.weight);
                let hit = at < own;
                at = at.saturating_sub(own);
                hit
            })
        };
        let (first, second) = (by_weight()?, by_weight()?);
        let less = if second.1.open < first.1.open { second } else { first };
        let taken = less.0.clone();
        self.known.get_mut(&taken)?.open += 1;
        Some(taken)
    }

    /// Counts a connection as closed.
    pub(crate) fn release(&mut self, address: &Address) {
        if let Some(known) = self.known.get_mut(address) {
            known.open = known.open.saturating_sub(1);
            if known.open == 0 && known.weight == 0 {
                self.known.remove(address);
            }
        }
    }

    /// Records that an instance could not be reached.
    pub(crate) fn eject(&mut self, address: &Address, now: Instant) {
        if let Some(known) = self.known.get_mut(address) {
            known.ejected_until = Some(now + EJECTION);
        }
    }

    /// Records that an instance was reached.
    pub(crate) fn reached(&mut self, address: &Address) {
        if let Some(known) = self.known.get_mut(address) {
            known.ejected_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        Address { host: "10.0.0.1".to_owned(), port }
    }

    fn balancer(ports: &[u16]) -> Balancer {
        let mut balancer = Balancer::default();
        balancer.replace(ports.iter().map(|port| (at(*port), 1)));
        balancer
    }

    /// A draw that walks through the numbers.
    fn walk() -> impl FnMut(u64) -> u64 {
        let mut next = 0;
        move |below| {
            next += 1;
            next % below
        }
    }

    #[test]
    fn the_less_loaded_of_two_is_taken() {
        let mut balancer = balancer(&[1, 2]);
        let mut draw = walk();
        for _ in 0..100 {
            balancer.take(Instant::default(), &[], &mut draw).unwrap();
        }
        let open: Vec<u32> = balancer.known.values().map(|known| known.open).collect();
        assert!(open[0].abs_diff(open[1]) <= 1, "{open:?}");
    }

    #[test]
    fn an_unreachable_instance_is_passed_over_while_others_are_left() {
        let mut balancer = balancer(&[1, 2]);
        let mut draw = walk();
        balancer.eject(&at(1), Instant::default());
        for _ in 0..10 {
            assert_eq!(balancer.take(Instant::default(), &[], &mut draw), Some(at(2)));
        }
        assert_eq!(balancer.take(Instant::default(), &[at(2)], &mut draw), Some(at(1)), "better than none");
        let later = Instant::default() + EJECTION;
        assert!((0..10).any(|_| balancer.take(later, &[], &mut draw) == Some(at(1))));
    }

    #[test]
    fn a_tried_instance_is_not_taken_again() {
        let mut balancer = balancer(&[1, 2]);
        assert_eq!(balancer.take(Instant::default(), &[at(1), at(2)], walk()), None);
        assert_eq!(Balancer::default().take(Instant::default(), &[], walk()), None);
    }

    #[test]
    fn counts_survive_a_change_of_instances() {
        let mut balancer = balancer(&[1]);
        balancer.take(Instant::default(), &[], walk()).unwrap();
        balancer.replace([(at(2), 1)]);
        assert_eq!(
            balancer.take(Instant::default(), &[], walk()),
            Some(at(2)),
            "a gone instance takes nothing"
        );
        balancer.release(&at(1));
        assert!(!balancer.known.contains_key(&at(1)));
    }
}
