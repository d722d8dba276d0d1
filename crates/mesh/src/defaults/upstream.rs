//! The settings of a proxy's upstreams.
//!
//! For the protocol the order is: `proxy-defaults`, the upstream's own `service-defaults`, and then in the
//! `service-defaults` of the calling service the defaults and the override. For the mode of mesh gateways:
//! `proxy-defaults`, `service-defaults`, its defaults for upstreams, the registered proxy, its override, and the
//! registered upstream. All other settings: its defaults, its override, and the registered upstream.

use std::collections::BTreeMap;

use concord_model::entry::{PassiveHealthCheck, Protocol, UpstreamLimits, UpstreamOverride};
use concord_model::proxy::{ProxyConfig, Settings, Upstream, UpstreamKind};
use concord_model::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef};
use serde_json::{Map, Value, json};

use super::destination;
use super::proxy::Layers;
use super::settings::{self, ToldSettings, is_same};
use super::told::{Origin, Told};
use crate::chain;
use crate::protocol::{Unsaid, protocol};

/// The key under which the mode of mesh gateways is passed through opaque settings.
const MESH_GATEWAY: &str = "mesh_gateway";
const PROTOCOL: &str = "protocol";

/// An upstream with its settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MergedUpstream {
    /// The upstream as registered, or only its name if it is known from entries.
    pub upstream: Upstream,
    /// How connections reach another network.
    pub mesh_gateway: Told<String>,
    /// Opaque settings.
    pub config: ToldSettings,
}

impl MergedUpstream {
    /// The upstream as a registration.
    pub fn into_upstream(self) -> Upstream {
        Upstream {
            mesh_gateway_mode: self.mesh_gateway.value,
            config: settings::values(self.config),
            ..self.upstream
        }
    }
}

/// The name under which settings of an upstream are kept: `*` for those of all upstreams.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Target {
    partition: Partition,
    namespace: Namespace,
    name: Pattern<ServiceName>,
    peer: Option<PeerName>,
}

impl Target {
    fn of(service: ServiceRef) -> Self {
        let ServiceRef { partition, namespace, peer, name } = service;
        Self { partition, namespace, name: Pattern::Exact(name), peer }
    }

    /// The service, if it is one of this cluster.
    fn local(&self) -> Option<ServiceRef> {
        let Self { partition, namespace, name: Pattern::Exact(name), peer: None } = self.clone() else {
            return None;
        };
        Some(ServiceRef { partition, namespace, peer: None, name })
    }

    /// The upstream that only holds the settings of the entries.
    fn central(self, config: ToldSettings) -> MergedUpstream {
        let Self { partition, namespace, name, peer } = self;
        let upstream = Upstream {
            kind: UpstreamKind::Service,
            partition,
            namespace,
            peer,
            name,
            datacenter: None,
            local_bind_address: String::new(),
            local_bind_port: 0,
            local_bind_socket_path: String::new(),
            local_bind_socket_mode: String::new(),
            config: Settings::new(),
            mesh_gateway_mode: String::new(),
            centrally_configured: true,
        };
        MergedUpstream { upstream, mesh_gateway: gateway_of(&config), config }
    }
}

/// Merges the upstreams of a registration with the entries. In transparent mode adds those that only entries name.
pub(super) fn resolve(
    layers: &Layers<'_>,
    registered: &ProxyConfig,
    transparent: bool,
) -> Vec<MergedUpstream> {
    let mut central = central(layers, registered, transparent);
    let mut merged = Vec::with_capacity(registered.upstreams.len());
    for own in &registered.upstreams {
        let target = destination(own).map(Target::of);
        let said = target.as_ref().and_then(|target| central.get(target));
        merged.push(one(own, said));
    }
    for own in registered.upstreams.iter().filter_map(destination) {
        central.remove(&Target::of(own));
    }
    if transparent {
        merged.extend(central.into_iter().map(|(target, config)| target.central(config)));
    }
    merged
}

/// A registered upstream with the settings of the entries.
fn one(own: &Upstream, said: Option<&ToldSettings>) -> MergedUpstream {
    let mut config = settings::registered(own.config.clone());
    let mut mesh_gateway = match own.mesh_gateway_mode.as_str() {
        "" => Told::default(),
        mode => Told::registered(mode.to_owned()),
    };
    if let Some(said) = said {
        if mesh_gateway.origin == Origin::Unset {
            mesh_gateway = gateway_of(said);
        }
        let protocol = config.get(PROTOCOL).cloned();
        settings::fill(&mut config, said.clone());
        // The peered cluster says which protocol its service has.
        if own.peer.is_some() {
            config.remove(PROTOCOL);
            config.extend(protocol.map(|own| (PROTOCOL.to_owned(), own)));
        }
        config.remove(MESH_GATEWAY);
    }
    MergedUpstream { upstream: own.clone(), mesh_gateway, config }
}

