//! `proxy status`.

use std::fmt::Write as _;

use concord_api::proxy_status::{
    EntryDelivery, ProxyStatus, ProxyStatuses, RejectedResource, ResponseStatus, TypeStatus,
};
use concord_client::{Client, QueryOptions};
use serde::Serialize;

use crate::cli::columns::Columns;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, print};
use crate::run::signals::Signals;

pub(crate) static STATUS: Command = Command {
    name: "proxy status",
    synopsis: "Tells which proxy has what",
    usage: &["[options]", "[options] -proxy-id=<id>", "[options] -entry=<kind>/<name>"],
    about: "Tells of each proxy that is attached to the agent what it was told, what it acknowledged and what it refuses: \
            with Envoy's words, and with the entries and registrations that the refused resource is made from. A proxy keeps \
            what it had of a resource that it refuses. With -entry, tells how far a configuration entry came with each proxy \
            that it concerns. Proxies that are attached to other agents are told by those agents. The token needs \
            service:read on the service of a proxy, and the right to read the entry.",
    flags: &[
        FORMAT,
        Flag::text("entry", "Follow this configuration entry.").placeholder("<kind>/<name>"),
        Flag::text("proxy-id", "Only this proxy, in detail.").placeholder("<id>"),
        Flag::switch("watch", "Print again whenever something changes, until an interrupt."),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

/// What is asked.
enum Question<'a> {
    Proxies { only: Option<&'a str> },
    Entry { kind: &'a str, name: &'a str },
}

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let question = question(call)?;
    let is_watching = call.values.switch("watch");
    let mut signals = Signals::listen().map_err(|error| Failure::system("listen to signals", error))?;
    let mut options = call.options();
    loop {
        let index = tokio::select! {
            biased;
            () = signals.end() => return Ok(Exit::SUCCESS),
            told = tell(&question, call.wants_json(), client, &options, io) => told?,
        };
        if !is_watching {
            return Ok(Exit::SUCCESS);
        }
        io.line("")?;
        io.flush().map_err(Failure::Output)?;
        options.index = index;
    }
}

fn question<'a>(call: &'a Invocation<'_>) -> Result<Question<'a>, Failure> {
    let only = call.values.optional("proxy-id").filter(|id| !id.is_empty());
    let Some(entry) = call.values.optional("entry").filter(|entry| !entry.is_empty()) else {
        return Ok(Question::Proxies { only });
    };
    if only.is_some() {
        return Err(Failure::usage("-entry and -proxy-id exclude each other"));
    }
    let named = entry.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
    let (kind, name) = named.ok_or_else(|| {
        Failure::usage(format!("-entry: {entry:?} is not <kind>/<name>, such as service-splitter/web"))
    })?;
    Ok(Question::Entry { kind, name })
}

/// Prints one answer. Returns its index.
async fn tell(
    question: &Question<'_>,
    json: bool,
    client: &Client,
    options: &QueryOptions,
    io: &mut Io,
) -> Result<u64, Failure> {
    match question {
        Question::Proxies { only } => {
            let answer = client.agent_proxies(*only, options).await;
            let answer = answer.map_err(Failure::api("tell what the proxies have"))?;
            let text = || proxies(&answer.value, *only);
            show(&answer.value, json, text, io)?;
            Ok(answer.meta.index)
        }
        Question::Entry { kind, name } => {
            let answer = client.agent_proxies_entry(kind, name, options).await;
            let answer = answer.map_err(Failure::api(format!("tell who has {kind}/{name}")))?;
            show(&answer.value, json, || delivery(&answer.value), io)?;
            Ok(answer.meta.index)
        }
    }
}

fn show(
    value: &impl Serialize,
    json: bool,
    text: impl FnOnce() -> String,
    io: &mut Io,
) -> Result<(), Failure> {
    match json {
        true => print::json(value, io).map(drop),
        false => io.text(&print::safe_lines(&text())),
    }
}

fn proxies(told: &ProxyStatuses, only: Option<&str>) -> String {
    let mut text = String::new();
    if told.proxies.is_empty() {
        let which = only.map_or_else(|| "No proxy is".to_owned(), |id| format!("{id} is not"));
        let _ = writeln!(text, "{which} attached to agent {}.", told.node);
    } else {
        let mut table = Columns::new(["Proxy", "Service", "Kind", "Version", "State", "Connected"]);
        for own in &told.proxies {
            let version = if own.envoy_version.is_empty() { "-" } else { &own.envoy_version };
            table.row([&own.proxy, &own.service, &own.kind, version, &own.state, &own.connected]);
        }
        text.push_str(&table.render());
    }
    if told.left_out > 0 {
        let _ = writeln!(text, "{} further proxies are left out; name one with -proxy-id.", told.left_out);
    }
    for own in &told.proxies {
        add_proxy(own, only.is_some(), &mut text);
    }
    if !told.ended.is_empty() {
        text.push_str("\nEnded\n");
    }
    for ended in &told.ended {
        let _ = writeln!(text, "  {} ({}) {} ago: {}", ended.proxy, ended.service, ended.ago, ended.reason);
    }
    if told.forgotten > 0 {
        let _ = writeln!(text, "  {} older ones are forgotten.", told.forgotten);
    }
    text
}

fn add_proxy(own: &ProxyStatus, detailed: bool, text: &mut String) {
    if detailed && !own.types.is_empty() {
        text.push('\n');
        let mut table = Columns::new([
            "Type",
            "Resources",
            "Acknowledged",
            "Delivered",
            "Waiting",
            "Rejected",
            "Last delivered",
            "Last acknowledged",
        ]);
        for kind in &own.types {
            let TypeStatus { resources, acknowledged, delivered, waiting, rejected, .. } = kind;
            let counts = [resources, acknowledged, delivered, waiting, rejected].map(usize::to_string);
            let [resources, acknowledged, delivered, waiting, rejected] = &counts;
            let (sent, taken) = (response(&kind.last_delivered), response(&kind.last_acknowledged));
            table.row([&kind.kind, resources, acknowledged, delivered, waiting, rejected, &sent, &taken]);
        }
        text.push_str(&table.render());
    }
    for unserved in &own.unserved {
        let _ = writeln!(text, "\n{} gets nothing for {unserved}", own.proxy);
    }
    own.rejections.iter().for_each(|one| add_rejection(&own.proxy, one, text));
    if own.more_rejections > 0 {
        let _ = writeln!(text, "\n{} refuses {} further resources.", own.proxy, own.more_rejections);
    }
}

fn response(own: &Option<ResponseStatus>) -> String {
    own.as_ref().map_or_else(|| "-".to_owned(), |own| format!("{}, {} ago", own.version, own.ago))
}

fn add_rejection(proxy: &str, one: &RejectedResource, text: &mut String) {
    let RejectedResource { kind, name, words, made_from, ago } = one;
    let _ = writeln!(text, "\n{proxy} refuses {kind} {name:?} since {ago}, and keeps what it had:");
    for line in words.lines() {
        let _ = writeln!(text, "  {line}");
    }
    let from: Vec<_> = made_from.iter().map(ToString::to_string).collect();
    if !from.is_empty() {
        let _ = writeln!(text, "  It is made from: {}", from.join(", "));
    }
}

fn delivery(told: &EntryDelivery) -> String {
    let EntryDelivery { kind, name, modify_index, node, affected, .. } = told;
    let age = match told.accepted_ago.as_str() {
        "" => "it is not known when".to_owned(),
        ago => format!("{ago} ago"),
    };
    let mut text = format!("{kind}/{name}, accepted at index {modify_index}, {age}\n");
    if *affected == 0 {
        let _ = writeln!(text, "It concerns no proxy that is attached to agent {node}.");
        return text;
    }
    let counts = [
        ("in the snapshot of", told.compiled),
        ("delivered to", told.delivered),
        ("acknowledged by", told.acknowledged),
        ("rejected by", told.rejected),
    ];
    for (what, count) in counts {
        let _ = writeln!(text, "  {what} {count} of {affected}");
    }
    text.push('\n');
    let mut table = Columns::new(["Proxy", "Service", "Kind", "State", "For"]);
    for own in &told.proxies {
        let ago = if own.ago.is_empty() { "-" } else { &own.ago };
        table.row([&own.proxy, &own.service, &own.kind, &own.reached, ago]);
    }
    text.push_str(&table.render());
    if told.left_out > 0 {
        let _ = writeln!(text, "{} further proxies are left out.", told.left_out);
    }
    for own in &told.proxies {
        own.rejections.iter().for_each(|one| add_rejection(&own.proxy, one, &mut text));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accepted_ago: &str, first: &str) {
        let told = EntryDelivery {
            kind: "mesh".to_owned(),
            name: "mesh".to_owned(),
            modify_index: 7,
            accepted_ago: accepted_ago.to_owned(),
            ..EntryDelivery::default()
        };
        assert_eq!(delivery(&told).lines().next(), Some(first));
    }

    #[test]
    fn an_entry_is_told_with_its_age_if_that_is_known() {
        check("1m30s", "mesh/mesh, accepted at index 7, 1m30s ago");
        check("", "mesh/mesh, accepted at index 7, it is not known when");
    }
}
