//! What holds for connections from the mesh: settings of the `mesh` entry, and those of the proxy.

use std::time::Duration;

use concord_model::entry::{Entry, JwtProvider, Mesh, Protocol, RequestNormalization, TlsLimits};
use concord_model::proxy::Settings;
use concord_proxycfg::{IntentionSection, ProxySnapshot, TIMEOUT_MAX};
use serde_json::Value;

use super::outcome::Unsupported;

/// The entries that hold for connections from the mesh.
pub(super) struct Incoming<'a> {
    snapshot: &'a ProxySnapshot,
    mesh: Option<&'a Mesh>,
}

impl<'a> Incoming<'a> {
    pub(super) fn new(snapshot: &'a ProxySnapshot) -> Self {
        let mesh = snapshot.entries.values().find_map(|entry| match &*entry.value {
            Entry::Mesh(own) => Some(&own.said),
            _ => None,
        });
        Self { snapshot, mesh }
    }

    /// Versions and cipher suites of TLS of connections to upstreams.
    pub(super) fn tls_of_upstreams(&self) -> Option<&'a TlsLimits> {
        self.mesh?.tls.as_ref()?.outgoing.as_ref()
    }

    /// Versions and cipher suites of TLS.
    pub(super) fn tls(&self) -> Option<&'a TlsLimits> {
        self.mesh?.tls.as_ref()?.incoming.as_ref()
    }

    pub(super) fn normalization(&self) -> RequestNormalization {
        let http = self.mesh.and_then(|mesh| mesh.http);
        http.and_then(|http| http.incoming?.request_normalization).unwrap_or_default()
    }

    /// Whether the service is not told the caller's certificate.
    pub(super) fn removes_certificates(&self) -> bool {
        self.mesh.and_then(|mesh| mesh.http).is_some_and(|http| http.sanitize_x_forwarded_client_cert)
    }

    /// The issuers of tokens that intentions name. One that is gone verifies nothing.
    pub(super) fn providers(&self, section: &IntentionSection) -> Vec<(&'a str, &'a JwtProvider)> {
        let named = section.providers();
        let entries = self.snapshot.entries.values();
        let issuers = entries.filter_map(|entry| match &*entry.value {
            Entry::JwtProvider(own) => Some((own.scope.name.as_str(), &own.said)),
            _ => None,
        });
        issuers.filter(|(name, _)| named.contains(name)).collect()
    }
}

/// Time limits of a request at the local service; `None`: Envoy's.
pub(super) struct Timeouts {
    pub(super) request: Option<Duration>,
    pub(super) idle: Option<Duration>,
}

impl Timeouts {
    pub(super) fn read(snapshot: &ProxySnapshot) -> Result<Self, Unsupported> {
        let settings = &snapshot.proxy.settings;
        let request = millis(settings, "local_request_timeout_ms")?;
        Ok(Self { request, idle: millis(settings, "local_idle_timeout_ms")? })
    }
}

/// The protocol of the service, if requests are judged one by one.
pub(super) fn http_protocol(snapshot: &ProxySnapshot) -> Option<Protocol> {
    let own = &snapshot.proxy.protocol;
    let known = Protocol::ALL.iter().find(|known| known.as_str().eq_ignore_ascii_case(own));
    known.copied().filter(|known| known.is_http())
}

/// A time limit in milliseconds. Zero means none.
fn millis(settings: &Settings, key: &'static str) -> Result<Option<Duration>, Unsupported> {
    let Some(value) = settings.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let whole = match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let limit = whole.map(Duration::from_millis).filter(|limit| *limit <= TIMEOUT_MAX);
    limit.map(Some).ok_or(Unsupported::Milliseconds { key })
}

/// Writers of HCL and JSON turn 5000 into 5000.0.
fn whole(number: f64) -> Option<u64> {
    let exact = number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&number);
    exact.then_some(number as u64)
}
