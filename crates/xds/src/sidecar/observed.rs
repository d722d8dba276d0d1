//! How it is observed what a proxy does: the access logs of its listeners and filters, and the traces of its requests.

use concord_envoy_proto::envoy::config::accesslog::v3::AccessLog;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::Tracing;
use concord_envoy_proto::envoy::r#type::v3::Percent;
use concord_envoy_proto::written;
use concord_proxycfg::{ListenerId, ProxySnapshot};
use prost::Message as _;

use super::given::{self, Fault};
use super::outcome::Unserved;
use crate::access_log::Logs;

/// How managers of requests trace.
const TRACING: &str = "envoy_listener_tracing_json";

/// The access logs of a proxy, and how its managers of requests trace.
pub(super) struct Observed {
    logs: Logs,
    tracing: Tracing,
}

impl Observed {
    /// Reads both. Without what cannot be read, Envoy still carries traffic.
    pub(super) fn read(snapshot: &ProxySnapshot, unserved: &mut Vec<Unserved>) -> Self {
        let logs = snapshot.proxy.access_logs.as_deref().map(Logs::read).transpose();
        let logs = logs.map(Option::unwrap_or_default).unwrap_or_else(|fault| {
            unserved.push(Unserved::AccessLogs(fault));
            Logs::default()
        });
        let tracing = given::text(&snapshot.proxy.settings, TRACING);
        let tracing = tracing.and_then(|text| text.map(tracing_of).transpose());
        let tracing = tracing.map(|own| own.unwrap_or_else(by_caller)).unwrap_or_else(|fault| {
            unserved.push(Unserved::Given { of: ListenerId::Inbound, key: TRACING, fault });
            by_caller()
        });
        Self { logs, tracing }
    }

    /// The logs of a filter.
    pub(super) fn of_filter(&self) -> Vec<AccessLog> {
        self.logs.of_filter()
    }

    /// The logs of a listener.
    pub(super) fn of_listener(&self) -> Vec<AccessLog> {
        self.logs.of_listener()
    }

    /// How managers of requests trace.
    pub(super) fn tracing(&self) -> Tracing {
        self.tracing.clone()
    }
}

/// Whether a request is traced is decided by who sends it.
pub(super) fn by_caller() -> Tracing {
    Tracing { random_sampling: Some(Percent { value: 0.0 }), ..Tracing::default() }
}

fn tracing_of(text: &str) -> Result<Tracing, Fault> {
    let read = written::parse::<Tracing>(text)?;
    let own = Tracing::decode(&*written::bytes(&read)).ok().filter(|own| written::of(own) == read);
    // A field that is not generated would be lost.
    own.ok_or(Fault::Tracing)
}
