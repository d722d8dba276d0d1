//! Service definitions, as bodies and as blocks of a file.

use std::collections::{BTreeMap, BTreeSet};

use concord_model::catalog::{self, Locality, ServiceAddress, ServiceInstance, Weights};
use concord_model::proxy::ServiceKind;
use concord_model::registration::{CheckSpec, LocalService};
use concord_model::{InstanceId, Secret, ServiceName, Stamp};
use concord_syntax::Node;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::check::{CheckDefinition, CheckOwner};
use super::field;
use super::proxy::{self, ProxyDefinition};
use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::fault::{Fault, Faults};
use crate::limits::CHECKS_MAX;
use crate::service::ServicePort;
use crate::shape::{exposed, null_default, secret};

/// Declares the two ways to write an instance from the members that both have.
macro_rules! written {
    ($($(#[$about:meta])* $member:ident: $Type:ty,)+) => {
        /// A service as a user writes it, for its agent.
        #[derive(Clone, Debug, Default, Deserialize, Serialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct ServiceDefinition {
            /// The service's name. Required.
            pub name: String,
            $($(#[$about])* pub $member: $Type,)+
            /// One check.
            pub check: Option<CheckDefinition>,
            /// More checks.
            #[serde(deserialize_with = "null_default")]
            pub checks: Vec<CheckDefinition>,
            /// The token used to write it to the catalog.
            #[serde(deserialize_with = "secret", serialize_with = "exposed::optional")]
            pub token: Option<Secret>,
        }

        /// An instance as it is written to the catalog. Its name is `Service`, and it has the members of answers,
        /// since clients send back what they read.
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub(crate) struct CatalogDefinition {
            pub(crate) service: String,
            $($(#[$about])* $member: $Type,)+
            pub(crate) peer_name: String,
            _create_index: IgnoredAny,
            _modify_index: IgnoredAny,
        }

        impl CatalogDefinition {
            fn for_agent(&self) -> ServiceDefinition {
                ServiceDefinition {
                    name: self.service.clone(),
                    $($member: self.$member.clone(),)+
                    ..ServiceDefinition::default()
                }
            }
        }
    };
}

written! {
    /// The instance's id; the name if empty.
    #[serde(rename = "ID")]
    id: String,
    /// Empty for an ordinary service.
    kind: String,
    /// Tags.
    #[serde(deserialize_with = "null_default")]
    tags: Vec<String>,
    /// Address; empty means the agent's, or in the catalog the node's.
    address: String,
    /// Further addresses by tag.
    #[serde(deserialize_with = "null_default")]
    tagged_addresses: BTreeMap<String, AddressDefinition>,
    /// Metadata.
    #[serde(deserialize_with = "null_default")]
    meta: BTreeMap<String, String>,
    /// Port.
    port: i64,
    /// Ports by name, instead of one port.
    #[serde(deserialize_with = "null_default")]
    ports: Vec<ServicePort>,
    /// Unix socket, instead of address and port.
    socket_path: String,
    /// Weights.
    weights: Option<WeightsDefinition>,
    /// Whether tags that are changed in the catalog win.
    enable_tag_override: bool,
    /// The locality.
    locality: Option<LocalityDefinition>,
    /// Its proxy settings.
    proxy: Option<ProxyDefinition>,
    /// How it takes part in the mesh.
    connect: Option<ConnectDefinition>,
    /// Another namespace than `default` is refused.
    namespace: String,
    /// Another partition than `default` is refused.
    partition: String,
}

/// An address with its port, as a user writes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AddressDefinition {
    /// Host or IP address.
    pub address: String,
    /// Port.
    pub port: i64,
}

/// Weights as a user writes them. A missing weight is 1 in files and 0 over HTTP, as in Consul.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WeightsDefinition {
    /// The weight while all checks pass; at least 1.
    #[serde(serialize_with = "one_if_left_out")]
    pub passing: Option<i64>,
    /// The weight while a check is warning.
    #[serde(serialize_with = "one_if_left_out")]
    pub warning: Option<i64>,
}

/// Writes a missing weight as 1: in files a missing weight means 1, but in a body it would mean 0.
fn one_if_left_out<S: Serializer>(weight: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(weight.unwrap_or(1))
}

impl WeightsDefinition {
    /// The same with 0 for a missing weight.
    #[must_use]
    pub fn or_nothing(self) -> Self {
        Self { passing: self.passing.or(Some(0)), warning: self.warning.or(Some(0)) }
    }
}

/// Where an instance runs, as a user writes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct LocalityDefinition {
    /// The region.
    pub region: String,
    /// The zone; needs a region.
    pub zone: String,
}

/// How a service takes part in the mesh, as a user writes it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConnectDefinition {
    /// The service speaks the mesh's TLS itself.
    pub native: bool,
    /// A sidecar to register along with it; may be empty.
    pub sidecar_service: Option<Box<ServiceDefinition>>,
}

/// Fields whose content belongs to the user.
const OPAQUE: [&str; 3] = ["Config", "Header", "Meta"];
/// Fields that matter even if empty or `false`, because their absence means something else.
const SAYS_BY_PRESENCE: [&str; 2] = ["SidecarService", "H2PingUseTLS"];

/// A body without fields that have their zero value.
fn without_zeros(body: Value) -> Value {
    let Value::Object(members) = body else { return body };
    let kept = members.into_iter().filter_map(|(key, value)| {
        let value = match value {
            Value::Object(_) if !OPAQUE.contains(&key.as_str()) => without_zeros(value),
            Value::Array(items) => Value::Array(items.into_iter().map(without_zeros).collect()),
            other => other,
        };
        let is_zero = match &value {
            Value::Null => true,
            Value::Bool(yes) => !yes && !SAYS_BY_PRESENCE.contains(&key.as_str()),
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => matches!(text.as_str(), "" | "0s"),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty() && !SAYS_BY_PRESENCE.contains(&key.as_str()),
        };
        (!is_zero).then_some((key, value))
    });
    Value::Object(kept.collect())
}

impl CatalogDefinition {
    /// Validates the instance.
    pub(crate) fn resolve(&self) -> Result<ServiceInstance, Faults> {
        let mut definition = self.for_agent();
        // Consul's Go client always sends weights: 0 and 0 if its user set none.
        definition.weights = (definition.weights.map(WeightsDefinition::or_nothing))
            .filter(|weights| (weights.passing, weights.warning) != (Some(0), Some(0)));
        if let Some(connect) = &mut definition.connect {
            connect.sidecar_service = None;
        }
        Ok(definition.resolve()?.service.service)
    }
}

impl ServiceDefinition {
    /// Parses the body of `agent/service/register`.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        let decoded: Self = decode::body(body, REQUEST_DECODE_FAILED)?;
        Ok(decoded.with_own_weights())
    }

    fn with_own_weights(mut self) -> Self {
        self.weights = self.weights.map(WeightsDefinition::or_nothing);
        if let Some(connect) = &mut self.connect {
            let sidecar = connect.sidecar_service.take();
            connect.sidecar_service = sidecar.map(|own| Box::new(own.with_own_weights()));
        }
        self
    }

    /// The definition as a body of `agent/service/register`. It contains the token.
    pub fn to_body(&self) -> Value {
        let told = self.clone().with_check_ids();
        without_zeros(serde_json::to_value(told).expect("definitions have text keys only"))
    }

    /// Renames the ids of inline checks: in bodies Consul's agents accept only `CheckID`; files also allow `id`.
    fn with_check_ids(mut self) -> Self {
        for check in self.check.iter_mut().chain(&mut self.checks) {
            if check.check_id.is_empty() {
                check.check_id = std::mem::take(&mut check.id);
            }
        }
        if let Some(connect) = &mut self.connect {
            let sidecar = connect.sidecar_service.take();
            connect.sidecar_service = sidecar.map(|own| Box::new(own.with_check_ids()));
        }
        self
    }

    /// Decodes a block of a file; `source` names the file in errors.
    pub fn from_node(node: &Node, source: &str) -> Result<Self, Faults> {
        decode::strict(node, source, "")
    }

    /// The nested definition, if there is one.
    pub(super) fn sidecar(&self) -> Option<&Self> {
        self.connect.as_ref()?.sidecar_service.as_deref()
    }

    /// This single service with its checks. `sidecar_of` is set for a nested definition that was completed from its
    /// parent.
    pub(super) fn resolve_service(&self, sidecar_of: Option<&InstanceId>) -> Result<LocalService, Faults> {
        let mut faults = Vec::new();
        let service = self.resolve_instance(sidecar_of.is_some(), &mut faults);
        let service = match service {
            Some(service) if faults.is_empty() => service,
            _ => return Err(Faults::many("Validation failed", faults)),
        };
        let checks = self.resolve_checks(&service.id, &service.service)?;
        Ok(LocalService { service, checks, token: self.token.clone(), sidecar_of: sidecar_of.cloned() })
    }

    fn resolve_instance(&self, sidecar: bool, faults: &mut Vec<Fault>) -> Option<ServiceInstance> {
        field::tenancy(&self.namespace, &self.partition, faults);
        let name: Option<ServiceName> = field::name("Name", &self.name, faults);
        let id_text = if self.id.is_empty() { &self.name } else { &self.id };
        let id: Option<InstanceId> = field::name("ID", id_text, faults);
        let kind = ServiceKind::parse(&self.kind).unwrap_or_else(|| {
            let text =
                format!("Kind: {:?} is not a kind of service; leave it out for an ordinary one", self.kind);
            faults.push(Fault::rule("Kind", text));
            ServiceKind::Typical
        });
        field::meta("Meta", &self.meta, faults);
        let ports = self.resolve_ports(faults);
        let default = ports.iter().find(|port| port.default).map(|port| port.port);
        let port = default.unwrap_or_else(|| field::port("Port", self.port, faults));
        self.check_address(faults);
        let proxy = self.proxy.as_ref().map(|proxy| proxy.resolve(faults));
        proxy::validate(kind, proxy.as_ref(), faults);
        self.check_mesh(kind, port, sidecar, faults);
        let weights = self.resolve_weights(faults);
        let tagged_addresses = self.resolve_tagged(faults);
        let locality = self.resolve_locality(faults);
        Some(ServiceInstance {
            namespace: field::namespace(),
            id: id?,
            service: name?,
            kind,
            tags: self.tags.clone(),
            address: self.address.clone(),
            port,
            ports,
            socket_path: self.socket_path.clone(),
            tagged_addresses,
            meta: self.meta.clone(),
            weights,
            enable_tag_override: self.enable_tag_override,
            proxy: proxy.filter(|_| kind != ServiceKind::Typical),
            native: self.connect.as_ref().is_some_and(|connect| connect.native),
            locality,
            stamp: Stamp::default(),
        })
    }

    fn check_address(&self, faults: &mut Vec<Fault>) {
        if field::is_any_address(&self.address) {
            faults.push(Fault::rule("Address", "Invalid service address"));
        }
        let reachable_by_ip = !self.address.is_empty() || self.port != 0 || !self.ports.is_empty();
        if !self.socket_path.is_empty() && reachable_by_ip {
            let text = format!(
                "service {} cannot have both socket path {} and address/port",
                self.name, self.socket_path
            );
            faults.push(Fault::rule("SocketPath", text));
        }
    }

    /// Checks the rules for ports, native services and nested sidecars, by kind. A sidecar's port may be chosen
    /// later.
    fn check_mesh(&self, kind: ServiceKind, port: u16, sidecar: bool, faults: &mut Vec<Fault>) {
        let shown = kind.as_str();
        let nowhere = port == 0 && self.socket_path.is_empty();
        let native = self.connect.as_ref().is_some_and(|connect| connect.native);
        let mut rule = |field: &str, text: String| faults.push(Fault::rule(field, text));
        match kind {
            ServiceKind::Typical => {
                if native && nowhere {
                    rule("Port", "Port or SocketPath must be set for a Connect native service.".to_owned());
                }
            }
            ServiceKind::ConnectProxy => {
                if nowhere && !sidecar {
                    rule("Port", format!("Port or SocketPath must be set for a {shown}"));
                }
                if native {
                    let text = "A Proxy cannot also be Connect Native, only typical services";
                    rule("Connect.Native", text.to_owned());
                }
                if self.sidecar().is_some() {
                    rule(
                        "Connect.SidecarService",
                        format!("A {shown} cannot have a sidecar service defined"),
                    );
                }
            }
            ServiceKind::MeshGateway | ServiceKind::TerminatingGateway if port == 0 => {
                rule("Port", format!("Port must be non-zero for a {shown}"));
            }
            ServiceKind::MeshGateway
            | ServiceKind::TerminatingGateway
            | ServiceKind::IngressGateway
            | ServiceKind::ApiGateway => {
                if self.sidecar().is_some() {
                    rule(
                        "Connect.SidecarService",
                        format!("A {shown} cannot have a sidecar service defined"),
                    );
                }
            }
        }
    }

    fn resolve_weights(&self, faults: &mut Vec<Fault>) -> Weights {
        match &self.weights {
            None => Weights::default(),
            Some(WeightsDefinition { passing, warning }) => Weights {
                passing: field::weight("Weights.Passing", passing.unwrap_or(1), 1, faults),
                warning: field::weight("Weights.Warning", warning.unwrap_or(1), 0, faults),
            },
        }
    }

    /// The ports by name, by Consul's rules. `Port` may repeat the default one, since answers show both.
    fn resolve_ports(&self, faults: &mut Vec<Fault>) -> Vec<catalog::ServicePort> {
        let mut rule = |text: String| faults.push(Fault::rule("Ports", text));
        let mut names = BTreeSet::new();
        for ServicePort { name, port, .. } in &self.ports {
            if name.trim().is_empty() {
                rule("Ports.Name cannot be empty".to_owned());
            } else if !names.insert(name) {
                rule(format!("Ports.Name {name:?} has to be unique"));
            }
            if *port == 0 {
                rule("Ports.Port must be non-zero".to_owned());
            }
        }
        let mut defaults = self.ports.iter().filter(|port| port.default);
        match (defaults.next(), defaults.next()) {
            (_, Some(_)) => rule("only one port can be marked as default".to_owned()),
            (None, None) if !self.ports.is_empty() => {
                rule("one of the Ports must be marked as Default".to_owned());
            }
            (Some(one), None) if ![0, one.port.into()].contains(&self.port) => {
                rule(
                    "Port and Ports cannot both be set; mark one of the Ports as Default instead".to_owned(),
                );
            }
            (_, None) => {}
        }
        self.ports.iter().map(ServicePort::to_model).collect()
    }

    fn resolve_tagged(&self, faults: &mut Vec<Fault>) -> BTreeMap<String, ServiceAddress> {
        let mut resolve = |tag: &String, AddressDefinition { address, port }: &AddressDefinition| {
            let port = field::port(&format!("TaggedAddresses[{tag}].Port"), *port, faults);
            (tag.clone(), ServiceAddress { address: address.clone(), port })
        };
        self.tagged_addresses.iter().map(|(tag, address)| resolve(tag, address)).collect()
    }

    fn resolve_locality(&self, faults: &mut Vec<Fault>) -> Option<Locality> {
        let LocalityDefinition { region, zone } = self.locality.clone()?;
        if region.is_empty() && !zone.is_empty() {
            faults.push(Fault::rule("Locality.Zone", "Locality.Zone cannot be set without Locality.Region"));
        }
        (!region.is_empty()).then_some(Locality { region, zone })
    }

    fn resolve_checks(&self, id: &InstanceId, name: &ServiceName) -> Result<Vec<CheckSpec>, Faults> {
        let one = self.check.iter().filter(|check| !check.is_empty());
        let written: Vec<&CheckDefinition> = one.chain(&self.checks).collect();
        if written.len() > CHECKS_MAX {
            let text = format!("Checks: at most {CHECKS_MAX} checks are allowed in one definition");
            return Err(Faults::one(Fault::rule("Checks", text)));
        }
        let all = written.len();
        let mut checks: Vec<CheckSpec> = Vec::with_capacity(all);
        for (at, check) in written.into_iter().enumerate() {
            let spec = check.resolve(CheckOwner::Service { id, name, place: (at, all) })?;
            if checks.iter().any(|other| other.id == spec.id) {
                let text =
                    format!("Checks[{at}]: the id {:?} is used twice; give each check its own", spec.id);
                return Err(Faults { context: "Invalid check", faults: vec![Fault::rule("CheckID", text)] });
            }
            checks.push(spec);
        }
        Ok(checks)
    }
}
