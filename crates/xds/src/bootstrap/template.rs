//! `envoy_bootstrap_json_tpl`: the whole bootstrap as a template of the user, with the names that Consul's has.
//!
//! ```text
//! {{ .ProxyID }}                       a value
//! {{ if .NodeName }} … {{ else if ne .Namespace "" }} … {{ else }} … {{ end }}
//! {{ range $at, $log := .AdminAccessLogConfig }} … {{ end }}
//! {{- … -}}                            takes away the blanks before and after
//! {{/* … */}}                          nothing
//! ```
//!
//! It is the part of Go's template language that such templates are written in; any other action is refused. What
//! comes out must be JSON.

mod datum;
mod parse;
mod run;

use std::collections::BTreeMap;

use serde_json::Value;

use self::datum::Datum;
use super::error::BootstrapError;
use super::input::{AgentAddress, Authorities, Bootstrap, LOCAL_AGENT};
use super::parts::Parts;
use super::settings::TEMPLATE;

/// The bootstrap that the template says.
pub(super) fn rendered(text: &str, own: &Bootstrap, parts: &Parts) -> Result<Value, BootstrapError> {
    let wrong = |reason: String| BootstrapError::setting(TEMPLATE, reason);
    let nodes = parse::template(text).map_err(wrong)?;
    let out = run::template(&nodes, &fields(own, parts)).map_err(wrong)?;
    serde_json::from_str(&out).map_err(|error| wrong(format!("what it gives is no JSON: {error}")))
}

fn fields(own: &Bootstrap, parts: &Parts) -> BTreeMap<&'static str, Datum> {
    let text = |text: &str| Datum::Text(text.to_owned());
    let option = |own: Option<&str>| text(own.unwrap_or_default());
    let (address, port, socket) = match &own.agent {
        AgentAddress::Socket(place) => (place.ip().to_string(), place.port().to_string(), String::new()),
        AgentAddress::Pipe(path) => (String::new(), String::new(), path.clone()),
    };
    let tls = own.prometheus.tls.as_ref();
    let file = tls.and_then(|tls| match &tls.authorities {
        Authorities::File(path) => Some(path.as_str()),
        Authorities::Inline(_) => None,
    });
    let backend = own.prometheus.backend_port.map(|port| port.to_string());
    let authorities = own.tls.as_ref().map(|tls| escaped(&tls.authorities));
    let (admin, settings) = (&own.admin, &own.settings);
    BTreeMap::from([
        ("AgentAddress", Datum::Text(address)),
        ("AgentPort", Datum::Text(port)),
        ("AgentSocket", Datum::Text(socket)),
        ("AgentTLS", Datum::Truth(own.tls.is_some())),
        ("AgentCAPEM", option(authorities.as_deref())),
        ("ProxyCluster", text(&own.node.service)),
        ("ProxyID", text(&own.node.id)),
        ("NodeName", option(own.node.node_name.as_deref())),
        ("ProxySourceService", text(&own.node.service)),
        ("AdminAccessLogConfig", Datum::List(admin.access_logs.iter().map(Value::to_string).collect())),
        ("AdminAccessLogPath", text(&admin.log_path)),
        ("AdminBindAddress", Datum::Text(admin.bind.ip().to_string())),
        ("AdminBindPort", Datum::Text(admin.bind.port().to_string())),
        ("LocalAgentClusterName", text(LOCAL_AGENT)),
        ("Token", option(own.token.as_ref().map(concord_model::Secret::expose))),
        ("StaticClustersJSON", joined(&parts.resources.clusters)),
        ("StaticListenersJSON", joined(&parts.resources.listeners)),
        ("StaticSecretsJSON", joined(&parts.resources.secrets)),
        ("StatsSinksJSON", joined(&parts.sinks)),
        ("StatsConfigJSON", Datum::Text(parts.stats_config.to_string())),
        ("StatsFlushInterval", option(settings.stats_flush_interval.as_deref())),
        (
            "TracingConfigJSON",
            Datum::Text(settings.tracing.as_ref().map(Value::to_string).unwrap_or_default()),
        ),
        ("Namespace", text("default")),
        ("Partition", text("default")),
        ("Datacenter", text(&own.node.datacenter)),
        ("PrometheusBackendPort", option(backend.as_deref())),
        ("PrometheusScrapePath", text(&own.prometheus.scrape_path)),
        ("PrometheusCAFile", option(file)),
        ("PrometheusCertFile", option(tls.map(|tls| tls.cert_file.as_str()))),
        ("PrometheusKeyFile", option(tls.map(|tls| tls.key_file.as_str()))),
    ])
}

/// Objects as they stand in a list, without the brackets.
fn joined(list: &[Value]) -> Datum {
    Datum::Text(list.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n"))
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.trim_start_matches('"').trim_end_matches('"').to_owned()
}

#[cfg(test)]
mod tests;
