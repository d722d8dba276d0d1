//! JSON as in RFC 8259, with positions and repeated keys.
//!
//! A number without fraction and exponent that fits a signed 64-bit integer is an integer. Any other number is floating
//! point; if it is too large for that, it is refused. An unpaired surrogate escape becomes U+FFFD, as in Go's decoder.

use crate::cursor::{Cursor, hex_digits};
use crate::tree::{Kind, Member, Node, Object, SyntaxError};

#[cfg(test)]
mod tests;

/// Parses one JSON value, with only white space around it.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser { cursor: Cursor::new(text) };
    parser.space();
    let node = parser.value()?;
    parser.space();
    if parser.cursor.peek().is_some() {
        return Err(parser.cursor.expected("the end of the text"));
    }
    Ok(node)
}

/// Writes a tree as compact JSON. [`parse`] reads it back to the same tree, including repeated keys.
pub fn print(node: &Node) -> String {
    let mut out = String::new();
    print_node(node, &mut out);
    out
}

struct Parser<'a> {
    cursor: Cursor<'a>,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.cursor.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        let pos = self.cursor.pos();
        let kind = match self.cursor.peek() {
            Some('{') => Kind::Object(self.object()?),
            Some('[') => Kind::List(self.list()?),
            Some('"') => Kind::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            _ if self.cursor.eat("true") => Kind::Bool(true),
            _ if self.cursor.eat("false") => Kind::Bool(false),
            _ if self.cursor.eat("null") => Kind::Null,
            _ => return Err(self.cursor.expected("a value")),
        };
        Ok(Node { pos, kind })
    }

    fn object(&mut self) -> Result<Object, SyntaxError> {
        self.cursor.enter()?;
        self.cursor.bump();
        let mut object = Object::default();
        self.space();
        if !self.cursor.eat("}") {
            loop {
                object.members.push(self.entry()?);
                self.space();
                if self.cursor.eat("}") {
                    break;
                }
                if !self.cursor.eat(",") {
                    return Err(self.cursor.expected("`,` or `}`"));
                }
                self.space();
            }
        }
        self.cursor.leave();
        Ok(object)
    }

    fn entry(&mut self) -> Result<Member, SyntaxError> {
        let key_pos = self.cursor.pos();
        if self.cursor.peek() != Some('"') {
            return Err(self.cursor.expected("a key in double quotes"));
        }
        let key = self.string()?;
        self.space();
        if !self.cursor.eat(":") {
            return Err(self.cursor.expected("`:`"));
        }
        self.space();
        Ok(Member { key, key_pos, value: self.value()? })
    }

    fn list(&mut self) -> Result<Vec<Node>, SyntaxError> {
        self.cursor.enter()?;
        self.cursor.bump();
        let mut items = Vec::new();
        self.space();
        if !self.cursor.eat("]") {
            loop {
                items.push(self.value()?);
                self.space();
                if self.cursor.eat("]") {
                    break;
                }
                if !self.cursor.eat(",") {
                    return Err(self.cursor.expected("`,` or `]`"));
                }
                self.space();
            }
        }
        self.cursor.leave();
        Ok(items)
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let start = self.cursor;
        self.cursor.bump();
        let mut text = String::new();
        loop {
            text.push_str(self.cursor.take_while(|c| c != '"' && c != '\\' && c >= ' '));
            match self.cursor.peek() {
                Some('"') => {
                    self.cursor.bump();
                    return Ok(text);
                }
                Some('\\') => {
                    self.cursor.bump();
                    text.push(self.escape()?);
                }
                Some(_) => {
                    return Err(self.cursor.fault("a control character in a string; write it as an escape"));
                }
                None => return Err(start.fault("this string is never closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let here = self.cursor;
        Ok(match self.cursor.bump() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => self.unicode_escape()?,
            _ => return Err(here.expected("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let first = hex_digits(&mut self.cursor, 4)?;
        if (0xd800..0xdc00).contains(&first) && self.cursor.rest().starts_with("\\u") {
            let before = self.cursor;
            self.cursor.eat("\\u");
            let second = hex_digits(&mut self.cursor, 4)?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).expect("a surrogate pair names a character"));
            }
            self.cursor = before;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn number(&mut self) -> Result<Kind, SyntaxError> {
        let start = self.cursor;
        self.cursor.eat("-");
        if !self.cursor.eat("0") {
            self.digits()?;
        }
        let mut whole = true;
        if self.cursor.eat(".") {
            whole = false;
            self.digits()?;
        }
        if self.cursor.eat("e") || self.cursor.eat("E") {
            whole = false;
            if !self.cursor.eat("+") {
                self.cursor.eat("-");
            }
            self.digits()?;
        }
        let text = &start.rest()[..start.rest().len() - self.cursor.rest().len()];
        if whole && let Ok(value) = text.parse() {
            return Ok(Kind::Int(value));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Kind::Float(value)),
            _ => Err(start.fault("this number is too large")),
        }
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        if self.cursor.take_while(|c| c.is_ascii_digit()).is_empty() {
            return Err(self.cursor.expected("a digit"));
        }
        Ok(())
    }
}

fn print_node(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Int(value) => out.push_str(&value.to_string()),
        Kind::Float(value) => out.push_str(&format!("{value:?}")),
        Kind::String(value) => print_string(value, out),
        Kind::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                print_node(item, out);
            }
            out.push(']');
        }
        Kind::Object(object) => {
            out.push('{');
            for (index, entry) in object.members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                print_string(&entry.key, out);
                out.push(':');
                print_node(&entry.value, out);
            }
            out.push('}');
        }
    }
}

fn print_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
