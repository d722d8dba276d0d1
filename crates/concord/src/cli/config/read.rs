//! `config read`.

use concord_client::Client;
use serde_json::Value;

use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, print};

pub(crate) static READ: Command = Command {
    name: "config read",
    synopsis: "Prints a configuration entry",
    usage: &["[options] -kind=<kind> -name=<name>"],
    about: "Prints a configuration entry as JSON, in a form that config write takes.",
    flags: &[
        Flag::text("kind", "Kind of the entry.").placeholder("<kind>"),
        Flag::text("name", "Name of the entry.").placeholder("<name>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let (kind, name) = (call.required("kind")?, call.required("name")?);
    // As the agent sent it, so that kinds this program does not know are printed completely.
    let entry = client
        .config_entry::<Value>(kind, name, &call.options())
        .await
        .map_err(Failure::api(format!("read the entry {kind}/{name}")))?;
    print::json(&entry.value, io)
}
