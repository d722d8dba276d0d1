//! `intention match`: the intentions for a service, in order of precedence.

use concord_client::Client;

use super::line;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, print};

/// Exit code for unknown flags. Wrong arguments have another code, as in Consul.
const FLAGS_REFUSED: u8 = 2;

pub(crate) static MATCH: Command = Command {
    name: "intention match",
    synopsis: "Lists the intentions about a service",
    usage: &["[options] SRC_OR_DST"],
    about: "Lists the intentions about a service in the order in which they are asked: the first that matches decides.",
    flags: &[
        Flag::switch("destination", "The service is the one called. This is the default."),
        Flag::switch("source", "The service is the one that calls."),
        FORMAT,
    ],
    http: true,
    usage_code: FLAGS_REFUSED,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let failure = |failure: Failure| failure.with_code(Exit::FAILURE.0);
    let [name] = call.arguments("the service").map_err(failure)?;
    if call.values.switch("source") && call.values.switch("destination") {
        return Err(failure(call.usage("-source and -destination exclude each other")));
    }
    let by = if call.values.switch("source") { "source" } else { "destination" };
    let mut matches = client
        .intention_match(by, &[name], &call.options())
        .await
        .map_err(Failure::api("match the intentions"))?
        .value;
    let found = matches.remove(name).unwrap_or_default();
    if call.wants_json() {
        return print::json(&found, io);
    }
    for intention in &found {
        io.line(line(intention))?;
    }
    Ok(Exit::SUCCESS)
}
