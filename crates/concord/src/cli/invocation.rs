//! One call of a command: what it is and what was given to it.

use concord_client::{Consistency, QueryOptions};

use super::failure::Failure;
use super::flag::Values;
use super::table::Command;
use super::{Env, Program};

/// One call of a command.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) program: Program,
    pub(crate) command: &'static Command,
    pub(crate) values: Values,
    pub(crate) env: &'a Env,
}

impl Invocation<'_> {
    /// Exactly `N` arguments, or a complaint that names them.
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

    /// A complaint about how the command was called, with the exit code the command has for that.
    pub(crate) fn usage(&self, message: impl Into<String>) -> Failure {
        Failure::Usage { message: message.into(), code: self.command.usage_code }
    }

    /// The value of a text flag that must be given.
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

    /// What the shared flags say about the request.
    pub(crate) fn options(&self) -> QueryOptions {
        // Commands about the agent itself do not have it.
        let stale = self.values.find("stale").is_some() && self.values.switch("stale");
        let consistency = if stale { Consistency::Stale } else { Consistency::Default };
        QueryOptions { consistency, ..QueryOptions::default() }
    }
}
