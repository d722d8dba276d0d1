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
    /// What it is about is not there, and what helps.
    Absent { what: String, remedy: &'static str },
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
            other @ (Self::Input(_)
            | Self::Absent { .. }
            | Self::NotAvailable(_)
            | Self::System { .. }
            | Self::Output(_)) => other,
        }
    }

    /// What is not there, and what helps.
    pub(crate) fn absent(what: impl Into<String>, remedy: &'static str) -> Self {
        Self::Absent { what: what.into(), remedy }
    }

    /// What happened, in one line.
    pub(crate) fn cause(&self) -> String {
        match self {
            Self::Usage { message, .. } => message.clone(),
            Self::Api { doing, error, .. } => format!("cannot {doing}: {error}"),
            Self::Input(message) => message.clone(),
            Self::Absent { what, .. } => what.clone(),
            Self::NotAvailable(what) => format!("not available yet: {what}"),
            Self::System { doing, error } => format!("cannot {doing}: {error}"),
            Self::Output(error) => format!("cannot write the output: {error}"),
        }
    }

    /// Prints what happened and what to do about it.
    pub(crate) fn report(&self, program: Program, command: &str, err: &mut dyn Write) -> Exit {
        // Whoever read us has gone, as `head` does; that is no news to anyone.
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return Exit::FAILURE;
        }
        let remedy = match self {
            Self::Usage { .. } => Some(format!("See: {} {command} -help", program.name())),
            Self::Api { error, .. } => error.remedy(),
            Self::Absent { remedy, .. } => Some((*remedy).to_owned()),
            Self::Input(_) | Self::NotAvailable(_) | Self::System { .. } | Self::Output(_) => None,
        };
        let code = match self {
            Self::Usage { code, .. } | Self::Api { code, .. } => *code,
            Self::Input(_)
            | Self::Absent { .. }
            | Self::NotAvailable(_)
            | Self::System { .. }
            | Self::Output(_) => Exit::FAILURE.0,
        };
        let remedy = remedy.map(|remedy| format!("\n  {remedy}")).unwrap_or_default();
        let text = format!("Error: {}{remedy}", self.cause());
        // If even this cannot be written, the exit code has to do.
        let _ = writeln!(err, "{text}");
        Exit(code)
    }
}
