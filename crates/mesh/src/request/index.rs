//! Finds the few permissions that can apply to a request among many.
//!
//! Permissions stand in blocks. For each block four sets are computed, of permissions whose method, path, header and
//! claim can fit. What is in all of them is asked in order. A set may be too large, never too small: it is left
//! to the conditions to decide.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use concord_model::intention::JwtRequirement;

use super::canonical::Request;
use super::compiled::{Compiled, PathTest};
use super::header::{self, How, Test};
use super::lines::{self, folded};
use super::{path, token};

/// Permissions of one block: its sets then need 128 bytes each and no allocation.
const BLOCK: usize = 1024;
/// Below this number all permissions are asked.
const INDEXED_MIN: usize = 16;
/// Longest name of a header that is looked up.
const NAME_BYTES_MAX: usize = 64;
/// Most claims that are looked up.
const CLAIMS_MAX: usize = 16;

/// The methods that permissions can name.
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// A set of permissions of a block.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Set([u64; BLOCK / 64]);

impl Set {
    const EMPTY: Self = Self([0; BLOCK / 64]);

    fn add(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= other);
    }

    fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let at = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                (at < 64).then_some(word * 64 + at)
            })
        })
    }
}

/// Permissions with the same key: a list while they are few.
#[derive(Debug)]
enum Group {
    Few(Vec<u16>),
    Many(Box<Set>),
}

impl Default for Group {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Group {
    const FEW: usize = 32;

    fn push(&mut self, at: usize) {
        match self {
            Self::Few(list) if list.len() < Self::FEW => {
                list.push(u16::try_from(at).expect("a block has fewer than 2^16 permissions"));
            }
            Self::Few(list) => {
                let mut set = Set::EMPTY;
                list.iter().for_each(|at| set.add(usize::from(*at)));
                set.add(at);
                *self = Self::Many(Box::new(set));
            }
            Self::Many(set) => set.add(at),
        }
    }

    /// Takes the permissions of another group.
    fn take(&mut self, other: &Self) {
        let mut all = Set::EMPTY;
        other.add_to(&mut all);
        all.iter().for_each(|at| self.push(at));
    }

    fn add_to(&self, set: &mut Set) {
        match self {
            Self::Few(list) => list.iter().for_each(|at| set.add(usize::from(*at))),
            Self::Many(own) => set.add_all(own),
        }
    }
}

/// The permissions of one intention, by what they ask for.
#[derive(Debug)]
pub(super) struct Index {
    len: usize,
    blocks: Vec<Block>,
}

impl Index {
    pub(super) fn new(list: &[Compiled]) -> Self {
        let indexed = list.len() >= INDEXED_MIN;
        let blocks = if indexed { list.chunks(BLOCK).map(Block::new).collect() } else { Vec::new() };
        Self { len: list.len(), blocks }
    }

    /// The first answer about a permission that can apply.
    pub(super) fn first<T>(&self, request: &Request<'_>, ask: impl Fn(usize) -> Option<T>) -> Option<T> {
        if self.blocks.is_empty() {
            return (0..self.len).find_map(ask);
        }
        let mut blocks = self.blocks.iter().enumerate();
        blocks.find_map(|(block, index)| index.fitting(request).iter().find_map(|at| ask(block * BLOCK + at)))
    }
}

#[derive(Debug)]
struct Block {
    methods: [Set; METHODS.len() + 1],
    paths: Paths,
    headers: Headers,
    claims: Claims,
}

impl Block {
    fn new(list: &[Compiled]) -> Self {
        let mut own = Self {
            methods: [const { Set::EMPTY }; METHODS.len() + 1],
            paths: Paths::default(),
            headers: Headers::default(),
            claims: Claims::default(),
        };
        let mut prefixes = Vec::new();
        for (at, permission) in list.iter().enumerate() {
            own.add_method(at, &permission.methods);
            match &permission.path {
                Some(PathTest::Exact(wanted)) if wanted.is_clear() => own.paths.add_exact(at, wanted),
                Some(PathTest::Prefix(wanted)) if wanted.is_clear() => prefixes.push((&*wanted.text, at)),
                _ => own.paths.any.add(at),
            }
            own.headers.add(at, &permission.headers);
            own.claims.add(at, permission.token.as_ref());
        }
        own.headers.named.values_mut().for_each(Named::build);
        own.paths.prefixes = prefixes_of(prefixes);
        own
    }

    fn add_method(&mut self, at: usize, methods: &[String]) {
        for (set, known) in self.methods.iter_mut().zip(METHODS.iter().map(Some).chain([None])) {
            // The last set is that of methods that no permission can name.
            if methods.is_empty() || known.is_some_and(|known| methods.iter().any(|one| one == known)) {
                set.add(at);
            }
        }
    }

