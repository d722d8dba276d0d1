//! `explain` about a request.

mod route;

use std::fmt::Write as _;

use concord_api::explain::{RequestChange, RequestExplain, TriedPermission};
use concord_client::Client;

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
    io.text(&text(&explained))?;
    Ok(Exit::SUCCESS)
}

fn text(explained: &RequestExplain) -> String {
    let mut text = String::new();
    let verdict = if explained.allowed { "Allowed" } else { "Denied" };
    let _ = writeln!(text, "{verdict}: {} => {}", explained.source, explained.destination);
    if route::leads_elsewhere(explained) {
        text.push_str("But the request is not judged so at all places where it goes; see below.\n");
    }
    if !explained.path.is_empty() {
        let odd = if explained.path_ambiguous { " (backends may read it in different ways)" } else { "" };
        let _ = writeln!(text, "The backend is sent the path {}{odd}", explained.path);
    }
    let _ = writeln!(text, "\nWhy\n  {}", explained.reason);
    explained.tried.iter().for_each(|tried| add_tried(tried, &mut text));
    if !explained.shadows.is_empty() {
        text.push_str("\nHides\n");
        for rule in &explained.shadows {
            let _ = writeln!(text, "  {} (precedence {})", intention::line(rule), rule.precedence);
        }
    }
    let wanted = if explained.allowed { "deny" } else { "allow" };
    if !explained.why_no_change.is_empty() {
        let _ = writeln!(text, "\nNo single change would {wanted} it: {}", explained.why_no_change);
    }
    for (at, change) in explained.changes.iter().enumerate() {
        match at {
            0 => _ = writeln!(text, "\nSmallest change to {wanted} it"),
            _ => text.push_str("\nOr\n"),
        }
        add_change(change, &mut text);
    }
    route::add(explained, &mut text);
    text
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
        let _ = writeln!(text, "  Also changes it for {} other callers:", change.other_callers);
    }
    for caller in change.callers.iter().take(CALLERS_SHOWN_MAX) {
        let _ = writeln!(text, "    {caller}");
    }
    if change.other_callers > CALLERS_SHOWN_MAX {
        let _ = writeln!(text, "    and {} more", change.other_callers - CALLERS_SHOWN_MAX);
    }
}
