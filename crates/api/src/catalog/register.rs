//! Bodies of `catalog/register` and `catalog/deregister`, which write records directly to the catalog.

use std::collections::BTreeMap;

use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Node, NodeScope, Registered, Registration, ServiceInstance,
};
use concord_model::{Datacenter, InstanceId, ServiceName, Stamp, Uuid};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::definition::{CatalogDefinition, LocalityDefinition, field};
use crate::fault::{Fault, Faults};
use crate::health::CheckDefinition;
use crate::limits::CHECKS_MAX;
use crate::shape::null_default;

/// Body of `catalog/register`, as sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RegisterBody {
    datacenter: String,
    #[serde(rename = "ID")]
    id: String,
    node: String,
    address: String,
    #[serde(deserialize_with = "null_default")]
    tagged_addresses: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_default")]
    node_meta: BTreeMap<String, String>,
    service: Option<CatalogDefinition>,
    check: Option<CheckBody>,
    #[serde(deserialize_with = "null_default")]
    checks: Vec<CheckBody>,
    skip_node_update: bool,
    locality: Option<LocalityDefinition>,
    peer_name: String,
    namespace: String,
    partition: String,
}

/// A check in that body: a status, not something to run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CheckBody {
    node: String,
    #[serde(rename = "CheckID", alias = "ID")]
    check_id: String,
    name: String,
    status: String,
    notes: String,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    #[serde(deserialize_with = "null_default")]
    service_tags: Vec<String>,
    #[serde(rename = "Type")]
    kind: String,
    interval: String,
    timeout: String,
    definition: Option<CheckDefinition>,
    peer_name: String,
    namespace: String,
    partition: String,

    // Answers contain these fields, and clients send back what they read.
    _exposed_port: IgnoredAny,
    _create_index: IgnoredAny,
    _modify_index: IgnoredAny,
}

/// Body of `catalog/deregister`, as sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeregisterBody {
    datacenter: String,
    node: String,
    // Consul's clients can send this field; no server has used it for a long time.
    _address: IgnoredAny,
    #[serde(rename = "ServiceID")]
    service_id: String,
    #[serde(rename = "CheckID")]
    check_id: String,
    peer_name: String,
    namespace: String,
    partition: String,
}

// === impl RegisterBody ===

impl RegisterBody {
    /// Reads the body.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        decode::body(body, REQUEST_DECODE_FAILED)
    }

    /// Validates the body. A missing datacenter means `here`.
    pub fn resolve(&self, here: &Datacenter) -> Result<Registration, Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        peer(&self.peer_name, &mut faults);
        let service = self.service.as_ref().and_then(|service| resolve_service(service, &mut faults));
        let node = self.resolve_node(here, &mut faults);
        let checks = self.resolve_checks(service.as_ref(), &mut faults);
        match node {
            Some(node) if faults.is_empty() => {
                Ok(Registration { node, service, checks, skip_node_update: self.skip_node_update })
            }
            _ => Err(Faults::many("", faults)),
        }
    }

    fn resolve_node(&self, here: &Datacenter, faults: &mut Vec<Fault>) -> Option<Node> {
        if self.node.is_empty() {
            faults.push(Fault::rule("Node", "Must provide node"));
            return None;
        }
        if self.address.is_empty() && !self.skip_node_update {
            faults.push(Fault::rule("Address", "Must provide address if SkipNodeUpdate is not set"));
        }
        let id = (!self.id.is_empty()).then(|| Uuid::parse(&self.id)).transpose().unwrap_or_else(|error| {
            faults.push(Fault::rule("ID", format!("Bad node ID: {error}")));
            None
        });
        Some(Node {
            scope: NodeScope::default(),
            name: field::name("Node", &self.node, faults)?,
            id,
            address: self.address.clone(),
            datacenter: field::optional_name("Datacenter", &self.datacenter, faults)
                .unwrap_or_else(|| here.clone()),
            tagged_addresses: self.tagged_addresses.clone(),
            meta: self.node_meta.clone(),
            locality: self
                .locality
                .clone()
                .map(|LocalityDefinition { region, zone }| concord_model::catalog::Locality { region, zone }),
            stamp: Stamp::default(),
        })
    }

    fn resolve_checks(&self, service: Option<&ServiceInstance>, faults: &mut Vec<Fault>) -> Vec<Check> {
        if self.checks.len() > CHECKS_MAX {
            let text = format!("Checks: at most {CHECKS_MAX} checks are allowed in one registration");
            faults.push(Fault::rule("Checks", text));
            return Vec::new();
        }
        let written = self.check.iter().chain(&self.checks);
        written.filter_map(|check| check.resolve(&self.node, service, faults)).collect()
    }
}

