//! All instances of all services, filtered by rights.

use std::borrow::Cow;

use concord_rpc::request::{InstanceOnNode, ListInstances};
use concord_rpc::{Caller, Consistency};

use crate::cache::cached::fewer;
use crate::cache::weight::node_bytes;
use crate::cache::{Cached, Shared};

impl Cached for ListInstances {
    type Request = Self;
    type Kept = Vec<InstanceOnNode>;
    const SHARED: Shared = Shared::SameRights;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, instances: Vec<InstanceOnNode>) -> Vec<InstanceOnNode> {
        instances
    }

    fn bytes(instances: &Vec<InstanceOnNode>) -> usize {
        instances.iter().map(|one| node_bytes(&one.node) + one.service.held_bytes()).sum()
    }

    fn less_for(&self, instances: &Vec<InstanceOnNode>, caller: &Caller) -> Option<Vec<InstanceOnNode>> {
        fewer(instances, |one| caller.sees().instance(&one.node.name, &one.service))
    }
}