    fn fitting(&self, request: &Request<'_>) -> Set {
        let method = METHODS.iter().position(|known| known.eq_ignore_ascii_case(request.received.method));
        let mut fitting = self.methods[method.unwrap_or(METHODS.len())].clone();
        fitting.keep(&self.paths.fitting(&request.path));
        for set in [self.headers.fitting(request), self.claims.fitting(request)].into_iter().flatten() {
            fitting.keep(&set);
        }
        fitting
    }
}

/// Permissions by path.
#[derive(Debug)]
struct Paths {
    /// Those that cannot be looked up.
    any: Set,
    exact: HashMap<Box<str>, Group>,
    /// In order of their texts.
    prefixes: Vec<Prefix>,
}

impl Default for Paths {
    fn default() -> Self {
        Self { any: Set::EMPTY, exact: HashMap::new(), prefixes: Vec::new() }
    }
}

/// A beginning of paths.
#[derive(Debug)]
struct Prefix {
    text: Box<str>,
    own: Group,
    /// The longest other prefix that is a prefix of this one.
    parent: Option<usize>,
}

fn prefixes_of(mut texts: Vec<(&str, usize)>) -> Vec<Prefix> {
    texts.sort();
    let mut all: Vec<Prefix> = Vec::new();
    for (text, at) in texts {
        if all.last().is_none_or(|last| *last.text != *text) {
            let mut parent = all.len().checked_sub(1);
            while let Some(above) = parent.filter(|above| !text.starts_with(&*all[*above].text)) {
                parent = all[above].parent;
            }
            all.push(Prefix { text: text.into(), own: Group::default(), parent });
        }
        if let Some(last) = all.last_mut() {
            last.own.push(at);
        }
    }
    all
}

impl Paths {
    fn add_exact(&mut self, at: usize, wanted: &path::Wanted) {
        self.exact.entry(wanted.text.clone()).or_default().push(at);
    }

    fn fitting(&self, path: &path::Path<'_>) -> Set {
        let mut set = self.any.clone();
        self.add_text(&path.text, &mut set);
        path.readings.iter().for_each(|reading| self.add_text(reading, &mut set));
        set
    }

    fn add_text(&self, text: &str, set: &mut Set) {
        if let Some(group) = self.exact.get(text) {
            group.add_to(set);
        }
        // All prefixes of a text are prefixes of the last one that is not behind it.
        let behind = self.prefixes.partition_point(|prefix| *prefix.text <= *text);
        let mut next = behind.checked_sub(1);
        while let Some(at) = next {
            let prefix = &self.prefixes[at];
            if text.starts_with(&*prefix.text) {
                prefix.own.add_to(set);
            }
            next = prefix.parent;
        }
    }
}

/// Permissions by a header without which they cannot apply.
#[derive(Debug)]
struct Headers {
    /// Those that cannot be looked up.
    any: Set,
    /// By folded name.
    named: HashMap<Box<[u8]>, Named>,
}

impl Default for Headers {
    fn default() -> Self {
        Self { any: Set::EMPTY, named: HashMap::new() }
    }
}

/// Permissions that ask for one header.
#[derive(Debug, Default)]
struct Named {
    any: Group,
    exact: HashMap<Box<[u8]>, Group>,
    /// By a text, in lower case, that a line must contain.
    containing: HashMap<String, Group>,
    finder: Option<Finder>,
}

/// Finds all texts that a line contains in one pass.
#[derive(Debug)]
struct Finder {
    texts: AhoCorasick,
    groups: Vec<Group>,
}

impl Headers {
    fn add(&mut self, at: usize, wanted: &[header::Wanted]) {
        let mut needed = wanted.iter().filter(|wanted| is_needed(wanted));
        let exact = needed.clone().find_map(|wanted| Some((wanted, exact_value(wanted)?)));
        let containing = needed.clone().find_map(|wanted| Some((wanted, contained_text(wanted)?)));
        if let Some((wanted, value)) = exact {
            self.of(&wanted.name).exact.entry(value.into()).or_default().push(at);
        } else if let Some((wanted, text)) = containing {
            self.of(&wanted.name).containing.entry(text).or_default().push(at);
        } else if let Some(wanted) = needed.next() {
            self.of(&wanted.name).any.push(at);
        } else {
            self.any.add(at);
        }
    }

    fn of(&mut self, name: &str) -> &mut Named {
        let name: Vec<u8> = name.bytes().map(folded).collect();
        self.named.entry(name.into()).or_default()
    }

