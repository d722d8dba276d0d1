//! The paths in a file: the leaves of its `use` trees, and qualified paths in its code.

use super::code::{self, Token};

/// A leaf of a `use` tree. `use a::{b as c, d::*}` has `a::b` with the name `c`, and `a::d::*` with the name `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) path: Vec<String>,
    /// The imported name.
    pub(crate) name: String,
}

/// A name that a file uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    /// The module that uses it, including inline modules.
    pub(crate) module: Vec<String>,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// `use a::b;`
    Import(Leaf),
    /// `pub use a::b;` in any of its forms.
    Reexport(Leaf),
    /// `a::b` in code.
    Path(Vec<String>),
    /// `b` alone in code, if it may name an item.
    Word(String),
}

/// The leaves of the `use` tree that starts with the first token, and the number of tokens including its semicolon.
pub(crate) fn tree(tokens: &[Token<'_>]) -> (Vec<Leaf>, usize) {
    let mut leaves = Vec::new();
    let mut prefixes: Vec<Vec<String>> = vec![Vec::new()];
    let mut path: Vec<String> = Vec::new();
    let mut alias: Option<String> = None;
    let mut renames = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Word("as") => renames = true,
            Token::Word(word) if renames => alias = Some((*word).to_owned()),
            Token::Word(word) => path.push((*word).to_owned()),
            Token::Mark('*') => path.push("*".to_owned()),
            Token::Mark('{') => prefixes.push(path.clone()),
            Token::Mark(end @ (',' | '}' | ';')) => {
                let prefix = prefixes.last().cloned().unwrap_or_default();
                if path.len() > prefix.len() {
                    leaves.extend(leaf(path, alias.take()));
                }
                renames = false;
                path = prefix;
                if *end == '}' {
                    prefixes.pop();
                    path = prefixes.last().cloned().unwrap_or_default();
                }
                if *end == ';' {
                    return (leaves, at + 1);
                }
            }
            _ => {}
        }
    }
    (leaves, tokens.len())
}

/// Makes a leaf. `a::{self}` means `a`.
fn leaf(mut path: Vec<String>, alias: Option<String>) -> Option<Leaf> {
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = alias.or_else(|| path.last().cloned())?;
    Some(Leaf { path, name })
}

/// All names that `code` uses, which has no comments and literals. `module` is the file's module.
pub(crate) fn named(module: &[String], code: &str) -> Vec<Named> {
    let tokens: Vec<Token<'_>> = code::tokens(code).into_iter().map(|(_, token)| token).collect();
    UsesReader { tokens, at: 0, module: module.to_vec(), opened: Vec::new(), out: Vec::new() }.run()
}

/// Keywords that may precede parentheses without being called.
const BEFORE_PARENTHESES: [&str; 9] = ["for", "if", "in", "let", "match", "move", "pub", "return", "while"];

struct UsesReader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    module: Vec<String>,
    /// For each open brace, whether an inline module has opened it.
    opened: Vec<bool>,
    out: Vec<Named>,
}

// === impl UsesReader ===

impl<'a> UsesReader<'a> {
    fn run(mut self) -> Vec<Named> {
        while self.at < self.tokens.len() {
            self.step();
        }
        self.out
    }

    fn step(&mut self) {
        let token = self.tokens[self.at];
        match token {
            Token::Mark('{') => self.opened.push(false),
            Token::Mark('}') => self.close(),
            Token::Word("mod") if self.opens_module() => return,
            Token::Word("use") if !self.follows(Token::Mark('+')) => return self.import(),
            Token::Word(word) => return self.path(word),
            _ => {}
        }
        self.at += 1;
    }

    fn close(&mut self) {
        if self.opened.pop() == Some(true) {
            self.module.pop();
        }
    }

    /// `mod a {` opens a module. `mod a;` uses no name.
    fn opens_module(&mut self) -> bool {
        let Some(Token::Word(name)) = self.tokens.get(self.at + 1) else { return false };
        if self.tokens.get(self.at + 2) == Some(&Token::Mark('{')) {
            self.module.push((*name).to_owned());
            self.opened.push(true);
        }
        self.at += 3;
        true
    }

    fn import(&mut self) {
        let is_public = self.follows(Token::Word("pub")) || self.follows(Token::Mark(')'));
        // `use<'a>` in a bound has no leaves.
        if self.tokens.get(self.at + 1) == Some(&Token::Mark('<')) {
            self.at += 1;
            return;
        }
        let (leaves, read) = tree(&self.tokens[self.at + 1..]);
        for leaf in leaves {
            self.name(if is_public { What::Reexport(leaf) } else { What::Import(leaf) });
        }
        self.at += 1 + read;
    }

    fn path(&mut self, first: &str) {
        let is_item = !self.follows(Token::Mark('.')) && !self.follows(Token::Path);
        let is_declared = self.follows(Token::Word("fn"));
        let mut path = vec![first.to_owned()];
        self.at += 1;
        while let [Token::Path, Token::Word(next), ..] = self.tokens[self.at..] {
            path.push(next.to_owned());
            self.at += 2;
        }
        if !is_item || is_declared || BEFORE_PARENTHESES.contains(&first) {
            return;
        }
        // A word in lower case that is not called is a variable or a field.
        let is_called = matches!(self.tokens.get(self.at), Some(Token::Mark('(' | '!') | Token::Path));
        if path.len() > 1 {
            self.name(What::Path(path));
        } else if is_called || first.starts_with(char::is_uppercase) {
            self.name(What::Word(first.to_owned()));
        }
    }

    fn name(&mut self, what: What) {
        self.out.push(Named { module: self.module.clone(), what });
    }

    fn follows(&self, token: Token<'_>) -> bool {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)) == Some(&token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        let text = |leaf: &Leaf| format!("{} as {}", leaf.path.join("::"), leaf.name);
        let found: Vec<String> = named(&["m".to_owned()], code)
            .into_iter()
            .map(|named| {
                let what = match &named.what {
                    What::Import(leaf) => format!("use {}", text(leaf)),
                    What::Reexport(leaf) => format!("pub use {}", text(leaf)),
                    What::Path(path) => path.join("::"),
                    What::Word(word) => word.clone(),
                };
                format!("{}: {what}", named.module.join("::"))
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn imports_are_told_from_reexports() {
        check(
            "use a::{b as c, d::*, e::{self, F}};",
            &["m: use a::b as c", "m: use a::d::* as *", "m: use a::e as e", "m: use a::e::F as F"],
        );
        check(
            "pub(crate) use self::a::B; pub use c::D;",
            &["m: pub use self::a::B as B", "m: pub use c::D as D"],
        );
        check("mod a; mod b { use super::C; } use d::E;", &["m::b: use super::C as C", "m: use d::E as E"]);
    }

    #[test]
    fn paths_are_told_from_fields_and_methods() {
        check("fn f(x: a::B) { x.g(); crate::h(y.z) }", &["m: a::B", "m: crate::h"]);
        check("if (x) { Some(B); g(x); h!(); y.G }", &["m: Some", "m: B", "m: g", "m: h"]);
        check("fn f() -> impl T + use<'_> { }", &["m: T"]);
    }
}