/// What the entries say about upstreams. Nothing, if the proxy can have none.
fn central(
    layers: &Layers<'_>,
    registered: &ProxyConfig,
    transparent: bool,
) -> BTreeMap<Target, ToldSettings> {
    let targets: Vec<Target> = registered.upstreams.iter().filter_map(destination).map(Target::of).collect();
    if targets.is_empty() && !transparent {
        return BTreeMap::new();
    }
    let entries = Entries::new(layers, registered);
    let named = targets.into_iter().chain(entries.overrides.keys().cloned());
    let mut found: BTreeMap<_, _> = named.map(|target| (target.clone(), entries.of_one(&target))).collect();
    let ServiceRef { partition, namespace, .. } = layers.served.clone();
    let all = Target { partition, namespace, name: Pattern::Any, peer: None };
    found.insert(all, entries.general);
    found.retain(|_, config| !config.is_empty());
    found
}

/// What the entries say, in the order in which it is looked up.
struct Entries<'a> {
    layers: &'a Layers<'a>,
    registered: &'a ProxyConfig,
    overrides: BTreeMap<Target, &'a UpstreamOverride>,
    protocols: BTreeMap<&'a ServiceRef, Protocol>,
    /// The settings of upstreams without any of their own.
    general: ToldSettings,
}

impl<'a> Entries<'a> {
    fn new(layers: &'a Layers<'a>, registered: &'a ProxyConfig) -> Self {
        let Layers { central, served, .. } = layers;
        let overrides = central.overrides().filter_map(|own| {
            let ServiceRef { partition, namespace, .. } = (*served).clone();
            let name = Pattern::Exact(own.name.clone()?);
            Some((Target { partition, namespace, name, peer: own.peer.clone() }, own))
        });
        Self {
            layers,
            registered,
            overrides: overrides.collect(),
            protocols: central.protocols.iter().map(|own| (&own.service, own.protocol)).collect(),
            general: layers.of_all(registered),
        }
    }

    fn of_one(&self, target: &Target) -> ToldSettings {
        let mut config = ToldSettings::new();
        settings::replace(&mut config, &self.general);
        config.extend(self.protocol_of(target).map(|told| (PROTOCOL.to_owned(), told)));
        self.layers.pass_gateway(&mut config);
        self.layers.pass_defaults(&mut config);
        pass_registered(&mut config, self.registered);
        if let Some(own) = self.overrides.get(target) {
            self.layers.pass(&mut config, own, "UpstreamConfig.Overrides");
        }
        config
    }

    /// The protocol that an upstream's own entry says, or `proxy-defaults`. A peered cluster has its own entries.
    fn protocol_of(&self, target: &Target) -> Option<Told<Value>> {
        let service = target.local();
        let own = service.as_ref().and_then(|service| self.protocols.get(service).copied());
        let service = service.as_ref().unwrap_or(self.layers.served);
        let said = protocol(service, own, self.layers.central.proxies.as_ref(), Unsaid::IsInherited);
        let chain::Origin { entry, field } = said.origin?;
        Some(Told::said(json!(said.protocol.as_str()), &entry, field))
    }
}

impl Layers<'_> {
    /// The settings of upstreams without any of their own. They have no protocol of `proxy-defaults`: it would win
    /// over that of the upstream itself.
    fn of_all(&self, registered: &ProxyConfig) -> ToldSettings {
        let mut config = ToldSettings::new();
        if let Some(written) = self.central.proxies.as_ref().and_then(|all| all.config.get(MESH_GATEWAY)) {
            let told = Told::said(written.clone(), &self.proxies, "Config.mesh_gateway");
            config.insert(MESH_GATEWAY.to_owned(), told);
        }
        self.pass_gateway(&mut config);
        self.pass_defaults(&mut config);
        pass_registered(&mut config, registered);
        config
    }

    fn pass_gateway(&self, config: &mut ToldSettings) {
        let Told { value, origin } = self.mesh_gateway(String::new());
        if origin != Origin::Unset {
            config.insert(MESH_GATEWAY.to_owned(), Told { value: gateway(&value), origin });
        }
    }

    fn pass_defaults(&self, config: &mut ToldSettings) {
        let settings = self.central.service.as_ref().and_then(|own| own.upstream_config.as_ref());
        if let Some(defaults) = settings.and_then(|settings| settings.defaults.as_ref()) {
            self.pass(config, defaults, "UpstreamConfig.Defaults");
        }
    }

    /// Sets what an entry says about an upstream.
    fn pass(&self, config: &mut ToldSettings, own: &UpstreamOverride, at: &'static str) {
        for (key, field, value) in said(own) {
            config.insert(key.to_owned(), Told::said(value, &self.service, format!("{at}.{field}")));
        }
    }
}

