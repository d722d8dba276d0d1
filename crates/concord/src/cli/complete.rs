//! Shell completion: the shell runs the program with `COMP_LINE` set and reads the candidates, one per line.
//!
//! `complete -o default -C concord concord` enables it; `-autocomplete-install` adds this line to the start files of
//! bash and zsh. If the program prints nothing, the shell completes file names.

use std::fs;
use std::path::{Path, PathBuf};

use super::command::{Command, Run};
use super::flag::{Flag, Kind};
use super::table;
use super::{Env, Exit, Failure, Io, Outcome, Program};

/// Start files of shells, and the line that each needs before the completion line.
const START_FILES: [(&str, &str); 2] =
    [(".bashrc", ""), (".zshrc", "autoload -U +X bashcompinit && bashcompinit\n")];

/// Adds completion to the existing start files, or removes it from them.
pub(crate) fn set_up(program: Program, add: bool, env: &Env, io: &mut Io) -> Outcome {
    let own =
        std::env::current_exe().map_err(|error| Failure::system("find the program's own path", error))?;
    let line = format!("complete -o default -C {} {}", quoted(&own.to_string_lossy()), program.name());
    let home = env.exact("HOME").map(|found| PathBuf::from(found.value)).unwrap_or_default();
    let mut found = false;
    for (name, preparation) in START_FILES {
        let path = home.join(name);
        if home.as_os_str().is_empty() || !path.is_file() {
            continue;
        }
        found = true;
        if edit(&path, &line, preparation, add)? {
            io.line(format_args!("{} {}", if add { "Added to" } else { "Removed from" }, path.display()))?;
        }
    }
    if !found {
        return Err(Failure::input(format!(
            "found neither .bashrc nor .zshrc; the line for them is\n  {line}"
        )));
    }
    Ok(Exit::SUCCESS)
}

/// Edits a file. Returns whether it had to be changed.
fn edit(path: &Path, line: &str, preparation: &str, add: bool) -> Result<bool, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| Failure::system(format!("read {shown}"), error))?;
    let there = text.lines().any(|old| old == line);
    let changed = match (there, add) {
        (true, true) | (false, false) => return Ok(false),
        (false, true) => {
            let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            format!("{text}{gap}{preparation}{line}\n")
        }
        (true, false) => text.replace(&format!("{preparation}{line}\n"), ""),
    };
    fs::write(path, changed).map_err(|error| Failure::system(format!("write {shown}"), error))?;
    Ok(true)
}

/// A path, quoted as one word of a shell.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Prints the candidates for the word that ends at `point`, a byte offset in `line`.
pub(crate) fn print(line: &str, point: Option<usize>, io: &mut Io) -> Result<(), Failure> {
    for candidate in candidates(line, point) {
        io.line(candidate)?;
    }
    Ok(())
}

fn candidates(line: &str, point: Option<usize>) -> Vec<String> {
    let line = point.and_then(|point| line.get(..point)).unwrap_or(line);
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let partial =
        if line.ends_with(char::is_whitespace) { String::new() } else { words.pop().unwrap_or_default() };
    if words.is_empty() {
        return Vec::new();
    }
    words.remove(0);
    let mut found = match table::find(&words) {
        None if words.is_empty() => names("", &partial),
        None => Vec::new(),
        Some((command, [])) if matches!(command.run, Run::Group) => names(command.name, &partial),
        Some((command, rest)) => of_command(command, rest, &partial),
    };
    found.sort();
    found
}

fn names(group: &str, partial: &str) -> Vec<String> {
    let words = table::below(group).map(Command::last_word);
    words.filter(|word| word.starts_with(partial)).map(str::to_owned).collect()
}

fn of_command(command: &Command, rest: &[String], partial: &str) -> Vec<String> {
    let flags = command.all_flags();
    let named = |word: &str| {
        let name = word.strip_prefix('-').map(|name| name.strip_prefix('-').unwrap_or(name))?;
        flags.iter().find(|flag| flag.name == name).copied()
    };
    let begins = |choices: &'static [&'static str], lead: &str, partial: &str| -> Vec<String> {
        choices
            .iter()
            .filter(|choice| choice.starts_with(partial))
            .map(|choice| format!("{lead}{choice}"))
            .collect()
    };
    if let Some(flag) =
        rest.last().and_then(|word| named(word)).filter(|flag: &Flag| flag.kind != Kind::Switch)
    {
        return begins(flag.choices, "", partial);
    }
    if let Some((flag, value)) = partial.split_once('=').and_then(|(word, value)| Some((named(word)?, value)))
    {
        return begins(flag.choices, "", value);
    }
    if partial.starts_with('-') {
        let name = partial.trim_start_matches('-');
        return flags
            .iter()
            .filter(|flag| flag.name.starts_with(name))
            .map(|flag| format!("-{}", flag.name))
            .collect();
    }
    // Arguments are names or files. The shell completes file names.
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        assert_eq!(candidates(line, None), expected, "{line:?}");
    }

    #[test]
    fn a_start_file_gets_the_line_once_and_loses_it_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".zshrc");
        fs::write(&path, "alias a=b").unwrap();
        let edit = |add| edit(&path, "complete x", "prepare\n", add).unwrap();
        assert!(edit(true) && !edit(true));
        assert_eq!(fs::read_to_string(&path).unwrap(), "alias a=b\nprepare\ncomplete x\n");
        assert!(edit(false) && !edit(false));
        assert_eq!(fs::read_to_string(&path).unwrap(), "alias a=b\n");
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted("/usr/bin/concord"), "/usr/bin/concord");
        assert_eq!(quoted("/my bin/it's"), "'/my bin/it'\\''s'");
    }

    #[test]
    fn commands_and_subcommands_are_offered() {
        check("concord me", &["members"]);
        check("concord acl ", &["bootstrap", "policy", "set-agent-token", "token"]);
        check("concord acl token c", &["clone", "create"]);
        check("concord intention ch", &["check"]);
        check("concord nothing ", &[]);
        check("", &[]);
    }

    #[test]
    fn flags_and_their_choices_are_offered() {
        check("concord leave -http", &["-http-addr"]);
        check("concord leave --tok", &["-token", "-token-file"]);
        check("concord acl token list -format ", &["json", "pretty"]);
        check("concord acl token list -format=j", &["json"]);
        check("concord acl token list -description x", &[]);
    }

    #[test]
    fn only_what_stands_before_the_cursor_counts() {
        assert_eq!(candidates("concord me tail", Some("concord me".len())), ["members"]);
        assert_eq!(candidates("concord acl", Some(900)), ["acl"]);
    }
}
