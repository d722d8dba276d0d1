//! `members`: the members of the agent's gossip pool.

use std::fmt::Write as _;
use std::net::IpAddr;

use concord_api::agent::Member;
use concord_client::Client;
use regex::Regex;

use super::columns::Columns;
use super::command::{Command, FORMAT, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};
use super::flag::Flag;
use super::{Io, print};

/// The value of `-segment` that selects all segments.
const ALL_SEGMENTS: &str = "_all";
/// Exit code if there is no member to show.
const NOBODY: Exit = Exit(2);

pub(crate) static MEMBERS: Command = Command {
    name: "members",
    synopsis: "Lists the members of the cluster",
    usage: &["[options]"],
    about: "Lists the members the agent knows, with their state: alive, leaving, left or failed. Agents know themselves \
            alone so far.",
    flags: &[
        Flag::switch("detailed", "Print all tags of each member."),
        FORMAT,
        Flag::text("segment", "Only members of this network segment. Others than all are not available yet.")
            .default(ALL_SEGMENTS),
        Flag::text("status", "Only members in whose state this regular expression is found.")
            .placeholder("<regexp>")
            .default(".*"),
        Flag::text("filter", "Only members this filter expression matches.").placeholder("<expression>"),
        Flag::switch("wan", "List the servers of all datacenters. Not available yet."),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let pattern = call.values.text("status");
    let status = Regex::new(pattern).map_err(|error| {
        let text = error.to_string();
        let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        call.usage(format!("-status: {pattern:?} is no regular expression: {cause}"))
    })?;
    let mut options = call.options();
    options.filter = call.values.text("filter").to_owned();
    let mut members = client
        .agent_members(call.values.switch("wan"), call.values.text("segment"), &options)
        .await
        .map_err(Failure::api("list the members"))?
        .value;
    members.retain(|member| status.is_match(state(member)));
    if members.is_empty() {
        io.remark("No member matches.")?;
        return Ok(NOBODY);
    }
    members.sort_by(|a, b| order(a).cmp(&order(b)));
    if call.wants_json() {
        return print::json(&members, io);
    }
    for member in &mut members {
        complete(member, call.values.text("segment"));
    }
    let text = if call.values.switch("detailed") { detailed(&members) } else { plain(&members) };
    io.text(&text)?;
    Ok(Exit::SUCCESS)
}

/// Fills in what an agent leaves out: the partition and the segment. If all segments are requested, a server's
/// segment is `<all>`.
fn complete(member: &mut Member, segment: &str) {
    let server = tag(member, "role") == "consul";
    if tag(member, "ap").is_empty() {
        member.tags.insert("ap".to_owned(), "default".to_owned());
    }
    if server && segment == ALL_SEGMENTS {
        member.tags.insert("segment".to_owned(), "<all>".to_owned());
    } else if tag(member, "segment").is_empty() {
        member.tags.insert("segment".to_owned(), "<default>".to_owned());
    }
}

/// The sort key: servers first, then the default partition, then by segment, partition and name.
fn order(member: &Member) -> (bool, bool, &str, &str, &str) {
    let partition = tag(member, "ap");
    let client = tag(member, "role") != "consul";
    (client, !matches!(partition, "" | "default"), tag(member, "segment"), partition, &member.name)
}

fn plain(members: &[Member]) -> String {
    let mut table = Columns::new([
        "Node",
        "Address",
        "Status",
        "Type",
        "Build",
        "Protocol",
        "DC",
        "Partition",
        "Segment",
    ]);
    for member in members {
        let kind = match tag(member, "role") {
            "consul" => "server",
            "node" => "client",
            _ => "unknown",
        };
        let build = tag(member, "build").split(':').next().unwrap_or_default();
        table.row([
            &member.name,
            &address(member),
            state(member),
            kind,
            if build.is_empty() { "< 0.3" } else { build },
            tag(member, "vsn"),
            tag(member, "dc"),
            tag(member, "ap"),
            tag(member, "segment"),
        ]);
    }
    table.render()
}

fn detailed(members: &[Member]) -> String {
    let mut table = Columns::new(["Node", "Address", "Status", "Tags"]);
    for member in members {
        let mut tags = String::new();
        for (name, value) in &member.tags {
            let comma = if tags.is_empty() { "" } else { "," };
            let _ = write!(tags, "{comma}{name}={value}");
        }
        table.row([&member.name, &address(member), state(member), &tags]);
    }
    table.render()
}

fn state(member: &Member) -> &'static str {
    match member.status {
        1 => "alive",
        2 => "leaving",
        3 => "left",
        4 => "failed",
        _ => "none",
    }
}

fn address(member: &Member) -> String {
    match member.addr.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]:{}", member.port),
        Ok(IpAddr::V4(_)) | Err(_) => format!("{}:{}", member.addr, member.port),
    }
}

fn tag<'a>(member: &'a Member, name: &str) -> &'a str {
    member.tags.get(name).map_or("", String::as_str)
}
