//! The items of a crate, and whether a path such as `state::Store::apply` names one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{self, Token};
use super::uses::{self, Leaf};
use super::{SourceFile, Target};

pub(crate) type ModulePath = Vec<String>;

/// The items of one crate's main target.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The names that a module declares: items and child modules.
    modules: BTreeMap<ModulePath, BTreeSet<String>>,
    /// The names that a module re-exports. For `*` the path before it is kept.
    reexports: BTreeMap<ModulePath, Reexports>,
    /// The members of a type, in whatever module their block is: methods, associated items, enum variants.
    members: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Reexports {
    names: BTreeSet<String>,
    globs: Vec<Vec<String>>,
}

/// A function and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The module within the target, including inline modules.
    pub(crate) module: ModulePath,
    /// Whether it is a test: `#[test]`, `#[tokio::test(…)]`.
    pub(crate) is_test: bool,
}

// === impl Index ===

impl Index {
    pub(crate) fn of(sources: &[SourceFile]) -> Self {
        let mut index = Self::default();
        for file in sources.iter().filter(|file| file.target == Target::Main) {
            index.modules.entry(file.module.clone()).or_default();
            if let Some((name, parent)) = file.module.split_last() {
                index.modules.entry(parent.to_vec()).or_default().insert(name.clone());
            }
            for declared in scan(&file.module, &file.text) {
                index.add(declared);
            }
        }
        index
    }

    fn add(&mut self, declared: Declared) {
        match declared {
            Declared::Item { module, name, opens_module } => {
                if opens_module {
                    let mut inner = module.clone();
                    inner.push(name.clone());
                    self.modules.entry(inner).or_default();
                }
                self.modules.entry(module).or_default().insert(name);
            }
            Declared::Member { of, name } => {
                self.members.entry(of).or_default().insert(name);
            }
            Declared::Reexport { module, path, name } => {
                let reexports = self.reexports.entry(module).or_default();
                if name == "*" {
                    reexports.globs.push(path);
                } else {
                    reexports.names.insert(name);
                }
            }
            Declared::Function(_) => {}
        }
    }

    /// Whether `path`, which starts below the crate's name, names an item.
    pub(crate) fn contains(&self, path: &[&str]) -> bool {
        let mut module: ModulePath = Vec::new();
        let mut rest = path;
        while let [first, tail @ ..] = rest {
            let mut inner = module.clone();
            inner.push((*first).to_owned());
            if !self.modules.contains_key(&inner) {
                break;
            }
            module = inner;
            rest = tail;
        }
        match rest {
            [] => true,
            [item] => self.declares(&module, item),
            [item, member] => {
                self.declares(&module, item)
                    && self.members.get(*item).is_some_and(|members| members.contains(*member))
            }
            _ => false,
        }
    }

    fn declares(&self, module: &[String], name: &str) -> bool {
        if self.modules.get(module).is_some_and(|names| names.contains(name)) {
            return true;
        }
        let Some(reexports) = self.reexports.get(module) else { return false };
        reexports.names.contains(name)
            || reexports.globs.iter().any(|glob| {
                let inner = resolve_glob(module, glob);
                inner != module && self.modules.get(&inner).is_some_and(|names| names.contains(name))
            })
    }
}

fn resolve_glob(module: &[String], path: &[String]) -> ModulePath {
    let (mut at, rest) = match path.split_first() {
        Some((first, rest)) if first == "crate" => (Vec::new(), rest),
        Some((first, rest)) if first == "self" => (module.to_vec(), rest),
        _ => (module.to_vec(), path),
    };
    at.extend_from_slice(rest);
    at
}

/// All functions that a file declares, in modules and in `proptest!` blocks, but not inside functions.
pub(crate) fn functions(module: &[String], text: &str) -> Vec<Function> {
    scan(module, text)
        .into_iter()
        .filter_map(
            |declared| if let Declared::Function(function) = declared { Some(function) } else { None },
        )
        .collect()
}

/// All items that a file declares, including modules, with the module of each.
pub(crate) fn declared(module: &[String], text: &str) -> Vec<(ModulePath, String)> {
    scan(module, text)
        .into_iter()
        .filter_map(|declared| match declared {
            Declared::Item { module, name, .. } => Some((module, name)),
            _ => None,
        })
        .collect()
}

