//! The JSON of a service's instance, in the three shapes of Consul's answers: [`NodeService`] of the catalog and of
//! health, [`ServiceNode`] flat beside its node, [`AgentService`] of the instance's own agent.
//!
//! They say the same with other names, empty values and order. What an instance says is read from the model once, for
//! [`NodeService`]; the others are made of it.

use std::collections::BTreeMap;

use concord_model::Datacenter;
use concord_model::catalog::{self, NodeScope, ServiceInstance};
use concord_model::proxy::ServiceKind;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalog::{Locality, Node, shown_namespace, shown_partition, shown_peer};
use crate::content_hash::{Hashed as _, hashed, pair};
use crate::proxy::{AgentProxy, CatalogProxy};
use crate::shape::{is_default, null_default, null_if_empty};

#[cfg(test)]
mod tests;

/// An address with its port.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceAddress {
    /// Host or IP address.
    pub address: String,
    /// Port.
    pub port: u16,
}

/// One of an instance's several ports, as it is written and shown.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServicePort {
    /// Its name.
    pub name: String,
    /// The port.
    pub port: u16,
    /// Whether it is also the instance's `Port`.
    pub default: bool,
}

/// Weights of an instance.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Weights {
    /// The weight while all checks pass.
    pub passing: u32,
    /// The weight while a check is warning.
    pub warning: u32,
}

/// `Connect`: `{}` or `{"Native":true}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceConnect {
    /// Whether the service speaks the mesh's TLS itself.
    #[serde(skip_serializing_if = "is_default")]
    pub native: bool,
}

/// An instance together with its node, flat: `catalog/service` and `catalog/connect`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceNode {
    /// The node's permanent id, or empty.
    #[serde(rename = "ID")]
    pub id: String,
    /// The node's name.
    pub node: String,
    /// The node's address.
    pub address: String,
    /// The node's datacenter.
    pub datacenter: String,
    /// The node's further addresses.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub tagged_addresses: BTreeMap<String, String>,
    /// The node's metadata.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub node_meta: BTreeMap<String, String>,
    /// Empty for an ordinary service.
    pub service_kind: String,
    /// The instance's id.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// The service's name.
    pub service_name: String,
    /// Tags.
    #[serde(deserialize_with = "null_default")]
    pub service_tags: Vec<String>,
    /// The instance's address; empty means the node's.
    pub service_address: String,
    /// The instance's further addresses.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub service_tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// Weights.
    pub service_weights: Weights,
    /// Metadata.
    #[serde(deserialize_with = "null_default")]
    pub service_meta: BTreeMap<String, String>,
    /// Port.
    pub service_port: u16,
    /// Ports by name.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub service_ports: Vec<ServicePort>,
    /// Unix socket.
    pub service_socket_path: String,
    /// Whether tags that are changed in the catalog win.
    pub service_enable_tag_override: bool,
    /// Its proxy settings.
    pub service_proxy: CatalogProxy,
    /// Whether it speaks the mesh's TLS itself.
    pub service_connect: ServiceConnect,
    /// The locality; `null` if unknown.
    pub service_locality: Option<Locality>,
    /// The peered cluster it is imported from.
    #[serde(skip_serializing_if = "is_default")]
    pub peer_name: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// An instance without its node: in `health/service`, `catalog/node` and `catalog/node-services`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NodeService {
    /// Left out for an ordinary service.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// The instance's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// The service's name.
    pub service: String,
    /// Tags.
    #[serde(deserialize_with = "null_default")]
    pub tags: Vec<String>,
    /// Address; empty means the node's.
    pub address: String,
    /// Further addresses.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// Metadata.
    #[serde(deserialize_with = "null_default", serialize_with = "null_if_empty")]
    pub meta: BTreeMap<String, String>,
    /// Port; left out if there is none.
    #[serde(skip_serializing_if = "is_default")]
    pub port: u16,
    /// Ports by name.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// Unix socket.
    #[serde(skip_serializing_if = "is_default")]
    pub socket_path: String,
    /// Weights.
    pub weights: Weights,
    /// Whether tags that are changed in the catalog win.
    pub enable_tag_override: bool,
    /// The locality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
    /// Its proxy settings.
    pub proxy: CatalogProxy,
    /// Whether it speaks the mesh's TLS itself.
    pub connect: ServiceConnect,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// Always printed.
    pub peer_name: String,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// `catalog/node`: a node and its services by id. The whole answer is `null` if there is no such node.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NodeServices {
    /// The node.
    pub node: Option<Node>,
    /// Its services by instance id.
    #[serde(deserialize_with = "null_default")]
    pub services: BTreeMap<String, NodeService>,
}

/// `catalog/node-services`: a node and its services as a list.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NodeServiceList {
    /// The node.
    pub node: Option<Node>,
    /// Its services; `null` if there are none, unless a filter or the caller's rights left them out.
    pub services: Option<Vec<NodeService>>,
}

