//! `config write`.

use concord_client::Client;

use super::{CAS, MODIFY_INDEX, cas, entry};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::invocation::Invocation;
use crate::cli::table::{Command, Run};
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
