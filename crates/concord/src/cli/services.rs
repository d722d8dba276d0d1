//! `services`: what the agent announces.

pub(super) mod deregister;
pub(super) mod register;

use concord_api::definition::ServiceDefinition;
use concord_syntax::{Entry, Node, decode, same_key};

use super::failure::Failure;
use super::flag::Flag;
use super::table::Command;
use super::{Io, files};

pub(crate) static GROUP: Command = Command::group(
    "services",
    "Registers and deregisters services with the agent",
    "Registers services with the agent, and deregisters them. What is registered this way is kept by the agent over \
     restarts until it is deregistered.",
);

/// The id flag, which both commands have.
const ID: Flag = Flag::text("id", "Id of the instance.");

/// A service found in a file.
struct Found {
    definition: ServiceDefinition,
}

/// The services in files: `service` blocks and `services` lists, as in the agent's own configuration files.
fn from_files(paths: &[String], io: &mut Io) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let tree = files::tree(path, io)?;
        let before = found.len();
        for node in service_nodes(&tree) {
            found.push(read(node, files::shown(path))?);
        }
        if found.len() == before {
            return Err(Failure::input(format!("{}: no service block found", files::shown(path))));
        }
    }
    Ok(found)
}

fn service_nodes(tree: &Node) -> Vec<&Node> {
    let entries: &[Entry] = tree.as_object().map_or(&[], |object| &object.entries);
    let named =
        entries.iter().filter(|entry| same_key(&entry.key, "service") || same_key(&entry.key, "services"));
    named
        .flat_map(|entry| {
            entry.value.as_list().map_or_else(|| vec![&entry.value], |list| list.iter().collect())
        })
        .collect()
}

fn read(node: &Node, source: &str) -> Result<Found, Failure> {
    let definition: ServiceDefinition = decode(node, source).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        Failure::input(lines.join("\n  "))
    })?;
    if definition.name.is_empty() && definition.id.is_empty() {
        return Err(Failure::input(format!("{source}:{}: the service has neither name nor id", node.pos)));
    }
    Ok(Found { definition })
}
