//! Reports the proxy's connections: each with one log line and its metrics. (`refusals` reports refused connections.)
//!
//! Metric names are Consul's for its own proxy (`inbound.*`, `upstream.*`). The number of callers with their own
//! series is limited, because anybody with a certificate can bring a new name.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use concord_mesh::intention::Verdict;
use concord_model::ServiceRef;
use concord_runtime::{Clock, Instant};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::relay::{Carried, Flow};
use crate::wire::Remote;

/// Distinct callers with their own metric series; later ones share `other`.
pub(crate) const LABELS_MAX: usize = 1_000;

/// The direction of a connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Direction {
    /// From the mesh to the local service.
    Inbound,
    /// From the local service to an upstream.
    Upstream,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Upstream => "upstream",
        }
    }
}

static CALLERS: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// A caller as a metric label: the full identity, so that two services never share a series by accident.
fn caller(service: &ServiceRef) -> String {
    bounded(&mut CALLERS.lock(), service.key())
}

fn bounded(known: &mut HashSet<String>, text: String) -> String {
    if known.contains(&text) {
        return text;
    }
    if known.len() >= LABELS_MAX {
        return "other".to_owned();
    }
    known.insert(text.clone());
    text
}

/// A decision about an inbound connection.
#[derive(Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) remote: Remote,
    pub(crate) identity: &'a str,
    /// Key id of the issuer of the caller's certificate.
    pub(crate) authority: &'a str,
    pub(crate) source: &'a ServiceRef,
    pub(crate) destination: &'a ServiceRef,
    pub(crate) verdict: &'a Verdict,
}

impl Decided<'_> {
    pub(crate) fn emit(&self) {
        let outcome = if self.verdict.allowed { "allow" } else { "deny" };
        metrics::counter!(
            "concord_proxy_verdicts_total", "verdict" => outcome,
            "src" => caller(self.source), "dst" => self.destination.key()
        )
        .increment(1);
        info!(
            remote = %self.remote,
            identity = self.identity,
            authority = self.authority,
            destination = %self.destination,
            verdict = outcome,
            rule = %self.verdict.reason(),
            "connection decided"
        );
    }
}

/// An instance of an upstream was reached and has proved its identity.
#[derive(Debug)]
pub(crate) struct Reached<'a> {
    pub(crate) remote: Remote,
    pub(crate) instance: &'a str,
    pub(crate) identity: &'a str,
    /// Key id of the issuer of the instance's certificate.
    pub(crate) authority: &'a str,
}

impl Reached<'_> {
    pub(crate) fn emit(&self) {
        info!(
            remote = %self.remote,
            instance = self.instance,
            identity = self.identity,
            authority = self.authority,
            "upstream reached"
        );
    }
}

/// An open connection. Reports its end when dropped, whoever drops it.
#[derive(Debug)]
pub(crate) struct Carrying {
    direction: Direction,
    remote: Remote,
    source: String,
    destination: String,
    carried: Carried,
    clock: Arc<dyn Clock>,
    began: Instant,
    end: Result<(), String>,
}

impl Carrying {
    pub(crate) fn begin(
        direction: Direction,
        remote: Remote,
        source: &ServiceRef,
        destination: &ServiceRef,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // Only callers are unknown; all other names come from the configuration, which limits them.
        let source = match direction {
            Direction::Inbound => caller(source),
            Direction::Upstream => source.key(),
        };
        let destination = destination.key();
        let (rx, tx) = match direction {
            Direction::Inbound => ("consul.proxy.inbound.rx_bytes", "consul.proxy.inbound.tx_bytes"),
            Direction::Upstream => ("consul.proxy.upstream.rx_bytes", "consul.proxy.upstream.tx_bytes"),
        };
        let flow = |name: &'static str| {
            Flow::into_metric(metrics::counter!(name, "src" => source.clone(), "dst" => destination.clone()))
        };
        // Bytes received from and sent to the side that opened the connection.
        let carried = Carried { forth: flow(rx), back: flow(tx) };
        let (began, end) = (clock.now(), Err("cut: the proxy stops".to_owned()));
        let own = Self { direction, remote, source, destination, carried, clock, began, end };
        own.gauge().increment(1.0);
        own
    }

    /// The bytes carried so far.
    pub(crate) fn carried(&self) -> &Carried {
        &self.carried
    }

    /// Records the end of the connection, with its error if there was one.
    pub(crate) fn ended(&mut self, end: Result<(), String>) {
        self.end = end;
    }

    fn gauge(&self) -> metrics::Gauge {
        let (src, dst) = (self.source.clone(), self.destination.clone());
        match self.direction {
            Direction::Inbound => metrics::gauge!("consul.proxy.inbound.conns", "src" => src, "dst" => dst),
            Direction::Upstream => metrics::gauge!("consul.proxy.upstream.conns", "src" => src, "dst" => dst),
        }
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.gauge().decrement(1.0);
        let took = self.clock.now() - self.began;
        info!(
            direction = self.direction.as_str(),
            remote = %self.remote,
            src = %self.source,
            dst = %self.destination,
            received = self.carried.forth.bytes(),
            sent = self.carried.back.bytes(),
            millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            why = self.end.as_ref().map_or_else(String::as_str, |()| "both sides ended"),
            "connection ended"
        );
    }
}

/// A problem that an operator should look at.
pub(crate) fn degraded(what: &'static str, detail: &dyn std::fmt::Display) {
    metrics::counter!("concord_proxy_degraded_total", "what" => what).increment(1);
    warn!(what, %detail, "degraded");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_97_a_hundred_thousand_callers_make_a_bounded_number_of_series() {
        let mut known = HashSet::new();
        let series: HashSet<String> =
            (0..100_000).map(|number| bounded(&mut known, format!("caller-{number}"))).collect();
        assert_eq!(series.len(), LABELS_MAX + 1);
        assert_eq!(
            bounded(&mut known, "caller-7".to_owned()),
            "caller-7",
            "those that were first keep theirs"
        );
    }
}
