//! The child process: runs a command line, or one of the demo's two services, and ends when the demo ends.

use std::path::Path;
use std::sync::Arc;

use concord_runtime::{Clock, Executor, Scope, TokioClock};
use rustix::process::{Signal, getpid, kill_process};
use tokio::io::AsyncReadExt as _;

use super::limits::END_WITHIN;
use super::service;
use crate::cli::{Failure, Invocation, Outcome};

/// The argument of `demo` that starts a part: `demo part <command line>`.
pub(super) const WORD: &str = "part";
/// The command line of a service: `service <name> <ready file> [<upstream address>]`.
pub(super) const SERVICE: &str = "service";

/// Runs one of the services until it ends, or until the demo has gone.
pub(super) fn run(call: &Invocation<'_>, words: &[String]) -> Outcome {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    on_leash(|| match words.as_slice() {
        [SERVICE, name, ready] => service::run(name, Path::new(ready), None),
        [SERVICE, name, ready, upstream] => match upstream.parse() {
            Ok(upstream) => service::run(name, Path::new(ready), Some(upstream)),
            Err(_) => Err(call.usage(format!("{upstream:?} is no address"))),
        },
        words => Err(call.usage(format!("{words:?} is no part of it"))),
    })?
}

/// The command line of a part, if these words start one.
pub(crate) fn command_line(words: &[String]) -> Option<&[String]> {
    match words {
        [demo, part, words @ ..] if demo == "demo" && part == WORD => {
            Some(words).filter(|words| words.first().is_some_and(|word| word != SERVICE))
        }
        _ => None,
    }
}

/// Runs `act`. Ends the process if the demo ends first.
pub(crate) fn on_leash<T>(act: impl FnOnce() -> T) -> Result<T, Failure> {
    let executor = Executor::new("leash", 1).map_err(|error| Failure::system("start a thread", error))?;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let scope = Scope::on("leash", Arc::clone(&clock), executor.handle());
    scope.spawn("leash", leash(clock));
    let done = act();
    executor.shutdown_background();
    Ok(done)
}

/// Ends this process when the demo's end of the pipe closes.
async fn leash(clock: Arc<dyn Clock>) {
    let (mut input, mut ignored) = (tokio::io::stdin(), [0; 64]);
    while matches!(input.read(&mut ignored).await, Ok(bytes) if bytes > 0) {}
    for signal in [Signal::TERM, Signal::KILL] {
        if let Err(error) = kill_process(getpid(), signal) {
            tracing::error!(%error, "cannot end this process although the demo has ended");
        }
        clock.sleep(END_WITHIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(words: &str, expected: Option<&str>) {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        assert_eq!(command_line(&words).map(|words| words.join(" ")).as_deref(), expected);
    }

    #[test]
    fn a_part_is_a_command_line_or_a_service() {
        check("demo part agent -dev", Some("agent -dev"));
        check("demo part service web a", None);
        check("demo part", None);
        check("demo -exit", None);
        check("agent part -dev", None);
    }
}
