//! `version`: the version of this program, and the version of Consul that it is compatible with.

use serde::Serialize;

use super::command::{Command, FORMAT, Invocation, Run};
use super::failure::{Exit, Outcome};
use super::{Io, Program, print};

/// The version of Consul whose public behaviour this program has; clients that check the version get this one.
pub(crate) const CONSUL_LEVEL: &str = "1.21.0";
/// The version of the program itself.
pub(crate) const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Consul's protocol versions between agents, as its own `version` prints them.
const PROTOCOL: Protocol = Protocol { default: 2, min: 2, max: 3 };

pub(crate) static VERSION: Command = Command {
    name: "version",
    synopsis: "Prints the version",
    usage: &["[options]"],
    about: "Prints the version of the program and the level of Consul it is compatible with.",
    flags: &[FORMAT],
    http: false,
    usage_code: 1,
    run: Run::Here(run),
};

/// `version -format=json`, with Consul's keys and two of our own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: &'static str,
    revision: &'static str,
    prerelease: &'static str,
    build_date: &'static str,
    #[serde(rename = "RPC")]
    rpc: Protocol,
    product: &'static str,
    product_version: &'static str,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Protocol {
    default: u8,
    min: u8,
    max: u8,
}

fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    if !call.wants_json() {
        return print_pretty(call.program, io);
    }
    print::json(
        &Version {
            version: CONSUL_LEVEL,
            revision: "",
            prerelease: "",
            // The build date is left out, so that the same source gives the same binary.
            build_date: "0001-01-01T00:00:00Z",
            rpc: PROTOCOL,
            product: Program::Concord.name(),
            product_version: OWN_VERSION,
        },
        io,
    )
}

/// Prints the version for people, and for tools that parse the first line.
pub(crate) fn print_pretty(program: Program, io: &mut Io) -> Outcome {
    let Protocol { default, min, max } = PROTOCOL;
    match program {
        Program::Consul => {
            io.line(format_args!("Consul v{CONSUL_LEVEL}"))?;
            io.line(format_args!("Protocol {default} spoken by default, understands {min} to {max}"))?;
            io.line(format_args!("Provided by concord v{OWN_VERSION}"))?;
        }
        Program::Concord => {
            io.line(format_args!("concord v{OWN_VERSION}"))?;
            io.line(format_args!("Compatible with Consul v{CONSUL_LEVEL}"))?;
        }
    }
    Ok(Exit::SUCCESS)
}
