//! Hosts the certificate authority on the leader: signs certificates within limits, and changes the CA configuration.
//!
//! It is a side task of the leader (D7): leadership, catalog and intentions never wait for it.
//! [`concord_ca::rotation::Machine`] decides how roots come and go, and [`driver`] feeds it. [`signing`] issues leaf
//! certificates. Both call the provider ([`concord_ca::provider::Provider`]) outside every lock and within a time
//! limit (D36). An opened provider exists only in the leader's memory, and is dropped when leadership ends.

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
use concord_runtime::{Scope, World};
use tokio::sync::oneshot;

use self::host::Ask;
use crate::leader::Duties;
use crate::log::Log;

/// What requests to the certificate authority may use.
#[derive(Clone, Copy)]
pub(crate) struct Authority<'a> {
    pub(crate) host: &'a CaHost,
    pub(crate) kinds: &'a Kinds,
    pub(crate) log: &'a Log,
    pub(crate) duties: &'a Duties,
    pub(crate) world: &'a World,
    pub(crate) scope: &'a Scope,
}

/// Changes the CA configuration; a new root follows if the change needs one. Returns the log index of the change once
/// it is in force. For a rotation without cross-signing, returns once both roots are published.
pub(crate) async fn change(
    authority: Authority<'_>,
    provider: &str,
    settings: &Settings,
    state: &BTreeMap<String, String>,
    force: Force,
) -> Result<u64, RpcError> {
    let Some(config) = authority.log.view().read().ca_config() else {
        return Err(authority.host.not_ready("it has not been initialised"));
    };
    if !state.is_empty() && *state != concord_ca::rotation::public_state(&config) {
        return Err(RpcError::Invalid(
            "State: is kept by the provider; leave it out or send it unchanged".to_owned(),
        ));
    }
    let parsed = parse(authority.kinds, provider, settings)?;
    let (answer, answered) = oneshot::channel();
    authority.host.ask(Ask { provider: provider.to_owned(), parsed, force, answer })?;
    tokio::select! {
        biased;
        () = authority.scope.cancelled() => Err(RpcError::ShuttingDown),
        answer = answered => answer.unwrap_or(Err(RpcError::OutcomeUnknown)),
    }
}

/// Parses settings in the form that the provider's kind expects.
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
