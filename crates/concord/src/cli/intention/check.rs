//! `intention check`: whether one service may call another. The answer is also the exit code.

use concord_client::Client;

use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};

/// Exit code if the connection is denied.
const DENIED: Exit = Exit(1);
/// Exit code if there is no answer.
const NO_ANSWER: u8 = 2;

pub(crate) static CHECK: Command = Command {
    name: "intention check",
    synopsis: "Tells whether a service may call another",
    usage: &["[options] SRC DST"],
    about: "Tells whether SRC may open connections to DST: prints Allowed and exits with 0, or prints Denied and exits \
            with 1. Without an answer it exits with 2.\n\nIntentions that decide by the request count as denied \
            here; explain says more.",
    flags: &[],
    http: true,
    usage_code: NO_ANSWER,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let [source, destination] = call.arguments("SRC and DST")?;
    let checked = client
        .intention_check(source, destination, &call.options())
        .await
        .map_err(|error| Failure::api("check the intention")(error).with_code(NO_ANSWER))?;
    if checked.value.allowed {
        io.line("Allowed")?;
        Ok(Exit::SUCCESS)
    } else {
        io.line("Denied")?;
        Ok(DENIED)
    }
}
