//! Metrics in the Prometheus text format.

use std::net::SocketAddr;

use crate::http::Http;

/// The metrics at one moment.
#[derive(Clone, Debug)]
pub struct Scrape {
    text: String,
}

impl Scrape {
    /// Fetches the metrics from an address.
    #[track_caller]
    pub fn of(addr: SocketAddr, path: &str) -> Self {
        Self { text: Http::new(addr).get(path).ok().body.clone() }
    }

    /// The metrics in a text.
    pub fn new(text: String) -> Self {
        Self { text }
    }

    /// The sum over all series of a metric whose labels contain `label`.
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let of_name = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
        };
        let values =
            self.text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// All lines of a metric, for messages.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with(name)).collect()
    }
}
