//! `config write -plan` and `config delete -plan`.

use std::fmt::Write as _;

use concord_api::plan::{
    ConfigPlan, PlannedChain, PlannedChains, PlannedEntry, PlannedOutcome, PlannedRequest, PlannedVerdict,
    PlannedVerdicts, ToldChain,
};
use concord_client::{Cas, Client};
use serde_json::{Value, json};

use super::{cas, check_shape, entry};
use crate::cli::command::Invocation;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, files, print};

/// The exit code of a plan in which an entry would be refused.
const REFUSED: Exit = Exit(2);
/// The most characters of a value in the text; `-format=json` prints all.
const VALUE_CHARS_MAX: usize = 60;

/// Plans to write the entries of the files.
pub(super) async fn write(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    if cas(call)? != Cas::Always {
        return Err(call.usage("-plan does not go with -cas: a plan is made of what is stored now"));
    }
    if call.values.arguments.is_empty() {
        return Err(call.usage("-plan needs at least one file"));
    }
    let mut changes = Vec::new();
    for path in &call.values.arguments {
        let (tree, ..) = entry(path, io)?;
        check_shape(&tree, path)?;
        changes.push(files::value(&tree));
    }
    let files: Vec<&str> = call.values.arguments.iter().map(|path| files::shown(path)).collect();
    plan(call, client, &changes, &files, io).await
}

/// Plans to delete an entry.
pub(super) async fn delete(
    call: &Invocation<'_>,
    client: &Client,
    (kind, name): (String, String),
    io: &mut Io,
) -> Outcome {
    if cas(call)? != Cas::Always {
        return Err(call.usage("-plan does not go with -cas: a plan is made of what is stored now"));
    }
    plan(call, client, &[json!({"Kind": kind, "Name": name, "Delete": true})], &[], io).await
}

async fn plan(
    call: &Invocation<'_>,
    client: &Client,
    changes: &[Value],
    files: &[&str],
    io: &mut Io,
) -> Outcome {
    let planned = client.config_plan(changes, &call.options()).await;
    let planned = planned.map_err(Failure::api("make a plan"))?.value;
    if call.wants_json() {
        print::json(&planned, io)?;
    } else {
        io.text(&print::safe_lines(&text(&planned, files)))?;
    }
    Ok(if planned.refused > 0 { REFUSED } else { Exit::SUCCESS })
}

fn text(plan: &ConfigPlan, files: &[&str]) -> String {
    let mut text = String::from("Entries\n");
    for (at, entry) in plan.entries.iter().enumerate() {
        add_entry(entry, files.get(at).copied(), &mut text);
    }
    add_verdicts(&plan.verdicts, &mut text);
    add_chains(&plan.chains, &mut text);
    match plan.refused {
        0 => text.push_str("\nNothing was written.\n"),
        1 => text.push_str("\nOne entry would be refused. Nothing was written.\n"),
        count => _ = writeln!(text, "\n{count} entries would be refused. Nothing was written."),
    }
    text
}

fn add_entry(entry: &PlannedEntry, file: Option<&str>, text: &mut String) {
    let PlannedEntry { kind, name, outcome, fields, fields_left_out, reason } = entry;
    let outcome = match outcome {
        PlannedOutcome::Created => "would be created",
        PlannedOutcome::Changed => "would change",
        PlannedOutcome::Unchanged => "says the same already",
        PlannedOutcome::Removed => "would be deleted",
        PlannedOutcome::Absent => "does not exist",
        PlannedOutcome::Accepted => "would be accepted",
        PlannedOutcome::Refused => "would be refused",
    };
    let file = file.map(|file| format!(" ({file})")).unwrap_or_default();
    let _ = writeln!(text, "  {kind}/{name}{file} {outcome}");
    if !reason.is_empty() {
        let _ = writeln!(text, "    {}", print::safe(reason));
    }
    for field in fields {
        let _ = writeln!(text, "    {}: {} -> {}", field.field, shown(&field.from), shown(&field.to));
    }
    if *fields_left_out > 0 {
        let _ = writeln!(text, "    and {}", print::counted(*fields_left_out, "more field"));
    }
}

fn shown(value: &Value) -> String {
    if value.is_null() {
        return "not set".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(VALUE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

pub(super) fn add_verdicts(verdicts: &PlannedVerdicts, text: &mut String) {
    let PlannedVerdicts { count, pairs, complete, without_example, listed } = verdicts;
    text.push_str("\nVerdicts\n");
    let least = if *complete { "" } else { "at least " };
    match count {
        0 if *complete => {
            text.push_str("  None would be reversed between known services, as far as was compared.\n")
        }
        count => {
            let pairs = print::counted(*pairs, "pair");
            let _ = writeln!(text, "  {least}{count} would be reversed, of {least}{pairs}:");
        }
    }
    for PlannedVerdict { source, destination, request, allowed } in listed {
        let verdict = if *allowed { "allowed" } else { "denied" };
        let request = request.as_ref().map(asked).unwrap_or_default();
        let _ = writeln!(text, "    {source} => {destination}{request} would be {verdict}");
    }
    if *count > listed.len() {
        let _ = writeln!(text, "    and {least}{} more", count - listed.len());
    }
    text.push_str("  Requests are compared by examples of what permissions name; others may be judged otherwise, too.\n");
    if *without_example > 0 {
        let _ = writeln!(
            text,
            "  For {} no example of a request was found; use concord explain for them.",
            print::counted(*without_example, "permission")
        );
    }
}

fn asked(request: &PlannedRequest) -> String {
    let PlannedRequest { method, path, header, claims } = request;
    let mut text = format!(" {method} {}", print::safe(path));
    for header in header {
        let _ = write!(text, " -header {}", print::safe(header));
    }
    for (provider, claims) in claims {
        let _ = write!(text, " -claims {provider}={claims}");
    }
    text
}

pub(super) fn add_chains(chains: &PlannedChains, text: &mut String) {
    let PlannedChains { count, broken, mended, complete, listed } = chains;
    text.push_str("\nChains\n");
    let least = if *complete { "" } else { "at least " };
    match count {
        0 if *complete => text.push_str("  None would change.\n"),
        count => {
            let _ = writeln!(
                text,
                "  {least}{count} would change, {broken} of them break, {mended} become whole:"
            );
        }
    }
    for PlannedChain { service, before, after } in listed {
        let _ = writeln!(text, "    {service}");
        add_chain('-', before, text);
        add_chain('+', after, text);
    }
    if *count > listed.len() {
        let _ = writeln!(text, "    and {least}{} more", count - listed.len());
    }
}

fn add_chain(sign: char, chain: &ToldChain, text: &mut String) {
    let ToldChain { fault, lines, lines_left_out } = chain;
    if !fault.is_empty() {
        let _ = writeln!(text, "      {sign} broken: {}", print::safe(fault));
    }
    for line in lines {
        let _ = writeln!(text, "      {sign} {}", print::safe(line));
    }
    if *lines_left_out > 0 {
        let _ = writeln!(text, "      {sign} and {}", print::counted(*lines_left_out, "more line"));
    }
}
