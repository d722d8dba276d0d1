//! From the text of a template to its nodes.

use super::datum::Datum;

/// Largest template; the one that Consul uses has 5 kB.
const BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of `if` and `range`, and of parentheses.
const DEPTH_MAX: usize = 32;

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Print(Term),
    If { condition: Term, yes: Vec<Self>, no: Vec<Self> },
    Range { names: Vec<String>, list: Term, each: Vec<Self>, empty: Vec<Self> },
}

/// What has a value.
#[derive(Debug)]
pub(super) enum Term {
    Field(String),
    Variable(String),
    Dot,
    Literal(Datum),
    Call(Function, Vec<Self>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Function {
    Equal,
    NotEqual,
    Not,
    And,
    Or,
}

/// Why a block ended.
#[derive(Debug, Eq, PartialEq)]
enum Ended {
    Template,
    Block,
    Else,
    ElseIf(String),
}

struct Source {
    /// Texts and actions by turns, from last to first.
    pieces: Vec<Piece>,
}

enum Piece {
    Text(String),
    Action(String),
}

/// The nodes of a template.
pub(super) fn template(text: &str) -> Result<Vec<Node>, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let mut pieces = split(text)?;
    pieces.reverse();
    let mut source = Source { pieces };
    match source.block(0)? {
        (nodes, Ended::Template) => Ok(nodes),
        (_, ended) => Err(format!("{{{{ {} }}}} stands without an if or range", ended.word())),
    }
}

impl Ended {
    fn word(&self) -> &'static str {
        match self {
            Self::Template | Self::Block => "end",
            Self::Else | Self::ElseIf(_) => "else",
        }
    }
}

fn split(text: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) = after.split_once("}}").ok_or("a {{ has no }}")?;
        let left = inside.strip_prefix('-').filter(|rest| rest.starts_with(char::is_whitespace));
        let before = if left.is_some() { before.trim_end() } else { before };
        let inside = left.unwrap_or(inside);
        let right = inside.strip_suffix('-').filter(|rest| rest.ends_with(char::is_whitespace));
        rest = if right.is_some() { after.trim_start() } else { after };
        pieces.push(Piece::Text(before.to_owned()));
        let action = right.unwrap_or(inside).trim();
        if !(action.starts_with("/*") && action.ends_with("*/")) {
            pieces.push(Piece::Action(action.to_owned()));
        }
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

impl Source {
    fn block(&mut self, depth: usize) -> Result<(Vec<Node>, Ended), String> {
        if depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} blocks stand within each other"));
        }
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.pop() {
            let action = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(action) => action,
            };
            let (word, rest) = action.split_once(char::is_whitespace).unwrap_or((&action, ""));
            match (word, rest.trim()) {
                ("end", "") => return Ok((nodes, Ended::Block)),
                ("else", "") => return Ok((nodes, Ended::Else)),
                ("else", rest) => {
                    let condition = rest.strip_prefix("if ").ok_or_else(|| unknown(&action))?;
                    return Ok((nodes, Ended::ElseIf(condition.to_owned())));
                }
                ("if", condition) => nodes.push(self.condition(condition, depth)?),
                ("range", what) => nodes.push(self.range(what, depth)?),
                ("with" | "define" | "template" | "block" | "break" | "continue", _) => {
                    return Err(unknown(&action));
                }
                _ => nodes.push(Node::Print(term(&action)?)),
            }
        }
        Ok((nodes, Ended::Template))
    }

    fn condition(&mut self, condition: &str, depth: usize) -> Result<Node, String> {
        let condition = term(condition)?;
        let (yes, ended) = self.block(depth + 1)?;
        let no = match ended {
            Ended::Block => Vec::new(),
            Ended::Else => self.last(depth)?,
            Ended::ElseIf(other) => vec![self.condition(&other, depth + 1)?],
            Ended::Template => return Err("an if has no end".to_owned()),
        };
        Ok(Node::If { condition, yes, no })
    }

    fn range(&mut self, what: &str, depth: usize) -> Result<Node, String> {
        let (names, list) = what.split_once(":=").unwrap_or(("", what));
        let names: Vec<_> =
            names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if names.len() > 2 || names.iter().any(|name| !name.starts_with('$')) {
            return Err(unknown(&format!("range {what}")));
        }
        let list = term(list)?;
        let (each, ended) = self.block(depth + 1)?;
        let empty = match ended {
            Ended::Block => Vec::new(),
            Ended::Else => self.last(depth)?,
            Ended::ElseIf(_) => return Err("a range has an else if".to_owned()),
            Ended::Template => return Err("a range has no end".to_owned()),
        };
        Ok(Node::Range { names, list, each, empty })
    }

    /// The block after `else`, which ends with `end`.
    fn last(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        match self.block(depth + 1)? {
            (nodes, Ended::Block) => Ok(nodes),
            _ => Err("an else has no end".to_owned()),
        }
    }
}

