//! `validate`: checks whether an agent would start with these files. Starts and writes nothing.

use concord_config::{AgentFlags, Format, load};

use super::agent::configuration::{refused, sources_at};
use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};
use super::flag::Flag;
use super::io::Io;

pub(crate) static VALIDATE: Command = Command {
    name: "validate",
    synopsis: "Checks configuration files",
    usage: &["[options] <file or directory>..."],
    about: "Reads configuration as an agent does, files and directories as they follow each other, and says all that is \
            wrong with it, or that it is valid. Warnings go to standard error. What flags would add is not there: name \
            data_dir and what else the agent needs in the files.",
    flags: &[
        Flag::text("config-format", "Format of all files, whatever their names.").choices(&["hcl", "json"]),
        Flag::switch("quiet", "Print nothing if the configuration is valid."),
    ],
    http: false,
    usage_code: 1,
    run: Run::Here(run),
};

fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    let values = &call.values;
    if values.arguments.is_empty() {
        return Err(Failure::usage("Must specify at least one config file or directory"));
    }
    let format = values.optional("config-format").and_then(Format::parse);
    let found = sources_at(values.arguments.iter().map(String::as_str), format)?;
    let host = crate::run::node::host();
    let mut loaded = load(&found.sources, &AgentFlags::default(), &host).map_err(refused)?;
    found.tell_left_out(&mut loaded);
    // An agent would not start with unusable TLS files either.
    crate::run::tls::check(&loaded.config)?;
    if !values.switch("quiet") {
        for warning in &loaded.warnings {
            io.remark(format_args!("warning: {warning}"))?;
        }
        io.line("Configuration is valid!")?;
    }
    Ok(Exit::SUCCESS)
}
