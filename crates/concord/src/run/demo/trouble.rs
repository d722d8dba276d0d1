//! Why a step failed.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::cli::Failure;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("cannot {doing}: {error}")]
    System { doing: String, error: io::Error },
    #[error("{part} has ended ({status}) although nobody asked it to")]
    Ended { part: &'static str, status: ExitStatus },
    #[error("{what}: not seen within {within:?}")]
    NotSeen { what: String, within: Duration },
    #[error("{what}: expected {expected}, seen {seen}")]
    Differs { what: &'static str, expected: String, seen: String },
    #[error("cannot {doing}: {error}")]
    Api { doing: &'static str, error: Box<concord_client::Error> },
    #[error("{what}: {error}")]
    Request { what: &'static str, error: super::http::HttpError },
    #[error("{failed} of {sent} requests failed; the first: {first}")]
    Lost { failed: u64, sent: u64, first: String },
    #[error("{ports} free ports were looked for, {found} found")]
    NoPorts { ports: usize, found: usize },
    #[error("the output cannot be written")]
    Output(Failure),
}

impl Trouble {
    /// For `map_err`: `doing` completes the text "cannot …".
    pub(super) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |error| Self::System { doing, error }
    }

    /// For `map_err` on a request to the agent.
    pub(super) fn api(doing: &'static str) -> impl FnOnce(concord_client::Error) -> Self {
        move |error| Self::Api { doing, error: Box::new(error) }
    }

    pub(super) fn request(what: &'static str) -> impl FnOnce(super::http::HttpError) -> Self {
        move |error| Self::Request { what, error }
    }

    /// Returns an error unless both values are equal.
    pub(super) fn unless_same<T: PartialEq + std::fmt::Debug>(
        what: &'static str,
        expected: &T,
        seen: &T,
    ) -> Result<(), Self> {
        if expected == seen {
            return Ok(());
        }
        Err(Self::Differs { what, expected: format!("{expected:?}"), seen: format!("{seen:?}") })
    }
}
