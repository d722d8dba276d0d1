//! Shell completion: the shell runs the program with `COMP_LINE` set and reads candidates, one per line.
//!
//! Set up by `complete -o default -C concord concord`; where nothing is printed, the shell completes file names.

use super::flag::{Flag, Kind};
use super::table::{self, Command, Run};
use super::{Failure, Io};

/// Prints the candidates for the word that ends at `point`, a byte position in `line`.
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
    // Arguments are names or files; the shell completes the files.
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
    fn commands_and_subcommands_are_offered() {
        check("concord me", &["members"]);
        check("concord acl ", &["bootstrap", "policy", "token"]);
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
