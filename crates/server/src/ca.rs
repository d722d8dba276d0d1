//! The certificate authority's host: signs within limits, and changes its configuration.
//!
//! A side task of the leader (D7): leadership, catalog and intentions never wait for it. How roots
//! come and go is decided by [`concord_ca::rotation::Machine`], which [`driver`] feeds; [`signing`] gives out leaves.
//! Both call the provider ([`concord_ca::provider::Provider`]) outside every lock, bounded in time (D36). What a provider
//! opens is in the leader's memory only, and dropped when it no longer leads.

mod aside;
mod call;
pub(crate) mod driver;
mod host;
mod queue;
pub(crate) mod signing;

pub use self::aside::Aside;
pub(crate) use self::host::{CaHost, Force};

use std::collections::BTreeMap;

use concord_ca::provider::settings::describe;
use concord_ca::provider::{Kind, Kinds, ParsedSettings, UnknownKind};
use concord_model::proxy::Settings;
use concord_rpc::RpcError;
use tokio::sync::oneshot;

use self::host::Ask;
use crate::parts::Core;

/// Changes the configuration; another root follows if it asks for one. Returns the index of the
/// change once it holds; for a rotation without cross-signing, once both roots are published.
pub(crate) async fn change(
    core: &Core,
    provider: &str,
    settings: &Settings,
    state: &BTreeMap<String, String>,
    force: Force,
) -> Result<u64, RpcError> {
    let Some(config) = core.log.view().read().ca_config() else {
        return Err(core.ca.not_ready("it has not been initialised"));
    };
    if !state.is_empty() && *state != concord_ca::rotation::public_state(&config) {
        return Err(RpcError::Invalid(
            "State: is kept by the provider; leave it out or send it unchanged".to_owned(),
        ));
    }
    let parsed = parse(&core.config.ca.kinds, provider, settings)?;
    let (answer, answered) = oneshot::channel();
    core.ca.ask(Ask { provider: provider.to_owned(), parsed, force, answer })?;
    tokio::select! {
        biased;
        () = core.scope.cancelled() => Err(RpcError::ShuttingDown),
        answer = answered => answer.unwrap_or(Err(RpcError::OutcomeUnknown)),
    }
}

/// Reads settings as the provider's kind reads them.
fn parse(kinds: &Kinds, provider: &str, settings: &Settings) -> Result<ParsedSettings, RpcError> {
    kind(kinds, provider)?.parse(settings).map_err(|faults| RpcError::Invalid(describe(&faults)))
}

fn kind<'a>(kinds: &'a Kinds, name: &str) -> Result<&'a dyn Kind, RpcError> {
    match kinds.find(name) {
        Ok(kind) => Ok(&**kind),
        Err(error @ UnknownKind::NotYet(_)) => Err(RpcError::NotAvailable(error.to_string())),
        Err(error @ UnknownKind::Unknown { .. }) => Err(RpcError::Invalid(error.to_string())),
    }
}
