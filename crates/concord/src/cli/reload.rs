//! `reload`: the agent reads its configuration files again.

use concord_api::agent::Reloaded;
use concord_client::Client;

use super::Io;
use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};

pub(crate) static RELOAD: Command = Command {
    name: "reload",
    synopsis: "Makes the agent read its configuration files again",
    usage: &["[options]"],
    about: "Makes the agent read its configuration files again and take over what may change while it runs: \
            services, checks, entries, tokens, metadata of the node, log level, filters of metrics, connections per \
            client, when snapshots are taken. Prints what was taken over, and what takes effect only after a restart.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let outcome = client.agent_reload(&call.options()).await;
    let Reloaded { reloaded, after_restart } = outcome.map_err(Failure::api("reload the configuration"))?;
    io.line("Configuration reload triggered")?;
    for key in reloaded {
        io.line(format_args!("  reloaded: {key}"))?;
    }
    for key in after_restart {
        io.line(format_args!("  takes effect only after a restart: {key}"))?;
    }
    Ok(Exit::SUCCESS)
}
