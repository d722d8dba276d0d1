//! The definition of a command, and one call of it. The table lists all commands.

use concord_client::{Client, Consistency, QueryOptions};
use futures::future::LocalBoxFuture;

use super::args::Order;
use super::env::Env;
use super::failure::{Failure, Outcome};
use super::flag::{Flag, Values};
use super::http;
use super::io::Io;
use super::program::Program;

/// One command: its name, its flags and its function.
#[derive(Debug)]
pub(crate) struct Command {
    /// The words after the program's name: `acl token create`.
    pub(crate) name: &'static str,
    /// What it does, in a few words.
    pub(crate) synopsis: &'static str,
    /// The arguments after the name, one line per form.
    pub(crate) usage: &'static [&'static str],
    /// What it does, in sentences. Empty lines separate paragraphs; indented lines are printed unchanged.
    pub(crate) about: &'static str,
    /// Its own flags.
    pub(crate) flags: &'static [Flag],
    /// Whether it takes the flags for connecting to an agent.
    pub(crate) http: bool,
    /// Exit code for wrong usage.
    pub(crate) usage_code: u8,
    pub(crate) run: Run,
}

/// How a command runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// It only groups other commands and prints its help.
    Group,
    /// It runs on the calling thread.
    Here(fn(&Invocation<'_>, &mut Io) -> Outcome),
    /// It sends requests to an agent.
    Api(for<'a> fn(&'a Invocation<'a>, &'a Client, &'a mut Io) -> LocalBoxFuture<'a, Outcome>),
}

/// One call of a command.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) program: Program,
    pub(crate) command: &'static Command,
    pub(crate) values: Values,
    pub(crate) env: &'a Env,
}

/// Commands about the agent itself. They ask no server, so they have no flags to choose one.
const OF_THE_AGENT: [&str; 6] = ["info", "leave", "maint", "members", "monitor", "reload"];

/// Commands that Consul does not have. Their flags may stand anywhere.
const OF_OURS: [&str; 1] = ["explain"];

/// The output format of results for people and programs.
pub(crate) const FORMAT: Flag = Flag::text("format", "How to print the result.")
    .placeholder("<pretty|json>")
    .default("pretty")
    .choices(&["pretty", "json"]);

impl Command {
    /// A command that only groups other commands.
    pub(crate) const fn group(name: &'static str, synopsis: &'static str, about: &'static str) -> Self {
        Self {
            name,
            synopsis,
            usage: &["<subcommand> [options] [args]"],
            about,
            flags: &[],
            http: false,
            usage_code: 1,
            run: Run::Group,
        }
    }

    /// Its own flags and those for connecting to an agent.
    pub(crate) fn all_flags(&self) -> Vec<Flag> {
        self.flags.iter().copied().chain(self.http_flags()).collect()
    }

    /// The flags for connecting to an agent that it takes.
    pub(crate) fn http_flags(&self) -> Vec<Flag> {
        if !self.http {
            return Vec::new();
        }
        let here = OF_THE_AGENT.contains(&self.name);
        let fits = |flag: &&Flag| !(here && http::FOR_SERVERS.contains(&flag.name));
        http::FLAGS.iter().filter(fits).copied().collect()
    }

    /// Where its flags may stand.
    pub(crate) fn order(&self) -> Order {
        if OF_OURS.contains(&self.name) { Order::Any } else { Order::FlagsFirst }
    }

    /// The last word of its name.
    pub(crate) fn last_word(&self) -> &'static str {
        self.name.rsplit(' ').next().unwrap_or(self.name)
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Group => "Group",
            Self::Here(_) => "Here",
            Self::Api(_) => "Api",
        })
    }
}

impl Invocation<'_> {
    /// Exactly `N` arguments, or an error that names them.
    pub(crate) fn arguments<const N: usize>(&self, names: &str) -> Result<[&str; N], Failure> {
        let given: Vec<&str> = self.values.arguments.iter().map(String::as_str).collect();
        <[&str; N]>::try_from(given).map_err(|given| {
            let wanted = match N {
                0 => "no arguments".to_owned(),
                1 => format!("one argument, {names}"),
                _ => format!("{N} arguments, {names}"),
            };
            let hint = given.iter().any(|word| word.starts_with('-'));
            let hint = if hint { "; flags go before the arguments" } else { "" };
            self.usage(format!("expected {wanted}, found {}{hint}", given.len()))
        })
    }

    /// An error about wrong usage, with the command's exit code for that.
    pub(crate) fn usage(&self, message: impl Into<String>) -> Failure {
        Failure::Usage { message: message.into(), code: self.command.usage_code }
    }

    /// The value of a text flag that is required.
    pub(crate) fn required(&self, flag: &str) -> Result<&str, Failure> {
        match self.values.text(flag) {
            "" => Err(self.usage(format!("-{flag} is needed"))),
            value => Ok(value),
        }
    }

    /// Whether `-format=json` was given.
    pub(crate) fn wants_json(&self) -> bool {
        self.values.text("format") == "json"
    }

    /// The request options from the shared flags.
    pub(crate) fn options(&self) -> QueryOptions {
        // Commands about the agent itself do not have this flag.
        let stale = self.values.find("stale").is_some() && self.values.switch("stale");
        let consistency = if stale { Consistency::Stale } else { Consistency::Default };
        QueryOptions { consistency, ..QueryOptions::default() }
    }
}
