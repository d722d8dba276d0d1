//! Configurations in the manner of what operators have: what each starts with, which warnings it gets, or why it is
//! refused. They stand in text files below `operators/`, a group each:
//!
//! ```text
//! === what it is
//! flags -dev -hcl log_level = "warn"     (what follows -hcl is one piece, to the end of the line)
//! --- file.hcl
//! its text
//! ---
//! starts                                 or: refused
//! the exact warnings, or faults
//! shows ports.http = 8500                a value in force
//! ```
//!
//! Room is left for those about TLS: a group more in [`GROUPS`].

use concord_model::Secret;

use super::{AgentFlags, Source};
use crate::interfaces::{Flags, InterfaceAddress, Interfaces};
use crate::knob::KNOBS;
use crate::{Host, load};

const GROUPS: &[(&str, &str)] = &[
    ("addresses", include_str!("operators/addresses.txt")),
    ("cluster", include_str!("operators/cluster.txt")),
    ("legacy", include_str!("operators/legacy.txt")),
    ("made", include_str!("operators/made.txt")),
    ("mistakes", include_str!("operators/mistakes.txt")),
    ("several", include_str!("operators/several.txt")),
    ("single", include_str!("operators/single.txt")),
    ("syntax", include_str!("operators/syntax.txt")),
];

#[test]
fn configurations_of_operators_start_or_say_why_not() {
    let (mut count, mut wrong) = (0, String::new());
    for (group, text) in GROUPS {
        for case in text.split("\n=== ").map(|case| case.trim_start_matches("=== ")) {
            let (name, rest) = case.split_once('\n').expect("a name");
            let (given, expected) =
                rest.rsplit_once("\n---\n").or_else(|| rest.rsplit_once("\n---")).expect("an end");
            let found = outcome(given, expected);
            count += 1;
            if found != expected.trim_end() {
                wrong.push_str(&format!("\n=== {group}: {name}\n{found}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "otherwise than expected:\n{wrong}");
    assert!(count >= 60, "{count}");
}

/// The result of a configuration, with the requested values in force.
fn outcome(given: &str, expected: &str) -> String {
    let mut parts = given.split("\n--- ");
    let line = parts.next().and_then(|first| first.strip_prefix("flags")).expect("a line of flags");
    let sources: Vec<_> = parts
        .map(|part| part.split_once('\n').unwrap_or((part, "")))
        .map(|(name, text)| Source::file(name, text.as_bytes().to_vec()))
        .collect();
    match load(&sources, &flags(line), &host()) {
        Ok(loaded) => {
            let told = loaded.warnings.iter().map(ToString::to_string);
            let keys = expected.lines().filter_map(|line| line.strip_prefix("shows ")?.split_once(" ="));
            let shown = keys.map(|(key, _)| {
                let knob = KNOBS.iter().find(|knob| knob.key == key).expect("a key that is shown is a knob");
                format!("shows {key} = {}", (knob.value)(&loaded.config)).trim_end().to_owned()
            });
            ["starts".to_owned()].into_iter().chain(told).chain(shown).collect::<Vec<_>>().join("\n")
        }
        Err(found) => {
            let told = found.iter().map(ToString::to_string);
            ["refused".to_owned()].into_iter().chain(told).collect::<Vec<_>>().join("\n")
        }
    }
}

fn flags(line: &str) -> AgentFlags {
    let (line, hcl) = line.split_once(" -hcl ").map_or((line, None), |(line, hcl)| (line, Some(hcl)));
    let mut own = AgentFlags {
        hcl: hcl.into_iter().map(|text| Secret::new(text.to_owned())).collect(),
        ..AgentFlags::default()
    };
    for word in line.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let text = Some(value.to_owned());
        match name {
            "-dev" => own.dev = true,
            "-server" => own.server = Some(true),
            "-ui" => own.ui = Some(true),
            "-bind" => own.bind = text,
            "-client" => own.client = text,
            "-data-dir" => own.data_dir = text,
            "-datacenter" => own.datacenter = text,
            "-node" => own.node = text,
            "-retry-join" => own.retry_join.extend(text),
            "-bootstrap-expect" => own.bootstrap_expect = Some(value.parse().expect("a number")),
            other => panic!("{other} is not read here"),
        }
    }
    own
}

/// A machine in two private networks.
fn host() -> Host {
    let one = |name: &str, ip: &str, bits: u8| InterfaceAddress {
        name: name.to_owned(),
        address: ip.parse().expect("an address"),
        bits,
        flags: Flags { up: true, loopback: name == "lo", broadcast: name != "lo", ..Flags::default() },
    };
    let interfaces = Interfaces {
        addresses: vec![
            one("lo", "127.0.0.1", 8),
            one("eth0", "10.0.0.5", 24),
            one("eth1", "192.168.1.2", 24),
        ],
        default: Some("eth0".to_owned()),
        fault: None,
    };
    Host { hostname: "host".to_owned(), interfaces }
}
