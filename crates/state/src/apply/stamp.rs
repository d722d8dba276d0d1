//! Sets the create and modify indexes of records.

use std::sync::Arc;

use concord_model::Stamp;
use concord_model::ca::{CaConfig, CaRoot, ProviderRecord};
use concord_model::catalog::{Check, Node, ServiceInstance};
use concord_model::token::{AclPolicy, Token};

/// A record with create and modify indexes.
pub(crate) trait Stamped: Clone + PartialEq {
    fn stamp_mut(&mut self) -> &mut Stamp;
    fn stamp(&self) -> Stamp;
}

macro_rules! stamped {
    ($($record:ty),*) => {
        $(impl Stamped for $record {
            fn stamp_mut(&mut self) -> &mut Stamp {
                &mut self.stamp
            }
            fn stamp(&self) -> Stamp {
                self.stamp
            }
        })*
    };
}

stamped!(Node, ServiceInstance, Check, CaConfig, CaRoot, ProviderRecord, Token, AclPolicy);

/// The row to store for `new`, or `None` if `old` already has this content.
pub(crate) fn renewed<R: Stamped>(old: Option<&R>, mut new: R, index: u64) -> Option<Arc<R>> {
    let create = match old {
        Some(old) => {
            *new.stamp_mut() = old.stamp();
            if *old == new {
                return None;
            }
            old.stamp().create
        }
        None => index,
    };
    *new.stamp_mut() = Stamp { create, modify: index };
    Some(Arc::new(new))
}
