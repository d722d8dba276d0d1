//! HCL version 1, the language of configuration files, configuration entries and ACL rules. It is read to the same tree
//! as JSON.
//!
//! ```text
//! body   = { item [","] }
//! item   = key { key } object | key "=" value
//! key    = identifier | string
//! object = "{" body "}"
//! value  = number | string | heredoc | "true" | "false" | list | object
//! list   = "[" { value [","] } "]"       a comma may be left out only next to an object
//! ```
//!
//! Line ends have no meaning. Labels nest: `service "web" { … }` means `service = { web = { … } }`. `${…}` is ordinary
//! text. A text that starts with `{` is JSON. Expressions, functions and templates belong to HCL version 2, which is
//! not supported.

use crate::cursor::Cursor;
use crate::json;
use crate::tree::{Kind, Member, Node, Object, Pos, SyntaxError};

mod token;

#[cfg(test)]
mod tests;

/// Parses a whole file to an object. A text that starts with `{` is parsed as a JSON object.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return json::parse(text);
    }
    let mut parser = Parser { cursor: Cursor::new(text) };
    let pos = parser.cursor.pos();
    let object = parser.body(End::Text)?;
    Ok(Node { pos, kind: Kind::Object(object) })
}

/// The end of a body.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Text,
    Brace,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
}

impl Parser<'_> {
    fn body(&mut self, end: End) -> Result<Object, SyntaxError> {
        let mut object = Object::default();
        loop {
            token::space(&mut self.cursor)?;
            match self.cursor.peek() {
                None if end == End::Text => return Ok(object),
                Some('}') if end == End::Brace => {
                    self.cursor.bump();
                    return Ok(object);
                }
                None => return Err(self.cursor.expected("a key or `}`")),
                Some(_) => object.members.push(self.item()?),
            }
            token::space(&mut self.cursor)?;
            self.cursor.eat(",");
        }
    }

    fn item(&mut self) -> Result<Member, SyntaxError> {
        let (key, key_pos) = self.key()?;
        let mut labels = Vec::new();
        loop {
            token::space(&mut self.cursor)?;
            match self.cursor.peek() {
                Some('=') if labels.is_empty() => {
                    self.cursor.bump();
                    token::space(&mut self.cursor)?;
                    return Ok(Member { key, key_pos, value: self.value()? });
                }
                Some('=') => return Err(self.cursor.expected("`{` after a block's labels")),
                Some('{') => return self.block(key, key_pos, labels),
                Some('"') => labels.push(self.key()?),
                Some(c) if token::begins_identifier(c) => labels.push(self.key()?),
                _ => return Err(self.cursor.expected("`=`, `{` or a label")),
            }
        }
    }

    /// Reads a block after its key and labels. Each label makes one object around the next.
    fn block(
        &mut self,
        key: String,
        key_pos: Pos,
        labels: Vec<(String, Pos)>,
    ) -> Result<Member, SyntaxError> {
        for _ in &labels {
            self.cursor.enter()?;
        }
        let mut value = self.object()?;
        for (label, pos) in labels.into_iter().rev() {
            self.cursor.leave();
            let members = vec![Member { key: label, key_pos: pos, value }];
            value = Node { pos, kind: Kind::Object(Object { members }) };
        }
        Ok(Member { key, key_pos, value })
    }

    fn key(&mut self) -> Result<(String, Pos), SyntaxError> {
        let pos = self.cursor.pos();
        let key = match self.cursor.peek() {
            Some('"') => token::string(&mut self.cursor)?,
            Some(c) if token::begins_identifier(c) => token::identifier(&mut self.cursor).to_owned(),
            _ => return Err(self.cursor.expected("a key")),
        };
        Ok((key, pos))
    }

    fn object(&mut self) -> Result<Node, SyntaxError> {
        let pos = self.cursor.pos();
        self.cursor.enter()?;
        self.cursor.bump();
        let object = self.body(End::Brace)?;
        self.cursor.leave();
        Ok(Node { pos, kind: Kind::Object(object) })
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        let here = self.cursor;
        let kind = match self.cursor.peek() {
            Some('{') => return self.object(),
            Some('[') => Kind::List(self.list()?),
            Some('"') => Kind::String(token::string(&mut self.cursor)?),
            Some('<') => Kind::String(token::heredoc(&mut self.cursor)?),
            Some('-' | '.' | '0'..='9') => token::number(&mut self.cursor)?,
            Some(c) if token::begins_identifier(c) => match token::identifier(&mut self.cursor) {
                "true" => Kind::Bool(true),
                "false" => Kind::Bool(false),
                word => {
                    return Err(
                        here.fault(format!("expected a value, found `{word}`; text needs double quotes"))
                    );
                }
            },
            _ => return Err(self.cursor.expected("a value")),
        };
        Ok(Node { pos: here.pos(), kind })
    }

    fn list(&mut self) -> Result<Vec<Node>, SyntaxError> {
        self.cursor.enter()?;
        self.cursor.bump();
        let mut items: Vec<Node> = Vec::new();
        let mut separated = true;
        loop {
            token::space(&mut self.cursor)?;
            match self.cursor.peek() {
                Some(']') => {
                    self.cursor.bump();
                    break;
                }
                Some(',') if !separated => {
                    self.cursor.bump();
                    separated = true;
                    continue;
                }
                Some('{') => {}
                Some(_) if !separated && items.last().is_some_and(|item| item.as_object().is_none()) => {
                    return Err(self.cursor.expected("`,` or `]`"));
                }
                _ => {}
            }
            items.push(self.value()?);
            separated = false;
        }
        self.cursor.leave();
        Ok(items)
    }
}
