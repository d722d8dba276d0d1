//! `intention list`.

use concord_client::Client;

use super::{action, destination, source};
use crate::cli::columns::Columns;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, print};

/// Exit code if there is nothing to list.
const NOTHING: Exit = Exit(2);

pub(crate) static LIST: Command = Command {
    name: "intention list",
    synopsis: "Lists all intentions",
    usage: &["[options]"],
    about: "Lists all intentions the token may read, those first that are asked first. Exits with 2 if there are none.",
    flags: &[
        Flag::text("filter", "Only intentions this filter expression matches.").placeholder("<expression>"),
        FORMAT,
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let mut options = call.options();
    options.filter = call.values.text("filter").to_owned();
    let intentions = client.intentions(&options).await.map_err(Failure::api("list the intentions"))?.value;
    if call.wants_json() {
        return print::json(&intentions, io);
    }
    if intentions.is_empty() {
        io.remark("There are no intentions.")?;
        return Ok(NOTHING);
    }
    let mut table = Columns::new(["ID", "Source", "Action", "Destination", "Precedence"]);
    for intention in &intentions {
        table.row([
            &intention.id,
            &source(intention),
            &action(intention),
            &destination(intention),
            &intention.precedence.to_string(),
        ]);
    }
    io.text(&table.render())?;
    Ok(Exit::SUCCESS)
}
