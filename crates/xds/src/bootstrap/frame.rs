//! The fixed frame of a bootstrap, and what stands in it.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use super::error::BootstrapError;
use super::input::{AgentAddress, AgentTrust, Bootstrap, LOCAL_AGENT};
use super::parts::Parts;
use super::pieces::{socket_address, static_cluster};
use super::template;

/// The largest program of a regular expression that Envoy accepts here; its own limit is too small for long paths.
const REGEX_PROGRAM_MAX: u32 = 1_048_576;

/// The bootstrap as JSON.
///
/// # Errors
/// When a setting cannot be used.
pub fn json(own: &Bootstrap) -> Result<Value, BootstrapError> {
    let parts = Parts::of(own)?;
    match &own.settings.template {
        Some(text) => template::rendered(text, own, &parts),
        None => Ok(own.assembled(parts)),
    }
}

impl Bootstrap {
    fn assembled(&self, parts: Parts) -> Value {
        let mut resources = Map::new();
        let clusters: Vec<_> = [self.local_agent()].into_iter().chain(parts.resources.clusters).collect();
        resources.insert("clusters".to_owned(), Value::Array(clusters));
        insert_some(&mut resources, "listeners", parts.resources.listeners);
        insert_some(&mut resources, "secrets", parts.resources.secrets);
        let mut all = Map::new();
        all.insert("admin".to_owned(), self.admin());
        all.insert("node".to_owned(), self.node());
        all.insert("layered_runtime".to_owned(), runtime());
        all.insert("static_resources".to_owned(), Value::Object(resources));
        insert_some(&mut all, "stats_sinks", parts.sinks);
        all.insert("stats_config".to_owned(), parts.stats_config);
        if let Some(interval) = &self.settings.stats_flush_interval {
            all.insert("stats_flush_interval".to_owned(), json!(interval));
        }
        if let Some(tracing) = &self.settings.tracing {
            all.insert("tracing".to_owned(), tracing.clone());
        }
        all.insert("dynamic_resources".to_owned(), self.dynamic());
        Value::Object(all)
    }

    fn admin(&self) -> Value {
        json!({ "access_log": self.admin_logs(), "address": socket_address(self.admin.bind) })
    }

    fn admin_logs(&self) -> Vec<Value> {
        if !self.admin.access_logs.is_empty() {
            return self.admin.access_logs.clone();
        }
        vec![json!({
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
                "path": self.admin.log_path,
            },
        })]
    }

    fn node(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(name) = &self.node.node_name {
            metadata.insert("node_name".to_owned(), json!(name));
        }
        metadata.insert("namespace".to_owned(), json!("default"));
        metadata.insert("partition".to_owned(), json!("default"));
        json!({ "cluster": self.node.service, "id": self.node.id, "metadata": metadata })
    }

    fn local_agent(&self) -> Value {
        let address = match &self.agent {
            AgentAddress::Socket(address) => socket_address(*address),
            AgentAddress::Pipe(path) => json!({ "pipe": { "path": path } }),
        };
        let mut cluster = static_cluster(LOCAL_AGENT, "1s", "http2_protocol_options", address);
        if let Some(trust) = &self.tls {
            cluster.insert("transport_socket".to_owned(), upstream_tls(trust));
        }
        Value::Object(cluster)
    }

    fn dynamic(&self) -> Value {
        let by_ads = json!({ "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" });
        let mut service = Map::new();
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_empty()) {
            let shown = json!([{ "key": "x-consul-token", "value": token.expose() }]);
            service.insert("initial_metadata".to_owned(), shown);
        }
        service.insert("envoy_grpc".to_owned(), json!({ "cluster_name": LOCAL_AGENT }));
        json!({
            "lds_config": by_ads,
            "cds_config": by_ads,
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [service],
            },
        })
    }
}

fn insert_some(all: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        all.insert(key.to_owned(), Value::Array(list));
    }
}

fn runtime() -> Value {
    let layer = json!({ "re2.max_program_size.error_level": REGEX_PROGRAM_MAX });
    json!({ "layers": [{ "name": "base", "static_layer": layer }] })
}

fn upstream_tls(trust: &AgentTrust) -> Value {
    let mut context = Map::new();
    context.insert("trusted_ca".to_owned(), json!({ "inline_string": trust.authorities }));
    if let Some(name) = &trust.name {
        let kind = if name.parse::<IpAddr>().is_ok() { "IP_ADDRESS" } else { "DNS" };
        let matcher = json!({ "san_type": kind, "matcher": { "exact": name } });
        context.insert("match_typed_subject_alt_names".to_owned(), json!([matcher]));
    }
    let mut own = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": { "validation_context": context },
    });
    if let Some(name) = trust.name.as_ref().filter(|name| name.parse::<IpAddr>().is_err()) {
        own["sni"] = json!(name);
    }
    json!({ "name": "tls", "typed_config": own })
}
