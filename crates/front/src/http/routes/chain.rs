//! `discovery-chain`: where the requests for a service go.

use std::sync::Arc;

use concord_api::chain::{ChainOverridesBody, DiscoveryChain};
use concord_mesh::chain::Overrides;
use concord_model::{Datacenter, ServiceName, ServiceRef};
use concord_rpc::request::ReadChain;

use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// Where the requests for a service go.
    Read: GET "/v1/discovery-chain/:service", Right::asked::<(ReadChain,)>() => read;
    /// The same, with the body's overrides.
    ReadWith: POST "/v1/discovery-chain/:service", Right::asked::<(ReadChain,)>() => read_with;
}

async fn read(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    chain(&ctx, &call, Overrides::default()).await
}

async fn read_with(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let ChainOverridesBody { override_connect_timeout, override_protocol, override_mesh_gateway } =
        ChainOverridesBody::decode(&call.body)?;
    let overrides = Overrides {
        protocol: override_protocol,
        mesh_gateway: override_mesh_gateway.mode,
        connect_timeout: override_connect_timeout,
    };
    chain(&ctx, &call, overrides).await
}

async fn chain(ctx: &Ctx, call: &Call, overrides: Overrides) -> Result<Reply, HttpError> {
    let bad = |error: concord_model::NameError| HttpError::bad_request(error.to_string());
    let name = ServiceName::parse(call.capture(0)).map_err(bad)?;
    let datacenter = call.parameter("compile-dc").filter(|text| !text.is_empty());
    let datacenter = datacenter.map(Datacenter::parse).transpose().map_err(bad)?;
    let question = ReadChain { service: ServiceRef::local(name), datacenter, overrides };
    if let Some((chain, mut meta, cached)) = ctx.ask_cache(call, &question).await? {
        // As in Consul, which tells here what was asked for.
        meta.consistency = Some(call.head()?.consistency);
        let reply = Reply::json(DiscoveryChain::from_model(&chain));
        return Ok(reply.with_meta(&meta).with_cache(cached.hit, cached.age));
    }
    let (chain, meta) = ctx.ask(call, question).await?;
    Ok(Reply::json(DiscoveryChain::from_model(&chain)).with_meta(&meta))
}
