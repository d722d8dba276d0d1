//! The names of the rows in an answer.

use serde_json::Value;

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.pointer(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no {field}: {value}"))
}

fn fields(value: &Value, field: &str) -> Vec<String> {
    list(value).iter().map(|one| text(one, field).to_owned()).collect()
}

pub(crate) fn nothing(_: &Value) -> Vec<String> {
    Vec::new()
}

pub(crate) fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

pub(crate) fn proxies(value: &Value) -> Vec<String> {
    fields(&value["Proxies"], "/Proxy")
}

pub(crate) fn nodes(value: &Value) -> Vec<String> {
    fields(value, "/Node")
}

pub(crate) fn members(value: &Value) -> Vec<String> {
    fields(value, "/Name")
}

pub(crate) fn entries(value: &Value) -> Vec<String> {
    fields(value, "/Name")
}

pub(crate) fn instances(value: &Value) -> Vec<String> {
    fields(value, "/ServiceID")
}

pub(crate) fn services(value: &Value) -> Vec<String> {
    let mut all = keys(value);
    for (name, tags) in value.as_object().unwrap() {
        all.extend(list(tags).iter().map(|tag| format!("{name} {}", tag.as_str().unwrap())));
    }
    all
}

pub(crate) fn node(value: &Value) -> Vec<String> {
    if value.is_null() {
        return Vec::new();
    }
    let mut all = keys(&value["Services"]);
    all.push(text(value, "/Node/Node").to_owned());
    all
}

pub(crate) fn node_services(value: &Value) -> Vec<String> {
    let mut all = fields(&value["Services"], "/ID");
    all.extend(value.pointer("/Node/Node").map(|name| name.as_str().unwrap().to_owned()));
    all
}

pub(crate) fn checks(value: &Value) -> Vec<String> {
    list(value).iter().map(|one| format!("{}/{}", text(one, "/Node"), text(one, "/CheckID"))).collect()
}

pub(crate) fn own_checks(value: &Value) -> Vec<String> {
    checks(&Value::Array(value.as_object().unwrap().values().cloned().collect()))
}

pub(crate) fn own_health(value: &Value) -> Vec<String> {
    let one = value.get(0).unwrap_or(value);
    let mut all = checks(&one["Checks"]);
    all.push(text(one, "/Service/ID").to_owned());
    all
}

pub(crate) fn health(value: &Value) -> Vec<String> {
    let entry = |one: &Value| {
        let mut checks = checks(&one["Checks"]);
        checks.sort();
        checks.iter().fold(text(one, "/Service/ID").to_owned(), |all, check| format!("{all} {check}"))
    };
    list(value).iter().map(entry).collect()
}

pub(crate) fn intentions(value: &Value) -> Vec<String> {
    let pair = |one: &Value| format!("{}>{}", text(one, "/SourceName"), text(one, "/DestinationName"));
    list(value).iter().map(pair).collect()
}

pub(crate) fn served(value: &Value) -> Vec<String> {
    fields(value, "/Service/Name")
}

pub(crate) fn served_nodes(value: &Value) -> Vec<String> {
    let one = |one: &Value| {
        let name = text(one, "/Name").to_owned();
        let nodes = list(&one["Nodes"]).iter().map(|node| format!("{name} {}", node.as_str().unwrap()));
        nodes.chain([name.clone()]).collect::<Vec<_>>()
    };
    list(value).iter().flat_map(one).collect()
}

pub(crate) fn matches(value: &Value) -> Vec<String> {
    value.as_object().unwrap().values().flat_map(intentions).collect()
}

/// The services an explanation names beside the two asked about.
pub(crate) fn affected(value: &Value) -> Vec<String> {
    let proposals = list(&value["Alternatives"]).iter().chain([&value["SmallestChange"]]);
    let pairs = proposals.flat_map(|one| list(&one["AffectedPairs"]));
    let names = pairs.flat_map(|pair| [text(pair, "/Source"), text(pair, "/Destination")]);
    names.filter(|name| !["db", "web"].contains(name)).map(ToOwned::to_owned).collect()
}

/// Whether secrets are shown.
pub(crate) fn secrets(value: &Value) -> Vec<String> {
    let shown = |one: &Value| text(one, "/SecretID") != "<hidden>";
    let any = if value.is_array() { list(value).iter().any(shown) } else { shown(value) };
    if any { vec!["secret".to_owned()] } else { Vec::new() }
}
