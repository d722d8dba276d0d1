//! The query parameters of all reading endpoints: blocking, consistency, caching, filters.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::{Datacenter, NodeName};
use concord_syntax::duration;

use crate::definition::field;
use crate::fault::{Fault, Faults};

/// The parameters common to all reading endpoints.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReadQuery {
    /// The datacenter to ask; `None`: our own.
    pub datacenter: Option<Datacenter>,
    /// Answer when the result's index is above this one; 0: at once.
    pub min_index: u64,
    /// Answer after this time at the latest; `None`: the agent's default.
    pub wait: Option<Duration>,
    /// Answer when the hash of the content differs from this one.
    pub hash: Option<String>,
    /// Which copy of the data may answer.
    pub consistency: Consistency,
    /// With `stale`: the greatest age of the answer.
    pub max_stale: Option<Duration>,
    /// Whether the agent's cache may answer.
    pub cached: bool,
    /// Sort by distance from this node.
    pub near: Option<Near>,
    /// Only nodes with this metadata.
    pub node_meta: BTreeMap<String, String>,
    /// Filter expression.
    pub filter: Option<String>,
    /// Print with indentation.
    pub pretty: bool,
}

/// Which copy of the data may answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consistency {
    /// The leader, from its lease.
    #[default]
    Default,
    /// Any server.
    Stale,
    /// The leader, after a majority has confirmed it.
    Consistent,
}

/// The node from which distances are measured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Near {
    /// The agent that was asked.
    Agent,
    /// This node.
    Node(NodeName),
}

impl ReadQuery {
    /// Parses decoded pairs of a query string; unknown keys are ignored. If a key is repeated, the last value counts.
    /// `ns` and `partition` other than `default` are refused.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Faults> {
        let mut own = Self::default();
        let (mut dc, mut datacenter) = ("", "");
        let (mut stale, mut consistent, mut leader) = (false, false, false);
        for (key, value) in pairs {
            match key {
                "dc" => dc = value,
                "datacenter" => datacenter = value,
                "index" => own.min_index = value.parse().map_err(|_| bad("index", "Invalid index"))?,
                "wait" => own.wait = Some(wait(value)?),
                "hash" => own.hash = Some(value.to_owned()).filter(|hash| !hash.is_empty()),
                "stale" => stale = true,
                "consistent" => consistent = true,
                "leader" => leader = true,
                "max_stale" => {
                    own.max_stale = Some(max_stale(value)?);
                    stale = true;
                }
                "cached" => own.cached = true,
                "near" => own.near = near(value)?,
                "node-meta" => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    own.node_meta.insert(name.to_owned(), value.to_owned());
                }
                "filter" => own.filter = Some(value.to_owned()).filter(|filter| !filter.is_empty()),
                "pretty" => own.pretty = true,
                "ns" => tenancy("ns", "Namespaces", value)?,
                "partition" => tenancy("partition", "Partitions", value)?,
                _ => {}
            }
        }
        own.datacenter = self::datacenter(if datacenter.is_empty() { dc } else { datacenter })?;
        own.consistency = consistency(stale && !leader, consistent, own.cached)?;
        Ok(own)
    }

    /// Whether the query blocks until a change.
    pub fn blocks(&self) -> bool {
        self.min_index > 0 || self.hash.is_some()
    }
}

fn bad(field: &str, text: &str) -> Faults {
    Faults::one(Fault::rule(field, text))
}

fn wait(value: &str) -> Result<Duration, Faults> {
    duration::parse(value).map_err(|_| bad("wait", "Invalid wait time"))
}

fn max_stale(value: &str) -> Result<Duration, Faults> {
    let shown: String = value.chars().take(64).collect();
    duration::parse(value).map_err(|_| bad("max_stale", &format!("Invalid max_stale value {shown:?}")))
}

fn near(value: &str) -> Result<Option<Near>, Faults> {
    match value {
        "" => Ok(None),
        "_agent" => Ok(Some(Near::Agent)),
        name => {
            let mut faults = Vec::new();
            let near = field::name("near", name, &mut faults).map(Near::Node);
            Faults::or("", faults, near)
        }
    }
}

fn tenancy(parameter: &str, feature: &str, value: &str) -> Result<(), Faults> {
    if value.is_empty() || value == concord_model::name::DEFAULT {
        return Ok(());
    }
    let text =
        format!("Invalid query parameter: \"{parameter}\" - {feature} are a Consul Enterprise feature");
    Err(bad(parameter, &text))
}

fn datacenter(name: &str) -> Result<Option<Datacenter>, Faults> {
    let mut faults = Vec::new();
    let datacenter = field::optional_name("dc", name, &mut faults);
    Faults::or("", faults, datacenter)
}

fn consistency(stale: bool, consistent: bool, cached: bool) -> Result<Consistency, Faults> {
    match (stale, consistent) {
        (true, true) => Err(bad("stale", "Cannot specify ?stale with ?consistent, conflicting semantics.")),
        (false, true) if cached => {
            Err(bad("cached", "Cannot specify ?cached with ?consistent, conflicting semantics."))
        }
        (false, true) => Ok(Consistency::Consistent),
        (true, false) => Ok(Consistency::Stale),
        (false, false) => Ok(Consistency::Default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(pairs: &[(&str, &str)], text: &str) {
        let found = ReadQuery::parse(pairs.iter().copied()).expect_err("must be refused");
        assert_eq!((found.to_string().as_str(), found.status()), (text, 400));
    }

    #[test]
    fn blocking_parameters_are_read() {
        let query = ReadQuery::parse([("index", "7"), ("wait", "5m"), ("x", "y"), ("pretty", "")]).unwrap();
        assert_eq!((query.min_index, query.wait, query.pretty), (7, Some(Duration::from_secs(300)), true));
        assert!(query.blocks());
        refused(&[("index", "-1")], "Invalid index");
        refused(&[("wait", "5")], "Invalid wait time");
    }

    #[test]
    fn modes_that_contradict_are_refused() {
        refused(
            &[("stale", ""), ("consistent", "")],
            "Cannot specify ?stale with ?consistent, conflicting semantics.",
        );
        refused(
            &[("cached", ""), ("consistent", "")],
            "Cannot specify ?cached with ?consistent, conflicting semantics.",
        );
        refused(&[("max_stale", "x")], "Invalid max_stale value \"x\"");
        let query = ReadQuery::parse([("max_stale", "10s")]).unwrap();
        assert_eq!(query.consistency, Consistency::Stale);
    }

    #[test]
    fn only_the_default_namespace_is_there() {
        assert!(ReadQuery::parse([("ns", "default"), ("partition", "")]).is_ok());
        refused(
            &[("ns", "team")],
            "Invalid query parameter: \"ns\" - Namespaces are a Consul Enterprise feature",
        );
        refused(
            &[("partition", "p")],
            "Invalid query parameter: \"partition\" - Partitions are a Consul Enterprise feature",
        );
    }

    #[test]
    fn datacenter_wins_over_dc() {
        let query = ReadQuery::parse([("datacenter", "dc2"), ("dc", "dc1")]).unwrap();
        assert_eq!(query.datacenter.unwrap().as_str(), "dc2");
    }
}