/// A service of the agent: a value of `agent/services`, and `agent/service/:id`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AgentService {
    /// Left out for an ordinary service.
    #[serde(skip_serializing_if = "is_default")]
    pub kind: String,
    /// The instance's id.
    #[serde(rename = "ID")]
    pub id: String,
    /// The service's name.
    pub service: String,
    /// Tags.
    #[serde(deserialize_with = "null_default")]
    pub tags: Vec<String>,
    /// Metadata.
    #[serde(deserialize_with = "null_default")]
    pub meta: BTreeMap<String, String>,
    /// Port.
    pub port: u16,
    /// Ports by name.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// Address; empty means the agent's.
    pub address: String,
    /// Unix socket.
    #[serde(skip_serializing_if = "is_default")]
    pub socket_path: String,
    /// Further addresses.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "is_default")]
    pub tagged_addresses: BTreeMap<String, ServiceAddress>,
    /// Weights.
    pub weights: Weights,
    /// Whether tags that are changed in the catalog win.
    pub enable_tag_override: bool,
    /// Left out: local services have none.
    #[serde(skip_serializing_if = "is_default")]
    pub create_index: u64,
    /// Left out: local services have none.
    #[serde(skip_serializing_if = "is_default")]
    pub modify_index: u64,
    /// Hash of all other fields; only in `agent/service/:id`.
    #[serde(skip_serializing_if = "is_default")]
    pub content_hash: String,
    /// Its proxy settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<AgentProxy>,
    /// Whether it speaks the mesh's TLS itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect: Option<ServiceConnect>,
    /// Always left out: local services are not imported.
    #[serde(skip_serializing_if = "is_default")]
    pub peer_name: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub namespace: String,
    /// Printed unless it is `default`.
    #[serde(skip_serializing_if = "is_default")]
    pub partition: String,
    /// The agent's datacenter.
    #[serde(skip_serializing_if = "is_default")]
    pub datacenter: String,
    /// The locality.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Locality>,
}

hashed!(ServiceAddress is "ServiceAddress": address "Address", port "Port");
hashed!(ServicePort is "ServicePort": name "Name", port "Port", default "Default");
hashed!(Weights is "AgentWeights": passing "Passing", warning "Warning");
hashed!(ServiceConnect is "AgentServiceConnect": native "Native"; with "SidecarService" None::<bool>);
hashed!(AgentService is "AgentService":
    kind "Kind", id "ID", service "Service", tags "Tags", meta "Meta", port "Port", address "Address",
    socket_path "SocketPath", tagged_addresses "TaggedAddresses", weights "Weights",
    enable_tag_override "EnableTagOverride", create_index "CreateIndex", modify_index "ModifyIndex", proxy "Proxy",
    connect "Connect", peer_name "PeerName";
    // The hash is computed before this field is set.
    with "ContentHash" String::new();
    without ports, content_hash, namespace, partition, datacenter, locality);

// === selectors of filters ===

impl NodeService {
    /// What a filter can select: every member with an example of its value. `"*"` stands for any key of a map. Free
    /// settings cannot be selected, as in Consul.
    pub fn selectors() -> Value {
        json!({
            "Kind": "", "ID": "", "Service": "", "Tags": [""], "Address": "",
            "TaggedAddresses": {"*": {"Address": "", "Port": 0}}, "Meta": {"*": ""}, "Port": 0, "SocketPath": "",
            "Weights": {"Passing": 0, "Warning": 0}, "EnableTagOverride": false,
            "Locality": {"Region": "", "Zone": ""}, "Connect": {"Native": false}, "Namespace": "", "Partition": "",
            "PeerName": "", "CreateIndex": 0, "ModifyIndex": 0,
            "Proxy": CatalogProxy::selectors(),
        })
    }
}

impl ServiceNode {
    /// What a filter can select, as in [`NodeService::selectors`].
    pub fn selectors() -> Value {
        let mut flat = json!({
            "ID": "", "Node": "", "Address": "", "Datacenter": "", "TaggedAddresses": {"*": ""},
            "NodeMeta": {"*": ""},
        });
        for (name, example) in NodeService::selectors().as_object().into_iter().flatten() {
            let name = match name.as_str() {
                "Service" => "ServiceName",
                "PeerName" | "Namespace" | "Partition" | "CreateIndex" | "ModifyIndex" => name,
                _ => &format!("Service{name}"),
            };
            flat[name] = example.clone();
        }
        flat
    }
}

impl AgentService {
    /// What a filter can select, as in [`NodeService::selectors`].
    pub fn selectors() -> Value {
        let mut shape = NodeService::selectors();
        shape["ContentHash"] = json!("");
        shape["Datacenter"] = json!("");
        shape
    }
}

// === conversions ===

impl ServiceAddress {
    pub(crate) fn all_from_model(
        addresses: &BTreeMap<String, catalog::ServiceAddress>,
    ) -> BTreeMap<String, Self> {
        let shape =
            |catalog::ServiceAddress { address, port }: &_| Self { address: address.clone(), port: *port };
        addresses.iter().map(|(tag, address)| (tag.clone(), shape(address))).collect()
    }
}

