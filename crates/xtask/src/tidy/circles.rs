//! Rule `circle`: there are few circles of files that depend on each other, and they are small.
//!
//! File A depends on file B if code of A names an item that B declares. Names are in a `use`, or in a path that starts
//! with `crate`, `super`, `self`, a module or an imported name. A name is followed through `use` and `pub use` to the
//! file that declares it; a parent that only re-exports it does not count. The following are not names: the `mod` of a
//! module; a `pub use`, unless the same file uses the name in its code; a module without an item. Code only for tests
//! is ignored.
//!
//! A circle is a strongly connected component of more than one file. The rule does not see what no path shows: a method
//! of a value, items that macros make, traits of which only methods are used.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::finding::Finding;
use crate::source::items::{self, ModulePath};
use crate::source::uses::{self, What};
use crate::source::{SourceFile, Target, code};

const RULE: &str = "circle";

/// Maximum number of circles in all crates.
const CIRCLES_MAX: usize = 4;
/// Maximum number of files in a circle.
const FILES_MAX: usize = 3;
/// Maximum number of re-exports through which a name is followed.
const STEPS_MAX: usize = 16;

/// Files that name each other's items, sorted by path.
struct Circle<'a> {
    files: Vec<&'a Path>,
    /// Which file names which items of which file, to help break the circle.
    arrows: Vec<(&'a Path, String, &'a Path)>,
}

/// All circles, sorted by crate and first path.
fn circles(sources: &BTreeMap<String, Vec<SourceFile>>) -> Vec<Circle<'_>> {
    sources.values().flat_map(|files| Crate::of(files).circles()).collect()
}

pub(crate) fn check(sources: &BTreeMap<String, Vec<SourceFile>>) -> Vec<Finding> {
    let circles = circles(sources);
    let too_many = circles.len() > CIRCLES_MAX;
    circles.iter().filter(|circle| too_many || circle.files.len() > FILES_MAX).map(finding).collect()
}

fn finding(circle: &Circle<'_>) -> Finding {
    let mut what = format!("is in a circle of {} files", circle.files.len());
    for (from, names, to) in &circle.arrows {
        what.push_str(&format!("\n  {} names {names} of {}", from.display(), to.display()));
    }
    Finding::new(RULE, circle.files[0].display(), what)
}

/// The number of circles and the size of the largest one.
pub(crate) fn count(sources: &BTreeMap<String, Vec<SourceFile>>) -> String {
    let circles = circles(sources);
    let largest = circles.iter().map(|circle| circle.files.len()).max().unwrap_or(0);
    let count = circles.len();
    format!(
        "{count} circles of files (at most {CIRCLES_MAX}), the largest of {largest} (at most {FILES_MAX})"
    )
}

/// The items that a crate's files declare, and the names that they use.
struct Crate<'a> {
    paths: Vec<&'a Path>,
    codes: Vec<String>,
    homes: Vec<ModulePath>,
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Default)]
struct Module {
    file: usize,
    items: BTreeSet<String>,
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// The target of a path.
enum LeadsTo {
    Module(ModulePath),
    /// An item with this name, declared in this file.
    Item(usize, String),
}

// === impl Crate ===

impl<'a> Crate<'a> {
    fn of(sources: &'a [SourceFile]) -> Self {
        let product = |file: &&SourceFile| file.target == Target::Main && !file.is_test_only();
        let mut krate =
            Self { paths: Vec::new(), codes: Vec::new(), homes: Vec::new(), modules: BTreeMap::new() };
        for (at, file) in sources.iter().filter(product).enumerate() {
            let code = code::without_test_items(&code::only(&file.text));
            krate.module(&file.module, at);
            for (module, name) in items::declared(&file.module, &code) {
                krate.module(&module, at).items.insert(name);
            }
            for named in uses::named(&file.module, &code) {
                let (What::Import(leaf) | What::Reexport(leaf)) = named.what else { continue };
                let module = krate.module(&named.module, at);
                if leaf.name == "*" {
                    module.globs.push(leaf.path[..leaf.path.len() - 1].to_vec());
                } else {
                    module.imports.insert(leaf.name, leaf.path);
                }
            }
            krate.paths.push(&file.path);
            krate.codes.push(code);
            krate.homes.push(file.module.clone());
        }
        krate
    }

    /// The module with this path, which is in this file.
    fn module(&mut self, path: &[String], file: usize) -> &mut Module {
        self.modules.entry(path.to_vec()).or_insert_with(|| Module { file, ..Module::default() })
    }

