//! `leave`: the agent leaves its cluster and stops.

use concord_client::Client;

use super::Io;
use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};

pub(crate) static LEAVE: Command = Command {
    name: "leave",
    synopsis: "Makes the agent leave its cluster and end",
    usage: &["[options]"],
    about: "Makes the agent leave its cluster and end. The last server of a datacenter ends without removing itself: \
            started again it has its data.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    client.agent_leave(&call.options()).await.map_err(Failure::api("make the agent leave"))?;
    io.line("Graceful leave complete")?;
    Ok(Exit::SUCCESS)
}
