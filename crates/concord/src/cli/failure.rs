//! Why a command failed, and what the person at the terminal is told.

use std::io::{self, Write};

use super::Program;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const FAILURE: Self = Self(1);
}

/// How a command ended, or why it failed.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called in a way its table does not allow; `code` is the command's own for that.
    Usage { message: String, code: u8 },
    /// The agent could not be asked, or refused. `code` is what the command promises for that.
    Api { doing: String, error: Box<concord_client::Error>, code: u8 },
    /// Something given to it cannot be used: a file, a name, a value.
    Input(String),
    /// Part of the program that is not there yet.
    NotAvailable(String),
    /// The operating system refused something.
    System { doing: String, error: io::Error },
    /// The output could not be written.
    Output(io::Error),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), code: Exit::FAILURE.0 }
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    pub(crate) fn not_available(what: impl Into<String>) -> Self {
        Self::NotAvailable(what.into())
    }

    pub(crate) fn system(doing: impl Into<String>, error: io::Error) -> Self {
        Self::System { doing: doing.into(), error }
    }

    /// For `map_err` on a request: `doing` completes "cannot …".
    pub(crate) fn api(doing: impl Into<String>) -> impl FnOnce(concord_client::Error) -> Self {
        let doing = doing.into();
        |error| Self::Api { doing, error: Box::new(error), code: Exit::FAILURE.0 }
    }

    /// The same failure with another exit code, where it has one.
    #[must_use]
    pub(crate) fn with_code(self, code: u8) -> Self {
        match self {
            Self::Usage { message, .. } => Self::Usage { message, code },
            Self::Api { doing, error, .. } => Self::Api { doing, error, code },
            other @ (Self::Input(_) | Self::NotAvailable(_) | Self::System { .. } | Self::Output(_)) => other,
        }
    }

    /// Prints what happened and what to do about it.
    pub(crate) fn report(&self, program: Program, command: &str, err: &mut dyn Write) -> Exit {
        let (text, code) = match self {
            Self::Usage { message, code } => {
                let name = program.name();
                (format!("Error: {message}\n  See: {name} {command} -help"), *code)
            }
            Self::Api { doing, error, code } => {
                let remedy = error.remedy().map(|remedy| format!("\n  {remedy}")).unwrap_or_default();
                (format!("Error: cannot {doing}: {error}{remedy}"), *code)
            }
            Self::Input(message) => (format!("Error: {message}"), Exit::FAILURE.0),
            Self::NotAvailable(what) => (format!("Error: not available yet: {what}"), Exit::FAILURE.0),
            Self::System { doing, error } => (format!("Error: cannot {doing}: {error}"), Exit::FAILURE.0),
            // Whoever read us has gone, as `head` does; that is no news to anyone.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return Exit::FAILURE,
            Self::Output(error) => (format!("Error: cannot write the output: {error}"), Exit::FAILURE.0),
        };
        // If even this cannot be written, the exit code has to do.
        let _ = writeln!(err, "{text}");
        Exit(code)
    }
}