    fn circles(&self) -> Vec<Circle<'a>> {
        let named: Vec<BTreeMap<usize, BTreeSet<String>>> =
            (0..self.paths.len()).map(|at| self.named_by(at)).collect();
        let arrows: Vec<BTreeSet<usize>> =
            named.iter().map(|named| named.keys().copied().collect()).collect();
        components(&arrows)
            .into_iter()
            .map(|circle| {
                let within = circle.iter().flat_map(|from| {
                    let inside = named[*from].iter().filter(|(to, _)| circle.contains(to));
                    inside.map(move |(to, names)| {
                        let names: Vec<&str> = names.iter().map(String::as_str).collect();
                        (self.paths[*from], names.join(", "), self.paths[*to])
                    })
                });
                let arrows = within.collect();
                Circle { files: circle.iter().map(|at| self.paths[*at]).collect(), arrows }
            })
            .collect()
    }

    /// The other files whose items this file names, with these names.
    fn named_by(&self, file: usize) -> BTreeMap<usize, BTreeSet<String>> {
        let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for named in uses::named(&self.homes[file], &self.codes[file]) {
            let path = match named.what {
                What::Import(leaf) => leaf.path,
                What::Path(path) => path,
                What::Word(word) => vec![word],
                What::Reexport(_) => continue,
            };
            let path = path.strip_suffix(&["*".to_owned()]).unwrap_or(&path);
            if let Some(LeadsTo::Item(at, name)) = self.find(&named.module, path, STEPS_MAX) {
                found.entry(at).or_default().insert(name);
            }
        }
        found.remove(&file);
        found
    }

    /// The target of a path in the code of `module`.
    fn find(&self, module: &[String], path: &[String], steps: usize) -> Option<LeadsTo> {
        let (head, rest) = path.split_first()?;
        let place = match head.as_str() {
            "crate" => LeadsTo::Module(Vec::new()),
            "self" => LeadsTo::Module(module.to_vec()),
            "super" => LeadsTo::Module(module.split_last()?.1.to_vec()),
            name => self.name(module, name, steps)?,
        };
        rest.iter().try_fold(place, |place, name| match place {
            // Names inside an item belong to the item.
            LeadsTo::Item(file, item) => Some(LeadsTo::Item(file, item)),
            LeadsTo::Module(module) if name == "super" => {
                Some(LeadsTo::Module(module.split_last()?.1.to_vec()))
            }
            LeadsTo::Module(module) => self.name(&module, name, steps),
        })
    }

    /// The target of a single name in `module`.
    fn name(&self, module: &[String], name: &str, steps: usize) -> Option<LeadsTo> {
        let steps = steps.checked_sub(1)?;
        let mut child = module.to_vec();
        child.push(name.to_owned());
        if self.modules.contains_key(&child) {
            return Some(LeadsTo::Module(child));
        }
        let here = self.modules.get(module)?;
        if here.items.contains(name) {
            return Some(LeadsTo::Item(here.file, name.to_owned()));
        }
        if let Some(path) = here.imports.get(name) {
            // `use a::a;` names an item of another crate.
            let is_itself = path.len() == 1 && path[0] == name;
            return if is_itself { None } else { self.find(module, path, steps) };
        }
        here.globs.iter().find_map(|glob| match self.find(module, glob, steps)? {
            LeadsTo::Module(inner) if inner != module => self.name(&inner, name, steps),
            LeadsTo::Module(_) | LeadsTo::Item(..) => None,
        })
    }
}

/// The strongly connected components of more than one node.
fn components(arrows: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reached: Vec<BTreeSet<usize>> = (0..arrows.len()).map(|from| reached(arrows, from)).collect();
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for from in 0..arrows.len() {
        if seen.contains(&from) || !reached[from].contains(&from) {
            continue;
        }
        let circle: Vec<usize> =
            reached[from].iter().copied().filter(|at| reached[*at].contains(&from)).collect();
        seen.extend(circle.iter().copied());
        found.push(circle);
    }
    found
}

/// The nodes that can be reached from a node over one or more arrows.
fn reached(arrows: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open: Vec<usize> = arrows[from].iter().copied().collect();
    while let Some(at) = open.pop() {
        if found.insert(at) {
            open.extend(arrows[at].iter().copied());
        }
    }
    found
}

#[cfg(test)]
mod tests;
