//! `demo`: the whole mesh on one machine, telling its story.

use super::Io;
use super::failure::{Failure, Outcome};
use super::flag::Flag;
use super::invocation::Invocation;
use super::table::{Command, Run};

pub(crate) static DEMO: Command = Command {
    name: "demo",
    synopsis: "Runs a small mesh on this machine and tells its story",
    usage: &["[options]"],
    about: "Starts an agent, two small services and their sidecars as processes of their own, wired through their \
            public ports only, and shows: a request through mutual TLS, an intention that denies it, the way back, a \
            rotation of the root, and the agent killed and restarted while traffic flows. It then stays up until \
            Ctrl-C.",
    flags: &[
        Flag::text("http-port", "Port of the agent's HTTP API; 0 takes a free one.")
            .placeholder("<port>")
            .default("0"),
        Flag::switch("exit", "End after the story instead of staying up."),
        Flag::switch("no-color", "Print without colours."),
    ],
    http: false,
    usage_code: 1,
    run: Run::Here(run),
};

/// Wiring hook: the program replaces the last line by running the story.
fn run(call: &Invocation<'_>, _: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    Err(Failure::not_available("demo: the story is not wired into the program"))
}
