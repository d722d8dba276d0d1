//! The JSON of `connect/intentions/explain`: why a connection is allowed or denied, and which change would reverse
//! that.
//!
//! This endpoint is our own; Consul has none like it. Services and intentions are named as in query strings: `name`,
//! `namespace/name` or `partition/namespace/name`. Sources of a peered cluster have the prefix `peer:<peer>/`.

use serde::{Deserialize, Serialize};

use crate::intention::Intention;
use crate::shape::{is_default, null_default};

/// The answer.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IntentionExplain {
    /// The calling service.
    pub source: String,
    /// The called service.
    pub destination: String,
    /// Whether the connection is allowed.
    pub allowed: bool,
    /// The reason, in Consul's words.
    pub reason: String,
    /// What decided.
    pub decided_by: DecidedBy,
    /// The intention that decided; left out if the default did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intention: Option<Intention>,
    /// Intentions that also cover the pair but do not decide, in order of precedence.
    #[serde(deserialize_with = "null_default")]
    pub shadows: Vec<Intention>,
    /// The smallest change that reverses the verdict; left out if no single change does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smallest_change: Option<ExplainProposal>,
    /// Why no single change reverses the verdict; left out if one does.
    #[serde(skip_serializing_if = "is_default")]
    pub no_change: String,
    /// Changes of the deciding intention itself that reverse the verdict, if the smallest change is another one.
    #[serde(deserialize_with = "null_default")]
    pub alternatives: Vec<ExplainProposal>,
}

/// What decided about a connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// An intention for connections.
    Intention,
    /// An intention with permissions. It denies connections, because they do not show the request.
    Permissions,
    /// No intention covers the pair.
    #[default]
    Default,
}

/// A change of one intention, and its side effects.
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
    /// The present decision: `allow`, `deny` or `permissions`; left out if the intention is to be added.
    #[serde(skip_serializing_if = "is_default")]
    pub from: String,
    /// The new decision: `allow` or `deny`; left out if the intention is to be removed.
    #[serde(skip_serializing_if = "is_default")]
    pub to: String,
    /// The number of other pairs of known services whose verdict changes.
    pub affected: usize,
    /// Whether all pairs were examined; if not, `Affected` is a lower bound.
    pub affected_complete: bool,
    /// The first of those pairs.
    #[serde(deserialize_with = "null_default")]
    pub affected_pairs: Vec<ExplainPair>,
}

/// What to do with an intention.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExplainStep {
    /// Change its decision.
    #[default]
    Set,
    /// Add it.
    Add,
    /// Remove it.
    Remove,
}

/// A pair of services and its verdict after the change.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExplainPair {
    /// The calling service.
    pub source: String,
    /// The called service.
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
