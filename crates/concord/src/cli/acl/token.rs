//! `acl token`: what proves who asks.

mod clone;
mod create;
mod delete;
mod list;
mod read;
mod update;

pub(crate) use self::clone::CLONE;
pub(crate) use self::create::CREATE;
pub(crate) use self::delete::DELETE;
pub(crate) use self::list::LIST;
pub(crate) use self::read::READ;
pub(crate) use self::update::UPDATE;

use concord_api::acl::Token;
use concord_client::{Client, QueryOptions};
use serde_json::{Map, Value, json};

use super::{policy_id, token_text};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::{Flag, Values};
use crate::cli::invocation::Invocation;
use crate::cli::table::Command;
use crate::cli::{Io, print};

pub(crate) static GROUP: Command = Command::group(
    "acl token",
    "Shows and changes tokens",
    "Shows, makes, changes and deletes tokens. A token is known by its accessor, which may be told, and proves itself \
     by its secret, which may not.",
);

const ACCESSOR_ID: Flag =
    Flag::text("accessor-id", "Accessor of the token; its beginning will do if no other begins so.")
        .placeholder("<id>");
const ID: Flag = Flag::text("id", "Older name of -accessor-id.").placeholder("<id>");
const DESCRIPTION: Flag = Flag::text("description", "What people should know about the token.");
const POLICY_ID: Flag =
    Flag::list("policy-id", "Id of a policy of the token; its beginning will do.").placeholder("<id>");
const POLICY_NAME: Flag = Flag::list("policy-name", "Name of a policy of the token.").placeholder("<name>");
const ROLE_ID: Flag =
    Flag::list("role-id", "Id of a role of the token. Not available yet.").placeholder("<id>");
const ROLE_NAME: Flag =
    Flag::list("role-name", "Name of a role of the token. Not available yet.").placeholder("<name>");
const SERVICE_IDENTITY: Flag =
    Flag::list("service-identity", "Service the token speaks for, everywhere or in these datacenters.")
        .placeholder("<name[:dc1,dc2]>");
const NODE_IDENTITY: Flag =
    Flag::list("node-identity", "Node the token speaks for.").placeholder("<name:dc>");

/// The accessor as given, by either name of the flag.
fn named<'a>(call: &'a Invocation<'_>) -> Result<&'a str, Failure> {
    match (call.values.text("accessor-id"), call.values.text("id")) {
        ("", "") => Err(call.usage("-accessor-id is needed")),
        ("", id) => Ok(id),
        (accessor, _) => Ok(accessor),
    }
}

/// The policies that two flags name, as references for the body of a write.
async fn policies(
    ids: &[String],
    names: &[String],
    client: &Client,
    options: &QueryOptions,
) -> Result<Vec<Value>, Failure> {
    let mut links = Vec::new();
    for id in ids {
        links.push(json!({"ID": policy_id(id, client, options).await?}));
    }
    links.extend(names.iter().map(|name| json!({"Name": name})));
    Ok(links)
}

/// Adds roles and identities, where some were given.
fn add_grants(values: &Values, body: &mut Map<String, Value>) -> Result<(), Failure> {
    let roles: Vec<_> = values
        .list("role-id")
        .iter()
        .map(|id| json!({"ID": id}))
        .chain(values.list("role-name").iter().map(|name| json!({"Name": name})))
        .collect();
    let services: Vec<_> =
        values.list("service-identity").iter().map(|text| service_identity(text)).collect();
    let nodes =
        values.list("node-identity").iter().map(|text| node_identity(text)).collect::<Result<Vec<_>, _>>()?;
    for (key, grants) in [("Roles", roles), ("ServiceIdentities", services), ("NodeIdentities", nodes)] {
        if !grants.is_empty() {
            body.insert(key.to_owned(), Value::Array(grants));
        }
    }
    Ok(())
}

fn service_identity(text: &str) -> Value {
    match text.split_once(':') {
        Some((name, datacenters)) => {
            json!({"ServiceName": name, "Datacenters": datacenters.split(',').collect::<Vec<_>>()})
        }
        None => json!({"ServiceName": text}),
    }
}

fn node_identity(text: &str) -> Result<Value, Failure> {
    match text.split_once(':') {
        Some((node, datacenter)) if !datacenter.contains(':') => {
            Ok(json!({"NodeName": node, "Datacenter": datacenter}))
        }
        _ => Err(Failure::usage(format!("-node-identity: {text:?} is not name:datacenter"))),
    }
}

/// Prints a token with its secret.
fn show(token: &Token, call: &Invocation<'_>, io: &mut Io) -> Outcome {
    if call.wants_json() {
        return print::json(token, io);
    }
    io.text(&token_text(token, call.values.switch("meta"), true))?;
    Ok(Exit::SUCCESS)
}
