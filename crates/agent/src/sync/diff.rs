//! Decides what the catalog has to be told. A pure module.

use std::collections::BTreeMap;

use concord_model::catalog::{
    Check, Deregistration, Node, NodeScope, Registered, Registration, SERF_HEALTH, SERVER_SERVICE,
    ServiceInstance,
};
use concord_model::{CheckId, InstanceId, Namespace, Secret, Stamp};
use concord_rpc::request::NodeRecords;
use concord_runtime::Instant;

use crate::config::AgentConfig;
use crate::local::{CheckRecord, Local, Mark, Report, ServiceRecord, Source};

/// The tagged address that servers add themselves.
const VIRTUAL_ADDRESS: &str = "consul-virtual";

/// One request to the catalog.
#[derive(Debug)]
pub(super) enum Step {
    Register { request: Box<Registration>, token: Option<Secret>, covers: Covers },
    Deregister { request: Deregistration, token: Option<Secret>, covers: Covers },
}

/// The records that a step sends, and their versions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Covers {
    pub(super) node: bool,
    pub(super) service: Option<(InstanceId, u64)>,
    pub(super) checks: Vec<(CheckId, u64)>,
    pub(super) gone_service: Option<InstanceId>,
    pub(super) gone_check: Option<CheckId>,
}

/// The result of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The catalog has accepted it.
    Told,
    /// The catalog refused it.
    Refused,
}

impl Covers {
    /// The name in metrics.
    pub(super) fn kind(&self) -> &'static str {
        if self.gone_service.is_some() {
            "service_deregistration"
        } else if self.gone_check.is_some() {
            "check_deregistration"
        } else if self.service.is_some() {
            "service_registration"
        } else if self.node {
            "node_registration"
        } else {
            "check_registration"
        }
    }
}

/// Takes over the catalog's verdict for checks that have not run since the agent started. An agent that restarts
/// knows nothing about services that continued to run, and must not mark them critical before their checks have run.
/// The first run, within the interval, gives the real verdict.
pub(super) fn recall(local: &mut Local, remote: Option<&NodeRecords>, now: Instant) {
    for theirs in remote.into_iter().flat_map(|remote| &remote.checks) {
        let same = |own: &CheckRecord| {
            own.is_untried() && own.check.service_id == theirs.service_id && own.check.kind == theirs.kind
        };
        if local.checks.get(&theirs.id).is_some_and(same) {
            local.report(&theirs.id, Report::decided(theirs.status, theirs.output.clone()), now);
        }
    }
}

/// Compares everything with the catalog's records of the node, and marks the differences. Records that were refused
/// are tried again. Takes over tags that the catalog owns.
pub(super) fn compare(local: &mut Local, node: &Node, remote: Option<&NodeRecords>) {
    local.node = mark(remote.is_some_and(|remote| same_node(node, &remote.node)));
    let services: BTreeMap<&InstanceId, &ServiceInstance> =
        remote.into_iter().flat_map(|remote| &remote.services).map(|one| (&one.id, one)).collect();
    let checks: BTreeMap<&CheckId, &Check> =
        remote.into_iter().flat_map(|remote| &remote.checks).map(|one| (&one.id, one)).collect();

    for id in local.services.keys().cloned().collect::<Vec<_>>() {
        let (theirs, version) = (services.get(&id), local.revision() + 1);
        let took = local.edit_service(&id, |record| {
            let took = theirs.is_some_and(|theirs| record.take_tags(&theirs.tags));
            if took {
                record.version = version;
            }
            record.mark = mark(theirs.is_some_and(|theirs| same_service(&record.service(), theirs)));
            took
        });
        if took == Some(true) {
            local.bump();
        }
    }
    for id in local.checks.keys().cloned().collect::<Vec<_>>() {
        let theirs = checks.get(&id);
        local.edit_check(&id, |record| {
            let lags_behind = record.deferred.is_some();
            record.mark = mark(theirs.is_some_and(|theirs| same_check(&record.check, theirs, lags_behind)));
            if record.mark == Mark::Pending {
                record.deferred = None;
            }
        });
    }
    let known = |id: &InstanceId| local.services.contains_key(id) || id.as_str() == SERVER_SERVICE;
    let gone = services.keys().filter(|id| !known(id)).map(|id| (*id).clone()).collect();
    local.services_gone.replace(gone);
    let leaves_with_service = |check: &Check| {
        check
            .service_id
            .as_ref()
            .is_some_and(|id| local.services_gone.contains(id) || id.as_str() == SERVER_SERVICE)
    };
    let gone = checks.iter().filter(|(id, check)| {
        !local.checks.contains_key(**id) && id.as_str() != SERF_HEALTH && !leaves_with_service(check)
    });
    let gone = gone.map(|(id, _)| (*id).clone()).collect();
    local.checks_gone.replace(gone);
}

/// The next request to the catalog: first the node, then removals, then services with their checks, then checks. The
/// indexes find it, so that sending everything reads each record only once.
pub(super) fn next_step(local: &mut Local, config: &AgentConfig, now: Instant) -> Option<Step> {
    local.end_deferral(now);
    if local.node == Mark::Pending {
        return Some(node_step(config));
    }
    if let Some(id) = local.services_gone.first() {
        let covers = Covers { gone_service: Some(id.clone()), ..Covers::default() };
        return Some(removal(
            config,
            Registered::Service { namespace: Namespace::default(), id: id.clone() },
            covers,
        ));
    }
    if let Some(id) = local.checks_gone.first() {
        let covers = Covers { gone_check: Some(id.clone()), ..Covers::default() };
        return Some(removal(config, Registered::Check { id: id.clone() }, covers));
    }
    if let Some(record) = local.next_service() {
        return Some(service_step(local, config, record));
    }
    Some(check_step(local, config, local.next_checks()?.collect()))
}

