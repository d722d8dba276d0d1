//! Options that a request may have besides its subject, and the metadata of an answer.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::Secret;
use http::HeaderMap;

use crate::config::Config;
use crate::limits;

/// Options of a request. By default the current state is requested at once, with the client's token.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// The datacenter; empty: the client's.
    pub datacenter: String,
    /// Namespace; empty: the client's.
    pub namespace: String,
    /// Partition; empty: the client's.
    pub partition: String,
    /// The peered cluster from which the result is imported; empty: none.
    pub peer: String,
    /// How fresh the answer must be.
    pub consistency: Consistency,
    /// Block until the index of the result is above this one; 0: do not block.
    pub index: u64,
    /// Block until the hash of the result differs from this one; empty: do not block.
    pub hash: String,
    /// How long to block; `None`: the agent's default.
    pub wait: Option<Duration>,
    /// Token of this request; `None`: the client's.
    pub token: Option<Secret>,
    /// Filter expression; empty: none.
    pub filter: String,
    /// Whether the agent may answer from its cache.
    pub cached: bool,
    /// Sort by distance from this node; `_agent`: from the agent's node; empty: do not sort.
    pub near: String,
    /// Only instances all of whose checks pass.
    pub passing: bool,
    /// Only instances with all of these tags.
    pub tags: Vec<String>,
    /// Only nodes with this metadata.
    pub node_meta: BTreeMap<String, String>,
    /// The greatest age of an answer; implies [`Consistency::Stale`]. `None`: any age.
    pub max_stale: Option<Duration>,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consistency {
    /// The leader answers from its lease.
    #[default]
    Default,
    /// Any server answers with what it has.
    Stale,
    /// The leader asks a quorum first.
    Consistent,
}

/// A value with the metadata of its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// The metadata in the headers.
    pub meta: QueryMeta,
}

/// Metadata from the headers of an answer. Missing or invalid headers give the default.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct QueryMeta {
    /// Index of the result, for the next blocking request; 0 if the endpoint has none.
    pub index: u64,
    /// Hash of the result, for the next blocking request; empty if the endpoint has none.
    pub content_hash: String,
    /// Whether the servers know a leader; `None` if the answer does not say.
    pub known_leader: Option<bool>,
    /// Time since the answering server heard from the leader.
    pub last_contact: Duration,
    /// Whether the agent's cache had the result; `None` if the cache was not used.
    pub cache: Option<CacheHit>,
    /// Whether records were left out because the token may not read them.
    pub filtered_by_acls: bool,
    /// Whether the default policy denies.
    pub denies_by_default: bool,
    /// The effective consistency: `leader`, `stale`, `consistent`; empty if the answer does not say.
    pub effective_consistency: String,
}

/// The result of the agent's cache.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheHit {
    /// It had the result, which is this old (in whole seconds).
    Hit(Duration),
    /// It had to fetch the result.
    Miss,
}

// === impl QueryOptions ===

impl QueryOptions {
    /// Options that block until the result is newer than the one that `meta` describes.
    #[must_use]
    pub fn after(mut self, meta: &QueryMeta) -> Self {
        // An index that decreases means a restored or rebuilt state, so start again. 0 would not block, so use 1.
        self.index = if meta.index < self.index { 0 } else { meta.index.max(1) };
        self.hash.clone_from(&meta.content_hash);
        self
    }

    pub(crate) fn blocks(&self) -> bool {
        self.index > 0 || !self.hash.is_empty()
    }

    /// The time limit for the answer to a request with these options.
    pub(crate) fn deadline(&self, config: &Config) -> Duration {
        if !self.blocks() {
            return config.answer_timeout;
        }
        let wait = self.wait.unwrap_or(limits::DEFAULT_WAIT);
        // The agent adds up to a sixteenth, so that waiting clients do not all return at once.
        wait.saturating_add(wait / 16).saturating_add(config.answer_timeout)
    }

    /// The query parameters for these options, in a fixed order.
    pub(crate) fn parameters(&self, config: &Config) -> Vec<(&'static str, String)> {
        let or = |own: &str, default: &str| if own.is_empty() { default.to_owned() } else { own.to_owned() };
        let mut found = vec![
            ("dc", or(&self.datacenter, &config.datacenter)),
            ("ns", or(&self.namespace, &config.namespace)),
            ("partition", or(&self.partition, &config.partition)),
            ("peer", self.peer.clone()),
            ("filter", self.filter.clone()),
            ("near", self.near.clone()),
            ("hash", self.hash.clone()),
        ];
        found.retain(|(_, value)| !value.is_empty());
        if self.index > 0 {
            found.push(("index", self.index.to_string()));
        }
        if let Some(wait) = self.wait {
            found.push(("wait", format!("{}ms", wait.as_millis())));
        }
        found.extend(self.tags.iter().map(|tag| ("tag", tag.clone())));
        found.extend(self.node_meta.iter().map(|(key, value)| ("node-meta", format!("{key}:{value}"))));
        if let Some(max) = self.max_stale {
            found.push(("max_stale", format!("{}ms", max.as_millis())));
        }
        match self.consistency {
            Consistency::Default => {}
            Consistency::Stale => found.push(("stale", String::new())),
            Consistency::Consistent => found.push(("consistent", String::new())),
        }
        if self.cached {
            found.push(("cached", String::new()));
        }
        if self.passing {
            found.push(("passing", "1".to_owned()));
        }
        found
    }
}

