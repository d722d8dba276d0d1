//! The syntax of flags, as in Go's `flag` package.
//!
//! `-f v`, `-f=v`, and the same with two dashes. A switch takes a value only after `=`. The first argument that is
//! not a flag ends the flags, but for commands that Consul lacks ([`Order`]); so does `--`, which is dropped. `-` alone is an argument. A repeated flag is set again.
//! Single letters are never combined. If a flag has a variable, an empty value counts as missing, as in Consul: the
//! variable decides.

use super::env::Env;
use super::flag::{Flag, Kind, Origin, Values, Variable};

/// An error in a command line, in Go's words.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ArgsError {
    /// `-h` or `-help`: asks for help; no command declares it.
    #[error("flag: help requested")]
    HelpWanted,
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("flag provided but not defined: -{0}")]
    Undefined(String),
    #[error("flag needs an argument: -{0}")]
    NeedsArgument(String),
    #[error("invalid boolean value {value:?} for -{flag}: {reason}")]
    Boolean { flag: String, value: String, reason: String },
    #[error("invalid value {value:?} for flag -{flag}: {reason}")]
    Value { flag: String, value: String, reason: String },
    #[error("invalid value {value:?} of the environment variable {variable}: {reason}")]
    Variable { variable: String, value: String, reason: String },
}

/// Where flags may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Order {
    /// Before the first argument, as in Go.
    FlagsFirst,
    /// Before, between and after the arguments.
    Any,
}

/// Parses a command line and the environment, using the flags that a command declares.
pub(crate) fn parse(flags: Vec<Flag>, args: &[String], env: &Env, order: Order) -> Result<Values, ArgsError> {
    let mut values = Values::new(flags);
    read_environment(&mut values, env)?;
    let mut rest = args.iter();
    while let Some(arg) = rest.as_slice().first() {
        let Some((name, inline)) = split(arg)? else {
            if order == Order::FlagsFirst {
                break;
            }
            values.arguments.extend(rest.next().cloned());
            continue;
        };
        rest.next();
        if name.is_empty() {
            break;
        }
        let flag = values.find(name).ok_or_else(|| match name {
            "h" | "help" => ArgsError::HelpWanted,
            _ => ArgsError::Undefined(name.to_owned()),
        })?;
        let value = match (inline, flag.kind) {
            (Some(value), _) => value.to_owned(),
            (None, Kind::Switch) => "true".to_owned(),
            (None, _) => rest.next().cloned().ok_or_else(|| ArgsError::NeedsArgument(name.to_owned()))?,
        };
        if value.is_empty() && flag.variable != Variable::None {
            continue;
        }
        flag.check(&value).map_err(|reason| invalid(&flag, value.clone(), reason))?;
        values.set(&flag, value, Origin::CommandLine);
    }
    values.arguments.extend(rest.cloned());
    Ok(values)
}

/// The name, and the value after `=`, if this is a flag. `--` is a flag with an empty name.
fn split(arg: &str) -> Result<Option<(&str, Option<&str>)>, ArgsError> {
    let Some(name) = arg.strip_prefix('-').filter(|name| !name.is_empty()) else { return Ok(None) };
    if name == "-" {
        return Ok(Some(("", None)));
    }
    let name = name.strip_prefix('-').unwrap_or(name);
    if name.starts_with(['-', '=']) {
        return Err(ArgsError::Syntax(arg.to_owned()));
    }
    Ok(Some(name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)))))
}

fn invalid(flag: &Flag, value: String, reason: String) -> ArgsError {
    let flag_name = flag.name.to_owned();
    match flag.kind {
        Kind::Switch => ArgsError::Boolean { flag: flag_name, value, reason },
        Kind::Text | Kind::Integer | Kind::Unsigned | Kind::Duration | Kind::List | Kind::Pairs => {
            ArgsError::Value { flag: flag_name, value, reason }
        }
    }
}

fn read_environment(values: &mut Values, env: &Env) -> Result<(), ArgsError> {
    for flag in values.flags().to_vec() {
        let found = match flag.variable {
            Variable::None => None,
            Variable::Product(name) => env.product(name),
            Variable::Exact(name) => env.exact(name),
        };
        let Some(found) = found else { continue };
        flag.check(found.value).map_err(|reason| ArgsError::Variable {
            variable: found.name.clone(),
            value: found.value.to_owned(),
            reason,
        })?;
        values.set(&flag, found.value.to_owned(), found.origin);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
