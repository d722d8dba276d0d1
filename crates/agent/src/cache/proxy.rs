//! The registration of a proxy in the catalog. Who may be the proxy sees all of it, and nobody else anything.

use std::borrow::Cow;

use concord_rpc::request::{FollowProxy, FollowedProxy};
use concord_rpc::{Caller, Consistency};

use crate::cache::{Cached, Shared};

impl Cached for FollowProxy {
    type Request = Self;
    type Kept = Option<FollowedProxy>;
    const SHARED: Shared = Shared::SameRights;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, proxy: Option<FollowedProxy>) -> Option<FollowedProxy> {
        proxy
    }

    fn bytes(proxy: &Option<FollowedProxy>) -> usize {
        proxy.as_ref().map_or(0, FollowedProxy::held_bytes)
    }

    fn less_for(&self, proxy: &Option<FollowedProxy>, caller: &Caller) -> Option<Option<FollowedProxy>> {
        let hidden = |proxy: &FollowedProxy| {
            caller.require_service_write(Self::right(&proxy.instance).as_str()).is_err()
        };
        proxy.as_ref().is_some_and(hidden).then_some(None)
    }
}
