//! `config write`.

use concord_api::Problem;
use concord_api::entry::entry_from_node;
use concord_client::Client;
use concord_syntax::Node;

use super::{CAS, MODIFY_INDEX, cas, entry};
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, files};

pub(crate) static WRITE: Command = Command {
    name: "config write",
    synopsis: "Writes a configuration entry",
    usage: &["[options] FILE"],
    about: "Writes the configuration entry of a file, HCL or JSON with Kind and Name; - stands for the standard input. \
            An entry that is already there is replaced.",
    flags: &[CAS, MODIFY_INDEX],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let [path] = call.arguments("the file")?;
    let cas = cas(call)?;
    let (tree, kind, name) = entry(path, io)?;
    check_shape(&tree, path)?;
    let shown = format!("{kind}/{name}");
    let written = client
        .config_entry_write(&files::value(&tree), cas, &call.options())
        .await
        .map_err(Failure::api(format!("write the entry {shown}")))?;
    if !written {
        return Err(Failure::input(format!("the entry {shown} has changed meanwhile and was not written")));
    }
    io.line(format_args!("Config entry written: {shown}"))?;
    Ok(Exit::SUCCESS)
}

/// Refuses keys and values that the entry's kind does not have, with their position. The agent decides whether the
/// entry is valid; it may know more kinds than this program.
fn check_shape(tree: &Node, path: &str) -> Result<(), Failure> {
    let Err(found) = entry_from_node(tree, files::shown(path)) else { return Ok(()) };
    let misfits = found.faults.iter().filter(|fault| matches!(fault.problem, Problem::Decode(_)));
    let lines: Vec<_> = misfits.map(ToString::to_string).collect();
    if lines.is_empty() { Ok(()) } else { Err(Failure::input(lines.join("\n  "))) }
}