    /// `None` if headers exclude nothing.
    fn fitting(&self, request: &Request<'_>) -> Option<Set> {
        if self.named.is_empty() {
            return None;
        }
        let mut set = self.any.clone();
        for header in request.headers.kept() {
            let mut name = [0; NAME_BYTES_MAX];
            let Some(room) = name.get_mut(..header.name.len()) else { continue };
            room.iter_mut().zip(header.name.bytes()).for_each(|(to, from)| *to = folded(from));
            if let Some(named) = self.named.get(&*room) {
                named.add_to(header.value, &mut set);
            }
        }
        Some(set)
    }
}

impl Named {
    /// Makes the finder, once all permissions are there.
    fn build(&mut self) {
        let (texts, groups): (Vec<_>, Vec<_>) = std::mem::take(&mut self.containing).into_iter().unzip();
        if texts.is_empty() {
            return;
        }
        match AhoCorasick::builder().ascii_case_insensitive(true).build(texts) {
            Ok(texts) => self.finder = Some(Finder { texts, groups }),
            // Then they are asked one by one.
            Err(_) => groups.iter().for_each(|group| self.any.take(group)),
        }
    }

    fn add_to(&self, value: &[u8], set: &mut Set) {
        self.any.add_to(set);
        if let Some(Finder { texts, groups }) = &self.finder {
            texts.find_overlapping_iter(value).for_each(|found| groups[found.pattern()].add_to(set));
        }
        if self.exact.is_empty() {
            return;
        }
        let line = lines::trimmed(value);
        for value in std::iter::once(line).chain(lines::members(line)) {
            if let Some(group) = self.exact.get(value) {
                group.add_to(set);
            }
        }
    }
}

/// Whether a permission with this condition needs the header.
fn is_needed(wanted: &header::Wanted) -> bool {
    wanted.is_of_header() && !wanted.invert && wanted.name.len() <= NAME_BYTES_MAX
}

/// The value that a line, or a member of it, must be.
fn exact_value(wanted: &header::Wanted) -> Option<&[u8]> {
    match &wanted.test {
        Test::Text { how: How::Exact, text, ignore_case: false } if !text.contains(',') => {
            Some(text.as_bytes())
        }
        _ => None,
    }
}

/// A text that a line must contain, or a member of it, in lower case.
fn contained_text(wanted: &header::Wanted) -> Option<String> {
    match &wanted.test {
        Test::Text { text, .. } if !text.is_empty() && !text.contains(',') => Some(text.to_ascii_lowercase()),
        _ => None,
    }
}

/// Permissions by a claim without which they cannot apply.
#[derive(Debug)]
struct Claims {
    /// Those that cannot be looked up.
    any: Set,
    named: Vec<Claim>,
}

impl Default for Claims {
    fn default() -> Self {
        Self { any: Set::EMPTY, named: Vec::new() }
    }
}

/// Permissions that ask for one claim of the tokens of one provider, by its value.
#[derive(Debug)]
struct Claim {
    provider: String,
    path: Vec<String>,
    values: HashMap<String, Group>,
}

impl Claims {
    fn add(&mut self, at: usize, demand: Option<&JwtRequirement>) {
        let provider = demand.and_then(|demand| match &demand.providers[..] {
            [provider] => Some(provider),
            _ => None,
        });
        let claim = provider.and_then(|provider| Some((provider, provider.verify_claims.first()?)));
        let group = claim.and_then(|(provider, (path, value))| self.of(&provider.name, path, value));
        match group {
            Some(group) => group.push(at),
            None => self.any.add(at),
        }
    }

    /// `None` if there are too many claims.
    fn of(&mut self, provider: &str, path: &[String], value: &str) -> Option<&mut Group> {
        let is_known = |claim: &Claim| claim.provider == provider && claim.path == path;
        let known = self.named.iter().position(is_known).unwrap_or(self.named.len());
        if known == self.named.len() && known < CLAIMS_MAX {
            let (provider, path) = (provider.to_owned(), path.to_owned());
            self.named.push(Claim { provider, path, values: HashMap::new() });
        }
        Some(self.named.get_mut(known)?.values.entry(value.to_owned()).or_default())
    }

    /// `None` if claims exclude nothing.
    fn fitting(&self, request: &Request<'_>) -> Option<Set> {
        if self.named.is_empty() {
            return None;
        }
        let mut set = self.any.clone();
        for Claim { provider, path, values } in &self.named {
            token::each_text_of(request.received.tokens, provider, path, |text| {
                if let Some(group) = values.get(text) {
                    group.add_to(&mut set);
                }
            });
        }
        Some(set)
    }
}
