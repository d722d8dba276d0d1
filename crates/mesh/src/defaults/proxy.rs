//! The settings of a proxy itself.

use concord_model::ServiceRef;
use concord_model::entry::{EntryKind, EntryName, ProxyDefaults, ServiceDefaults};
use concord_model::proxy::{
    AccessLogs, EnvoyExtension, Expose, ExposedPath, MutualTlsMode, ProxyConfig, TransparentProxy,
};
use serde_json::{Value, json};

use super::settings::{self, ToldSettings};
use super::told::Told;
use super::upstream::{self, MergedUpstream};
use super::{Central, TRANSPARENT, defaults_of};

/// The settings of a proxy, each with its origin.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Merged {
    /// How traffic reaches the proxy: empty, `direct` or `transparent`.
    pub mode: Told<String>,
    /// The port to which outgoing connections are redirected; 0: the default.
    pub outbound_listener_port: Told<u16>,
    /// Whether callers may connect to the instance's own address.
    pub dialed_directly: Told<bool>,
    /// Whether connections without the mesh's TLS are accepted.
    pub mutual_tls_mode: Told<MutualTlsMode>,
    /// How connections reach another network.
    pub mesh_gateway: Told<String>,
    /// Whether the paths of checks are exposed.
    pub expose_checks: Told<bool>,
    /// The exposed paths.
    pub expose_paths: Told<Vec<ExposedPath>>,
    /// The access logs.
    pub access_logs: Told<AccessLogs>,
    /// Extensions of Envoy's configuration, in the order in which they apply.
    pub envoy_extensions: Vec<Told<EnvoyExtension>>,
    /// Opaque settings.
    pub config: ToldSettings,
    /// The registered upstreams in their order, then in transparent mode those that only entries name.
    pub upstreams: Vec<MergedUpstream>,
}

/// Merges the registration of a proxy for `service` with the entries.
pub fn resolve(registered: &ProxyConfig, service: &ServiceRef, central: &Central) -> Merged {
    let layers = Layers::new(service, central);
    let transparent = registered.transparent.unwrap_or_default();
    let expose = registered.expose.as_deref().cloned().unwrap_or_default();
    let mode = layers.pick(
        registered.mode.clone(),
        "Mode",
        |own| own.mode.as_str().to_owned(),
        |all| all.mode.as_str().to_owned(),
    );
    // The mode of all upstreams is that of the entries: an upstream sees the registration's own one by itself.
    let upstreams = upstream::resolve(&layers, registered, mode.value == TRANSPARENT);
    Merged {
        mode,
        outbound_listener_port: layers.pick(
            transparent.outbound_listener_port,
            "TransparentProxy.OutboundListenerPort",
            |own| own.transparent_proxy.outbound_listener_port,
            |all| all.transparent_proxy.outbound_listener_port,
        ),
        dialed_directly: layers.pick(
            transparent.dialed_directly,
            "TransparentProxy.DialedDirectly",
            |own| own.transparent_proxy.dialed_directly,
            |all| all.transparent_proxy.dialed_directly,
        ),
        mutual_tls_mode: layers.pick(
            registered.mutual_tls_mode,
            "MutualTLSMode",
            |own| own.mutual_tls_mode,
            |all| all.mutual_tls_mode,
        ),
        mesh_gateway: layers.mesh_gateway(registered.mesh_gateway_mode.clone()),
        expose_checks: layers.pick(
            expose.checks,
            "Expose.Checks",
            |own| own.expose.checks,
            |all| all.expose.checks,
        ),
        expose_paths: layers.pick(
            expose.paths,
            "Expose.Paths",
            |own| own.expose.paths.clone(),
            |all| all.expose.paths.clone(),
        ),
        access_logs: layers.access_logs(registered.access_logs.as_deref()),
        envoy_extensions: layers.extensions(),
        config: layers.config(registered),
        upstreams,
    }
}

impl Merged {
    /// The settings as a registration; what cannot be merged stays as registered.
    pub fn into_config(self, registered: ProxyConfig) -> ProxyConfig {
        let transparent = TransparentProxy {
            outbound_listener_port: self.outbound_listener_port.value,
            dialed_directly: self.dialed_directly.value,
        };
        let expose = Expose { checks: self.expose_checks.value, paths: self.expose_paths.value };
        ProxyConfig {
            mode: self.mode.value,
            transparent: set(transparent),
            mesh_gateway_mode: self.mesh_gateway.value,
            expose: set(expose).map(Box::new),
            config: settings::values(self.config),
            upstreams: self.upstreams.into_iter().map(MergedUpstream::into_upstream).collect(),
            mutual_tls_mode: self.mutual_tls_mode.value,
            access_logs: set(self.access_logs.value).map(Box::new),
            envoy_extensions: self.envoy_extensions.into_iter().map(|told| told.value).collect(),
            ..registered
        }
    }
}

fn set<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// The entries of a proxy, by generality.
pub(super) struct Layers<'a> {
    pub(super) central: &'a Central,
    /// The service whose settings these are.
    pub(super) served: &'a ServiceRef,
    /// The name of its `service-defaults`.
    pub(super) service: EntryName,
    /// The name of `proxy-defaults`.
    pub(super) proxies: EntryName,
}

