//! Help, generated from the tables.

use std::fmt::Write as _;
use std::io;

use super::command::{Command, Run};
use super::flag::{Flag, Kind, Variable};
use super::table;
use super::{Exit, Failure, Io, Outcome, Program};

/// Width of running text; terminals are at least 80 wide.
const WIDTH: usize = 78;

/// Prints the help of one command.
pub(crate) fn command(program: Program, command: &Command, io: &mut Io) -> Outcome {
    io.text(&command_text(program, command))?;
    Ok(Exit::SUCCESS)
}

/// Prints the list of commands.
pub(crate) fn program(program: Program, out: &mut dyn io::Write) -> Outcome {
    let name = program.name();
    let mut text =
        format!("Usage: {name} [-version] [-help] <command> [<args>]\n\nAvailable commands are:\n");
    list(table::below(""), &mut text);
    let _ = write!(
        text,
        "\nHelp for one of them: {name} <command> -help\nCompletion in bash and zsh: {name} -autocomplete-install\n"
    );
    out.write_all(text.as_bytes()).map_err(Failure::Output)?;
    Ok(Exit::SUCCESS)
}

pub(super) fn command_text(program: Program, command: &Command) -> String {
    let mut text = String::new();
    for (position, form) in command.usage.iter().enumerate() {
        let lead = if position == 0 { "Usage:" } else { "      " };
        let line = format!("{lead} {} {} {form}", program.name(), command.name);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push('\n');
    paragraphs(command.about, &mut text);
    if let Run::Group = command.run {
        text.push_str("\nSubcommands:\n");
        list(table::below(command.name), &mut text);
    }
    group("Command Options", command.flags, &mut text);
    if command.http {
        group("HTTP API Options", &command.http_flags(), &mut text);
    }
    text
}

fn list(commands: impl Iterator<Item = &'static Command>, text: &mut String) {
    let commands: Vec<_> = commands.collect();
    let width = commands.iter().map(|command| command.last_word().len()).max().unwrap_or(0);
    for command in commands {
        let _ = writeln!(text, "    {:width$}    {}", command.last_word(), command.synopsis);
    }
}

fn group(title: &str, flags: &[Flag], text: &mut String) {
    if flags.is_empty() {
        return;
    }
    let _ = write!(text, "\n{title}\n");
    let mut flags = flags.to_vec();
    flags.sort_by_key(|flag| flag.name);
    for flag in flags {
        match flag.kind {
            Kind::Switch => {
                let _ = write!(text, "\n  -{}\n", flag.name);
            }
            Kind::Text | Kind::Integer | Kind::Unsigned | Kind::Duration | Kind::List | Kind::Pairs => {
                let _ = write!(text, "\n  -{}={}\n", flag.name, flag.placeholder);
            }
        }
        wrap(&sentence(&flag), "     ", text);
    }
}

/// The description of a flag: its effect, whether it may be repeated, its default and its variable.
fn sentence(flag: &Flag) -> String {
    let mut sentence = flag.help.to_owned();
    if !flag.unbuilt.is_empty() {
        sentence.push_str(" Not available yet.");
    }
    if matches!(flag.kind, Kind::List | Kind::Pairs) {
        sentence.push_str(" May be given several times.");
    }
    if !flag.default.is_empty() {
        let _ = write!(sentence, " The default is {}.", flag.default);
    }
    match flag.variable {
        Variable::None => {}
        Variable::Product(name) => {
            let _ = write!(sentence, " Also taken from CONCORD_{name} or CONSUL_{name}.");
        }
        Variable::Exact(name) => {
            let _ = write!(sentence, " Also taken from {name}.");
        }
    }
    sentence
}

fn paragraphs(about: &str, text: &mut String) {
    for (position, paragraph) in about.split("\n\n").enumerate() {
        if position > 0 {
            text.push('\n');
        }
        if paragraph.starts_with(' ') {
            let _ = writeln!(text, "{paragraph}");
        } else {
            wrap(paragraph, "  ", text);
        }
    }
}

fn wrap(words: &str, indent: &str, text: &mut String) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && indent.len() + line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "{indent}{line}");
    }
}
