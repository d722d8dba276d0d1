//! Parses the text between `{{` and `}}`.

use super::wrong::Wrong;

/// The deepest nesting of parentheses; even one level is rare.
const NESTING_MAX: usize = 8;

/// Commands; each one gets the result of the one before it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pipeline(pub(super) Vec<Command>);

/// A function and its arguments.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Command {
    pub(super) function: String,
    pub(super) arguments: Vec<Argument>,
}

/// An argument as written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Argument {
    Text(String),
    Number(i64),
    /// `.`
    All,
    Inner(Pipeline),
}

/// Keywords of Go's template language that begin something other than a pipeline.
const STATEMENTS: [&str; 9] = ["if", "else", "end", "range", "with", "define", "template", "block", "break"];

/// Parses up to and including `}}`. Returns the rest of the text.
pub(super) fn pipeline(text: &str) -> Result<(Pipeline, &str), Wrong> {
    let mut reader = TemplateReader { rest: text };
    let own = reader.pipeline(0)?;
    reader.blanks();
    // A `-` removes the blanks that follow.
    let (rest, trims) = match reader.rest.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (reader.rest, false),
    };
    let after = rest.strip_prefix("}}").ok_or_else(|| reader.unexpected("| or }}"))?;
    Ok((own, if trims { after.trim_start() } else { after }))
}

struct TemplateReader<'a> {
    rest: &'a str,
}

impl TemplateReader<'_> {
    fn pipeline(&mut self, depth: usize) -> Result<Pipeline, Wrong> {
        if depth > NESTING_MAX {
            return Err(Wrong(format!("parentheses nest deeper than {NESTING_MAX}")));
        }
        let mut commands = vec![self.command(depth)?];
        loop {
            self.blanks();
            let Some(rest) = self.rest.strip_prefix('|') else { return Ok(Pipeline(commands)) };
            self.rest = rest;
            commands.push(self.command(depth)?);
        }
    }

    fn command(&mut self, depth: usize) -> Result<Command, Wrong> {
        self.blanks();
        // A pipeline may also begin with parentheses or with `.`.
        if self.rest.starts_with(['(', '.']) {
            let arguments = self.argument(depth)?.into_iter().collect();
            return Ok(Command { function: String::new(), arguments });
        }
        let function = self.word().ok_or_else(|| self.unexpected("a function"))?;
        if STATEMENTS.contains(&&*function) {
            return Err(Wrong(format!("{function:?} is not available: only functions joined by | are")));
        }
        let mut arguments = Vec::new();
        while let Some(argument) = self.argument(depth)? {
            arguments.push(argument);
        }
        Ok(Command { function, arguments })
    }

    fn argument(&mut self, depth: usize) -> Result<Option<Argument>, Wrong> {
        self.blanks();
        match self.rest.chars().next() {
            Some('"') => self.quoted().map(Argument::Text).map(Some),
            Some('`') => {
                let inside = self.rest[1..].split_once('`');
                let (text, rest) = inside.ok_or_else(|| Wrong("a ` has no other at its end".to_owned()))?;
                self.rest = rest;
                Ok(Some(Argument::Text(text.to_owned())))
            }
            Some('(') => {
                self.rest = &self.rest[1..];
                let inner = self.pipeline(depth + 1)?;
                self.blanks();
                self.rest = self.rest.strip_prefix(')').ok_or_else(|| self.unexpected(")"))?;
                Ok(Some(Argument::Inner(inner)))
            }
            Some('.') => {
                self.rest = &self.rest[1..];
                Ok(Some(Argument::All))
            }
            Some(digit) if digit.is_ascii_digit() => self.number().map(Some),
            Some('+' | '-') if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.number().map(Some)
            }
            Some(_) => {
                let word = self.word();
                Ok(word.map(|function| {
                    Argument::Inner(Pipeline(vec![Command { function, arguments: Vec::new() }]))
                }))
            }
            None => Ok(None),
        }
    }

    fn quoted(&mut self) -> Result<String, Wrong> {
        let (mut text, mut chars) = (String::new(), self.rest.char_indices().skip(1));
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => {
                        return Err(Wrong(format!(
                            "\\{other} is no escape; write \\\\{other}, or put the text in ``"
                        )));
                    }
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(Wrong("a text has no \" at its end".to_owned()))
    }

    fn number(&mut self) -> Result<Argument, Wrong> {
        let end = self.rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(self.rest.len(), |at| at + 1);
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        digits.parse().map(Argument::Number).map_err(|_| Wrong(format!("{digits} is too large a number")))
    }

    fn word(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| word.to_owned())
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn unexpected(&self, wanted: &str) -> Wrong {
        match self.rest.chars().next() {
            None => Wrong(format!("it ends where {wanted} should be")),
            Some(c) => Wrong(format!("expected {wanted}, found {c:?}")),
        }
    }
}
