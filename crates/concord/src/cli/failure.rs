//! Why a command failed, and what the user is told.

use std::io::{self, Write};

use super::Program;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const FAILURE: Self = Self(1);
}

/// The exit code of a command, or why it failed.
pub(crate) type Outcome = Result<Exit, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command was used wrongly; `code` is the command's exit code for that.
    Usage { message: String, code: u8 },
    /// The agent could not be reached, or it refused. `code` is the command's exit code for that.
    Api { doing: String, error: Box<concord_client::Error>, code: u8 },
    /// An input cannot be used: a file, a name, a value.
    Input(String),
    /// The thing does not exist; with the remedy.
    Absent { what: String, remedy: &'static str },
    /// A part of the program that is not built yet.
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

    /// For `map_err` on a request: `doing` completes the text "cannot …".
    pub(crate) fn api(doing: impl Into<String>) -> impl FnOnce(concord_client::Error) -> Self {
        let doing = doing.into();
        |error| Self::Api { doing, error: Box::new(error), code: Exit::FAILURE.0 }
    }

    /// The same failure with another exit code, if this kind has one.
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

    /// A missing thing, with the remedy.
    pub(crate) fn absent(what: impl Into<String>, remedy: &'static str) -> Self {
        Self::Absent { what: what.into(), remedy }
    }

    /// The cause, in one line.
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

    /// Prints the cause and the remedy.
    pub(crate) fn report(&self, program: Program, command: &str, err: &mut dyn Write) -> Exit {
        // The reader of our output has closed it, as `head` does. This is not worth a message.
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
        // If even this cannot be written, the exit code must suffice.
        let _ = writeln!(err, "{text}");
        Exit(code)
    }
}
