//! `config write`.

use concord_client::Client;

use super::{CAS, MODIFY_INDEX, PLAN, cas, check_shape, entry, plan};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, files};

pub(crate) static WRITE: Command = Command {
    name: "config write",
    synopsis: "Writes a configuration entry",
    usage: &["[options] FILE", "-plan [options] FILE..."],
    about: "Writes the configuration entry of a file, HCL or JSON with Kind and Name; - stands for the standard input. \
            An entry that is already there is replaced.\n\n\
            With -plan nothing is written. It tells what would change if the entries of the files were written in this \
            order: the entries themselves, the verdicts about connections and requests that would be reversed, and \
            the discovery chains that would change, break or become whole. It ends with code 0 if all entries would \
            be accepted, with 2 if one would be refused, and with 1 if there is no plan.",
    flags: &[CAS, FORMAT, MODIFY_INDEX, PLAN],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    if call.values.switch("plan") {
        return plan::write(call, client, io).await;
    }
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
