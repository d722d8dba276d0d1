//! `config`: configuration entries.

mod delete;
mod list;
mod plan;
mod read;
mod status;
mod write;

pub(crate) use self::delete::DELETE;
pub(crate) use self::list::LIST;
pub(crate) use self::read::READ;
pub(crate) use self::status::STATUS;
pub(crate) use self::write::WRITE;

use concord_api::Problem;
use concord_api::entry::{entry_from_node, parse_kind};
use concord_client::Cas;
use concord_model::entry::EntryKind;
use concord_syntax::Node;

use super::command::{Command, Invocation};
use super::failure::Failure;
use super::flag::Flag;
use super::{Io, files};

pub(crate) static GROUP: Command = Command::group(
    "config",
    "Shows and changes configuration entries",
    "Shows, writes and deletes configuration entries, which hold what applies to the whole cluster: intentions per \
     destination and, as they become available, defaults, routing and gateways.",
);

const CAS: Flag = Flag::switch("cas", "Only if the entry has not changed since it had -modify-index.");
const MODIFY_INDEX: Flag =
    Flag::unsigned("modify-index", "The entry's ModifyIndex for -cas; 0, or nothing: it must not be there.");

const PLAN: Flag = Flag::switch("plan", "Tell what would change, and change nothing.");

/// The condition from `-cas` and `-modify-index`.
fn cas(call: &Invocation<'_>) -> Result<Cas, Failure> {
    match (call.values.switch("cas"), call.values.unsigned("modify-index")) {
        (false, None) => Ok(Cas::Always),
        (true, index) => Ok(Cas::IfModifiedAt(index.unwrap_or(0))),
        (false, Some(_)) => Err(call.usage("-modify-index counts only with -cas")),
    }
}

/// The tree of a file with one entry, and the entry's kind and name.
fn entry(path: &str, io: &mut Io) -> Result<(Node, String, String), Failure> {
    let tree = files::tree(path, io)?;
    let text = |key: &str| tree.find(key).and_then(Node::as_str).unwrap_or_default().to_owned();
    let (kind, name) = (text("kind"), text("name"));
    if kind.is_empty() {
        return Err(Failure::input(format!("{}: Kind is needed", files::shown(path))));
    }
    let name = named(&kind, name);
    Ok((tree, kind, name))
}

/// The name that is written, or the only one that entries of this kind can have.
fn named(kind: &str, written: String) -> String {
    let only = parse_kind(kind).ok().and_then(EntryKind::only_name).filter(|_| written.is_empty());
    only.map_or(written, ToOwned::to_owned)
}

/// Refuses keys and values that the entry's kind does not have, with their position. The agent decides whether the
/// entry is valid; it may know more kinds than this program.
fn check_shape(tree: &Node, path: &str) -> Result<(), Failure> {
    let Err(found) = entry_from_node(tree, files::shown(path)) else { return Ok(()) };
    let misfits = found.faults.iter().filter(|fault| matches!(fault.problem, Problem::Decode(_)));
    let lines: Vec<_> = misfits.map(ToString::to_string).collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::input(lines.join("\n  "))) }
}
