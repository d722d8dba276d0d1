//! Shape of `connect/intentions/explain`: why a connection may or may not be made, and what would change that.
//!
//! The endpoint is ours; Consul has none like it. Services and intentions are named as in query strings:
//! `name`, `namespace/name` or `partition/namespace/name`, sources of a peered cluster with `peer:<peer>/`
//! before it.

use serde::{Deserialize, Serialize};

use crate::intention::Intention;
use crate::shape::{is_default, null_default};

/// The answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IntentionExplain {
    /// Who calls.
    pub source: String,
    /// Who is called.
    pub destination: String,
    /// Whether the connection may be made.
    pub allowed: bool,
    /// Why, in Consul's words.
    pub reason: String,
    /// What decided.
    pub decided_by: DecidedBy,
    /// The intention that decided; left out if the default did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intention: Option<Intention>,
    /// Intentions that cover the pair too but do not get to decide, in the order they would.
    #[serde(deserialize_with = "null_default")]
    pub shadows: Vec<Intention>,
    /// The smallest change that flips the verdict; left out if no single one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest_change: Option<ExplainProposal>,
    /// Why no single change flips the verdict; left out if one does.
    #[serde(skip_serializing_if = "is_default")]
    pub no_change: String,
    /// Changes of the deciding intention itself that flip the verdict, where the smallest is another.
    #[serde(deserialize_with = "null_default")]
    pub alternatives: Vec<ExplainProposal>,
}

/// What decided about a connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// An intention about connections.
    Intention,
    /// An intention about requests, which refuses connections that only look at identities.
    Permissions,
    /// No intention covers the pair.
    #[default]
    Default,
}

/// A change of one intention, and what else would change with it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExplainProposal {
    /// The change as a sentence.
    pub summary: String,
    /// What to do with the intention.
    pub step: ExplainStep,
    /// Source of the intention; its name may be `*`.
    pub source: String,
    /// Destination of the intention; its name may be `*`.
    pub destination: String,
    /// What it decides now: `allow`, `deny` or `permissions`; left out if it is to be added.
    #[serde(skip_serializing_if = "is_default")]
    pub from: String,
    /// What it is to decide: `allow` or `deny`; left out if it is to be removed.
    #[serde(skip_serializing_if = "is_default")]
    pub to: String,
    /// How many other pairs of known services get another verdict.
    pub affected: usize,
    /// Whether all pairs were looked at; if not, `Affected` is a lower bound.
    pub affected_complete: bool,
    /// The first of those pairs.
    #[serde(deserialize_with = "null_default")]
    pub affected_pairs: Vec<ExplainPair>,
}

/// What to do with an intention.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExplainStep {
    /// Let it decide otherwise.
    #[default]
    Set,
    /// Add it.
    Add,
    /// Remove it.
    Remove,
}

/// A pair of services and what would become of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExplainPair {
    /// Who calls.
    pub source: String,
    /// Who is called.
    pub destination: String,
    /// Whether it would be allowed after the change.
    pub allowed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Layout, json};

    #[test]
    fn the_shape_is_read_as_it_is_printed() {
        let explain = IntentionExplain {
            source: "web".to_owned(),
            destination: "db".to_owned(),
            reason: "Default behavior configured by ACLs".to_owned(),
            smallest_change: Some(ExplainProposal {
                summary: "add intention web => db: allow".to_owned(),
                step: ExplainStep::Add,
                source: "web".to_owned(),
                destination: "db".to_owned(),
                to: "allow".to_owned(),
                affected_complete: true,
                ..ExplainProposal::default()
            }),
            ..IntentionExplain::default()
        };
        let printed = json(&explain, Layout::Compact).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&printed),
            concat!(
                r#"{"Source":"web","Destination":"db","Allowed":false,"#,
                r#""Reason":"Default behavior configured by ACLs","DecidedBy":"default","Shadows":[],"#,
                r#""SmallestChange":{"Summary":"add intention web =\u003e db: allow","Step":"add","#,
                r#""Source":"web","Destination":"db","To":"allow","Affected":0,"AffectedComplete":true,"#,
                r#""AffectedPairs":[]},"Alternatives":[]}"#
            )
        );
        assert_eq!(serde_json::from_slice::<IntentionExplain>(&printed).unwrap(), explain);
    }
}