fn peer(name: &str, faults: &mut Vec<Fault>) {
    field::not_available("PeerName", !name.is_empty(), "PeerName in the catalog", faults);
}

fn resolve_service(service: &CatalogDefinition, faults: &mut Vec<Fault>) -> Option<ServiceInstance> {
    peer(&service.peer_name, faults);
    if service.service.is_empty() {
        let text = "Must provide service name (Service.Service) when service ID is provided";
        faults.push(Fault::rule("Service.Service", text));
        return None;
    }
    let found =
        service.resolve().map_err(|found| found.faults.into_iter().map(|fault| fault.within("Service")));
    found.map_err(|found| faults.extend(found)).ok()
}

impl CheckBody {
    fn resolve(
        &self,
        node: &str,
        service: Option<&ServiceInstance>,
        faults: &mut Vec<Fault>,
    ) -> Option<Check> {
        field::tenancy(&self.namespace, &self.partition, faults);
        peer(&self.peer_name, faults);
        if !self.node.is_empty() && self.node != node {
            let text = format!("Check.Node: {:?} is not the node being registered; leave it out", self.node);
            faults.push(Fault::rule("Check.Node", text));
        }
        let id = if self.check_id.is_empty() { &self.name } else { &self.check_id };
        let service_id: Option<InstanceId> =
            field::optional_name("Check.ServiceID", &self.service_id, faults);
        let named: Option<ServiceName> =
            field::optional_name("Check.ServiceName", &self.service_name, faults);
        let same = service.filter(|service| service_id.as_ref() == Some(&service.id));
        Some(Check {
            id: field::name("Check.CheckID", id, faults)?,
            name: self.name.clone(),
            status: self.status(faults),
            notes: self.notes.clone(),
            output: self.output.clone(),
            service_name: named.or_else(|| same.map(|service| service.service.clone())),
            service_id,
            namespace: field::namespace(),
            service_tags: self.service_tags.clone(),
            kind: self.made_how(),
            interval: self.interval.clone(),
            timeout: self.timeout.clone(),
            definition: self.definition.as_ref().map(CheckDefinition::to_model).unwrap_or_default(),
            stamp: Stamp::default(),
        })
    }

    /// The kind in the body, or else the kind that follows from the definition.
    fn made_how(&self) -> String {
        let defined = self.definition.as_ref().map(CheckDefinition::kind).unwrap_or_default();
        if self.kind.is_empty() { defined.to_owned() } else { self.kind.clone() }
    }

    fn status(&self, faults: &mut Vec<Fault>) -> CheckStatus {
        if self.status.is_empty() {
            return CheckStatus::Critical;
        }
        CheckStatus::parse(&self.status).unwrap_or_else(|| {
            faults.push(Fault::rule("Check.Status", format!("Invalid check status: '{}'", self.status)));
            CheckStatus::Critical
        })
    }
}

// === impl DeregisterBody ===

impl DeregisterBody {
    /// Reads the body.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        decode::body(body, REQUEST_DECODE_FAILED)
    }

    /// Validates the body. A missing datacenter means `here`. If both are named, the instance is removed and not the
    /// check.
    pub fn resolve(&self, here: &Datacenter) -> Result<(Datacenter, Deregistration), Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        peer(&self.peer_name, &mut faults);
        if self.node.is_empty() {
            faults.push(Fault::rule("Node", "Must provide node"));
        }
        let node = field::optional_name("Node", &self.node, &mut faults);
        let datacenter = field::optional_name("Datacenter", &self.datacenter, &mut faults);
        let service = field::optional_name("ServiceID", &self.service_id, &mut faults);
        let check = field::optional_name("CheckID", &self.check_id, &mut faults);
        let what = match (service, check) {
            (Some(id), _) => Registered::Service { namespace: field::namespace(), id },
            (None, Some(id)) => Registered::Check { id },
            (None, None) => Registered::Node,
        };
        match node {
            Some(node) if faults.is_empty() => {
                let deregistration = Deregistration { scope: NodeScope::default(), node, what };
                Ok((datacenter.unwrap_or_else(|| here.clone()), deregistration))
            }
            _ => Err(Faults::many("", faults)),
        }
    }
}
