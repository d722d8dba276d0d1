//! A place in a text that only moves forward and knows its line and column.

use crate::limits::NESTING_MAX;
use crate::tree::{Pos, SyntaxError};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    pos: Pos,
    depth: usize,
}

impl<'a> Cursor<'a> {
    /// Begins a text; a byte order mark is passed over.
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

    /// What has not been read yet.
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

    /// Reads `expected` if it comes next.
    pub(crate) fn eat(&mut self, expected: &str) -> bool {
        if !self.rest.starts_with(expected) {
            return false;
        }
        for _ in expected.chars() {
            self.bump();
        }
        true
    }

    /// Reads on while the characters please, and returns them.
    pub(crate) fn take_while(&mut self, mut pleases: impl FnMut(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&mut pleases) {
            self.bump();
        }
        &start[..start.len() - self.rest.len()]
    }

    /// Goes one object or list deeper.
    pub(crate) fn enter(&mut self) -> Result<(), SyntaxError> {
        if self.depth == NESTING_MAX {
            return Err(self.fault(format!("nested more than {NESTING_MAX} levels deep")));
        }
        self.depth += 1;
        Ok(())
    }

    /// Comes back from an object or list.
    pub(crate) fn leave(&mut self) {
        self.depth = self.depth.checked_sub(1).expect("every leave follows an enter");
    }

    /// A fault here.
    pub(crate) fn fault(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.pos, message)
    }

    /// A fault here that says what stands here instead of what was expected.
    pub(crate) fn expected(&self, what: &str) -> SyntaxError {
        match self.peek() {
            Some(c) => self.fault(format!("expected {what}, found {c:?}")),
            None => self.fault(format!("expected {what}, found the end of the text")),
        }
    }
}

/// The value of exactly `count` hexadecimal digits.
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
