//! Parses text to an [`Expression`] by recursive descent, with limited length and depth.

use super::FilterError;
use super::expression::{Expression, Match, Operator, Selector, is_name_char};
use super::limits::{EXPRESSION_BYTES_MAX, NESTING_MAX, PATTERNS_MAX};
use super::pattern::Pattern;

#[cfg(test)]
mod tests;

const OPERATORS: &str =
    "==, !=, in, not in, contains, not contains, matches, not matches, is empty or is not empty";

impl Expression {
    /// Parses an expression.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > EXPRESSION_BYTES_MAX {
            return Err(FilterError::TooLong { size: text.len() });
        }
        let mut parser = Parser { text, rest: text, depth: 0, patterns: 0 };
        let expression = parser.or()?;
        parser.space();
        if parser.rest.is_empty() {
            Ok(expression)
        } else {
            Err(parser.expected("and, or, or the end of the filter"))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
    patterns: usize,
}

/// The first operand of a match. Only the operator after it shows its meaning.
enum Operand {
    Selector(Selector),
    Value(String),
}

impl Parser<'_> {
    fn column(&self) -> usize {
        self.text[..self.text.len() - self.rest.len()].chars().count() + 1
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        let found = match self.rest.split_whitespace().next() {
            None => "the end of the filter".to_owned(),
            Some(word) => format!("{:?}", word.chars().take(32).collect::<String>()),
        };
        FilterError::Syntax { column: self.column(), expected, found }
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Reads a symbol such as `==` and the surrounding space.
    fn eat(&mut self, mark: &str) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(mark) else { return false };
        self.rest = rest;
        self.space();
        true
    }

    /// Reads these words in order and the surrounding space.
    fn words(&mut self, words: &[&str]) -> bool {
        let before = self.rest;
        for word in words {
            self.space();
            match self.rest.strip_prefix(word) {
                Some(rest) if !rest.starts_with(|c: char| is_name_char(c) || c == '.') => self.rest = rest,
                _ => {
                    self.rest = before;
                    return false;
                }
            }
        }
        self.space();
        true
    }

    fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        if self.depth == NESTING_MAX {
            return Err(FilterError::TooDeep { column: self.column() });
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn or(&mut self) -> Result<Expression, FilterError> {
        self.chain("or", Self::and, Expression::Or)
    }

    fn and(&mut self) -> Result<Expression, FilterError> {
        self.chain("and", Self::not, Expression::And)
    }

    fn chain(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Expression, FilterError>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Result<Expression, FilterError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.words(&[word]) {
            parts.push(part(self)?);
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only),
            last => {
                parts.extend(last);
                Ok(join(parts))
            }
        }
    }

    fn not(&mut self) -> Result<Expression, FilterError> {
        self.space();
        if self.words(&["not"]) {
            return self.deeper(|inner| Ok(Expression::Not(Box::new(inner.not()?))));
        }
        if self.eat("(") {
            return self.deeper(|inner| {
                let expression = inner.or()?;
                if !inner.eat(")") {
                    return Err(inner.expected("and, or, or a closing parenthesis"));
                }
                Ok(expression)
            });
        }
        self.question()
    }

    fn question(&mut self) -> Result<Expression, FilterError> {
        let start = self.rest;
        let operand = self.operand("a selector such as Node.Meta.env, a value, not, or a parenthesis")?;
        let before_operator = self.rest;
        let contained: Option<fn(String) -> Operator> = if self.words(&["in"]) {
            Some(Operator::In)
        } else if self.words(&["not", "in"]) {
            Some(Operator::NotIn)
        } else {
            None
        };
        if let Some(operator) = contained {
            let Some(selector) = self.selector()? else {
                return Err(self.expected("a selector after in"));
            };
            return Ok(Expression::Match(Match { selector, operator: operator(operand.into_value()) }));
        }
        let Operand::Selector(selector) = operand else {
            self.rest = if before_operator.trim_start().is_empty() { before_operator } else { start };
            return Err(self.expected("a selector, or in or not in after the value"));
        };
        let operator = self.operator()?;
        Ok(Expression::Match(Match { selector, operator }))
    }

    fn operator(&mut self) -> Result<Operator, FilterError> {
        if self.words(&["is", "empty"]) {
            return Ok(Operator::Empty);
        }
        if self.words(&["is", "not", "empty"]) {
            return Ok(Operator::NotEmpty);
        }
        if self.eat("==") {
            return self.value().map(Operator::Equal);
        }
        if self.eat("!=") {
            return self.value().map(Operator::NotEqual);
        }
        if self.words(&["contains"]) {
            return self.value().map(Operator::In);
        }
        if self.words(&["not", "contains"]) {
            return self.value().map(Operator::NotIn);
        }
        if self.words(&["matches"]) {
            return self.pattern().map(Operator::Matches);
        }
        if self.words(&["not", "matches"]) {
            return self.pattern().map(Operator::NotMatches);
        }
        self.space();
        Err(self.expected(OPERATORS))
    }

    fn pattern(&mut self) -> Result<Pattern, FilterError> {
        let column = self.column();
        if self.patterns == PATTERNS_MAX {
            return Err(FilterError::TooManyPatterns { column });
        }
        self.patterns += 1;
        let value = self.value()?;
        Pattern::parse(&value).map_err(|reason| FilterError::Pattern { column, reason })
    }

    fn value(&mut self) -> Result<String, FilterError> {
        Ok(self.operand("a value: text in double quotes, a number or a word")?.into_value())
    }

    fn operand(&mut self, expected: &'static str) -> Result<Operand, FilterError> {
        if let Some(selector) = self.selector()? {
            return Ok(Operand::Selector(selector));
        }
        match self.rest.chars().next() {
            Some('"' | '`') => self.string().map(Operand::Value),
            Some('-' | '0'..='9') => self.number().map(Operand::Value),
            _ => Err(self.expected(expected)),
        }
    }

    /// Reads a selector if there is one.
    fn selector(&mut self) -> Result<Option<Selector>, FilterError> {
        let Some(first) = self.name() else { return Ok(None) };
        let mut path = vec![first];
        loop {
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                if digits > 0 {
                    path.push(rest[..digits].to_owned());
                    self.rest = &rest[digits..];
                } else {
                    path.push(self.name().ok_or_else(|| {
                        self.expected("a name after the dot; write other keys as [\"key\"]")
                    })?);
                }
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                self.rest = rest;
                self.space();
                path.push(self.string()?);
                self.space();
                let Some(rest) = self.rest.strip_prefix(']') else {
                    return Err(self.expected("a closing bracket"));
                };
                self.rest = rest;
            } else {
                return Ok(Some(Selector { path }));
            }
        }
    }

    fn name(&mut self) -> Option<String> {
        if !self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = self.rest.find(|c| !is_name_char(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(name.to_owned())
    }

    fn number(&mut self) -> Result<String, FilterError> {
        let end = self.rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        let unsigned = number.strip_prefix('-').unwrap_or(number);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() > 1 && whole.starts_with('0') {
            return Err(self.expected("a number; put other values in double quotes"));
        }
        self.rest = rest;
        Ok(number.to_owned())
    }

    fn string(&mut self) -> Result<String, FilterError> {
        let start = self.rest;
        if let Some(raw) = start.strip_prefix('`') {
            let Some((text, rest)) = raw.split_once('`') else {
                return Err(self.expected("a closing backquote somewhere after this"));
            };
            self.rest = rest;
            // Like Go, drop carriage returns from raw text.
            return Ok(text.replace('\r', ""));
        }
        let Some(rest) = start.strip_prefix('"') else {
            return Err(self.expected("text in double quotes"));
        };
        self.rest = rest;
        let mut text = String::new();
        loop {
            let mut chars = self.rest.chars();
            let c = chars.next();
            match c {
                Some('"') => {
                    self.rest = chars.as_str();
                    return Ok(text);
                }
                Some('\\') => {
                    self.rest = chars.as_str();
                    text.push(self.escape()?);
                }
                Some(c) if c != '\n' => {
                    self.rest = chars.as_str();
                    text.push(c);
                }
                Some(_) | None => {
                    self.rest = start;
                    return Err(self.expected("a closing double quote somewhere after this"));
                }
            }
        }
    }

    /// Reads an escape sequence after its backslash, as in Go's string literals.
    fn escape(&mut self) -> Result<char, FilterError> {
        const EXPECTED: &str =
            "an escape such as \\n, \\\", \\\\ or \\u00e9; double the backslash or use backquotes";
        let mut chars = self.rest.chars();
        let (radix, digits) = match chars.next() {
            Some(c @ ('"' | '\\')) => return Ok(self.escaped(c)),
            Some('a') => return Ok(self.escaped('\u{7}')),
            Some('b') => return Ok(self.escaped('\u{8}')),
            Some('f') => return Ok(self.escaped('\u{c}')),
            Some('n') => return Ok(self.escaped('\n')),
            Some('r') => return Ok(self.escaped('\r')),
            Some('t') => return Ok(self.escaped('\t')),
            Some('v') => return Ok(self.escaped('\u{b}')),
            Some('x') => (16, self.rest.get(1..3)),
            Some('u') => (16, self.rest.get(1..5)),
            Some('U') => (16, self.rest.get(1..9)),
            Some('0'..='3') => (8, self.rest.get(..3)),
            _ => return Err(self.expected(EXPECTED)),
        };
        let code = digits
            .filter(|digits| digits.chars().all(|c| c.is_digit(radix)))
            .and_then(|digits| u32::from_str_radix(digits, radix).ok())
            .and_then(char::from_u32)
            .ok_or_else(|| self.expected(EXPECTED))?;
        let length = digits.map_or(0, str::len) + usize::from(radix == 16);
        self.rest = &self.rest[length..];
        Ok(code)
    }

    fn escaped(&mut self, c: char) -> char {
        self.rest = &self.rest[1..];
        c
    }
}

impl Operand {
    /// The operand as a value. A selector in the place of a value is a word without quotes.
    fn into_value(self) -> String {
        match self {
            Self::Selector(selector) => selector.path.join("."),
            Self::Value(value) => value,
        }
    }
}