fn unknown(action: &str) -> String {
    format!(
        "{{{{ {action} }}}} is not known here; there are values, if, else, range, end, eq, ne, not, and, or"
    )
}

fn term(text: &str) -> Result<Term, String> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let term = command(&mut rest, text, 0)?;
    if rest.is_empty() { Ok(term) } else { Err(unknown(text)) }
}

/// A function with its arguments, or one operand.
fn command(rest: &mut &[String], whole: &str, depth: usize) -> Result<Term, String> {
    let function = rest.first().and_then(|word| function(word));
    let Some(function) = function else { return operand(rest, whole, depth) };
    *rest = &rest[1..];
    let mut arguments = Vec::new();
    while rest.first().is_some_and(|word| word != ")") {
        arguments.push(operand(rest, whole, depth)?);
    }
    let fits = match function {
        Function::Not => arguments.len() == 1,
        Function::Equal => arguments.len() >= 2,
        Function::NotEqual => arguments.len() == 2,
        Function::And | Function::Or => !arguments.is_empty(),
    };
    if fits { Ok(Term::Call(function, arguments)) } else { Err(unknown(whole)) }
}

fn function(word: &str) -> Option<Function> {
    Some(match word {
        "eq" => Function::Equal,
        "ne" => Function::NotEqual,
        "not" => Function::Not,
        "and" => Function::And,
        "or" => Function::Or,
        _ => return None,
    })
}

fn operand(rest: &mut &[String], whole: &str, depth: usize) -> Result<Term, String> {
    let (word, after) = rest.split_first().ok_or_else(|| unknown(whole))?;
    *rest = after;
    if word == "(" {
        if depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} parentheses stand within each other"));
        }
        let inner = command(rest, whole, depth + 1)?;
        let (close, after) = rest.split_first().ok_or_else(|| unknown(whole))?;
        *rest = after;
        return if close == ")" { Ok(inner) } else { Err(unknown(whole)) };
    }
    if let Some(text) = word.strip_prefix(['"', '`']) {
        return Ok(Term::Literal(Datum::Text(text.to_owned())));
    }
    let plain =
        |name: &str| !name.is_empty() && name.bytes().all(|one| one.is_ascii_alphanumeric() || one == b'_');
    Ok(match word.as_str() {
        "." => Term::Dot,
        "true" => Term::Literal(Datum::Truth(true)),
        "false" => Term::Literal(Datum::Truth(false)),
        field if field.strip_prefix('.').is_some_and(plain) => Term::Field(field[1..].to_owned()),
        name if name.strip_prefix('$').is_some_and(plain) => Term::Variable(word.clone()),
        number => Term::Literal(Datum::Number(number.parse().map_err(|_| unknown(whole))?)),
    })
}

/// Words, parentheses, and texts, which keep the quote that they begin with.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let (mut found, mut chars) = (Vec::new(), text.chars().peekable());
    while let Some(one) = chars.next() {
        match one {
            one if one.is_whitespace() => {}
            '(' | ')' => found.push(one.to_string()),
            '"' | '`' => {
                let mut quoted = String::from(one);
                loop {
                    match chars.next().ok_or_else(|| unknown(text))? {
                        end if end == one => break,
                        '\\' if one == '"' => quoted.push(chars.next().ok_or_else(|| unknown(text))?),
                        other => quoted.push(other),
                    }
                }
                found.push(quoted);
            }
            one => {
                let mut word = String::from(one);
                while let Some(next) = chars.next_if(|next| !next.is_whitespace() && !"()\"`".contains(*next))
                {
                    word.push(next);
                }
                found.push(word);
            }
        }
    }
    Ok(found)
}
