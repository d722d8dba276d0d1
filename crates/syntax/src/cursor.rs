//! A position in a text. It moves forward and knows its line and column.

use crate::limits::NESTING_MAX;
use crate::tree::{Pos, SyntaxError};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    pos: Pos,
    depth: usize,
}

impl<'a> Cursor<'a> {
    /// The start of a text, after a byte order mark if there is one.
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            pos: Pos { line: 1, column: 1 },
            depth: 0,
        }
    }

    pub(crate) fn pos(&self) -> Pos {
        self.pos
    }

    /// The rest of the text.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(crate) fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        if c == '\n' {
            self.pos = Pos { line: self.pos.line.saturating_add(1), column: 1 };
        } else {
            self.pos.column = self.pos.column.saturating_add(1);
        }
        Some(c)
    }

    /// Reads `expected` if the rest of the text starts with it.
    pub(crate) fn eat(&mut self, expected: &str) -> bool {
        if !self.rest.starts_with(expected) {
            return false;
        }
        for _ in expected.chars() {
            self.bump();
        }
        true
    }

    /// Reads characters as long as the function accepts them, and returns them.
    pub(crate) fn take_while(&mut self, mut pleases: impl FnMut(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&mut pleases) {
            self.bump();
        }
        &start[..start.len() - self.rest.len()]
    }

    /// Enters an object or list.
    pub(crate) fn enter(&mut self) -> Result<(), SyntaxError> {
        if self.depth == NESTING_MAX {
            return Err(self.fault(format!("nested more than {NESTING_MAX} levels deep")));
        }
        self.depth += 1;
        Ok(())
    }

    /// Leaves an object or list.
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.checked_sub(1).expect("every leave follows an enter");
    }

    /// An error at this position.
    pub(crate) fn fault(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.pos, message)
    }

    /// An error at this position that names what was expected and what was found.
    pub(crate) fn expected(&self, what: &str) -> SyntaxError {
        match self.peek() {
            Some(c) => self.fault(format!("expected {what}, found {c:?}")),
            None => self.fault(format!("expected {what}, found the end of the text")),
        }
    }
}

/// Reads exactly `count` hexadecimal digits and returns their value.
pub(crate) fn hex_digits(cursor: &mut Cursor<'_>, count: usize) -> Result<u32, SyntaxError> {
    let mut value = 0;
    for _ in 0..count {
        let Some(digit) = cursor.peek().and_then(|c| c.to_digit(16)) else {
            return Err(cursor.expected("a hexadecimal digit"));
        };
        cursor.bump();
        value = value << 4 | digit;
    }
    Ok(value)
}
