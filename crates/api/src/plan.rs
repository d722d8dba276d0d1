//! The JSON of `config/plan`: what would change if entries were written.
//!
//! This endpoint is our own; Consul has none like it. Services are named as in `connect/intentions/explain`.

use std::collections::BTreeMap;

use concord_model::entry::{Entry, EntryName};
use concord_syntax::{Kind, Node};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::decode::{self, REQUEST_DECODING_FAILED};
use crate::encode::{Layout, json};
use crate::entry::{ConfigEntry, entry_from_node, parse_kind, parse_name_to_remove};
use crate::fault::{Fault, Faults};
use crate::shape::{is_default, null_default};

/// The most changed fields that are listed for one entry.
pub const FIELDS_LISTED_MAX: usize = 100;

/// A change of a plan.
#[derive(Clone, Debug, PartialEq)]
pub enum PlanItem {
    /// The entry is written.
    Write(Box<Entry>),
    /// The entry is removed.
    Delete(EntryName),
}

/// An entry that is to be removed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DeleteBody {
    kind: String,
    name: String,
    #[serde(rename = "Delete")]
    _delete: bool,
}

/// Parses the body of `POST config/plan`: a list of entries, as `PUT config` takes them. One with `Delete` is removed;
/// of it only `Kind` and `Name` are given.
pub fn decode_plan(body: &[u8]) -> Result<Vec<PlanItem>, Faults> {
    let tree = decode::tree(body, REQUEST_DECODING_FAILED)?;
    let Some(items) = tree.as_list() else {
        let text = format!("the body must be a list of entries, found {}", tree.kind_name());
        return Err(Faults { context: REQUEST_DECODING_FAILED, faults: vec![Fault::rule("", text)] });
    };
    items.iter().enumerate().map(|(at, node)| item(node).map_err(|faults| at_item(at, faults))).collect()
}

fn item(node: &Node) -> Result<PlanItem, Faults> {
    if node.find("Delete").is_none_or(|delete| delete.kind == Kind::Bool(false)) {
        return entry_from_node(node, "request body").map(Box::new).map(PlanItem::Write);
    }
    let DeleteBody { kind, name, _delete } = decode::strict(node, "request body", REQUEST_DECODING_FAILED)?;
    let kind = parse_kind(&kind)?;
    // As in an entry, the only name of a kind may be left out.
    let only = kind.only_name().filter(|_| name.is_empty());
    Ok(PlanItem::Delete(parse_name_to_remove(kind, only.unwrap_or(&name))?))
}

/// Says which item the faults are about.
fn at_item(at: usize, faults: Faults) -> Faults {
    let Faults { context, faults: found } = faults;
    let status = |fault: &Fault| matches!(fault.problem, crate::Problem::NotAvailable(_));
    if found.iter().all(status) {
        return Faults { context, faults: found };
    }
    let text = Faults { context: "", faults: found }.to_string();
    let fault = Fault::rule(format!("[{at}]"), format!("[{at}]: {text}"));
    Faults { context: REQUEST_DECODING_FAILED, faults: vec![fault] }
}

/// The answer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ConfigPlan {
    /// The index of the state that it was made of.
    pub index: u64,
    /// What would become of each entry, in the order of the body.
    #[serde(deserialize_with = "null_default")]
    pub entries: Vec<PlannedEntry>,
    /// How many entries would be refused.
    pub refused: usize,
    /// The verdicts that would be reversed.
    pub verdicts: PlannedVerdicts,
    /// The discovery chains that would change.
    pub chains: PlannedChains,
}

/// What would become of one entry.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedEntry {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What would become of it.
    pub outcome: PlannedOutcome,
    /// The fields that would change; left out if none would.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_default")]
    pub fields: Vec<PlannedField>,
    /// How many of them are not listed.
    #[serde(skip_serializing_if = "is_default")]
    pub fields_left_out: usize,
    /// Why it would be refused; left out if it would not.
    #[serde(skip_serializing_if = "is_default")]
    pub reason: String,
}

/// What would become of one entry.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedOutcome {
    /// It would be new.
    Created,
    /// It would change.
    Changed,
    /// It says the same already; nothing would be written.
    Unchanged,
    /// It would be removed.
    Removed,
    /// It would be removed, but does not exist.
    Absent,
    /// It would be accepted; what it is now is not for the caller to read.
    #[default]
    Accepted,
    /// It would be refused.
    Refused,
}

/// A field that would change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedField {
    /// The field, as `Subsets.v1.Filter`.
    pub field: String,
    /// What it is; `null` if it is not set.
    pub from: Value,
    /// What it would be; `null` if it would not be set.
    pub to: Value,
}

/// The verdicts that would be reversed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedVerdicts {
    /// How many there are: one for a pair whose connections would be judged otherwise, one for each example of a
    /// request.
    pub count: usize,
    /// How many pairs of services they are about.
    pub pairs: usize,
    /// Whether all pairs and examples were judged. If not, the counts are lower bounds.
    pub complete: bool,
    /// How many permissions name requests of which no example was found.
    pub without_example: usize,
    /// The first of them.
    #[serde(deserialize_with = "null_default")]
    pub listed: Vec<PlannedVerdict>,
}

/// A verdict that would be reversed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedVerdict {
    /// The calling service.
    pub source: String,
    /// The called service.
    pub destination: String,
    /// The request; left out if the verdict is about the pair, whatever is requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<PlannedRequest>,
    /// Whether it would be allowed.
    pub allowed: bool,
}

/// A request.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedRequest {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its headers, as `name=value`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_default")]
    pub header: Vec<String>,
    /// The claims of its verified tokens, by provider.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "null_default")]
    pub claims: BTreeMap<String, Value>,
}

