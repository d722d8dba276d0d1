//! Regular expressions with Go's semantics, on an engine whose time is linear in the length of the text.
//!
//! The engine's syntax differs from Go's in a few places, which are translated: `\d \w \s` and `\b` only match ASCII,
//! `[`, `&` and `~` inside a class are ordinary characters, and `\Q…\E` is literal text. If Go accepts an expression
//! and the engine refuses it, such as a lone `{`, the result is an error.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::limits::{PATTERN_BYTES_MAX, PATTERN_NESTING_MAX, REPETITIONS_MAX};

#[cfg(test)]
mod tests;

/// A compiled regular expression.
#[derive(Clone)]
pub struct Pattern {
    written: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles an expression. The error is one line that says what is wrong.
    pub fn parse(written: &str) -> Result<Self, String> {
        Self::parse_within(written, PATTERN_BYTES_MAX)
    }

    /// The same for an expression that may have so many bytes when it is compiled.
    pub fn parse_within(written: &str, compiled_bytes_max: usize) -> Result<Self, String> {
        let translated = translated(written);
        let regex = compiled(&translated, compiled_bytes_max).map_err(|error| reason(&error))?;
        if repetitions(&translated) > REPETITIONS_MAX {
            return Err(format!("a repetition count is larger than {REPETITIONS_MAX}"));
        }
        Ok(Self { written: written.to_owned(), regex })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it matches a part of the text.
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

fn compiled(translated: &str, bytes_max: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated)
        .size_limit(bytes_max)
        .dfa_size_limit(bytes_max)
        .nest_limit(PATTERN_NESTING_MAX)
        .build()
}

fn reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large; use smaller repetition counts".to_owned(),
        // The engine's error has several lines with a picture. The message is the last line.
        error => {
            let text = error.to_string();
            let line = text.lines().next_back().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        }
    }
}

/// The largest count of a repetition in a valid expression, multiplied by those of the repetitions around it.
fn repetitions(translated: &str) -> u32 {
    // Of each open group the largest product within it, and that of what stands before the next character.
    let (mut open, mut last) = (vec![0_u32], 1);
    let mut rest = translated.chars();
    while let Some(c) = rest.next() {
        last = match c {
            // `\x{41}` and `\p{Greek}` have braces that count nothing.
            '\\' => {
                if rest.next().is_some_and(|c| "xpPuU".contains(c)) && rest.as_str().starts_with('{') {
                    rest.by_ref().find(|c| *c == '}');
                }
                1
            }
            '[' => {
                skip_class(&mut rest);
                1
            }
            '(' => {
                open.push(0);
                1
            }
            ')' => open.pop().unwrap_or(0).max(1),
            '{' => {
                let (counts, _) = rest.as_str().split_once('}').unwrap_or_default();
                rest.by_ref().find(|c| *c == '}');
                let mut counts = counts.split(',').filter_map(|count| count.trim().parse::<u32>().ok());
                last.saturating_mul(counts.next_back().unwrap_or(0).max(1))
            }
            _ => 1,
        };
        if let Some(largest) = open.last_mut() {
            *largest = last.max(*largest);
        }
    }
    open.into_iter().max().unwrap_or(0)
}

fn skip_class(rest: &mut std::str::Chars<'_>) {
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '[' => _ = rest.find(|c| *c == ']'),
            ']' => return,
            _ => {}
        }
    }
}

/// Translates Go's syntax to the engine's.
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

/// Translates the start of a class: a negation, and `]` as an ordinary first character.
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

/// Translates an escape sequence after its backslash, and returns the text after it.
fn escape<'a>(after: &'a str, in_class: bool, out: &mut String) -> &'a str {
    let Some(c) = after.chars().next() else {
        out.push('\\');
        return after;
    };
    let rest = &after[c.len_utf8()..];
    if let Some((code, rest)) = octal(after) {
        out.push_str(&format!("\\x{{{code:x}}}"));
        return rest;
    }
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

/// The code of a character in octal digits: up to three, of which only `0` may stand alone. A single other digit would
/// refer to a group, which Go's engine cannot do.
fn octal(after: &str) -> Option<(u32, &str)> {
    let len = after.bytes().take(3).take_while(|digit| (b'0'..=b'7').contains(digit)).count();
    let (digits, rest) = after.split_at(len);
    let code = u32::from_str_radix(digits, 8).ok()?;
    (len > 1 || digits == "0").then_some((code, rest))
}
