//! `services`: registers and deregisters services with the agent.

pub(super) mod deregister;
pub(super) mod register;

use concord_api::definition::ServiceDefinition;
use concord_config::section::Definitions;
use concord_config::{AgentFlags, Format, Source, load};

use super::agent::configuration::{FoundFiles, refused, sources_at};
use super::command::Command;
use super::failure::Failure;
use super::files::STANDARD_INPUT;
use super::flag::Flag;
use super::{Io, files};

pub(crate) static GROUP: Command = Command::group(
    "services",
    "Registers and deregisters services with the agent",
    "Registers services with the agent, and deregisters them. What is registered this way is kept by the agent over \
     restarts until it is deregistered.",
);

/// The id flag, shared by both commands.
const ID: Flag = Flag::text("id", "Id of the instance.");

/// The services in files and directories, read like an agent's configuration. What an agent would refuse is refused
/// here.
fn from_files(paths: &[String], io: &mut Io) -> Result<Vec<ServiceDefinition>, Failure> {
    let found = sources(paths, io)?;
    let flags = AgentFlags { dev: true, enable_script_checks: Some(true), ..AgentFlags::default() };
    let mut loaded = load(&found.sources, &flags, &crate::run::node::host()).map_err(refused)?;
    found.tell_left_out(&mut loaded);
    for warning in &loaded.warnings {
        io.remark(format_args!("warning: {warning}"))?;
    }
    let Definitions { services, checks } = loaded.config.definitions;
    if !checks.is_empty() {
        io.remark("warning: checks beside services are not registered; write them into the service's block")?;
    }
    if services.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| files::shown(path)).collect();
        return Err(Failure::input(format!("{}: no service block found", shown.join(", "))));
    }
    Ok(services)
}

fn sources(paths: &[String], io: &mut Io) -> Result<FoundFiles, Failure> {
    let mut all = FoundFiles::default();
    for path in paths {
        if path == STANDARD_INPUT {
            all.sources.push(standard_input(io)?);
        } else {
            let mut found = sources_at([path.as_str()], None)?;
            // HCL never begins with a brace, so such a text is JSON, whatever the file's name.
            for source in &mut found.sources {
                let json = source.bytes.trim_ascii_start().starts_with(b"{");
                source.format = json.then_some(Format::Json);
            }
            all.append(found);
        }
    }
    Ok(all)
}

/// Reads the standard input, whose format no file name tells.
fn standard_input(io: &mut Io) -> Result<Source, Failure> {
    let text = files::read(STANDARD_INPUT, io)?;
    let format = if text.trim_start().starts_with('{') { Format::Json } else { Format::Hcl };
    Ok(Source { format: Some(format), ..Source::file(files::shown(STANDARD_INPUT), text.into_bytes()) })
}
