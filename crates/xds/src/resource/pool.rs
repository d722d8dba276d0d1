//! Resources that many Envoys have, each kept once.

use std::sync::Arc;

use super::{Resource, ResourceSet, ResourceType, Version};

/// The resources that somebody has. Replicas of a service, and services that call the same others, share most of
/// theirs.
#[derive(Debug, Default)]
pub struct Pool(concord_model::pool::Pool<(ResourceType, Version), Resource>);

impl Pool {
    /// Replaces each resource of a set by the one that others have, if it is the same, and offers them the rest.
    pub fn share(&mut self, set: &mut ResourceSet) {
        for (kind, resources) in ResourceType::ALL.into_iter().zip(&mut set.resources) {
            resources.shrink_to_fit();
            for own in resources {
                self.0.share((kind, Arc::clone(&own.version)), own);
            }
        }
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
        assert_eq!(pool.0.len(), 3);
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
}
