//! The JSON of `connect/intentions/explain`: why a connection or a request is allowed or denied, and which change
//! would reverse that.
//!
//! This endpoint is our own; Consul has none like it. Services and intentions are named as in query strings: `name`,
//! `namespace/name` or `partition/namespace/name`. Sources of a peered cluster have the prefix `peer:<peer>/`.

use concord_model::entry::Weight;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::intention::Intention;
use crate::shape::{is_default, null_default};
use crate::spelled::Spelled;

/// The answer.
///
/// If traffic reaches several services, or if not all is known of those that it reaches, `At` says what is decided at
/// each; then the fields about intentions and changes are empty.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IntentionExplain {
    /// The question and its answer.
    #[serde(flatten)]
    pub question: Explained,
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
    /// The same answer about each service that connections reach, at most 8.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Self>,
}

/// A question, its answer, and where the traffic goes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Explained {
    /// The calling service.
    pub source: String,
    /// The called service.
    pub destination: String,
    /// Whether it is allowed, wherever it goes.
    pub allowed: bool,
    /// The verdict.
    pub verdict: ExplainVerdict,
    /// The service where this is decided; left out if it is the called one.
    #[serde(skip_serializing_if = "is_default")]
    pub judged_at: String,
    /// The reason.
    pub reason: String,
    /// Where the traffic goes; left out if this is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<RouteExplain>,
    /// Why it is not told; left out if it is.
    #[serde(skip_serializing_if = "is_default")]
    pub why_no_route: String,
}

/// The verdict about traffic.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExplainVerdict {
    /// It is allowed wherever it goes.
    Allowed,
    /// It is denied wherever it goes.
    Denied,
    /// The targets differ, or not all of them are known.
    Depends,
    /// It is not known where it goes, or what is decided there.
    #[default]
    Unknown,
}

/// What decided about a connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// An intention for connections.
    Intention,
    /// An intention with permissions. It denies connections, because they do not show the request.
    Permissions,
    /// An entry that demands a token. It denies connections, because they do not show one.
    Token,
    /// Several targets, or some that are not known.
    Targets,
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

/// The answer about a request. `At` is used as in [`IntentionExplain`].
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RequestExplain {
    /// The question and its answer.
    #[serde(flatten)]
    pub question: Explained,
    /// The protocol of the destination.
    pub protocol: String,
    /// Why its discovery chain has another one; left out if it has not.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol_note: String,
    /// What decided.
    pub decided_by: RequestDecidedBy,
    /// The intention that decided; left out if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intention: Option<Intention>,
    /// The path that the backend is sent; left out if it is sent nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// Whether a backend might read this path in another way.
    pub path_ambiguous: bool,
    /// The permissions that were tried, up to the one that decided.
    #[serde(deserialize_with = "null_default")]
    pub tried: Vec<TriedPermission>,
    /// Intentions that also cover the pair but do not decide, in order of precedence.
    #[serde(deserialize_with = "null_default")]
    pub shadows: Vec<Intention>,
    /// The changes that reverse the verdict, the smallest first.
    #[serde(deserialize_with = "null_default")]
    pub changes: Vec<RequestChange>,
    /// Why there is none; left out if there is one.
    #[serde(skip_serializing_if = "is_default")]
    pub why_no_change: String,
    /// The same answer about each service that the request reaches, as it arrives there; at most 8.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub at: Vec<Self>,
}

/// Where traffic goes, and what is decided there.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RouteExplain {
    /// The route; left out if nobody has written one that takes the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<ExplainOrigin>,
    /// What decides the protocol; left out if nobody does, so that it is `tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_origin: Option<ExplainOrigin>,
    /// What the route says: timeouts, retries, changes of path and headers.
    #[serde(deserialize_with = "null_default")]
    pub settings: Vec<ExplainSetting>,
    /// The path as it arrives, with its query; left out for connections.
    #[serde(skip_serializing_if = "is_default")]
    pub path: String,
    /// The parts among which the requests are split; one, if they are not. At most 64.
    #[serde(deserialize_with = "null_default")]
    pub parts: Vec<PartExplain>,
    /// How many parts there are.
    pub parts_count: usize,
}

/// The field of an entry that decides something.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExplainOrigin {
    /// The kind of the entry.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The field, as `Routes[0]`.
    pub field: String,
}

/// A setting that a request meets.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ExplainSetting {
    /// Its name, as in the entry.
    pub setting: String,
    /// Its value, as in the entry.
    pub value: Value,
    /// Where it is written; left out for a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<ExplainOrigin>,
}

