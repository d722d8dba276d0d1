//! `info`: counters of the agent, for its operator.

use concord_client::Client;

use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};
use super::{Io, print};

pub(crate) static INFO: Command = Command {
    name: "info",
    synopsis: "Prints counters of the agent",
    usage: &["[options]"],
    about: "Prints what the agent counts of itself, by component: what is registered with it, what its cache holds, how its \
            log of changes stands. The token needs agent:read.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let about =
        client.agent_self(&call.options()).await.map_err(Failure::api("ask the agent about itself"))?;
    for (component, counters) in about.value.stats {
        io.line(format_args!("{component}:"))?;
        for (name, value) in counters {
            // Keep an agent's text on its line.
            let value = print::safe(&value);
            io.line(format_args!("\t{name} = {value}"))?;
        }
    }
    Ok(Exit::SUCCESS)
}
