//! Regular expressions with Go's meaning, on an engine that is linear in the text.
//!
//! The engine's syntax differs from Go's in a few places, which are rewritten: `\d \w \s` and `\b` are about
//! ASCII, `[`, `&` and `~` inside a class are themselves, and `\Q…\E` is literal text. What Go would take and
//! the engine refuses, such as a lone `{`, is an error rather than a guess.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::limits::{PATTERN_BYTES_MAX, PATTERN_NESTING_MAX};

#[cfg(test)]
mod tests;

/// A regular expression, compiled.
#[derive(Clone)]
pub struct Pattern {
    written: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression; the error says what is wrong with it in one line.
    pub fn parse(written: &str) -> Result<Self, String> {
        let regex = RegexBuilder::new(&translated(written))
            .size_limit(PATTERN_BYTES_MAX)
            .dfa_size_limit(PATTERN_BYTES_MAX)
            .nest_limit(PATTERN_NESTING_MAX)
            .build()
            .map_err(|error| reason(&error))?;
        Ok(Self { written: written.to_owned(), regex })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it matches any part of the text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large; use smaller repetition counts".to_owned(),
        // The engine draws a picture over several lines; its last line is the message.
        error => {
            let text = error.to_string();
            let line = text.lines().next_back().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    }
}

/// Rewrites Go's syntax into the engine's.
fn translated(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(after, in_class, &mut out),
            '[' if !in_class => {
                in_class = true;
                class_start(after, &mut out)
            }
            '[' if in_class && after.starts_with(':') && after.contains(":]") => {
                let end = after.find(":]").expect("just seen") + 2;
                out.push('[');
                out.push_str(&after[..end]);
                &after[end..]
            }
            ']' if in_class => {
                in_class = false;
                out.push(c);
                after
            }
            '[' | '&' | '~' if in_class => {
                out.extend(['\\', c]);
                after
            }
            '-' if in_class && out.ends_with('-') && !out.ends_with("\\-") => {
                out.push_str("\\-");
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// The start of a class: a negation, and `]` as an ordinary first character.
fn class_start<'a>(after: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let after = match after.strip_prefix('^') {
        Some(after) => {
            out.push('^');
            after
        }
        None => after,
    };
    match after.strip_prefix(']') {
        Some(after) => {
            out.push_str("\\]");
            after
        }
        None => after,
    }
}

/// An escape after its backslash; returns what follows it.
fn escape<'a>(after: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = &after[c.len_utf8()..];
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\x0c\\r ]"),
        'S' => out.push_str("[^\\t\\n\\x0c\\r ]"),
        'b' if !in_class => out.push_str("(?-u:\\b)"),
        'Q' if !in_class => {
            let (literal, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(literal));
            return rest;
        }
        c => out.extend(['\\', c]),
    }
    rest
}