impl ServicePort {
    fn from_model(port: &catalog::ServicePort) -> Self {
        let catalog::ServicePort { name, port, default } = port;
        Self { name: name.clone(), port: *port, default: *default }
    }

    pub(crate) fn to_model(&self) -> catalog::ServicePort {
        let Self { name, port, default } = self;
        catalog::ServicePort { name: name.clone(), port: *port, default: *default }
    }
}

impl Weights {
    pub(crate) fn from_model(weights: catalog::Weights) -> Self {
        let catalog::Weights { passing, warning } = weights;
        Self { passing, warning }
    }
}

impl NodeService {
    /// The JSON of an instance on a node in `scope`.
    pub fn from_model(scope: &NodeScope, instance: &ServiceInstance) -> Self {
        let ServiceInstance {
            namespace,
            id,
            service,
            kind,
            tags,
            address,
            port,
            ports,
            socket_path,
            tagged_addresses,
            meta,
            weights,
            enable_tag_override,
            proxy,
            native,
            locality,
            stamp,
        } = instance;
        Self {
            kind: kind.as_str().to_owned(),
            id: id.to_string(),
            service: service.to_string(),
            tags: tags.clone(),
            address: address.clone(),
            tagged_addresses: ServiceAddress::all_from_model(tagged_addresses),
            meta: meta.clone(),
            port: *port,
            ports: ports.iter().map(ServicePort::from_model).collect(),
            socket_path: socket_path.clone(),
            weights: Weights::from_model(*weights),
            enable_tag_override: *enable_tag_override,
            locality: Locality::from_model(locality.as_ref()),
            proxy: CatalogProxy::from_model(proxy.as_ref()),
            connect: ServiceConnect { native: *native },
            namespace: shown_namespace(namespace),
            partition: shown_partition(&scope.partition),
            peer_name: shown_peer(scope),
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl ServiceNode {
    /// The JSON of an instance and its node.
    pub fn from_model(node: &catalog::Node, instance: &ServiceInstance) -> Self {
        let node_shape = Node::from_model(node);
        let service = NodeService::from_model(&node.scope, instance);
        Self {
            id: node_shape.id,
            node: node_shape.node,
            address: node_shape.address,
            datacenter: node_shape.datacenter,
            tagged_addresses: node_shape.tagged_addresses,
            node_meta: node_shape.meta,
            service_kind: service.kind,
            service_id: service.id,
            service_name: service.service,
            service_tags: service.tags,
            service_address: service.address,
            service_tagged_addresses: service.tagged_addresses,
            service_weights: service.weights,
            service_meta: service.meta,
            service_port: service.port,
            service_ports: service.ports,
            service_socket_path: service.socket_path,
            service_enable_tag_override: service.enable_tag_override,
            service_proxy: service.proxy,
            service_connect: service.connect,
            service_locality: service.locality,
            peer_name: service.peer_name,
            namespace: service.namespace,
            partition: service.partition,
            create_index: service.create_index,
            modify_index: service.modify_index,
        }
    }

    /// Whether it is a sidecar, or speaks the mesh's TLS itself.
    pub fn in_mesh(&self) -> bool {
        self.service_connect.native || self.service_kind == ServiceKind::ConnectProxy.as_str()
    }
}

impl NodeServices {
    /// The JSON of a node and its services.
    pub fn from_model<'a>(
        node: &catalog::Node,
        services: impl IntoIterator<Item = &'a ServiceInstance>,
    ) -> Self {
        let shapes = services.into_iter().map(|service| NodeService::from_model(&node.scope, service));
        Self {
            node: Some(Node::from_model(node)),
            services: shapes.map(|service| (service.id.clone(), service)).collect(),
        }
    }
}

impl AgentService {
    /// The JSON of a local service, without its hash.
    pub fn from_model(scope: &NodeScope, datacenter: &Datacenter, instance: &ServiceInstance) -> Self {
        let NodeService {
            kind,
            id,
            service,
            tags,
            address,
            tagged_addresses,
            meta,
            port,
            ports,
            socket_path,
            weights,
            enable_tag_override,
            locality,
            proxy: _,
            connect,
            namespace,
            partition,
            peer_name,
            create_index: _,
            modify_index: _,
        } = NodeService::from_model(scope, instance);
        Self {
            kind,
            id,
            service,
            tags,
            meta,
            port,
            ports,
            address,
            socket_path,
            tagged_addresses,
            weights,
            enable_tag_override,
            create_index: 0,
            modify_index: 0,
            content_hash: String::new(),
            proxy: AgentProxy::from_model(instance.kind, instance.proxy.as_ref()),
            connect: connect.native.then_some(connect),
            peer_name,
            namespace,
            partition,
            datacenter: datacenter.to_string(),
            locality,
        }
    }

    /// The service with the hash of its content, which hash-based blocking queries compare.
    #[must_use]
    pub fn hashed(mut self) -> Self {
        // Consul 1.21 knows no ports by name: without them the hash is that of 1.21, with them that of no version.
        let ports = if self.ports.is_empty() { 0 } else { pair("Ports", &self.ports) };
        self.content_hash = format!("{:x}", self.content_hash() ^ ports);
        self
    }
}
