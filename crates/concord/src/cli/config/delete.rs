//! `config delete`.

use concord_client::{Cas, Client};

use super::{CAS, MODIFY_INDEX, PLAN, cas, entry, plan};
use crate::cli::Io;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;

pub(crate) static DELETE: Command = Command {
    name: "config delete",
    synopsis: "Deletes a configuration entry",
    usage: &["[options] -kind=<kind> -name=<name>", "[options] -filename=<path>"],
    about: "Deletes a configuration entry, named by its kind and name or by the file it was written from.\n\n\
            With -plan nothing is deleted. It tells what would change, as config write -plan does.",
    flags: &[
        CAS,
        Flag::text("filename", "File with the entry.").placeholder("<path>"),
        FORMAT,
        Flag::text("kind", "Kind of the entry.").placeholder("<kind>"),
        MODIFY_INDEX,
        Flag::text("name", "Name of the entry.").placeholder("<name>"),
        PLAN,
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    if call.values.switch("plan") {
        let (kind, name) = named(call, io)?;
        return plan::delete(call, client, (kind, name), io).await;
    }
    let cas = cas(call)?;
    if cas == Cas::IfModifiedAt(0) {
        return Err(
            call.usage("-cas needs -modify-index, and more than 0: what is not there cannot be deleted")
        );
    }
    let (kind, name) = named(call, io)?;
    let deleted = client
        .config_entry_delete(&kind, &name, cas, &call.options())
        .await
        .map_err(Failure::api(format!("delete the entry {kind}/{name}")))?;
    if !deleted {
        return Err(Failure::input(format!(
            "the entry {kind}/{name} has changed meanwhile and was not deleted"
        )));
    }
    io.line(format_args!("Config entry deleted: {kind}/{name}"))?;
    Ok(Exit::SUCCESS)
}

fn named(call: &Invocation<'_>, io: &mut Io) -> Result<(String, String), Failure> {
    match call.values.text("filename") {
        "" => {
            let kind = call.required("kind")?;
            match super::named(kind, call.values.text("name").to_owned()) {
                name if name.is_empty() => Ok((kind.to_owned(), call.required("name")?.to_owned())),
                name => Ok((kind.to_owned(), name)),
            }
        }
        _ if call.values.origin("kind").is_some() || call.values.origin("name").is_some() => {
            Err(call.usage("-filename stands instead of -kind and -name"))
        }
        path => entry(path, io).map(|(_, kind, name)| (kind, name)),
    }
}
