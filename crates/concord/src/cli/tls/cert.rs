//! `tls cert create`: creates a certificate for an agent or for a client.

use std::net::IpAddr;

use super::super::Io;
use super::super::command::{Command, Invocation, Run};
use super::super::failure::{Exit, Failure, Outcome};
use super::super::files;
use super::super::flag::Flag;
use super::make::{self, CertificateTemplate, Use};
use super::place;

/// The placeholder for the domain in file names.
const DOMAIN: &str = "#DOMAIN#";
/// Most certificates of one kind in a directory.
const NUMBERS: u32 = 10_000;

pub(crate) static CREATE: Command = Command {
    name: "tls cert create",
    synopsis: "Makes a certificate",
    usage: &["-server [options]", "-client [options]", "-cli [options]"],
    about: "Makes a certificate that the authority of `tls ca create` signs: <dc>-<kind>-<domain>-<number>.pem and its key beside it. \
            It names localhost and <kind>.<dc>.<domain>; what is for agents also names 127.0.0.1.",
    flags: &[
        Flag::switch("server", "Make one for a server. Whoever holds it may be a server of the cluster."),
        Flag::switch("client", "Make one for a client agent."),
        Flag::switch("cli", "Make one for who calls an agent: it serves nobody."),
        Flag::text("ca", "File with the authority.").placeholder("<path>").default("#DOMAIN#-agent-ca.pem"),
        Flag::text("key", "File with its key.").placeholder("<path>").default("#DOMAIN#-agent-ca-key.pem"),
        Flag::integer("days", "Days it is valid for.").default("365"),
        Flag::text("dc", "Datacenter in its names.").placeholder("<name>").default("dc1"),
        Flag::text("domain", "Domain in its names, and in those of the files.")
            .placeholder("<name>")
            .default("consul"),
        Flag::text(
            "node",
            "Name of the server's node: <node>.server.<dc>.<domain> is among its names. Needs -server.",
        )
        .placeholder("<name>"),
        Flag::list("additional-dnsname", "Another name of the host.").placeholder("<name>"),
        Flag::list("additional-ipaddress", "Another address of the host.").placeholder("<address>"),
    ],
    http: false,
    usage_code: 1,
    run: Run::Here(run),
};

fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let values = &call.values;
    for (flag, what) in [("ca", "ca"), ("key", "key")] {
        if values.text(flag).is_empty() {
            return Err(call.usage(format!("Please provide the {what}")));
        }
    }
    let kinds =
        ["server", "client", "cli"].into_iter().filter(|kind| values.switch(kind)).collect::<Vec<_>>();
    let [kind] = kinds.as_slice() else {
        return Err(call.usage("Please provide either -server, -client, or -cli"));
    };
    let node = values.text("node");
    if !node.is_empty() && *kind != "server" {
        return Err(call.usage("-node requires -server"));
    }
    let (dc, domain, days) = (place::named("dc", call)?, place::named("domain", call)?, place::days(call)?);
    let name = format!("{kind}.{dc}.{domain}");
    let template = CertificateTemplate {
        names: names(call, &name, &[node, "server", dc, domain]),
        addresses: addresses(call, kind)?,
        common_name: name,
        days,
        uses: if *kind == "cli" { Vec::new() } else { vec![Use::Server, Use::Client] },
    };
    let [ca_file, key_file] = ["ca", "key"].map(|flag| values.text(flag).replacen(DOMAIN, domain, 1));
    let (ca, key) = (files::read(&ca_file, io)?, files::read(&key_file, io)?);
    let pair = free_pair(&format!("{dc}-{kind}-{domain}"))?;
    let made = make::certificate(template, (&ca_file, &ca), (&key_file, &key))?;
    if *kind == "server" {
        io.line(
            "==> WARNING: whoever holds a server's certificate may be a server of the cluster, and sees all that it\n    \
             keeps. Give it to no other host, and keep it as safe as the key of the authority.",
        )?;
    }
    io.line(format_args!("==> Using {ca_file} and {key_file}"))?;
    place::save(&pair, &made, io)?;
    Ok(Exit::SUCCESS)
}

/// The host names of the certificate; requested names come first.
fn names(call: &Invocation<'_>, own: &str, node: &[&str]) -> Vec<String> {
    let asked = call.values.list("additional-dnsname").iter().map(|name| name.trim().to_owned());
    let node = Some(node.join(".")).filter(|_| !node[0].is_empty());
    asked
        .filter(|name| !name.is_empty())
        .chain(node)
        .chain([own.to_owned(), "localhost".to_owned()])
        .collect()
}

fn addresses(call: &Invocation<'_>, kind: &str) -> Result<Vec<IpAddr>, Failure> {
    let asked = call
        .values
        .list("additional-ipaddress")
        .iter()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty());
    let parse = |text: &str| {
        text.parse::<IpAddr>()
            .map_err(|_| call.usage(format!("-additional-ipaddress: {text:?} is not an IP address")))
    };
    let loopback = (kind != "cli").then_some(Ok(IpAddr::from([127, 0, 0, 1])));
    asked.map(parse).chain(loopback).collect()
}

/// The first pair of file names that are both free.
fn free_pair(prefix: &str) -> Result<[String; 2], Failure> {
    let pair = |number| [format!("{prefix}-{number}.pem"), format!("{prefix}-{number}-key.pem")];
    (0..NUMBERS).map(pair).find(|pair| place::refuse_existing(pair).is_ok()).ok_or_else(|| {
        Failure::input(format!("{prefix}-0.pem to {prefix}-{}.pem are all taken", NUMBERS - 1))
    })
}