impl ExplainSetting {
    /// All that `said` sets, by the names of its fields, but for some of them. `origin` says where a field is written.
    pub fn list<T: Serialize>(
        said: &T,
        except: &[&str],
        origin: impl Fn(&str) -> Option<ExplainOrigin>,
    ) -> Vec<Self> {
        let Ok(Value::Object(fields)) = serde_json::to_value(Spelled(said)) else { return Vec::new() };
        let set =
            fields.into_iter().filter(|(name, value)| !except.contains(&name.as_str()) && is_set(value));
        set.map(|(setting, value)| Self { origin: origin(&setting), setting, value }).collect()
    }
}

/// Whether a value is none of those that a field has without being written.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty() && text != "0s",
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => fields.values().any(is_set),
    }
}

/// A part of the requests.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PartExplain {
    /// Its share, in percent.
    pub weight: Weight,
    /// What leads to it: splits, redirects, default subsets.
    #[serde(deserialize_with = "null_default")]
    pub origins: Vec<ExplainOrigin>,
    /// What is said about connections and requests there.
    #[serde(deserialize_with = "null_default")]
    pub settings: Vec<ExplainSetting>,
    /// Where it goes: the target, then the targets of its failover, in order. At most 16.
    #[serde(deserialize_with = "null_default")]
    pub targets: Vec<TargetExplain>,
}

/// A target, and what is decided there about the request as it arrives.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TargetExplain {
    /// Its id in the discovery chain.
    #[serde(rename = "ID")]
    pub id: String,
    /// The service; with `peer:<peer>/` in front in a peered cluster.
    pub service: String,
    /// The subset; left out for all instances.
    #[serde(skip_serializing_if = "is_default")]
    pub subset: String,
    /// The datacenter; left out in a peered cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub datacenter: String,
    /// What leads from the part to it: the failover, then redirects and default subsets.
    #[serde(deserialize_with = "null_default")]
    pub origins: Vec<ExplainOrigin>,
    /// Whether the request is allowed there; left out if this is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<bool>,
    /// The reason for that, or why it is not known.
    pub reason: String,
}

/// What decided about a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestDecidedBy {
    /// The request was refused before any intention.
    Refused,
    /// The action of an intention.
    Intention,
    /// A permission of an intention.
    Permission,
    /// An intention with permissions, for a destination whose protocol has no requests.
    NoRequests,
    /// A token that an entry demands is missing.
    Token,
    /// Several targets, or some that are not known.
    Targets,
    /// No intention covers the pair, or none of its permissions applies.
    #[default]
    Default,
}

/// A permission that was tried.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TriedPermission {
    /// Its place in `Permissions`, from 0.
    pub permission: usize,
    /// Its action.
    pub action: String,
    /// Whether it decides.
    pub applies: bool,
    /// What its conditions say: `yes`, `no` or `unclear`.
    pub fit: String,
    /// The condition that says no or is unclear, as `HTTP.Header[0]`; left out if all say yes.
    #[serde(skip_serializing_if = "is_default")]
    pub condition: String,
}

/// A change that reverses the verdict about a request, and its side effects.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct RequestChange {
    /// The change as a sentence.
    pub summary: String,
    /// Which other requests of the caller it is about: `request` (the same method and path), `permission` or `pair`.
    pub reach: String,
    /// The number of other callers for whom the same request is judged otherwise.
    pub other_callers: usize,
    /// The first of them.
    #[serde(deserialize_with = "null_default")]
    pub callers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Layout, json};

    #[test]
    fn the_shape_is_read_as_it_is_printed() {
        let explain = IntentionExplain {
            question: Explained {
                source: "web".to_owned(),
                destination: "db".to_owned(),
                verdict: ExplainVerdict::Denied,
                reason: "Default behavior configured by ACLs".to_owned(),
                ..Explained::default()
            },
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
                r#""Verdict":"denied","Reason":"Default behavior configured by ACLs","DecidedBy":"default","Shadows":[],"#,
                r#""SmallestChange":{"Summary":"add intention web =\u003e db: allow","Step":"add","#,
                r#""Source":"web","Destination":"db","To":"allow","Affected":0,"AffectedComplete":true,"#,
                r#""AffectedPairs":[]},"Alternatives":[]}"#
            )
        );
        assert_eq!(serde_json::from_slice::<IntentionExplain>(&printed).unwrap(), explain);
    }
}
