//! `config status`.

use std::fmt::Write as _;

use concord_api::entry_status::{ConfigStatus, ListedServices, TakesPart};
use concord_client::Client;

use super::plan::{add_chains, add_verdicts};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, print};

pub(crate) static STATUS: Command = Command {
    name: "config status",
    synopsis: "Tells what a configuration entry does",
    usage: &["[options] -kind=<kind> -name=<name>"],
    about: "Tells whether the entry would be accepted if it was written today, in which discovery chains it takes part \
            and whether they can be compiled, and what is otherwise than it would be without it: verdicts, chains, and \
            the configuration of proxies. Of services it tells those that the token may read.",
    flags: &[
        FORMAT,
        Flag::text("kind", "Kind of the entry.").placeholder("<kind>"),
        Flag::text("name", "Name of the entry.").placeholder("<name>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let (kind, name) = (call.required("kind")?, call.required("name")?);
    let status = client.config_status(kind, name, &call.options()).await;
    let status = status.map_err(Failure::api(format!("tell the status of {kind}/{name}")))?.value;
    if call.wants_json() {
        return print::json(&status, io);
    }
    io.text(&print::safe_lines(&text(&status)))?;
    Ok(Exit::SUCCESS)
}

fn text(status: &ConfigStatus) -> String {
    let ConfigStatus { kind, name, modify_index, accepted, reason, heeded, .. } = status;
    let mut text = format!("{kind}/{name}, written at index {modify_index}\n");
    match accepted {
        true => text.push_str("  Would be accepted if it was written today.\n"),
        false => _ = writeln!(text, "  Would be refused if it was written today: {}", print::safe(reason)),
    }
    if !heeded {
        text.push_str("  The built-in proxy does not act by entries of this kind yet.\n");
    }
    add_part(&status.chains, &mut text);
    text.push_str("\nWithout it\n");
    add_verdicts(&status.verdicts, &mut text);
    add_chains(&status.changes, &mut text);
    add_services("Proxies of these services are configured by it", &status.proxies, &mut text);
    add_services("It names", &status.names, &mut text);
    text
}

fn add_part(chains: &TakesPart, text: &mut String) {
    let TakesPart { whole, broken, complete, listed } = chains;
    let least = if *complete { "" } else { "at least " };
    match whole + broken {
        0 => text.push_str("  Takes part in no chain.\n"),
        1 if *complete => {
            let state = if *broken > 0 { "broken" } else { "whole" };
            let _ = writeln!(text, "  Takes part in one chain, which is {state}.");
        }
        count => _ = writeln!(text, "  Takes part in {least}{count} chains, {broken} of them broken."),
    }
    for chain in listed {
        let _ = writeln!(text, "    {}: {}", chain.service, chain.fault);
    }
}

fn add_services(what: &str, services: &ListedServices, text: &mut String) {
    let ListedServices { count, listed } = services;
    if *count > 0 {
        let more =
            if *count > listed.len() { format!(" and {} more", count - listed.len()) } else { String::new() };
        let _ = writeln!(text, "\n{what}\n  {}{more}", listed.join(", "));
    }
}
