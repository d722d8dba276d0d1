//! Rule `pure`: sources of pure crates use no clock, socket, file, thread, environment or ambient randomness. They get
//! these as arguments.
//!
//! Rule `absence` excludes libraries that provide these; this rule excludes the standard library's own.

use std::collections::BTreeMap;
use std::path::Path;

use super::absence::PURE;
use super::finding::Finding;
use crate::source::SourceFile;
use crate::source::code::{self, Token};

const RULE: &str = "pure";

/// Modules of `std` that pure crates may not use. `std::net` is allowed because of its address types.
const STD_MODULES: [&str; 5] = ["env", "fs", "os", "process", "thread"];

/// Names that pure crates may not use, wherever they come from.
const NAMES: [&str; 11] = [
    "Instant",
    "OsRng",
    "RandomState",
    "SystemRandom",
    "SystemTime",
    "TcpListener",
    "TcpStream",
    "ToSocketAddrs",
    "UdpSocket",
    "UnixListener",
    "UnixStream",
];

/// Crates whose paths pure crates may not use.
const ROOTS: [&str; 4] = ["getrandom", "rand", "tokio", "openraft"];

/// (file, name, why): allowed exceptions, which implement a trait and are passed in by the program.
const EXCUSED: [(&str, &str, &str); 1] =
    [("crates/ca/src/key/os.rs", "SystemRandom", "`ca::OsKeys`, the one `KeyMaker` that is not a test's")];

pub(crate) fn check(sources: &BTreeMap<String, Vec<SourceFile>>) -> Vec<Finding> {
    PURE.iter()
        .filter_map(|name| sources.get(*name))
        .flatten()
        .filter(|file| !file.is_test_only())
        .flat_map(one)
        .collect()
}

fn one(file: &SourceFile) -> Vec<Finding> {
    let code = code::without_test_modules(&code::only(&file.text));
    let tokens = code::tokens(&code);
    let mut found = Vec::new();
    for (at, (line, token)) in tokens.iter().enumerate() {
        let Token::Word(word) = *token else { continue };
        let heads_path = tokens.get(at + 1).is_some_and(|(_, next)| *next == Token::Path);
        let follows_path = at > 0 && tokens[at - 1].1 == Token::Path;
        if NAMES.contains(&word) || (ROOTS.contains(&word) && heads_path && !follows_path) {
            found.push((*line, word.to_owned()));
        } else if word == "std" && heads_path && !follows_path {
            found.extend(std_modules(&tokens[at + 2..]).map(|module| (*line, format!("std::{module}"))));
        }
    }
    found
        .into_iter()
        .filter(|(_, what)| {
            !EXCUSED.iter().any(|(path, name, _)| file.path == Path::new(path) && what == name)
        })
        .map(|(line, what)| {
            Finding::new(RULE, format!("{}:{line}", file.path.display()), format!("speaks of `{what}`"))
        })
        .collect()
}

/// The forbidden modules after `std::`, alone or in a group: `std::{fmt, fs}`.
fn std_modules<'a>(after: &'a [(usize, Token<'a>)]) -> impl Iterator<Item = &'a str> {
    let grouped = matches!(after.first(), Some((_, Token::Mark('{'))));
    let mut depth = 0_usize;
    let mut starts = true;
    let mut words = Vec::new();
    for (_, token) in after {
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => depth = depth.saturating_sub(1),
            Token::Mark(',') if depth == 1 => {
                starts = true;
                continue;
            }
            Token::Word(word) if starts => {
                words.push(*word);
                starts = false;
            }
            _ => {}
        }
        if depth == 0 && (!grouped || *token == Token::Mark('}')) {
            break;
        }
    }
    words.into_iter().filter(|word| STD_MODULES.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Target;

    #[track_caller]
    fn check_says(krate: &str, module: &[&str], text: &str, expected: &[&str]) {
        let file = SourceFile {
            path: "crates/x/src/a.rs".into(),
            target: Target::Main,
            module: module.iter().map(|name| (*name).to_owned()).collect(),
            text: text.to_owned(),
        };
        let sources = BTreeMap::from([(krate.to_owned(), vec![file])]);
        let found: Vec<String> = check(&sources).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn doors_to_the_world_are_red_in_a_pure_crate() {
        check_says("state", &[], "use std::time::Instant;", &["speaks of `Instant`"]);
        check_says("state", &[], "fn f() { std::fs::read(x) }", &["speaks of `std::fs`"]);
        check_says(
            "state",
            &[],
            "use std::{fmt, fs::{self, File}, env};",
            &["speaks of `std::fs`", "speaks of `std::env`"],
        );
        check_says("state", &[], "let x = rand::random();", &["speaks of `rand`"]);
        check_says("ca", &[], "use std::net::{IpAddr, TcpStream};", &["speaks of `TcpStream`"]);
    }

    #[test]
    fn words_tests_and_other_crates_are_free() {
        check_says("state", &[], "//! Not tokio::spawn.\nuse std::net::IpAddr; let a = \"std::fs\";", &[]);
        check_says("state", &[], "use std::{fmt, str::FromStr}; let env = fs; operand::x();", &[]);
        check_says("state", &[], "#[cfg(test)]\nmod tests { use std::fs; }", &[]);
        check_says("state", &["store", "tests"], "use std::fs;", &[]);
        check_says("runtime", &[], "use std::time::Instant;", &[]);
    }
}
