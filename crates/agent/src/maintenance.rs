//! Maintenance mode of the node or of one service: a check that stays critical until it is removed.

use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_model::catalog::CheckStatus;
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::{CheckId, InstanceId, Secret};
use concord_rpc::{Caller, RpcError};

use crate::limits::CHECK_NOTES_BYTES_MAX;
use crate::local::{Change, Local, LocalView, Source};
use crate::registrar::unknown_service;
use crate::registry::Registry;
use crate::site::Site;

/// The id of the node's maintenance check. Tools match it.
const OF_NODE: &str = "_node_maintenance";
/// The prefix of the id of a service's maintenance check.
const OF_SERVICE: &str = "_service_maintenance:";

/// The requested change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Maintenance {
    /// Begin maintenance for this reason; the text may be empty.
    Enter(String),
    /// End maintenance.
    Leave,
}

/// Begins and ends maintenance.
#[derive(Clone, Debug)]
pub struct Maintainer {
    pub(crate) site: Site,
    pub(crate) registry: Registry,
    pub(crate) local: LocalView,
}

impl Maintainer {
    /// Begins or ends maintenance of the node and everything on it. Needs `node:write`.
    pub async fn node(&self, caller: &Caller, wish: Maintenance) -> Result<(), RpcError> {
        caller.require(&Right::named(Labelled::Node, self.site.config.node.as_str(), Level::Write))?;
        let id = CheckId::parse(OF_NODE).expect("a plain word is an id");
        let own = self.site.own_token(caller);
        let change = change(wish, id, None, own)?;
        self.maintain(change).await
    }

    /// Begins or ends maintenance of a service. Needs `service:write`.
    pub async fn service(&self, caller: &Caller, id: &InstanceId, wish: Maintenance) -> Result<(), RpcError> {
        let service = self.local.look(|local| {
            let record = local.services.get(id).ok_or_else(|| unknown_service(id))?;
            caller.require_service_write(record.registration.service.service.as_str())?;
            Ok(Arc::clone(&record.registration))
        })?;
        let check = CheckId::parse(&format!("{OF_SERVICE}{id}"))
            .map_err(|error| RpcError::Invalid(format!("the id of its maintenance check: {error}")))?;
        let own = service.token.clone().or_else(|| self.site.own_token(caller));
        let change = change(wish, check, Some(&service), own)?;
        self.maintain(change).await
    }

    /// Applies the change, unless the maintenance mode already is as requested.
    async fn maintain(&self, change: Change) -> Result<(), RpcError> {
        let plan = move |local: &Local| {
            let done = match &change {
                Change::SetCheck { spec, source: _ } => {
                    let gone = spec.service_id.as_ref().filter(|id| !local.services.contains_key(*id));
                    if let Some(id) = gone {
                        return Err(unknown_service(id));
                    }
                    local.checks.contains_key(&spec.id)
                }
                Change::RemoveCheck(id) => !local.checks.contains_key(id),
                Change::SetService { .. } | Change::RemoveService(_) => false,
            };
            Ok(if done { Vec::new() } else { vec![change] })
        };
        self.registry.change(plan).await
    }
}

fn change(
    wish: Maintenance,
    id: CheckId,
    service: Option<&LocalService>,
    token: Option<Secret>,
) -> Result<Change, RpcError> {
    let Maintenance::Enter(reason) = wish else { return Ok(Change::RemoveCheck(id)) };
    let (name, what) = match service {
        None => ("Node Maintenance Mode", "node"),
        Some(_) => ("Service Maintenance Mode", "service"),
    };
    if reason.len() > CHECK_NOTES_BYTES_MAX {
        let text = format!("reason: at most {CHECK_NOTES_BYTES_MAX} bytes are allowed");
        return Err(RpcError::Invalid(text));
    }
    let notes = match reason.is_empty() {
        true => format!("This {what} is in maintenance mode; nobody said why."),
        false => reason,
    };
    let spec = CheckSpec {
        id,
        name: name.to_owned(),
        notes,
        service_id: service.map(|service| service.service.id.clone()),
        service_name: service.map(|service| service.service.service.clone()),
        initial: CheckStatus::Critical,
        probe: Probe::Maintenance,
        success_before_passing: 0,
        failures_before_warning: 0,
        failures_before_critical: 0,
        deregister_after: None,
        output_bytes_max: None,
        token,
    };
    Ok(Change::SetCheck { spec: Box::new(spec), source: Source::Api })
}
