//! `internal`: what tools of the mesh use besides the documented API.

use std::sync::Arc;

use concord_api::internal::{ServiceAddressesAnswer, ServiceAddressesBody};
use concord_rpc::request::SetServiceAddresses;

use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Sets the virtual addresses that an operator gives a service.
    ServiceVirtualIp: PUT "/v1/internal/service-virtual-ip", Right::asked::<(SetServiceAddresses,)>() => set_addresses;
}

async fn set_addresses(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (service, addresses) = ServiceAddressesBody::decode(&call.body)?.resolve()?;
    let (set, meta) = ctx.ask(&call, SetServiceAddresses { service, addresses }).await?;
    Ok(Reply::json(ServiceAddressesAnswer::new(set.found, &set.taken_from)).with_meta(&meta))
}
