//! `reload`: the agent reads its configuration files again.

use concord_client::Client;

use super::Io;
use super::failure::{Exit, Failure, Outcome};
use super::invocation::Invocation;
use super::table::{Command, Run};

pub(crate) static RELOAD: Command = Command {
    name: "reload",
    synopsis: "Makes the agent read its configuration files again",
    usage: &["[options]"],
    about: "Makes the agent read its configuration files again and take over what may change while it runs: \
            services, checks, tokens, log level. The answer says what could not be taken over.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    client.agent_reload(&call.options()).await.map_err(Failure::api("reload the configuration"))?;
    io.line("Configuration reload triggered")?;
    Ok(Exit::SUCCESS)
}
