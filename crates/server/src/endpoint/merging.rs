//! Proxies with the settings that configuration entries give them.
//!
//! The entries are read with the rights of the proxy, not with those of the reader, as in Consul: what an instance
//! does is part of the instance. So whoever may read an instance sees the settings that it has.

use concord_mesh::defaults::{Central, gather, merge, question};
use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::entry::EntryName;
use concord_rpc::RpcError;
use concord_rpc::request::ReadDefaults;

use crate::reading::Reading;

/// What the entries say that apply to a proxy.
pub(crate) fn read_defaults(reading: &mut Reading<'_>, request: &ReadDefaults) -> Result<Central, RpcError> {
    Ok(gather(&request.question, |name| reading.reader.entry(name)))
}

/// An instance as a reader asked for it: as registered, or merged with the entries that apply to it.
pub(super) fn shown(
    reading: &mut Reading<'_>,
    scope: &NodeScope,
    instance: &ServiceInstance,
    merged: bool,
) -> ServiceInstance {
    match merged {
        true => told(reading, scope, instance).0,
        false => instance.clone(),
    }
}

/// An instance merged with the entries that apply to it, and which of them exist; `None` if they do not concern it.
pub(super) fn told(
    reading: &mut Reading<'_>,
    scope: &NodeScope,
    instance: &ServiceInstance,
) -> (ServiceInstance, Option<Vec<EntryName>>) {
    let Some(question) = question(instance, scope) else { return (instance.clone(), None) };
    let central = gather(&question, |name| reading.reader.entry(name));
    (merge(instance, scope, &central), Some(central.merged(&question.service)))
}
