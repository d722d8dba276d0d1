//! The registration of a proxy in the catalog. Who may be the proxy sees all of it, and nobody else anything.

use std::borrow::Cow;
use std::sync::Arc;

use concord_model::catalog::ServiceInstance;
use concord_rpc::request::FollowProxy;
use concord_rpc::{Caller, Consistency};

use crate::cache::{Cached, Shared};

impl Cached for FollowProxy {
    type Request = Self;
    type Kept = Option<Arc<ServiceInstance>>;
    const SHARED: Shared = Shared::SameRights;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, instance: Option<ServiceInstance>) -> Option<Arc<ServiceInstance>> {
        instance.map(Arc::new)
    }

    fn bytes(instance: &Option<Arc<ServiceInstance>>) -> usize {
        instance.as_ref().map_or(0, |instance| instance.held_bytes())
    }

    fn less_for(
        &self,
        instance: &Option<Arc<ServiceInstance>>,
        caller: &Caller,
    ) -> Option<Option<Arc<ServiceInstance>>> {
        let hidden = |instance: &Arc<ServiceInstance>| {
            caller.require_service_write(Self::right(instance).as_str()).is_err()
        };
        instance.as_ref().is_some_and(hidden).then_some(None)
    }
}
