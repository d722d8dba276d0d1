//! `acl token`: the tokens that identify callers.

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
use serde_json::{Value, json};

use super::{policy_id, token_text};
use crate::cli::command::{Command, Invocation};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::{Flag, Values};
use crate::cli::{Io, print, unbuilt};

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
    Flag::list("role-id", "Id of a role of the token.").placeholder("<id>").unbuilt(unbuilt::ROLES);
const ROLE_NAME: Flag =
    Flag::list("role-name", "Name of a role of the token.").placeholder("<name>").unbuilt(unbuilt::ROLES);
const VARIABLE: Flag = Flag::list("var", "Variable of the templated policy.")
    .placeholder("<name:value>")
    .unbuilt(unbuilt::TEMPLATED_POLICIES);
const SERVICE_IDENTITY: Flag =
    Flag::list("service-identity", "Service the token speaks for, everywhere or in these datacenters.")
        .placeholder("<name[:dc1,dc2]>");
const NODE_IDENTITY: Flag =
    Flag::list("node-identity", "Node the token speaks for.").placeholder("<name:dc>");

/// The given accessor, from either of the two flags for it.
fn named<'a>(call: &'a Invocation<'_>) -> Result<&'a str, Failure> {
    match (call.values.text("accessor-id"), call.values.text("id")) {
        ("", "") => Err(call.usage("-accessor-id is needed")),
        ("", id) => Ok(id),
        (accessor, _) => Ok(accessor),
    }
}

/// The policies from two flags, as references for a request body: names first, as in Consul.
async fn policies(
    ids: &[String],
    names: &[String],
    client: &Client,
    options: &QueryOptions,
) -> Result<Vec<Value>, Failure> {
    let mut links: Vec<Value> = names.iter().map(|name| json!({"Name": name})).collect();
    for id in ids {
        links.push(json!({"ID": policy_id(id, client, options).await?}));
    }
    Ok(links)
}

/// The service identities from a flag.
fn service_identities(flag: &str, values: &Values) -> Result<Vec<Value>, Failure> {
    let read = |text: &String| match text.split_once(':') {
        Some((_, datacenters)) if datacenters.contains(':') => {
            Err(Failure::usage(format!("-{flag}: {text:?} is not name[:dc1,dc2]")))
        }
        Some((name, datacenters)) => {
            Ok(json!({"ServiceName": name, "Datacenters": datacenters.split(',').collect::<Vec<_>>()}))
        }
        None => Ok(json!({"ServiceName": text})),
    };
    values.list(flag).iter().map(read).collect()
}

/// The node identities from a flag.
fn node_identities(flag: &str, values: &Values) -> Result<Vec<Value>, Failure> {
    let read = |text: &String| match text.split_once(':') {
        Some((node, datacenter)) if !datacenter.contains(':') => {
            Ok(json!({"NodeName": node, "Datacenter": datacenter}))
        }
        _ => Err(Failure::usage(format!("-{flag}: {text:?} is not name:datacenter"))),
    };
    values.list(flag).iter().map(read).collect()
}

/// Prints a token with its secret.
fn show(token: &Token, call: &Invocation<'_>, io: &mut Io) -> Outcome {
    if call.wants_json() {
        return print::json(token, io);
    }
    io.text(&token_text(token, call.values.switch("meta")))?;
    Ok(Exit::SUCCESS)
}
