//! The JSON of neighbours and of what they run: `internal/ui/service-topology` and `internal/ui/gateway-services-nodes`.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::ServiceName;
use concord_model::catalog::{Check, CheckStatus, Node, ServiceInstance};
use concord_model::proxy::ServiceKind;
use serde::Serialize;

use crate::shape::{is_default, null_if_empty};

/// The metadata key by which tools say that they wrote a record.
const EXTERNAL_SOURCE: &str = "external-source";

/// An instance with its node and checks.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// The node.
    pub node: &'a Node,
    /// The instance.
    pub instance: &'a ServiceInstance,
    /// Checks of the node and of the instance.
    pub checks: &'a [Check],
}

/// What a service runs.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceSummary {
    /// Its kind; left out for the ordinary one.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The datacenter; empty if it has no instance.
    pub datacenter: String,
    /// The tags of its instances.
    #[serde(serialize_with = "null_if_empty")]
    pub tags: BTreeSet<String>,
    /// The nodes that it runs on.
    #[serde(serialize_with = "null_if_empty")]
    pub nodes: BTreeSet<String>,
    /// The tools that registered instances, if they said so.
    #[serde(serialize_with = "null_if_empty")]
    pub external_sources: BTreeSet<String>,
    /// How many instances it has.
    pub instance_count: usize,
    /// How many checks of its instances and proxies pass.
    pub checks_passing: usize,
    /// How many have a warning.
    pub checks_warning: usize,
    /// How many fail.
    pub checks_critical: usize,
    /// How a gateway serves it.
    pub gateway_config: GatewayConfig,
    /// Whether all its proxies are in transparent mode.
    pub transparent_proxy: bool,
    /// Whether an instance speaks the mesh's TLS itself.
    pub connect_native: bool,
}

/// How a gateway serves a service.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GatewayConfig {
    /// The addresses by which the service is reached through the gateway.
    #[serde(skip_serializing_if = "is_default")]
    pub addresses: Vec<String>,
}

/// A neighbour.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TopologySummary {
    /// What it runs.
    #[serde(flatten)]
    pub summary: ServiceSummary,
    /// Why it is a neighbour.
    pub source: String,
    /// What the intentions say about the pair.
    pub intention: PairDecision,
}

/// What the intentions say about a pair.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PairDecision {
    /// Whether the connection is allowed.
    pub allowed: bool,
    /// Whether requests decide.
    pub has_permissions: bool,
    /// The tool that wrote the intention, if it said so.
    pub external_source: String,
    /// Whether the intention names both services.
    pub has_exact: bool,
    /// Whether pairs without an intention are allowed.
    pub default_allow: bool,
}

/// The neighbours of a service.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceTopology {
    /// The protocol by which its traffic is measured.
    pub protocol: String,
    /// Whether all its proxies are in transparent mode.
    pub transparent_proxy: bool,
    /// What it calls.
    pub upstreams: Vec<TopologySummary>,
    /// What calls it.
    pub downstreams: Vec<TopologySummary>,
    /// Whether something was left out that the caller may not see.
    #[serde(rename = "FilteredByACLs")]
    pub filtered_by_acls: bool,
}

impl ServiceSummary {
    /// Counts what a service runs: its instances, and the checks of them and of its proxies.
    pub fn of<'a>(service: &ServiceName, running: impl IntoIterator<Item = Running<'a>>) -> Self {
        let mut summary = Self { name: service.to_string(), ..Self::default() };
        let (mut proxies, mut checks) = (Vec::new(), BTreeMap::new());
        for Running { node, instance, checks: own } in running {
            checks.extend(own.iter().map(|check| ((&node.name, &check.id), check.status)));
            match instance.kind {
                ServiceKind::ConnectProxy => proxies.push(instance),
                _ => summary.count(node, instance),
            }
        }
        let transparent = |proxy: &&ServiceInstance| {
            proxy.proxy.as_ref().is_some_and(|config| config.mode == "transparent")
        };
        summary.transparent_proxy = !proxies.is_empty() && proxies.iter().all(transparent);
        let in_state = |state| checks.values().filter(|own| **own == state).count();
        Self {
            checks_passing: in_state(CheckStatus::Passing),
            checks_warning: in_state(CheckStatus::Warning),
            checks_critical: in_state(CheckStatus::Critical),
            ..summary
        }
    }

    fn count(&mut self, node: &Node, instance: &ServiceInstance) {
        instance.kind.as_str().clone_into(&mut self.kind);
        self.datacenter = node.datacenter.to_string();
        self.tags.extend(instance.tags.iter().cloned());
        self.nodes.insert(node.name.to_string());
        let source = instance.meta.get(EXTERNAL_SOURCE).filter(|source| !source.is_empty());
        self.external_sources.extend(source.cloned());
        self.instance_count += 1;
        self.connect_native |= instance.native;
    }
}