/// The discovery chains that would change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedChains {
    /// How many there are.
    pub count: usize,
    /// How many of them would break.
    pub broken: usize,
    /// How many of them are broken and would become whole.
    pub mended: usize,
    /// Whether all chains were compared. If not, the counts are lower bounds.
    pub complete: bool,
    /// The first of them, by service.
    #[serde(deserialize_with = "null_default")]
    pub listed: Vec<PlannedChain>,
}

/// A discovery chain that would change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlannedChain {
    /// The service.
    pub service: String,
    /// What of it is now and would not be any more.
    pub before: ToldChain,
    /// What of it would be and is not now.
    pub after: ToldChain,
}

/// A discovery chain in words.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ToldChain {
    /// Why it cannot be compiled; left out if it can be.
    #[serde(skip_serializing_if = "is_default")]
    pub fault: String,
    /// What it does.
    #[serde(deserialize_with = "null_default")]
    pub lines: Vec<String>,
    /// How many lines are not listed.
    #[serde(skip_serializing_if = "is_default")]
    pub lines_left_out: usize,
}

/// The fields in which two versions of an entry differ, as the API names them, and how many are left out. The indexes
/// and the hash are no fields of the entry. A private key is not shown.
pub fn changed_fields(before: &Entry, after: &Entry) -> (Vec<PlannedField>, usize) {
    let mut all = Vec::new();
    compare("", &told(before), &told(after), &mut all);
    let left_out = all.len().saturating_sub(FIELDS_LISTED_MAX);
    all.truncate(FIELDS_LISTED_MAX);
    (all, left_out)
}

fn told(entry: &Entry) -> Value {
    let bytes = json(&ConfigEntry::from_model(entry), Layout::Compact).expect("the shape has text keys only");
    let mut value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.retain(|key, _| !matches!(key.as_str(), "Hash" | "CreateIndex" | "ModifyIndex" | "Status"));
    }
    value
}

fn compare(at: &str, before: &Value, after: &Value, all: &mut Vec<PlannedField>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(was), Value::Object(is)) => members(at, was, is, all),
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                compare(&format!("{at}[{index}]"), was, is, all);
            }
        }
        _ => all.push(PlannedField { field: at.to_owned(), from: open(at, before), to: open(at, after) }),
    }
}

fn members(at: &str, was: &Map<String, Value>, is: &Map<String, Value>, all: &mut Vec<PlannedField>) {
    let keys = was.keys().chain(is.keys().filter(|key| !was.contains_key(*key)));
    for key in keys {
        let field = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        compare(&field, was.get(key).unwrap_or(&Value::Null), is.get(key).unwrap_or(&Value::Null), all);
    }
}

/// A value as it is shown.
fn open(field: &str, value: &Value) -> Value {
    if field == "PrivateKey" && !value.is_null() {
        Value::String("<hidden>".to_owned())
    } else {
        value.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOLVER: &str = r#"{"Kind":"service-resolver","Name":"web","DefaultSubset":"v1","Subsets":{"v1":{"Filter":"Service.Meta.v == 1"}}}"#;

    fn entry(text: &str) -> Entry {
        crate::entry::decode_entry(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_plan_is_a_list_of_entries_and_of_names_to_remove() {
        let body = format!(r#"[{RESOLVER}, {{"kind":"service-router","name":"web","delete":true}}]"#);
        let items = decode_plan(body.as_bytes()).unwrap();
        let gone = EntryName::parse(concord_model::entry::EntryKind::ServiceRouter, "web").unwrap();
        assert_eq!(items, [PlanItem::Write(Box::new(entry(RESOLVER))), PlanItem::Delete(gone)]);
        let refused = |body: &str, expected: &str| {
            let said = decode_plan(body.as_bytes()).expect_err(body).to_string();
            assert!(said.contains(expected), "{body}: {said}");
        };
        for named in ["", r#","Name":"mesh""#] {
            let items =
                decode_plan(format!(r#"[{{"Kind":"mesh"{named},"Delete":true}}]"#).as_bytes()).unwrap();
            assert_eq!(items, [PlanItem::Delete(EntryName::only(concord_model::entry::EntryKind::Mesh))]);
        }
        refused(r#"[{"Kind":"service-router","Delete":true}]"#, "name must not be empty");
        refused(RESOLVER, "the body must be a list of entries, found an object");
        refused(&format!("[{RESOLVER}, {{}}]"), "[1]: ");
        refused(
            r#"[{"Kind":"service-router","Name":"web","Delete":true,"Routes":[]}]"#,
            "unknown key \"Routes\"",
        );
        refused(r#"[{"Kind":"mesh","Name":"web","Delete":true}]"#, "only \"mesh\" is supported");
        refused(r#"[{"Kind":"service-router","Name":"web","Delete":"yes"}]"#, "Delete");
    }

    #[test]
    fn changed_fields_are_named_as_the_api_names_them() {
        let after = entry(&RESOLVER.replace("v == 1", "v == 2").replace(r#""DefaultSubset":"v1","#, ""));
        let (fields, left_out) = changed_fields(&entry(RESOLVER), &after);
        let told: Vec<_> =
            fields.iter().map(|own| format!("{} {} {}", own.field, own.from, own.to)).collect();
        let filter = r#"Subsets.v1.Filter "Service.Meta.v == 1" "Service.Meta.v == 2""#;
        assert_eq!((told, left_out), (vec![r#"DefaultSubset "v1" null"#.to_owned(), filter.to_owned()], 0));
        assert_eq!(changed_fields(&after, &after), (Vec::new(), 0));
    }
}
