//! `demo`: runs a whole mesh on one machine and explains what happens.

use super::command::{Command, Run};
use super::flag::Flag;

pub(crate) static DEMO: Command = Command {
    name: "demo",
    synopsis: "Runs a small mesh on this machine and tells its story",
    usage: &["[options]"],
    about: "Starts an agent, two small services and their sidecars as processes of their own, wired through their \
            public ports only, and shows: a request through mutual TLS, an intention that denies it, the way back, a \
            rotation of the root, and the agent killed and restarted while traffic flows. It then stays up until \
            Ctrl-C.\n\n\
            What is printed was observed. The exit code is 0 only if every step showed what it claims.",
    flags: &[
        Flag::text("http-port", "Port of the agent's HTTP API; 0 takes a free one.")
            .placeholder("<port>")
            .default("0"),
        Flag::switch("exit", "End after the story instead of staying up."),
        Flag::switch("no-color", "Print without colours, as is done wherever there is no terminal."),
    ],
    http: false,
    usage_code: 1,
    run: Run::Here(crate::run::demo::run),
};