/// The names of the modules that a file declares.
pub(crate) fn modules_declared(text: &str) -> Vec<String> {
    let code = code::only(text);
    let tokens = code::tokens(&code);
    tokens
        .windows(2)
        .filter_map(|pair| match pair {
            [(_, Token::Word("mod")), (_, Token::Word(name))] => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

#[derive(Debug)]
enum Declared {
    Item { module: ModulePath, name: String, opens_module: bool },
    Member { of: String, name: String },
    Reexport { module: ModulePath, path: Vec<String>, name: String },
    Function(Function),
}

/// The kind of block that an item's brace opens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Module(String),
    /// The block of an `impl` or a `trait`.
    Type(String),
    Enum(String),
    /// A macro whose contents are items.
    Transparent,
    Opaque,
}

fn scan(module: &[String], text: &str) -> Vec<Declared> {
    let code = code::only(text);
    let tokens: Vec<Token<'_>> = code::tokens(&code).into_iter().map(|(_, token)| token).collect();
    let scanner = Scanner {
        base: module,
        tokens,
        at: 0,
        blocks: Vec::new(),
        pending: None,
        parens: 0,
        marked_test: false,
        out: Vec::new(),
    };
    scanner.run()
}

struct Scanner<'a> {
    base: &'a [String],
    tokens: Vec<Token<'a>>,
    at: usize,
    blocks: Vec<Block>,
    pending: Option<Block>,
    parens: usize,
    /// Whether the next item has a test attribute.
    marked_test: bool,
    out: Vec<Declared>,
}

// === impl Scanner ===

impl<'a> Scanner<'a> {
    fn run(mut self) -> Vec<Declared> {
        while self.at < self.tokens.len() {
            self.step();
        }
        self.out
    }

    fn step(&mut self) {
        let token = self.tokens[self.at];
        self.at += 1;
        match token {
            Token::Mark('{') => {
                let block = self.pending.take().unwrap_or_else(|| self.unclaimed());
                self.blocks.push(block);
            }
            Token::Mark('}') => {
                self.blocks.pop();
                self.pending = None;
            }
            Token::Mark('(' | '[') => self.parens += 1,
            Token::Mark(')' | ']') => self.parens = self.parens.saturating_sub(1),
            Token::Mark(';') if self.parens == 0 => self.pending = None,
            Token::Mark('#') if self.peek(0) == Some(Token::Mark('[')) => self.attribute(),
            Token::Word(word) if !self.is_opaque() => self.word(word),
            _ => {}
        }
    }

    fn word(&mut self, word: &'a str) {
        let next = self.peek_word();
        match (word, next) {
            ("fn", Some(name)) => {
                let function =
                    Function { name: name.to_owned(), module: self.module(), is_test: self.marked_test };
                self.out.push(Declared::Function(function));
                self.declare(name, None);
            }
            ("struct" | "const" | "static" | "type", Some("fn" | "unsafe" | "mut" | "async" | "extern")) => {}
            ("struct" | "const" | "static" | "type", Some(name)) if self.parens == 0 => {
                self.declare(name, None)
            }
            ("enum", Some(name)) => self.declare(name, Some(Block::Enum(name.to_owned()))),
            ("trait", Some(name)) => self.declare(name, Some(Block::Type(name.to_owned()))),
            ("mod", Some(name)) => self.declare(name, Some(Block::Module(name.to_owned()))),
            ("impl", _) if self.at_item_start() => self.impl_block(),
            ("use", _) => self.use_item(),
            ("proptest", _) if self.peek(0) == Some(Token::Mark('!')) => {
                self.pending = Some(Block::Transparent)
            }
            ("macro_rules", _) => {
                if let Some(Token::Word(name)) = self.peek(1) {
                    self.declare(name, None);
                    self.pending = Some(Block::Transparent);
                }
            }
            (name, _) => self.variant(name),
        }
    }

    /// The kind of a block without an item: the right side of a `macro_rules` arm contains items, other blocks are
    /// bodies.
    fn unclaimed(&self) -> Block {
        let is_arm =
            self.previous() == Some(Token::Mark('>')) && self.blocks.last() == Some(&Block::Transparent);
        if is_arm { Block::Transparent } else { Block::Opaque }
    }

    /// In an enum, a word after `{`, `,` or an attribute is a variant.
    fn variant(&mut self, name: &str) {
        let Some(Block::Enum(of)) = self.blocks.last() else { return };
        let starts = matches!(self.previous(), Some(Token::Mark('{' | ',' | ']')));
        if self.parens == 0 && starts {
            self.out.push(Declared::Member { of: of.clone(), name: name.to_owned() });
        }
    }

    fn declare(&mut self, name: &str, opens: Option<Block>) {
        let declared = match self.blocks.iter().rev().find(|block| **block != Block::Transparent) {
            Some(Block::Type(of) | Block::Enum(of)) => {
                Declared::Member { of: of.clone(), name: name.to_owned() }
            }
            _ => Declared::Item {
                module: self.module(),
                name: name.to_owned(),
                opens_module: matches!(opens, Some(Block::Module(_))),
            },
        };
        self.out.push(declared);
        self.marked_test = false;
        self.pending = opens;
        self.at += 1;
    }

    /// Reads `impl<T> Trait for Type<T> where … {`. The members belong to `Type`.
    fn impl_block(&mut self) {
        let mut angle = 0_i32;
        let mut subject = None;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Mark('{') => break,
                Token::Mark('<') => angle += 1,
                Token::Mark('>') if !self.after_dash() => angle -= 1,
                Token::Word("for") if angle == 0 => subject = None,
                Token::Word("where") if angle == 0 => break,
                Token::Word("dyn" | "mut" | "const") => {}
                Token::Word(word) if angle == 0 => subject = Some(word),
                _ => {}
            }
            self.at += 1;
        }
        self.pending = subject.map(|name| Block::Type(name.to_owned()));
    }

    /// Reads a `use`. `pub use a::{b, c as d, e::*};` re-exports b, d and everything in e. A private `use` is skipped.
    fn use_item(&mut self) {
        let is_public =
            matches!(self.tokens.get(self.at.wrapping_sub(2)), Some(Token::Word("pub") | Token::Mark(')')));
        let (leaves, read) = uses::tree(&self.tokens[self.at..]);
        self.at += read;
        let module = self.module();
        for Leaf { mut path, name } in leaves.into_iter().filter(|_| is_public) {
            path.pop();
            self.out.push(Declared::Reexport { module: module.clone(), path, name });
        }
    }

    fn module(&self) -> ModulePath {
        let inline = self.blocks.iter().filter_map(|block| match block {
            Block::Module(name) => Some(name.clone()),
            _ => None,
        });
        self.base.iter().cloned().chain(inline).collect()
    }

    fn is_opaque(&self) -> bool {
        self.blocks.contains(&Block::Opaque)
    }

    fn at_item_start(&self) -> bool {
        matches!(
            self.tokens.get(self.at.wrapping_sub(2)),
            None | Some(Token::Mark('}' | ';' | '{' | ']') | Token::Word("unsafe"))
        )
    }

    fn previous(&self) -> Option<Token<'a>> {
        self.at.checked_sub(2).and_then(|at| self.tokens.get(at)).copied()
    }

    /// Whether the next token follows a `-`, so that it is the end of an arrow.
    fn after_dash(&self) -> bool {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)) == Some(&Token::Mark('-'))
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn peek_word(&self) -> Option<&'a str> {
        if let Some(Token::Word(word)) = self.peek(0) { Some(word) } else { None }
    }

    /// Reads an attribute. `#[test]` and `#[tokio::test(…)]` mark the next item as a test, `#[cfg(test)]` does not.
    fn attribute(&mut self) {
        let name = std::iter::successors(Some(1), |at| Some(at + 1)).map_while(|at| match self.peek(at) {
            Some(Token::Word(word)) => Some(Some(word)),
            Some(Token::Path) => Some(None),
            _ => None,
        });
        self.marked_test |= name.last().flatten() == Some("test");
        self.skip_brackets();
    }

    fn skip_brackets(&mut self) {
        let mut depth = 0_usize;
        while let Some(token) = self.peek(0) {
            self.at += 1;
            match token {
                Token::Mark('[') => depth += 1,
                Token::Mark(']') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
