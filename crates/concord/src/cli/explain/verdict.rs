//! The verdict of an explanation, as text.

use std::fmt::Write as _;

use concord_api::explain::{ExplainVerdict, Explained};

/// The verdict in one line, and where it is decided in another, if elsewhere.
pub(super) fn headline(question: &Explained) -> String {
    let Explained { source, destination, verdict, judged_at, .. } = question;
    let mut text = format!("{}: {source} => {destination}\n", word(*verdict));
    if !judged_at.is_empty() {
        let _ = writeln!(text, "It is led to {judged_at}, which decides");
    }
    text
}

pub(super) fn word(verdict: ExplainVerdict) -> &'static str {
    match verdict {
        ExplainVerdict::Allowed => "Allowed",
        ExplainVerdict::Denied => "Denied",
        ExplainVerdict::Depends => "Depends on the target",
        ExplainVerdict::Unknown => "Not known",
    }
}
