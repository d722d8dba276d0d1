//! Resources that many Envoys have, each kept once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::{Resource, ResourceSet, ResourceType, Version};

/// Names that are kept for resources that nobody has any longer, before they are removed.
const SPARE: usize = 1_024;

/// The resources that somebody has. Replicas of a service, and services that call the same others, share most of
/// theirs. What nobody has any longer is freed.
#[derive(Debug, Default)]
pub struct Pool {
    known: HashMap<(ResourceType, Version), Weak<Resource>>,
    /// The number of entries at which those are removed whose resource is gone.
    sweep_at: usize,
}

impl Pool {
    /// Replaces each resource of a set by the one that others have, if it is the same, and offers them the rest.
    pub fn share(&mut self, set: &mut ResourceSet) {
        for (kind, resources) in ResourceType::ALL.into_iter().zip(&mut set.resources) {
            resources.shrink_to_fit();
            for own in resources {
                let key = (kind, Arc::clone(&own.version));
                match self.known.get(&key).and_then(Weak::upgrade) {
                    Some(same) if same == *own => *own = same,
                    _ => drop(self.known.insert(key, Arc::downgrade(own))),
                }
            }
        }
        self.sweep();
    }

    /// The entries, of which some may be of resources that are gone.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Removes the entries of resources that are gone, once they may be as many as the others.
    fn sweep(&mut self) {
        if self.known.len() < self.sweep_at {
            return;
        }
        self.known.retain(|_, resource| resource.strong_count() > 0);
        self.known.shrink_to_fit();
        self.sweep_at = self.known.len() * 2 + SPARE;
    }
}

#[cfg(test)]
mod tests {
    use concord_envoy_proto::envoy::config::cluster::v3::Cluster;

    use super::*;

    fn set(names: impl IntoIterator<Item = String>) -> ResourceSet {
        let mut set = ResourceSet::default();
        for name in names {
            let cluster = Cluster { name: name.clone(), ..Cluster::default() };
            set.insert(ResourceType::Cluster, Resource::new(name, &cluster));
        }
        set
    }

    fn two(names: [&str; 2]) -> ResourceSet {
        set(names.map(str::to_owned))
    }

    #[test]
    fn sets_share_what_is_the_same() {
        let (mut pool, mut a, mut b) = (Pool::default(), two(["x", "y"]), two(["x", "z"]));
        let unshared = b.clone();
        pool.share(&mut a);
        pool.share(&mut b);
        assert_eq!(b, unshared);
        let find = |set: &ResourceSet, name| Arc::clone(set.find(ResourceType::Cluster, name).unwrap());
        assert!(Arc::ptr_eq(&find(&a, "x"), &find(&b, "x")));
        assert_eq!(pool.len(), 3);
    }

    #[test]
    fn a_resource_with_other_company_is_not_the_same() {
        let mut pool = Pool::default();
        let mut sets = [vec![], vec!["c".to_owned()]].map(|clusters| {
            let resource = Resource::new("x".to_owned(), &Cluster::default()).naming(clusters);
            let mut set = ResourceSet::default();
            set.insert(ResourceType::Cluster, resource);
            set
        });
        let unshared = sets.clone();
        sets.iter_mut().for_each(|set| pool.share(set));
        assert_eq!(sets, unshared);
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let mut pool = Pool::default();
        let mut kept = two(["x", "y"]);
        pool.share(&mut kept);
        for number in 0..20 * SPARE {
            pool.share(&mut set([number.to_string()]));
        }
        assert!(pool.len() <= 2 * kept.of(ResourceType::Cluster).count() + SPARE, "{}", pool.len());
        let before = kept.clone();
        let mut again = two(["x", "y"]);
        pool.share(&mut again);
        assert!(Arc::ptr_eq(
            again.find(ResourceType::Cluster, "x").unwrap(),
            before.find(ResourceType::Cluster, "x").unwrap()
        ));
    }
}
