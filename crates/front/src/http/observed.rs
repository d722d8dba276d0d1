//! Metrics of requests. The labels are bounded by the table of endpoints.

use std::sync::OnceLock;
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

/// The classes of status codes, in the order of their counters.
const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "other"];

/// The metrics of one method and pattern. Each is looked up when it is first used, and kept.
pub(super) struct Observed {
    method: &'static str,
    pattern: &'static str,
    requests: [OnceLock<Counter>; CLASSES.len()],
    took: OnceLock<Histogram>,
}

impl Observed {
    pub(super) fn new(method: &Method, pattern: &'static str) -> Self {
        let method = match *method {
            Method::GET => "GET",
            Method::PUT => "PUT",
            Method::POST => "POST",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        Self { method, pattern, requests: Default::default(), took: OnceLock::new() }
    }

    /// Records one request.
    pub(super) fn record(&self, status: StatusCode, took: Duration) {
        let Self { method, pattern, .. } = *self;
        let class = usize::from(status.as_u16() / 100).wrapping_sub(2).min(CLASSES.len() - 1);
        let requests = || counter!("concord_http_requests_total", "method" => method, "path" => pattern, "status" => CLASSES[class]);
        self.requests[class].get_or_init(requests).increment(1);
        let histogram = || histogram!("consul.api.http", "method" => method, "path" => pattern);
        self.took.get_or_init(histogram).record(took.as_secs_f64() * 1e3);
    }
}