/// The mode of the registered proxy wins over those of the entries, but not over an override.
fn pass_registered(config: &mut ToldSettings, registered: &ProxyConfig) {
    let mode = registered.mesh_gateway_mode.as_str();
    if !mode.is_empty() {
        config.insert(MESH_GATEWAY.to_owned(), Told::registered(gateway(mode)));
    }
}

/// What an entry says about an upstream: key, field and value of each setting.
fn said(own: &UpstreamOverride) -> Vec<(&'static str, &'static str, Value)> {
    let UpstreamOverride {
        name: _,
        partition: _,
        namespace: _,
        peer: _,
        envoy_listener_json,
        envoy_cluster_json,
        protocol,
        connect_timeout_ms,
        limits,
        passive_health_check,
        mesh_gateway,
        balance_outbound_connections,
    } = own;
    let text = |text: &str| (!text.is_empty()).then(|| json!(text));
    let mode = mesh_gateway.mode.as_str();
    let all = [
        ("envoy_listener_json", "EnvoyListenerJSON", text(envoy_listener_json)),
        ("envoy_cluster_json", "EnvoyClusterJSON", text(envoy_cluster_json)),
        (PROTOCOL, "Protocol", text(protocol.as_str())),
        (
            "connect_timeout_ms",
            "ConnectTimeoutMs",
            (*connect_timeout_ms != 0).then(|| json!(connect_timeout_ms)),
        ),
        (MESH_GATEWAY, "MeshGateway.Mode", (!mode.is_empty()).then(|| gateway(mode))),
        ("limits", "Limits", limits.as_ref().map(limits_of)),
        ("passive_health_check", "PassiveHealthCheck", passive_health_check.as_ref().map(check_of)),
        (
            "balance_outbound_connections",
            "BalanceOutboundConnections",
            text(balance_outbound_connections.as_str()),
        ),
    ];
    all.into_iter().filter_map(|(key, field, value)| Some((key, field, value?))).collect()
}

fn limits_of(limits: &UpstreamLimits) -> Value {
    let UpstreamLimits { max_connections, max_pending_requests, max_concurrent_requests } = *limits;
    object([
        ("MaxConnections", max_connections.map(|max| json!(max))),
        ("MaxPendingRequests", max_pending_requests.map(|max| json!(max))),
        ("MaxConcurrentRequests", max_concurrent_requests.map(|max| json!(max))),
    ])
}

fn check_of(check: &PassiveHealthCheck) -> Value {
    let PassiveHealthCheck {
        interval,
        max_failures,
        enforcing_consecutive_5xx,
        max_ejection_percent,
        base_ejection_time,
    } = *check;
    object([
        ("Interval", (interval.nanos() != 0).then(|| json!(interval.nanos()))),
        ("MaxFailures", (max_failures != 0).then(|| json!(max_failures))),
        ("EnforcingConsecutive5xx", enforcing_consecutive_5xx.map(|percent| json!(percent))),
        ("MaxEjectionPercent", max_ejection_percent.map(|percent| json!(percent))),
        ("BaseEjectionTime", base_ejection_time.map(|time| json!(time.nanos()))),
    ])
}

/// The members that are set.
fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let set = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(set.collect::<Map<_, _>>())
}

fn gateway(mode: &str) -> Value {
    json!({ "Mode": mode })
}

/// The mode of mesh gateways in opaque settings.
fn gateway_of(config: &ToldSettings) -> Told<String> {
    let Some(told) = config.get(MESH_GATEWAY) else { return Told::default() };
    let members = told.value.as_object().into_iter().flatten();
    let mode = members.filter(|(key, _)| is_same(key, "Mode")).find_map(|(_, mode)| mode.as_str());
    mode.map_or_else(Told::default, |mode| Told { value: mode.to_owned(), origin: told.origin.clone() })
}