impl<T: Default> Answer<Option<T>> {
    /// Reads `null`, which Go writes for an empty list or map, as empty.
    pub(crate) fn or_empty(self) -> Answer<T> {
        Answer { value: self.value.unwrap_or_default(), meta: self.meta }
    }
}

// === impl QueryMeta ===

impl QueryMeta {
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let number = |name: &str| text(name).parse::<u64>().unwrap_or_default();
        Self {
            index: number("x-consul-index"),
            content_hash: text("x-consul-contenthash").to_owned(),
            known_leader: text("x-consul-knownleader").parse().ok(),
            last_contact: Duration::from_millis(number("x-consul-lastcontact")),
            cache: match text("x-cache") {
                "HIT" => Some(CacheHit::Hit(Duration::from_secs(number("age")))),
                "MISS" => Some(CacheHit::Miss),
                _ => None,
            },
            filtered_by_acls: text("x-consul-results-filtered-by-acls") == "true",
            denies_by_default: text("x-consul-default-acl-policy") == "deny",
            effective_consistency: text("x-consul-effective-consistency").to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_blocking_request_gets_its_wait_and_the_margin() {
        let config = Config::default();
        let plain = QueryOptions::default();
        assert_eq!(plain.deadline(&config), limits::ANSWER_TIMEOUT);
        let waiting = QueryOptions { wait: Some(Duration::from_secs(160)), index: 7, ..plain.clone() };
        assert_eq!(waiting.deadline(&config), Duration::from_secs(170) + limits::ANSWER_TIMEOUT);
        // Without an index or a hash the agent answers at once, whatever the wait.
        let idle = QueryOptions { wait: Some(Duration::from_secs(160)), ..plain };
        assert_eq!(idle.deadline(&config), limits::ANSWER_TIMEOUT);
    }

    #[test]
    fn headers_are_read() {
        let meta = QueryMeta::from_headers(&headers(&[
            ("x-consul-index", "42"),
            ("x-consul-knownleader", "true"),
            ("x-consul-lastcontact", "17"),
            ("x-cache", "HIT"),
            ("age", "3"),
            ("x-consul-results-filtered-by-acls", "true"),
            ("x-consul-contenthash", "abc"),
            ("x-consul-effective-consistency", "leader"),
        ]));
        assert_eq!(meta.index, 42);
        assert_eq!(meta.known_leader, Some(true));
        assert_eq!(meta.last_contact, Duration::from_millis(17));
        assert_eq!(meta.cache, Some(CacheHit::Hit(Duration::from_secs(3))));
        assert!(meta.filtered_by_acls);
        assert_eq!((meta.content_hash.as_str(), meta.effective_consistency.as_str()), ("abc", "leader"));
    }

    #[test]
    fn missing_and_broken_headers_leave_the_default() {
        let broken =
            headers(&[("x-consul-index", "-1"), ("x-consul-knownleader", "maybe"), ("x-cache", "?")]);
        assert_eq!(QueryMeta::from_headers(&broken), QueryMeta::default());
    }

    #[test]
    fn the_next_blocking_request_starts_over_when_the_index_goes_back() {
        let at = |index| QueryMeta { index, ..QueryMeta::default() };
        assert_eq!(QueryOptions::default().after(&at(9)).index, 9);
        assert_eq!(QueryOptions::default().after(&at(0)).index, 1);
        assert_eq!(QueryOptions { index: 9, ..QueryOptions::default() }.after(&at(4)).index, 0);
    }

    #[test]
    fn options_become_parameters() {
        let config = Config { datacenter: "dc9".to_owned(), namespace: "n".to_owned(), ..Config::default() };
        let options = QueryOptions {
            datacenter: "dc2".to_owned(),
            index: 5,
            wait: Some(Duration::from_millis(1500)),
            consistency: Consistency::Stale,
            passing: true,
            tags: vec!["a".to_owned(), "b".to_owned()],
            node_meta: BTreeMap::from([("os".to_owned(), "linux".to_owned())]),
            max_stale: Some(Duration::from_secs(1)),
            ..QueryOptions::default()
        };
        let written: Vec<_> =
            options.parameters(&config).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            written,
            [
                "dc=dc2",
                "ns=n",
                "index=5",
                "wait=1500ms",
                "tag=a",
                "tag=b",
                "node-meta=os:linux",
                "max_stale=1000ms",
                "stale=",
                "passing=1"
            ]
        );
        assert!(QueryOptions::default().parameters(&Config::default()).is_empty());
    }
}
