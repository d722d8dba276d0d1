//! The child's side: a command line run on a leash, or one of the demo's two services.

use std::path::Path;
use std::sync::Arc;

use concord_runtime::{Clock, Executor, Scope, TokioClock};
use rustix::process::{Signal, getpid, kill_process};
use tokio::io::AsyncReadExt as _;

use super::limits::END_WITHIN;
use super::service;
use crate::cli::{self, Exit, Failure, Invocation, Io, Outcome};

/// The argument of `demo` that makes it a part: `demo part <command line>`.
pub(super) const WORD: &str = "part";
/// The command line of a service: `service <name> <ready file> [<upstream address>]`.
pub(super) const SERVICE: &str = "service";

/// Runs a part until it ends, or until the demo has gone.
pub(super) fn run(call: &Invocation<'_>, words: &[String], io: &mut Io) -> Outcome {
    let executor = Executor::new("leash", 1).map_err(|error| Failure::system("start a thread", error))?;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let scope = Scope::on("leash", Arc::clone(&clock), executor.handle());
    scope.spawn("leash", leash(clock));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [SERVICE, name, ready] => service::run(name, Path::new(ready), None),
        [SERVICE, name, ready, upstream] => match upstream.parse() {
            Ok(upstream) => service::run(name, Path::new(ready), Some(upstream)),
            Err(_) => Err(call.usage(format!("{upstream:?} is no address"))),
        },
        words => {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Ok(Exit(cli::run(call.program, &words, call.env, io)))
        }
    };
    executor.shutdown_background();
    outcome
}

/// Ends this process when the demo's end of the pipe has closed.
async fn leash(clock: Arc<dyn Clock>) {
    let (mut input, mut ignored) = (tokio::io::stdin(), [0; 64]);
    while matches!(input.read(&mut ignored).await, Ok(bytes) if bytes > 0) {}
    for signal in [Signal::TERM, Signal::KILL] {
        if let Err(error) = kill_process(getpid(), signal) {
            tracing::error!(%error, "cannot end although the demo has gone");
        }
        clock.sleep(END_WITHIN).await;
    }
}
