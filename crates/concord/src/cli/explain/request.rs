//! `explain` about a request.

use std::fmt::Write as _;

use concord_api::explain::{RequestChange, RequestExplain, TriedPermission};
use concord_client::Client;

use super::route;
use super::verdict::{headline, word};
use crate::cli::command::Invocation;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, intention, print};

/// The most callers printed with a change; `-format=json` prints more.
const CALLERS_SHOWN_MAX: usize = 10;

pub(super) async fn run(
    call: &Invocation<'_>,
    client: &Client,
    (source, destination): (&str, &str),
    asked: &[(&str, String)],
    io: &mut Io,
) -> Outcome {
    let explained = client
        .request_explain(source, destination, asked, &call.options())
        .await
        .map_err(Failure::api("explain the request"))?
        .value;
    if call.wants_json() {
        return print::json(&explained, io);
    }
    io.text(&print::safe_lines(&text(&explained)))?;
    Ok(Exit::SUCCESS)
}

fn text(explained: &RequestExplain) -> String {
    let question = &explained.question;
    let mut text = headline(question);
    if explained.at.is_empty() {
        add_pair(explained, &mut text);
    }
    for at in &explained.at {
        let _ = writeln!(text, "\nAt {}: {}", at.question.destination, word(at.question.verdict));
        add_pair(at, &mut text);
    }
    let protocol = Some(explained.protocol.as_str()).filter(|_| explained.protocol_note.is_empty());
    let goes = route::Goes { protocol, route: question.route.as_ref(), why_not: &question.why_no_route };
    route::add(goes, &mut text);
    text
}

/// What is decided about a request at a service.
fn add_pair(explained: &RequestExplain, text: &mut String) {
    if !explained.path.is_empty() {
        let odd = if explained.path_ambiguous { " (backends may read it in different ways)" } else { "" };
        let _ = writeln!(text, "The backend is sent the path {}{odd}", print::safe(&explained.path));
    }
    if !explained.protocol_note.is_empty() {
        let _ = writeln!(text, "About its protocol: {}", explained.protocol_note);
    }
    let _ = writeln!(text, "\nWhy\n  {}", print::safe(&explained.question.reason));
    explained.tried.iter().for_each(|tried| add_tried(tried, text));
    if !explained.shadows.is_empty() {
        text.push_str("\nHides\n");
        for rule in &explained.shadows {
            let _ = writeln!(text, "  {} (precedence {})", intention::line(rule), rule.precedence);
        }
    }
    let wanted = if explained.question.allowed { "deny" } else { "allow" };
    if !explained.why_no_change.is_empty() {
        let _ = writeln!(text, "\nNo single change would {wanted} it: {}", explained.why_no_change);
    }
    for (at, change) in explained.changes.iter().enumerate() {
        match at {
            0 => _ = writeln!(text, "\nSmallest change to {wanted} it"),
            _ => text.push_str("\nOr\n"),
        }
        add_change(change, text);
    }
}

fn add_tried(tried: &TriedPermission, text: &mut String) {
    let TriedPermission { permission, action, applies, fit, condition } = tried;
    let outcome = if *applies { "applies" } else { "does not apply" };
    let why = match (fit.as_str(), condition.as_str()) {
        (_, "") => String::new(),
        ("unclear", condition) => format!(": {condition} is unclear"),
        (_, condition) => format!(": {condition} does not fit"),
    };
    let _ = writeln!(text, "  Permissions[{permission}] ({action}) {outcome}{why}");
}

fn add_change(change: &RequestChange, text: &mut String) {
    let _ = writeln!(text, "  {}", change.summary);
    let about = match change.reach.as_str() {
        "request" => "requests with this method and path",
        "permission" => "all requests for which this permission decides",
        _ => "all requests of the pair",
    };
    let _ = writeln!(text, "  Is about {about}.");
    if change.other_callers > 0 {
        let callers = print::counted(change.other_callers, "other caller");
        let _ = writeln!(text, "  Also changes it for {callers}:");
    }
    for caller in change.callers.iter().take(CALLERS_SHOWN_MAX) {
        let _ = writeln!(text, "    {caller}");
    }
    if change.other_callers > CALLERS_SHOWN_MAX {
        let _ = writeln!(text, "    and {} more", change.other_callers - CALLERS_SHOWN_MAX);
    }
}
