//! `demo`: runs a small mesh on this machine and explains it step by step.
//!
//! ```text
//!   demo ──── HTTP ────► agent ◄──── gRPC ──── sidecar of api ──► api
//!    │                     ▲                        ▲
//!    │                     └────── gRPC ──┐         │ mutual TLS
//!    └── HTTP ─► web ─► upstream port of sidecar of web
//! ```
//!
//! Agent, services and sidecars are child processes of this program and use only public ports. Everything printed was
//! observed: in an answer, in a log line of a sidecar, or at a socket. The demo has no internal access to the mesh.
//! No step sleeps and hopes for the best: each waits for the result that it prints.

mod child;
mod http;
mod limits;
mod log;
pub(crate) mod part;
mod place;
mod service;
mod story;
mod teller;
mod traffic;
mod trouble;

use std::io::IsTerminal as _;
use std::sync::Arc;

use concord_runtime::{Executor, Scope, TokioClock};

use self::story::Story;
use self::teller::Teller;
use self::trouble::Trouble;
use super::signals::Signals;
use crate::cli::{Exit, Failure, Invocation, Io, Outcome};

/// The options of the demo.
#[derive(Clone, Copy, Debug)]
struct Wishes {
    /// Port of the API; `None`: any free port.
    http_port: Option<u16>,
    /// Whether to end after the last step.
    exit: bool,
    colours: bool,
}

/// Runs the demo, or one of its parts.
pub(crate) fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    if let [word, words @ ..] = call.values.arguments.as_slice()
        && word == part::WORD
    {
        return part::run(call, words);
    }
    call.arguments::<0>("")?;
    let port: u16 = call
        .values
        .text("http-port")
        .parse()
        .map_err(|_| call.usage("-http-port: expected a port, or 0 for one that is free"))?;
    let wishes = Wishes {
        http_port: Some(port).filter(|port| *port != 0),
        exit: call.values.switch("exit"),
        colours: is_coloured(call, std::io::stdout().is_terminal()),
    };
    let executor = Executor::new("demo", 1).map_err(|error| Failure::system("start a thread", error))?;
    let outcome = executor.block_on(perform(wishes, io));
    executor.shutdown_background();
    outcome
}

/// A terminal shows colours unless they are disabled.
fn is_coloured(call: &Invocation<'_>, terminal: bool) -> bool {
    terminal && !call.values.switch("no-color") && call.env.exact("NO_COLOR").is_none()
}

/// Runs everything from the start of the first process to the end of the last.
async fn perform(wishes: Wishes, io: &mut Io) -> Outcome {
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let clock = Arc::new(TokioClock::new());
    let scope = Scope::new("demo", clock);
    let teller = Teller::new(io, wishes.colours, Arc::clone(scope.clock()));
    let mut story = Story::prepare(teller, scope, wishes.http_port)
        .map_err(|trouble| Failure::input(trouble.to_string()))?;
    // `None` if a signal interrupted the demo; closing the terminal also sends one.
    let told = tokio::select! {
        biased;
        _ = signals.next() => None,
        told = story.tell(wishes.exit) => Some(told),
    };
    let report = match &told {
        Some(Err(trouble)) => Some(story.report(trouble)),
        Some(Ok(())) | None => None,
    };
    let complete = matches!(told, Some(Ok(()))) || (story.is_told() && !wishes.exit);
    let ended = story.end().await;
    match (told, report) {
        (Some(Err(Trouble::Output(failure))), _) => Err(failure),
        (_, Some(report)) => Err(Failure::Input(report)),
        (_, None) if !complete => Ok(Exit::FAILURE),
        (_, None) => ended.map(|()| Exit::SUCCESS).map_err(|trouble| Failure::input(trouble.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Env, Program, invoked};

    #[test]
    fn colours_are_for_terminals_and_can_be_turned_off() {
        for (words, variable, terminal, expected) in [
            (&[][..], "", true, true),
            (&["-no-color"], "", true, false),
            (&["-no-color=false"], "", true, true),
            (&[], "1", true, false),
            (&[], "", false, false),
        ] {
            let env = Env::new([("NO_COLOR", variable)]);
            let call = invoked(Program::Concord, "demo", words, &env);
            assert_eq!(is_coloured(&call, terminal), expected, "{words:?} {variable:?} {terminal}");
        }
    }
}