impl<'a> Layers<'a> {
    fn new(served: &'a ServiceRef, central: &'a Central) -> Self {
        let proxies = EntryName::only(EntryKind::ProxyDefaults);
        Self { central, served, service: defaults_of(served), proxies }
    }

    /// The most particular value that is set.
    fn pick<T: Default + PartialEq>(
        &self,
        registered: T,
        field: &'static str,
        own: impl Fn(&ServiceDefaults) -> T,
        all: impl Fn(&ProxyDefaults) -> T,
    ) -> Told<T> {
        if registered != T::default() {
            return Told::registered(registered);
        }
        let own = self.central.service.as_ref().map(own).filter(|value| *value != T::default());
        let all = || self.central.proxies.as_ref().map(all).filter(|value| *value != T::default());
        let of_service = own.map(|value| Told::said(value, &self.service, field));
        of_service.or_else(|| Some(Told::said(all()?, &self.proxies, field))).unwrap_or_default()
    }

    /// How connections reach another network.
    pub(super) fn mesh_gateway(&self, registered: String) -> Told<String> {
        self.pick(
            registered,
            "MeshGateway.Mode",
            |own| own.mesh_gateway.mode.as_str().to_owned(),
            |all| all.mesh_gateway.mode.as_str().to_owned(),
        )
    }

    /// Only `proxy-defaults` has access logs. They are merged field by field.
    fn access_logs(&self, registered: Option<&AccessLogs>) -> Told<AccessLogs> {
        let Some(own) = registered else {
            return self.pick(
                AccessLogs::default(),
                "AccessLogs",
                |_| AccessLogs::default(),
                |all| all.access_logs.clone(),
            );
        };
        let all = self.central.proxies.as_ref().map(|all| all.access_logs.clone()).unwrap_or_default();
        Told::registered(AccessLogs {
            enabled: own.enabled || all.enabled,
            disable_listener_logs: own.disable_listener_logs || all.disable_listener_logs,
            sink: or(own.sink, all.sink),
            path: or(own.path.clone(), all.path),
            json_format: or(own.json_format.clone(), all.json_format),
            text_format: or(own.text_format.clone(), all.text_format),
        })
    }

    /// Extensions come from entries only. Their versions are not passed on, as in Consul.
    fn extensions(&self) -> Vec<Told<EnvoyExtension>> {
        let all = self.central.proxies.iter().flat_map(|all| &all.envoy_extensions);
        let own = self.central.service.iter().flat_map(|own| &own.envoy_extensions);
        let all = all.map(|extension| (extension, &self.proxies));
        let both = all.chain(own.map(|extension| (extension, &self.service)));
        both.map(|(extension, name)| {
            let EnvoyExtension { name: called, required, arguments, consul_version: _, envoy_version: _ } =
                extension.clone();
            let passed = EnvoyExtension { name: called, required, arguments, ..EnvoyExtension::default() };
            Told::said(passed, name, "EnvoyExtensions")
        })
        .collect()
    }

    fn config(&self, registered: &ProxyConfig) -> ToldSettings {
        let mut general = ToldSettings::new();
        for (key, value) in self.central.proxies.iter().flat_map(|all| &all.config) {
            general.insert(key.clone(), Told::said(value.clone(), &self.proxies, format!("Config.{key}")));
        }
        for (key, field, value) in self.central.service.iter().flat_map(derived) {
            general.insert(key.to_owned(), Told::said(value, &self.service, field));
        }
        let mut merged = settings::registered(registered.config.clone());
        settings::fill(&mut merged, general);
        merged
    }
}

/// The opaque settings that follow from `service-defaults`: key, field and value of each that is set.
fn derived(own: &ServiceDefaults) -> Vec<(&'static str, &'static str, Value)> {
    let ServiceDefaults {
        protocol,
        balance_inbound_connections,
        max_inbound_connections,
        local_connect_timeout_ms,
        local_request_timeout_ms,
        ..
    } = own;
    let texts = [
        ("protocol", "Protocol", protocol.as_str()),
        ("balance_inbound_connections", "BalanceInboundConnections", balance_inbound_connections.as_str()),
    ];
    let numbers = [
        ("max_inbound_connections", "MaxInboundConnections", *max_inbound_connections),
        ("local_connect_timeout_ms", "LocalConnectTimeoutMs", *local_connect_timeout_ms),
        ("local_request_timeout_ms", "LocalRequestTimeoutMs", *local_request_timeout_ms),
    ];
    let texts = texts.into_iter().filter(|(_, _, text)| !text.is_empty());
    let numbers = numbers.into_iter().filter(|(_, _, number)| *number != 0);
    let texts = texts.map(|(key, field, text)| (key, field, json!(text)));
    texts.chain(numbers.map(|(key, field, number)| (key, field, json!(number)))).collect()
}

fn or<T: Default + PartialEq>(own: T, general: T) -> T {
    if own == T::default() { general } else { own }
}
