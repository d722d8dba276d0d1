//! `catalog datacenters`: the datacenters that are known.

use concord_client::Client;

use super::super::Io;
use super::super::command::{Command, Invocation, Run};
use super::super::failure::{Exit, Failure, Outcome};

pub(crate) static DATACENTERS: Command = Command {
    name: "catalog datacenters",
    synopsis: "Lists the datacenters",
    usage: &["[options]"],
    about: "Lists the datacenters that the agent's servers know, the nearest first.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let all =
        client.catalog_datacenters(&call.options()).await.map_err(Failure::api("list the datacenters"))?;
    all.value.iter().try_for_each(|one| io.line(one))?;
    Ok(Exit::SUCCESS)
}
