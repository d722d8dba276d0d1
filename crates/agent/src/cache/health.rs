//! Instances of a service with their health, filtered by rights.

use std::borrow::Cow;

use concord_rpc::request::{InstanceHealth, ServiceHealth};
use concord_rpc::{Caller, Consistency};

use crate::cache::cached::fewer;
use crate::cache::weight::{check_bytes, node_bytes};
use crate::cache::{Cached, Shared};

impl Cached for ServiceHealth {
    type Request = Self;
    type Kept = Vec<InstanceHealth>;
    const SHARED: Shared = Shared::SameRights;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, instances: Vec<InstanceHealth>) -> Vec<InstanceHealth> {
        instances
    }

    fn bytes(instances: &Vec<InstanceHealth>) -> usize {
        instances.iter().map(instance_bytes).sum()
    }

    fn less_for(&self, instances: &Vec<InstanceHealth>, caller: &Caller) -> Option<Vec<InstanceHealth>> {
        fewer(instances, |one| caller.sees().selected(&self.select, &one.node.name, &one.service))
    }
}

fn instance_bytes(one: &InstanceHealth) -> usize {
    node_bytes(&one.node) + one.service.held_bytes() + one.checks.iter().map(check_bytes).sum::<usize>()
}
