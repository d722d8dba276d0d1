//! `intention create`: one intention from two arguments, or those in files.
//!
//! Like Consul's command it uses the older API, which gives an intention an id, a creation time and its own metadata.
//! Intentions that this API refuses are written by source and destination: those with permissions, and those of a
//! service whose entry was written as a whole.

use concord_api::intention::Intention;
use concord_client::{Client, Error, QueryOptions};
use concord_syntax::decode;
use serde_json::{Map, Value, json};

use super::{destination, source};
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, files};

pub(crate) static CREATE: Command = Command {
    name: "intention create",
    synopsis: "Allows or denies a service to call another",
    usage: &["[options] SRC DST", "[options] -file FILE..."],
    about: "Allows or denies SRC to open connections to DST. With -file the arguments are files, each with one \
            intention as the API has it. An intention that is already there is changed only with -replace.",
    flags: &[
        Flag::switch("allow", "Allow. This is the default."),
        Flag::switch("deny", "Deny."),
        Flag::switch("file", "The arguments are files, HCL or JSON."),
        Flag::pairs("meta", "Metadata of the intention."),
        Flag::switch("replace", "Change the intention if it is already there."),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

/// One intention to write.
struct Wanted {
    source: String,
    destination: String,
    /// Source and destination, as the older API has them in its body.
    pair: Map<String, Value>,
    body: Map<String, Value>,
}

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    if call.values.switch("allow") && call.values.switch("deny") {
        return Err(call.usage("-allow and -deny exclude each other"));
    }
    let wanted = if call.values.switch("file") { from_files(call, io)? } else { vec![from_arguments(call)?] };
    for one in wanted {
        write(&one, call, client, io).await?;
    }
    Ok(Exit::SUCCESS)
}

async fn write(wanted: &Wanted, call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let Wanted { source, destination, body, .. } = wanted;
    let options = call.options();
    let doing = || Failure::api(format!("create the intention from {source} to {destination}"));
    let there = match client.intention_exact(source, destination, &options).await {
        Ok(found) => Some(found.value),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(doing()(error)),
    };
    if there.is_some() && !call.values.switch("replace") {
        return Err(Failure::input(format!(
            "there is already an intention from {source} to {destination}; -replace changes it"
        )));
    }
    send(wanted, there.as_ref(), client, &options).await.map_err(doing())?;
    let done = if there.is_some() { "Updated" } else { "Created" };
    let action = body.get("Action").and_then(Value::as_str).unwrap_or("by request");
    io.line(format_args!("{done}: {source} => {destination} ({action})"))?;
    Ok(Exit::SUCCESS)
}

async fn send(
    wanted: &Wanted,
    there: Option<&Intention>,
    client: &Client,
    options: &QueryOptions,
) -> Result<(), Error> {
    let Wanted { source, destination, pair, body } = wanted;
    let by_pair = async || client.intention_write(source, destination, body, options).await;
    if there.is_some_and(|there| there.id.is_empty()) || !is_for_the_older_api(body) {
        return by_pair().await;
    }
    let whole: Map<String, Value> = pair.iter().chain(body).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(there) = there {
        return client.intention_update_by_id(&there.id, &whole, options).await;
    }
    match client.intention_create(&whole, options).await {
        // The older API may be unable to edit the destination's entry.
        Err(refused @ Error::Status { .. }) if !body.contains_key("Meta") => {
            by_pair().await.map_err(|_| refused)
        }
        done => done,
    }
}

fn is_for_the_older_api(body: &Map<String, Value>) -> bool {
    !body.contains_key("Permissions") && !body.contains_key("JWT")
}

fn from_arguments(call: &Invocation<'_>) -> Result<Wanted, Failure> {
    let [source, destination] = call.arguments("SRC and DST")?;
    let mut body = Map::new();
    body.insert("SourceType".to_owned(), json!("consul"));
    body.insert("Action".to_owned(), json!(flagged_action(call).unwrap_or("allow")));
    add_meta(call, &mut body);
    let pair = [("Source", source), ("Destination", destination)].into_iter().flat_map(|(side, text)| {
        let (partition, namespace, name) = parts(text);
        named(side, partition, namespace, name)
    });
    Ok(Wanted { source: source.to_owned(), destination: destination.to_owned(), pair: pair.collect(), body })
}

/// Splits `name`, `namespace/name` or `partition/namespace/name`. The agent has checked that the parts are valid.
fn parts(text: &str) -> (&str, &str, &str) {
    match text.rsplit_once('/') {
        None => ("", "", text),
        Some((scope, name)) => match scope.rsplit_once('/') {
            None => ("", scope, name),
            Some((partition, namespace)) => (partition, namespace, name),
        },
    }
}

/// Source or destination in the form of the older API; missing parts are left out.
fn named(side: &str, partition: &str, namespace: &str, name: &str) -> Vec<(String, Value)> {
    [("Partition", partition), ("NS", namespace), ("Name", name)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(part, value)| (format!("{side}{part}"), json!(value)))
        .collect()
}

fn from_files(call: &Invocation<'_>, io: &mut Io) -> Result<Vec<Wanted>, Failure> {
    if call.values.arguments.is_empty() {
        return Err(call.usage("-file needs at least one file"));
    }
    call.values.arguments.iter().map(|path| from_file(path, call, io)).collect()
}

fn from_file(path: &str, call: &Invocation<'_>, io: &mut Io) -> Result<Wanted, Failure> {
    let tree = files::tree(path, io)?;
    let read: Intention = decode(&tree, files::shown(path)).map_err(|faults| {
        Failure::input(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))
    })?;
    if read.source_name.is_empty() || read.destination_name.is_empty() {
        return Err(Failure::input(format!(
            "{}: SourceName and DestinationName are needed",
            files::shown(path)
        )));
    }
    let mut body = Map::new();
    let written = tree.as_object().into_iter().flat_map(|object| &object.members);
    for entry in written {
        // Source and destination are in the query parameters.
        let plain: String = entry.key.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
        let (key, value) = match plain.as_str() {
            "action" => ("Action", json!(read.action)),
            "permissions" => ("Permissions", json!(read.permissions)),
            "description" => ("Description", json!(read.description)),
            "jwt" => ("JWT", json!(read.jwt)),
            "meta" => ("Meta", json!(read.meta)),
            "sourcetype" => ("SourceType", json!(read.source_type)),
            _ => continue,
        };
        body.insert(key.to_owned(), value);
    }
    if let Some(action) = flagged_action(call) {
        body.insert("Action".to_owned(), json!(action));
    }
    if !body.contains_key("Action") && !body.contains_key("Permissions") {
        body.insert("Action".to_owned(), json!("allow"));
    }
    add_meta(call, &mut body);
    let mut pair: Map<_, _> =
        named("Source", &read.source_partition, &read.source_ns, &read.source_name).into_iter().collect();
    pair.extend(named(
        "Destination",
        &read.destination_partition,
        &read.destination_ns,
        &read.destination_name,
    ));
    Ok(Wanted { source: source(&read), destination: destination(&read), pair, body })
}

fn flagged_action(call: &Invocation<'_>) -> Option<&'static str> {
    match (call.values.switch("allow"), call.values.switch("deny")) {
        (_, true) => Some("deny"),
        (true, false) => Some("allow"),
        (false, false) => None,
    }
}

fn add_meta(call: &Invocation<'_>, body: &mut Map<String, Value>) {
    if !call.values.list("meta").is_empty() {
        body.insert("Meta".to_owned(), json!(call.values.pairs("meta")));
    }
}
