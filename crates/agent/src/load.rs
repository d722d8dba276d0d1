//! The registrations that an agent starts with: stored ones, and those of configuration files.

use std::collections::BTreeSet;

use concord_api::Faults;
use concord_api::definition::{CheckOwner, expand_sidecar};
use concord_config::section::Definitions;
use concord_model::NodeName;
use concord_model::registration::{CheckSpec, Probe};
use concord_runtime::World;

use crate::config::AgentConfig;
use crate::local::{Change, Local, Source};
use crate::own_tokens::TokensError;
use crate::persist::{PersistError, Registrations, verdicts};

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The stored registrations cannot be read.
    #[error(transparent)]
    Registrations(#[from] PersistError),
    /// The agent's stored tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// A service in the configuration is wrong.
    #[error("service {name:?} in the configuration: {faults}")]
    Service {
        /// Its name.
        name: String,
        /// What is wrong.
        faults: Faults,
    },
    /// A check in the configuration is wrong.
    #[error("check {name:?} in the configuration: {faults}")]
    Check {
        /// Its name.
        name: String,
        /// What is wrong.
        faults: Faults,
    },
}

/// Loads the stored registrations, the definitions of the configuration and the verdicts that are still valid.
pub(crate) fn load(
    config: &AgentConfig,
    registrations: &Registrations,
    world: &World,
) -> Result<Local, StartError> {
    let now = world.clock.now();
    let empty = Local::new(config.check_settings, config.sidecar_ports.clone());
    let empty = empty.exposing(config.expose_ports.clone());
    let mut local = if config.proxies.use_entries { empty.merging() } else { empty };
    registrations.recover()?;
    let found = registrations.load()?;
    for missing in &found.missing {
        tracing::warn!(
            registration = missing.what,
            file = missing.path,
            "a registration is missing from the data directory; register it again, or stop, restore the file and the \
             directory registered, and start"
        );
    }
    for registration in found.services {
        local.apply(
            Change::SetService {
                registration: Box::new(registration),
                source: Source::Api,
                replace_checks: true,
            },
            now,
        );
    }
    for change in from_files(&config.node, &config.definitions, &local)? {
        local.apply(change, now);
    }
    // Last, because these checks may belong to services from configuration files. If a file defines the same check,
    // the file wins.
    for spec in found.checks {
        let of_files = local.checks.get(&spec.id).is_some_and(|record| record.source == Source::File);
        if !of_files && spec.service_id.as_ref().is_none_or(|id| local.services.contains_key(id)) {
            local.apply(Change::SetCheck { spec: Box::new(spec), source: Source::Api }, now);
        }
    }
    verdicts::restore(&mut local, world);
    local.await_first_runs();
    Ok(local)
}

/// The services and checks of configuration files, as changes. Those that earlier files defined and that are no
/// longer named are removed.
pub(crate) fn from_files(
    node: &NodeName,
    definitions: &Definitions,
    local: &Local,
) -> Result<Vec<Change>, StartError> {
    let mut changes = Vec::new();
    let mut ports = local.ports().clone();
    let (mut named, mut named_checks) = (BTreeSet::new(), BTreeSet::new());
    for definition in &definitions.services {
        let fault = |faults| StartError::Service { name: definition.name.clone(), faults };
        for mut registration in expand_sidecar(definition, |id| ports.pick(id)).map_err(fault)? {
            registration.checks.iter_mut().for_each(|spec| localise(spec, node));
            ports.set(registration.service.id.clone(), registration.service.port);
            named.insert(registration.service.id.clone());
            changes.push(Change::SetService {
                registration: Box::new(registration),
                source: Source::File,
                replace_checks: true,
            });
        }
    }
    for definition in &definitions.checks {
        let fault = |faults| StartError::Check { name: definition.name.clone(), faults };
        let mut spec = definition.resolve(CheckOwner::Itself).map_err(fault)?;
        localise(&mut spec, node);
        named_checks.insert(spec.id.clone());
        changes.push(Change::SetCheck { spec: Box::new(spec), source: Source::File });
    }
    let gone = local.services.values().filter(|record| record.source == Source::File);
    let gone = gone.filter(|record| !named.contains(record.id()));
    let mut removals: Vec<Change> = gone.map(|record| Change::RemoveService(record.id().clone())).collect();
    let lone =
        local.checks.values().filter(|record| record.source == Source::File && !local.is_inline(record));
    let gone = lone.filter(|record| !named_checks.contains(&record.spec.id));
    removals.extend(gone.map(|record| Change::RemoveCheck(record.spec.id.clone())));
    removals.extend(changes);
    Ok(removals)
}

/// An alias check that names this node is the same as one without a node.
pub(crate) fn localise(spec: &mut CheckSpec, own: &NodeName) {
    if let Probe::Alias { node, .. } = &mut spec.probe {
        node.take_if(|node| node == own);
    }
}
