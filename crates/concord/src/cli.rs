//! The command line. One static table per command gives parsing, help and shell completion.
//!
//! ```text
//! words ──► table::find ──► args::parse ──► Invocation ──► the command's own function ──► exit code
//!                │               ▲
//!                └── help, completion   flags and environment
//! ```
//!
//! Commands print only through [`Io`], and return a [`Failure`] instead of ending the process. To add a command,
//! write a module with a `Command` table and its function, and add a line to `table::COMMANDS`.

mod acl;
pub(crate) mod agent;
mod args;
mod catalog;
mod columns;
pub(crate) mod command;
mod complete;
mod config;
mod connect;
mod connect_envoy;
mod connect_proxy;
mod demo;
mod env;
mod explain;
mod failure;
mod files;
mod flag;
mod help;
pub(crate) mod http;
mod info;
mod intention;
mod io;
mod keygen;
mod leave;
mod maint;
mod members;
mod monitor;
mod print;
mod program;
mod proxy;
mod reload;
mod services;
mod table;
mod tls;
mod unbuilt;
mod validate;
mod version;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use self::command::Invocation;
pub(crate) use self::env::Env;
pub(crate) use self::failure::{Exit, Failure, Outcome};
pub(crate) use self::io::Io;
pub(crate) use self::program::Program;
#[cfg(test)]
pub(crate) use self::testing::invoked;
pub(crate) use self::version::{CONSUL_LEVEL, OWN_VERSION};

use std::sync::Arc;

use concord_runtime::{Executor, Scope, TokioClock};

use self::args::ArgsError;
use self::command::{Command, Run};
use self::flag::Flag;
use crate::run::demo::part;

/// Exit code for an unknown command, as in shells.
const UNKNOWN_COMMAND: u8 = 127;

/// Runs one command line and returns the exit code.
pub(crate) fn run(program: Program, words: &[String], env: &Env, io: &mut Io) -> u8 {
    if let Some(words) = part::command_line(words) {
        let code = part::on_leash(|| run(program, words, env, io));
        return code.unwrap_or_else(|failure| finish(program, "demo", Err(failure), io));
    }
    if let Some(line) = env.exact("COMP_LINE") {
        let point = env.exact("COMP_POINT").and_then(|found| found.value.parse().ok());
        return finish(program, "", complete::print(line.value, point, io).map(|()| Exit::SUCCESS), io);
    }
    if matches!(words.first().map(String::as_str), Some("-v" | "-version" | "--version")) {
        return finish(program, "version", version::print_pretty(program, io), io);
    }
    if let Some(word @ ("-autocomplete-install" | "-autocomplete-uninstall")) =
        words.first().map(String::as_str)
    {
        return finish(program, "", complete::set_up(program, word.ends_with("-install"), env, io), io);
    }
    if let Some((name, why)) = unbuilt::find(words) {
        return finish(program, name, Err(Failure::not_available(format!("{name}: {why}"))), io);
    }
    let asks_for_help = words
        .iter()
        .take_while(|word| *word != "--")
        .any(|word| matches!(word.as_str(), "-h" | "-help" | "--help"));
    match table::find(words) {
        Some((command, _)) if asks_for_help => {
            finish(program, command.name, help::command(program, command, io), io)
        }
        None if asks_for_help => finish(program, "", help::program(program, &mut *io.out), io),
        Some((command, rest)) => finish(program, command.name, dispatch(program, command, rest, env, io), io),
        None => {
            let outcome =
                unknown(program, words.first(), io).and_then(|()| help::program(program, &mut *io.err));
            finish(program, "", outcome.map(|_| Exit(UNKNOWN_COMMAND)), io)
        }
    }
}

fn dispatch(program: Program, command: &'static Command, rest: &[String], env: &Env, io: &mut Io) -> Outcome {
    if let Run::Group = command.run {
        if let Some(word) = rest.first() {
            let near = table::nearest(&format!("{} {word}", command.name));
            unknown_word(&format!("{} {word}", command.name), near, io)?;
        }
        io.remark(help::command_text(program, command).trim_end())?;
        return Ok(Exit::FAILURE);
    }
    let values = match args::parse(command.all_flags(), rest, env, command.order()) {
        Ok(values) => values,
        Err(ArgsError::HelpWanted) => return help::command(program, command, io),
        Err(error) => return Err(Failure::Usage { message: error.to_string(), code: command.usage_code }),
    };
    let given = |flag: &&Flag| !flag.unbuilt.is_empty() && values.origin(flag.name).is_some();
    if let Some(flag) = values.flags().iter().find(given) {
        return Err(Failure::not_available(format!("-{}: {}", flag.name, flag.unbuilt)));
    }
    let invocation = Invocation { program, command, values, env };
    match command.run {
        Run::Group => unreachable!("answered above"),
        Run::Here(run) => run(&invocation, io),
        Run::Api(run) => {
            let executor =
                Executor::new("cli", 1).map_err(|error| Failure::system("start a thread", error))?;
            let scope = Scope::on("cli", Arc::new(TokioClock::new()), executor.handle());
            let client = http::client(&invocation.values, env, &scope)?;
            let outcome = executor.block_on(run(&invocation, &client, io));
            scope.cancel();
            executor.shutdown_background();
            outcome
        }
    }
}

/// Reports a failure and turns it into the exit code.
fn finish(program: Program, command: &str, outcome: Outcome, io: &mut Io) -> u8 {
    let flushed = io.flush();
    match outcome.and_then(|exit| flushed.map(|()| exit).map_err(Failure::Output)) {
        Ok(exit) => exit.0,
        Err(failure) => failure.report(program, command, &mut *io.err).0,
    }
}

fn unknown(program: Program, word: Option<&String>, io: &mut Io) -> Result<(), Failure> {
    match word {
        Some(word) if word.starts_with('-') => {
            writeln!(io.err, "Error: {} takes no flag {word} before its command\n", program.name())
                .map_err(Failure::Output)
        }
        Some(word) => unknown_word(word, table::nearest(word), io),
        None => Ok(()),
    }
}

fn unknown_word(word: &str, near: Option<&'static str>, io: &mut Io) -> Result<(), Failure> {
    let unbuilt = |near: &str| unbuilt::TABLE.iter().any(|(name, _)| *name == near);
    let hint = near.map(|near| {
        let doubt = if unbuilt(near) { " (not available yet)" } else { "" };
        format!("; did you mean \"{near}\"{doubt}?")
    });
    let hint = hint.unwrap_or_default();
    writeln!(io.err, "Error: there is no command \"{word}\"{hint}\n").map_err(Failure::Output)
}