/// Records the result of a step, for all records that have not changed since.
pub(super) fn done(local: &mut Local, covers: &Covers, outcome: Outcome) {
    let mark = match outcome {
        Outcome::Told => Mark::Synced,
        Outcome::Refused => Mark::Blocked,
    };
    let Covers { node, service, checks, gone_service, gone_check } = covers;
    if *node {
        local.node = mark;
    }
    if let Some((id, version)) = service {
        local.edit_service(id, |record| {
            if record.version == *version {
                record.mark = mark;
            }
        });
    }
    for (id, version) in checks {
        local.edit_check(id, |record| {
            if record.version == *version {
                record.mark = mark;
                record.deferred = None;
            }
        });
    }
    if let Some(id) = gone_service {
        match outcome {
            Outcome::Told => local.services_gone.remove(id),
            Outcome::Refused => local.services_gone.refuse(id),
        }
    }
    if let Some(id) = gone_check {
        match outcome {
            Outcome::Told => local.checks_gone.remove(id),
            Outcome::Refused => local.checks_gone.refuse(id),
        }
    }
}

fn node_step(config: &AgentConfig) -> Step {
    let request = Registration::of(config.node_record());
    let covers = Covers { node: true, ..Covers::default() };
    Step::Register { request: Box::new(request), token: config.node_token().cloned(), covers }
}

fn removal(config: &AgentConfig, what: Registered, covers: Covers) -> Step {
    let request = Deregistration { scope: NodeScope::default(), node: config.node.clone(), what };
    Step::Deregister { request, token: config.node_token().cloned(), covers }
}

fn service_step(local: &Local, config: &AgentConfig, record: &ServiceRecord) -> Step {
    let token = service_token(config, record);
    let of_it = local.checks_of(Some(record.id())).filter_map(|id| local.checks.get(id));
    let checks = of_it
        .filter(|check| check.mark == Mark::Pending)
        .filter(|check| same_token(check_token(local, config, check).as_ref(), token.as_ref()))
        .collect();
    register_step(config, Some(record), checks, token)
}

/// A step for checks of the same service (or the node) that use the same token.
fn check_step(local: &Local, config: &AgentConfig, checks: Vec<&CheckRecord>) -> Step {
    let token = checks.first().and_then(|check| check_token(local, config, check));
    register_step(config, None, checks, token)
}

fn register_step(
    config: &AgentConfig,
    service: Option<&ServiceRecord>,
    mut checks: Vec<&CheckRecord>,
    token: Option<Secret>,
) -> Step {
    checks.sort_by_key(|check| &check.spec.id);
    let covers = Covers {
        service: service.map(|record| (record.id().clone(), record.version)),
        checks: checks.iter().map(|check| (check.spec.id.clone(), check.version)).collect(),
        ..Covers::default()
    };
    let request = Registration {
        node: config.node_record(),
        skip_node_update: true,
        service: service.map(|record| record.service().into_owned()),
        checks: checks.iter().map(|check| check.check.clone()).collect(),
    };
    Step::Register { request: Box::new(request), token, covers }
}

/// The service's own token, else the token for services from files, else the default.
pub(crate) fn service_token(config: &AgentConfig, record: &ServiceRecord) -> Option<Secret> {
    let of_files = match record.source {
        Source::File => config.acl.tokens.config_file_service_registration.as_ref(),
        Source::Api => None,
    };
    record.registration.token.as_ref().or(of_files).or(config.acl.tokens.default.as_ref()).cloned()
}

/// The check's own token, else that of its service. For checks of the node: the token for files or the default.
fn check_token(local: &Local, config: &AgentConfig, check: &CheckRecord) -> Option<Secret> {
    if let Some(own) = &check.spec.token {
        return Some(own.clone());
    }
    match check.spec.service_id.as_ref().and_then(|id| local.services.get(id)) {
        Some(service) => service_token(config, service),
        None => config.acl.tokens.default.clone(),
    }
}

fn same_token(a: Option<&Secret>, b: Option<&Secret>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.matches(b.expose()),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn mark(same: bool) -> Mark {
    if same { Mark::Synced } else { Mark::Pending }
}

fn same_node(own: &Node, theirs: &Node) -> bool {
    let Node { scope: _, name: _, id, address, datacenter: _, tagged_addresses, meta, locality, stamp: _ } =
        own;
    (id.is_none() || *id == theirs.id)
        && *address == theirs.address
        && *tagged_addresses == theirs.tagged_addresses
        && *meta == theirs.meta
        && *locality == theirs.locality
}

fn same_service(own: &ServiceInstance, theirs: &ServiceInstance) -> bool {
    plain(own) == plain(theirs)
}

/// The service without the parts that servers add.
fn plain(service: &ServiceInstance) -> ServiceInstance {
    let mut plain = ServiceInstance { stamp: Stamp::default(), ..service.clone() };
    plain.tagged_addresses.retain(|tag, _| !tag.starts_with(VIRTUAL_ADDRESS));
    plain
}

fn same_check(own: &Check, theirs: &Check, output_lags: bool) -> bool {
    let Check {
        id: _,
        name,
        status,
        notes,
        output,
        service_id,
        service_name,
        namespace,
        service_tags: _,
        kind,
        interval,
        timeout,
        definition,
        stamp: _,
    } = own;
    *name == theirs.name
        && *status == theirs.status
        && *notes == theirs.notes
        && (output_lags || *output == theirs.output)
        && *service_id == theirs.service_id
        && *service_name == theirs.service_name
        && *namespace == theirs.namespace
        && *kind == theirs.kind
        && *interval == theirs.interval
        && *timeout == theirs.timeout
        && *definition == theirs.definition
}

#[cfg(test)]
mod tests;
