//! `connect/ca`: the root certificates that the servers publish, and the CA configuration.

use std::sync::Arc;

use concord_acl::Level;
use concord_api::connect::{CaConfiguration, CaConfigurationBody, Roots};
use concord_rpc::request::{ReadCaConfig, ReadCaRoots, SetCaConfig};

use super::endpoints;
use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply, Right};

endpoints! {
    /// The root certificates.
    CaRoots: GET "/v1/connect/ca/roots", Right::asked::<(ReadCaRoots,)>() => roots;
    /// The CA configuration, without keys.
    ReadConfiguration: GET "/v1/connect/ca/configuration", Right::asked::<(ReadCaConfig,)>() => configuration;
    /// Changes the CA configuration. This can replace the root.
    SetConfiguration: PUT "/v1/connect/ca/configuration",
        Right::Here(|_, _| Ok(Ctx::operator(Level::Write))) => set_configuration;
}

async fn roots(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (roots, mut meta) = ctx.ask(&call, ReadCaRoots {}).await?;
    meta.consistency = None;
    let roots = Roots::from_model(&roots);
    // `?pem` without a value is ignored, as in Consul.
    let reply = if call.parameter("pem").is_some_and(|pem| !pem.is_empty()) && call.flag("pem")? {
        Reply::bytes("application/pem-certificate-chain", roots.pem())
    } else {
        Reply::json(roots)
    };
    Ok(reply.with_meta(&meta))
}

async fn configuration(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let (config, _) = ctx.ask(&call, ReadCaConfig {}).await?;
    Ok(Reply::json(CaConfiguration::from_model(&config)))
}

async fn set_configuration(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let CaConfigurationBody {
        provider,
        settings,
        state,
        force_without_cross_signing,
        force_without_oldest_root,
    } = CaConfigurationBody::decode(&call.body)?;
    let mut written = settings.plain;
    if let Some(key) = &settings.private_key {
        written.insert("PrivateKey".to_owned(), key.expose().into());
    }
    let change = SetCaConfig {
        provider,
        settings: written,
        state,
        force_without_cross_signing,
        force_without_oldest_root,
    };
    ctx.ask(&call, change).await?;
    Ok(Reply::empty())
}
