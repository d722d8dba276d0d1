//! `proxy-defaults`: settings for all proxies and gateways.

use concord_model::ServiceRef;
use concord_model::entry::{
    AccessLogSink, AccessLogs, Entry, MutualTlsMode, Protocol, ProxyDefaults, Record,
};
use serde::Deserialize;

use super::fault::{Fault, Faults};
use super::graph::{GraphFault, Proposed};
use super::limits::TEXT_BYTES_MAX;
use super::{chains, mesh};
use crate::protocol::said_in;

pub(super) fn check(entry: &Record<ProxyDefaults>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ProxyDefaults { config, expose, access_logs, .. } = &entry.said;
    if let Some((key, protocol)) = said_in(config)
        && Protocol::deserialize(protocol).is_err()
    {
        let shown = protocol.to_string().chars().take(64).collect();
        faults.push(format!("Config.{key}"), Fault::NoProtocol { protocol: shown });
    }
    faults.expose(expose);
    check_logs(access_logs, faults);
}

fn check_logs(logs: &AccessLogs, faults: &mut Faults) {
    let AccessLogs { enabled: _, disable_listener_logs: _, sink, path, json_format, text_format } = logs;
    match (*sink == AccessLogSink::File, path.is_empty()) {
        (true, true) => faults.push("AccessLogs.Path", Fault::Required),
        (false, false) => faults.push("AccessLogs.Path", Fault::OnlyForFiles),
        (true, false) | (false, true) => {}
    }
    for (name, text) in [("Path", path), ("JSONFormat", json_format), ("TextFormat", text_format)] {
        faults.no_longer(format!("AccessLogs.{name}"), text, TEXT_BYTES_MAX);
    }
    if !json_format.is_empty() && !text_format.is_empty() {
        faults.push("AccessLogs.JSONFormat and TextFormat", Fault::Exclusive);
    }
    if !json_format.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(json_format).is_err() {
        faults.push("AccessLogs.JSONFormat", Fault::NoJson);
    }
}

pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    let mode = |entry: Option<&Entry>| match entry {
        Some(Entry::ProxyDefaults(entry)) => entry.said.mutual_tls_mode,
        _ => MutualTlsMode::Unset,
    };
    may_be(mode(proposed.to()), mode(proposed.from().as_deref()), proposed)?;
    chains::stay(proposed)
}

pub(super) fn links(_: &Record<ProxyDefaults>) -> Vec<ServiceRef> {
    Vec::new()
}

/// Whether a mode of mutual TLS may replace another one. Changing to permissive mode needs the permission of the
/// `mesh` entry.
pub(super) fn may_be(
    mode: MutualTlsMode,
    before: MutualTlsMode,
    proposed: Proposed<'_>,
) -> Result<(), GraphFault> {
    if mode != MutualTlsMode::Permissive || before == mode || mesh::allows_permissive(proposed) {
        return Ok(());
    }
    Err(GraphFault::Permissive)
}
