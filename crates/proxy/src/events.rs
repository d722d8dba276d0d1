//! What the proxy tells of its connections: one log line and the metrics, together.
//!
//! Metric names are Consul's for its own proxy (`inbound.*`, `upstream.*`); the names of callers
//! are bounded, for anybody with a certificate can bring a new one.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use concord_mesh::intention::Verdict;
use concord_model::ServiceRef;
use parking_lot::Mutex;
use tracing::{info, warn};

/// Distinct callers that get a metric series of their own; later ones share `other`.
pub(crate) const LABELS_MAX: usize = 1_000;

/// Which way a connection goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Direction {
    /// From the mesh to the local service.
    Inbound,
    /// From the local service to an upstream.
    Upstream,
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Upstream => "upstream",
        }
    }
}

static LABELS: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// A service as a metric label: whole, so that two services never share a series by accident.
fn label(service: &ServiceRef) -> String {
    let text = service.key();
    let mut known = LABELS.lock();
    if known.contains(&text) {
        return text;
    }
    if known.len() >= LABELS_MAX {
        return "other".to_owned();
    }
    known.insert(text.clone());
    text
}

/// A connection that was refused before a byte went through.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    pub(crate) direction: Direction,
    pub(crate) remote: &'a str,
    /// The fixed name of the reason.
    pub(crate) reason: &'static str,
    /// What exactly happened.
    pub(crate) detail: &'a str,
}

impl Refused<'_> {
    pub(crate) fn emit(&self) {
        let direction = self.direction.as_str();
        metrics::counter!("concord_proxy_refused_total", "direction" => direction, "reason" => self.reason)
            .increment(1);
        info!(
            direction,
            remote = self.remote,
            reason = self.reason,
            detail = self.detail,
            "connection refused"
        );
    }
}

/// An inbound connection was decided upon.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) remote: &'a str,
    pub(crate) identity: &'a str,
    pub(crate) source: &'a ServiceRef,
    pub(crate) destination: &'a ServiceRef,
    pub(crate) verdict: &'a Verdict,
}

impl Decided<'_> {
    pub(crate) fn emit(&self) {
        let outcome = if self.verdict.allowed { "allow" } else { "deny" };
        metrics::counter!(
            "concord_proxy_verdicts_total", "verdict" => outcome,
            "src" => label(self.source), "dst" => label(self.destination)
        )
        .increment(1);
        info!(
            remote = self.remote,
            identity = self.identity,
            destination = %self.destination,
            verdict = outcome,
            rule = %self.verdict.reason(),
            "connection decided"
        );
    }
}

/// A connection that carried bytes has begun; tells of its end when dropped.
#[derive(Debug)]
pub(crate) struct Carrying {
    direction: Direction,
    source: String,
    destination: String,
}

impl Carrying {
    pub(crate) fn begin(direction: Direction, source: &ServiceRef, destination: &ServiceRef) -> Self {
        let own = Self { direction, source: label(source), destination: label(destination) };
        own.gauge().increment(1.0);
        own
    }

    fn gauge(&self) -> metrics::Gauge {
        let (src, dst) = (self.source.clone(), self.destination.clone());
        match self.direction {
            Direction::Inbound => metrics::gauge!("consul.proxy.inbound.conns", "src" => src, "dst" => dst),
            Direction::Upstream => metrics::gauge!("consul.proxy.upstream.conns", "src" => src, "dst" => dst),
        }
    }

    fn bytes(&self, received: u64, sent: u64) {
        let (src, dst) = (self.source.clone(), self.destination.clone());
        let (rx, tx) = match self.direction {
            Direction::Inbound => ("consul.proxy.inbound.rx_bytes", "consul.proxy.inbound.tx_bytes"),
            Direction::Upstream => ("consul.proxy.upstream.rx_bytes", "consul.proxy.upstream.tx_bytes"),
        };
        metrics::counter!(rx, "src" => src.clone(), "dst" => dst.clone()).increment(received);
        metrics::counter!(tx, "src" => src, "dst" => dst).increment(sent);
    }

    /// The connection has ended; the bytes are those received from and sent to whoever opened it.
    pub(crate) fn end(self, remote: &str, received: u64, sent: u64, took: Duration, why: &str) {
        self.bytes(received, sent);
        info!(
            direction = self.direction.as_str(),
            remote,
            src = %self.source,
            dst = %self.destination,
            received,
            sent,
            millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            why,
            "connection ended"
        );
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.gauge().decrement(1.0);
    }
}

/// Something an operator should look at.
pub(crate) fn degraded(what: &'static str, detail: &dyn std::fmt::Display) {
    metrics::counter!("concord_proxy_degraded_total", "what" => what).increment(1);
    warn!(what, %detail, "degraded");
}
