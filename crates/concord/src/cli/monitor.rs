//! `monitor`: follows the agent's log.

use concord_client::Client;

use super::Io;
use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};
use super::flag::Flag;
use crate::run::signals::Signals;

pub(crate) static MONITOR: Command = Command {
    name: "monitor",
    synopsis: "Follows the log of the agent",
    usage: &["[options]"],
    about: "Prints what the agent logs from now on, at a level of its own: debug can be followed while the agent logs at info. \
            Ends with an interrupt, or with code 1 when the agent ends it. The token needs agent:read.",
    flags: &[
        Flag::text("log-level", "The least to print: trace, debug, info, warn or error.").default("INFO"),
        Flag::switch("log-json", "Print JSON, one object per line."),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let (level, json) = (call.values.text("log-level"), call.values.switch("log-json"));
    let failed = Failure::api("follow the agent's log");
    let mut log = client.agent_monitor(level, json, &call.options()).await.map_err(failed)?;
    loop {
        let piece = tokio::select! {
            biased;
            () = signals.end() => return Ok(Exit::SUCCESS),
            piece = log.next() => piece,
        };
        // A broken connection also means that the agent has ended.
        let Ok(Some(piece)) = piece else { break };
        io.text(&String::from_utf8_lossy(&piece))?;
        io.flush().map_err(Failure::Output)?;
    }
    io.line("")?;
    io.line(
        "Remote side ended the monitor: the agent has ended, or the token may not read its log any more.",
    )?;
    Ok(Exit::FAILURE)
}
