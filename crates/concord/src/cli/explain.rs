//! `explain`: why a service may or may not call another, or a request pass, and the smallest change that would reverse
//! this.

use std::fmt::Write as _;

use concord_api::explain::{DecidedBy, ExplainPair, ExplainProposal, IntentionExplain};
use concord_client::Client;

mod request;
mod route;
mod verdict;

use self::verdict::{headline, word};
use super::command::{Command, FORMAT, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};
use super::flag::Flag;
use super::intention;
use super::{Io, print};

/// The most service pairs printed with a change; `-format=json` prints more.
const PAIRS_SHOWN_MAX: usize = 10;

pub(crate) static EXPLAIN: Command = Command {
    name: "explain",
    synopsis: "Tells why a service may or may not call another",
    usage: &["[options] SOURCE DESTINATION"],
    about: "Tells whether SOURCE may open connections to DESTINATION, which intention decides that, which others it \
            hides, and the smallest change that would decide otherwise, with whatever else would change with it. \
            Where routes, splits, redirects or failover lead to other services, these decide, each for itself. \
            With -method, -path, -header or -claims the same about one request: which permissions are tried, what of \
            them does not fit, and which one decides; and where the request goes: route, parts, targets, failover, \
            timeouts and retries, each with the entry that says so, and what is decided at each target about the \
            request as it arrives there. Nothing is changed.",
    flags: &[
        Flag::pairs("claims", "Claims of a verified token of this request, a JSON object by provider.")
            .placeholder("<provider={...}>"),
        FORMAT,
        Flag::pairs("header", "A header of the request.").placeholder("<name=value>"),
        Flag::text("method", "The method of the request; without it GET.").placeholder("<method>"),
        Flag::text(
            "path",
            "The path of the request as it would be sent, with or without a query; without it /.",
        )
        .placeholder("<path>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let [source, destination] = call.arguments("SOURCE and DESTINATION")?;
    if call.values.origin("path").is_some() && call.values.text("path").is_empty() {
        return Err(call.usage("-path is empty; give the path as it would be sent, as /"));
    }
    let asked = asked(call);
    if !asked.is_empty() {
        return request::run(call, client, (source, destination), &asked, io).await;
    }
    let explained = client
        .intention_explain(source, destination, &call.options())
        .await
        .map_err(Failure::api("explain the intentions"))?
        .value;
    if call.wants_json() {
        return print::json(&explained, io);
    }
    io.text(&print::safe_lines(&text(&explained)))?;
    Ok(Exit::SUCCESS)
}

/// The request that is asked about, as parameters; empty if the question is about a connection.
fn asked(call: &Invocation<'_>) -> Vec<(&'static str, String)> {
    let texts = ["method", "path"].into_iter().map(|name| (name, call.values.text(name).to_owned()));
    let texts = texts.filter(|(_, value)| !value.is_empty());
    let pairs = ["header", "claims"].into_iter();
    texts
        .chain(pairs.flat_map(|name| call.values.list(name).iter().map(move |pair| (name, pair.clone()))))
        .collect()
}

fn text(explained: &IntentionExplain) -> String {
    let question = &explained.question;
    let mut text = headline(question);
    if explained.at.is_empty() {
        add_pair(explained, &mut text);
    }
    for at in &explained.at {
        let _ = writeln!(text, "\nAt {}: {}", at.question.destination, word(at.question.verdict));
        add_pair(at, &mut text);
    }
    let goes =
        route::Goes { protocol: None, route: question.route.as_ref(), why_not: &question.why_no_route };
    route::add(goes, &mut text);
    text
}

/// What is decided about a pair. Nothing if several targets decide, of which nothing is known.
fn add_pair(explained: &IntentionExplain, text: &mut String) {
    let _ = writeln!(text, "\nWhy\n  {}", print::safe(&explained.question.reason));
    if explained.decided_by == DecidedBy::Targets {
        return;
    }
    if let Some(rule) = &explained.intention
        && !rule.description.is_empty()
    {
        let _ = writeln!(text, "  Described as: {}", print::safe(&rule.description));
    }
    if !explained.shadows.is_empty() {
        text.push_str("\nHides\n");
        for rule in &explained.shadows {
            let _ = writeln!(text, "  {} (precedence {})", intention::line(rule), rule.precedence);
        }
    }
    let wanted = if explained.question.allowed { "deny" } else { "allow" };
    match &explained.smallest_change {
        Some(proposal) => {
            let _ = writeln!(text, "\nSmallest change to {wanted} it");
            add_proposal(proposal, text);
        }
        None => {
            let _ = writeln!(text, "\nNo single change would {wanted} it: {}", explained.no_change);
        }
    }
    for proposal in &explained.alternatives {
        text.push_str("\nOr\n");
        add_proposal(proposal, text);
    }
}

fn add_proposal(proposal: &ExplainProposal, text: &mut String) {
    let _ = writeln!(text, "  {}", proposal.summary);
    let least = if proposal.affected_complete { "" } else { "at least " };
    match proposal.affected {
        0 if proposal.affected_complete => text.push_str("  Changes no other pair of known services.\n"),
        1 => {
            let _ = writeln!(text, "  Also changes {least}1 other pair:");
        }
        count => {
            let _ = writeln!(text, "  Also changes {least}{count} other pairs:");
        }
    }
    for ExplainPair { source, destination, allowed } in proposal.affected_pairs.iter().take(PAIRS_SHOWN_MAX) {
        let verdict = if *allowed { "allowed" } else { "denied" };
        let _ = writeln!(text, "    {source} => {destination} becomes {verdict}");
    }
    if proposal.affected > PAIRS_SHOWN_MAX {
        let _ = writeln!(text, "    and {least}{} more", proposal.affected - PAIRS_SHOWN_MAX);
    }
}
