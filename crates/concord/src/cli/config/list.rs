//! `config list`.

use concord_client::Client;
use serde_json::Value;

use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;

pub(crate) static LIST: Command = Command {
    name: "config list",
    synopsis: "Lists the configuration entries of a kind",
    usage: &["[options] -kind=<kind>"],
    about: "Prints the names of the configuration entries of a kind, one per line.",
    flags: &[
        Flag::text("kind", "Kind of the entries.").placeholder("<kind>"),
        Flag::text(
            "filter",
            "Only entries this filter expression matches. Agents take it for service-defaults alone.",
        )
        .placeholder("<expression>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let kind = call.required("kind")?;
    let mut options = call.options();
    options.filter = call.values.text("filter").to_owned();
    let entries = client
        .config_entries::<Value>(kind, &options)
        .await
        .map_err(Failure::api(format!("list the entries of kind {kind}")))?;
    for entry in entries.value {
        if let Some(name) = entry.get("Name").and_then(Value::as_str) {
            io.line(name)?;
        }
    }
    Ok(Exit::SUCCESS)
}
