//! Virtual addresses that operators give services.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use concord_rpc::request::{ServiceAddresses, SetServiceAddresses};
use concord_rpc::{Answer, RpcError};
use concord_state::{CommandReply, command};

use crate::endpoint::acl::unexpected;
use crate::limits::MANUAL_ADDRESSES_MAX;
use crate::writing::Writing;

/// Sets the addresses. Writes nothing to the log if the service has exactly these.
pub(crate) async fn set_service_addresses(
    writing: Writing<'_>,
    request: SetServiceAddresses,
) -> Result<Answer<ServiceAddresses>, RpcError> {
    let SetServiceAddresses { service, addresses } = request;
    let wanted: BTreeSet<Ipv4Addr> = addresses.into_iter().collect();
    if wanted.len() > MANUAL_ADDRESSES_MAX {
        let text =
            format!("ManualVIPs: at most {MANUAL_ADDRESSES_MAX} addresses can be given to one service");
        return Err(RpcError::Invalid(text));
    }
    let existing = writing.log.view().read().virtual_address(&service);
    if let Some(existing) = existing.filter(|existing| existing.manual.iter().eq(&wanted)) {
        writing.log.barrier().await?;
        let same = ServiceAddresses { found: true, taken_from: Vec::new() };
        return Ok(writing.log.written(same, existing.stamp.modify));
    }
    let addresses = wanted.into_iter().collect();
    let (reply, index) = writing.log.write(command::SetManualAddresses { service, addresses }).await?;
    match reply {
        CommandReply::Addressed { found, taken_from } => {
            Ok(writing.log.written(ServiceAddresses { found, taken_from }, index))
        }
        other => Err(unexpected(&other)),
    }
}
