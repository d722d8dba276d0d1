//! One source, split into plain keys, definitions and entries, with the position of each.

use std::collections::BTreeMap;

use concord_syntax::{self as syntax, Kind, Node, Object, same_key};

use crate::absent::{ABSENT, Absent, Answer};
use crate::deprecated;
use crate::diagnostic::{Diagnostic, Origin};
use crate::key::{joined, plain};
use crate::raw::Raw;
use crate::spelling::spelt;

/// A definition or entry from a source. It has no `Debug`, because it may contain tokens.
#[derive(Clone)]
pub(crate) struct Piece {
    pub(crate) node: Node,
    pub(crate) origin: Origin,
}

/// The content of one source.
#[derive(Default)]
pub(crate) struct Layer {
    pub(crate) raw: Raw,
    pub(crate) origins: Origins,
    pub(crate) services: Vec<Piece>,
    pub(crate) checks: Vec<Piece>,
    pub(crate) entries: Vec<Piece>,
}

/// Where each key was last written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Where a key, or its block, was written.
    pub(crate) fn of(&self, key: &str) -> Origin {
        self.0.get(&plain(key)).cloned().unwrap_or_default()
    }

    /// Whether a file or a flag sets a key. `-dev` and defaults do not count.
    pub(crate) fn states(&self, key: &str) -> bool {
        self.0.contains_key(&plain(key))
    }

    pub(crate) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    fn record(&mut self, key: &str, origin: Origin) {
        self.0.insert(plain(key), origin);
    }
}

impl Layer {
    /// Splits a tree. `named` returns the source's name for a key: the file, or the flag.
    pub(crate) fn read(
        tree: Node,
        named: &dyn Fn(&str) -> String,
        found: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let pos = tree.pos;
        let Kind::Object(object) = tree.kind else {
            let origin = Origin { source: named(""), pos };
            found.push(Diagnostic::error(origin, "", "holds no keys; write key = value or a JSON object"));
            return None;
        };
        let object = deprecated::rewritten(spelt(object, "", named, found), named, found);
        let mut own = Self::default();
        let mut reader = LayerReader { named, found, idle: Vec::new() };
        let rest = own.take_pieces(object, &mut reader);
        let rest = reader.without_absent(rest, "");
        reader.tell_idle();
        reader.record(&rest, "", &mut own.origins);
        own.raw = reader.decoded(Node { pos, kind: Kind::Object(rest) });
        Some(own)
    }

    /// Takes definitions and entries out of the tree, so that each is decoded with its own position.
    fn take_pieces(&mut self, object: Object, reader: &mut LayerReader<'_>) -> Object {
        let mut rest = Object::default();
        for entry in object.members {
            let piece = |node: Node| Piece {
                origin: Origin { source: (reader.named)(&entry.key), pos: node.pos },
                node,
            };
            if same_key(&entry.key, "service") || same_key(&entry.key, "services") {
                self.services.extend(each(entry.value).map(piece));
            } else if same_key(&entry.key, "check") || same_key(&entry.key, "checks") {
                self.checks.extend(each(entry.value).map(piece));
            } else if same_key(&entry.key, "config_entries") {
                for block in each(entry.value) {
                    self.take_entries(block, reader);
                }
            } else {
                rest.members.push(entry);
            }
        }
        rest
    }

    fn take_entries(&mut self, block: Node, reader: &mut LayerReader<'_>) {
        let origin = |pos| Origin { source: (reader.named)("config_entries"), pos };
        let pos = block.pos;
        let Kind::Object(object) = block.kind else {
            let text = format!("expected an object with the key bootstrap, found {}", block.kind_name());
            reader.found.push(Diagnostic::error(origin(pos), "config_entries", text));
            return;
        };
        for entry in object.members {
            if same_key(&entry.key, "bootstrap") {
                let piece = |node: Node| Piece { origin: origin(node.pos), node };
                self.entries.extend(each(entry.value).map(piece));
            } else {
                let key = format!("config_entries.{}", entry.key);
                let text = format!("unknown key {:?}, did you mean \"bootstrap\"?", entry.key);
                reader.found.push(Diagnostic::error(origin(entry.key_pos), key, text));
            }
        }
    }
}

/// The elements of a list, or the single value.
fn each(node: Node) -> impl Iterator<Item = Node> {
    match node.kind {
        Kind::List(items) => items,
        Kind::Null => Vec::new(),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) | Kind::Object(_) => {
            vec![node]
        }
    }
    .into_iter()
}

struct LayerReader<'a> {
    named: &'a dyn Fn(&str) -> String,
    found: &'a mut Vec<Diagnostic>,
    idle: Vec<Idle>,
}

/// A key without effect, to be reported with the others of its block.
struct Idle {
    absent: &'static Absent,
    origin: Origin,
}

/// How often the rest of a source is decoded again without a refused value.
const DECODED_MAX: usize = 64;

impl LayerReader<'_> {
    /// The tree without the keys that are not built yet. Each of them is reported.
    fn without_absent(&mut self, object: Object, prefix: &str) -> Object {
        let mut rest = Object::default();
        for mut entry in object.members {
            let key = joined(prefix, &entry.key);
            if let Some(absent) = ABSENT.iter().find(|absent| plain(absent.key) == plain(&key)) {
                let origin = Origin { source: (self.named)(&key), pos: entry.key_pos };
                self.answer(absent, &entry.value, origin);
                continue;
            }
            let pos = entry.value.pos;
            entry.value = match entry.value.kind {
                Kind::Object(inner) => Node { pos, kind: Kind::Object(self.without_absent(inner, &key)) },
                Kind::List(items) => Node { pos, kind: Kind::List(self.each_without_absent(items, &key)) },
                kind @ (Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_)) => {
                    Node { pos, kind }
                }
            };
            rest.members.push(entry);
        }
        rest
    }

    /// Blocks may be written as lists of objects, as JSON converted from HCL does.
    fn each_without_absent(&mut self, items: Vec<Node>, key: &str) -> Vec<Node> {
        let strip = |item: Node| match item.kind {
            Kind::Object(inner) => {
                Node { pos: item.pos, kind: Kind::Object(self.without_absent(inner, key)) }
            }
            kind => Node { pos: item.pos, kind },
        };
        items.into_iter().map(strip).collect()
    }

    fn answer(&mut self, absent: &'static Absent, value: &Node, origin: Origin) {
        match absent.to(value) {
            Answer::Accept => {}
            Answer::Warn => self.idle.push(Idle { absent, origin }),
            Answer::Refuse | Answer::ByMode => {
                let text = format!("not available yet: {}: {}; leave it out", absent.name(), absent.why);
                self.found.push(Diagnostic::error(origin, absent.key, text));
            }
        }
    }

    /// One warning per block for its keys without effect. Keys outside of blocks share a warning if they have the
    /// same reason.
    fn tell_idle(&mut self) {
        let mut groups: Vec<(Origin, &str, Vec<&Absent>)> = Vec::new();
        for Idle { absent, origin } in std::mem::take(&mut self.idle) {
            let block = absent.key.split_once('.').map_or(absent.why, |(block, _)| block);
            match groups.iter_mut().find(|(first, own, _)| *own == block && first.source == origin.source) {
                Some((_, _, all)) => all.push(absent),
                None => groups.push((origin, block, vec![absent])),
            }
        }
        for (origin, block, all) in groups {
            let key = match all.as_slice() {
                [one] => one.key,
                [first, ..] if block == first.why => first.key,
                [..] => block,
            };
            let mut told: Vec<(&str, Vec<String>)> = Vec::new();
            for absent in all {
                match told.iter_mut().find(|(why, _)| *why == absent.why) {
                    Some((_, names)) if names.contains(&absent.name()) => {}
                    Some((_, names)) => names.push(absent.name()),
                    None => told.push((absent.why, vec![absent.name()])),
                }
            }
            let told = told.iter().map(|(why, names)| {
                let has = if names.len() == 1 { "has" } else { "have" };
                format!("{} {has} no effect: {why}", names.join(", "))
            });
            self.found.push(Diagnostic::warning(origin, key, told.collect::<Vec<_>>().join("; ")));
        }
    }

    /// The plain keys. A refused value is left out, so that one error does not hide the others.
    fn decoded(&mut self, mut node: Node) -> Raw {
        for _ in 0..DECODED_MAX {
            let faults = match syntax::decode_exact::<Raw>(&node, "") {
                Ok(raw) => return raw,
                Err(faults) => faults,
            };
            for fault in faults {
                let origin = Origin { source: (self.named)(&fault.path), pos: fault.pos };
                self.found.push(Diagnostic::error(origin, &*fault.path, fault.fault.to_string()));
                let Kind::Object(object) = &mut node.kind else { return Raw::default() };
                if !remove(object, "", &fault.path) {
                    return Raw::default();
                }
            }
        }
        Raw::default()
    }

    /// Records where each key was written.
    fn record(&self, object: &Object, prefix: &str, origins: &mut Origins) {
        for entry in &object.members {
            let key = joined(prefix, &entry.key);
            let origin = Origin { source: (self.named)(&key), pos: entry.key_pos };
            origins.record(&key, origin);
            let blocks: Vec<_> = match &entry.value.kind {
                Kind::Object(inner) => vec![inner],
                Kind::List(items) => items.iter().filter_map(Node::as_object).collect(),
                Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_) => Vec::new(),
            };
            for inner in blocks {
                self.record(inner, &key, origins);
            }
        }
    }
}

/// Removes the key that an error names, in all blocks of its name. Returns whether it was there.
fn remove(object: &mut Object, prefix: &str, path: &str) -> bool {
    let is_at =
        |key: &str| path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
    let before = object.members.len();
    object.members.retain(|entry| !is_at(&joined(prefix, &entry.key)));
    let mut removed = object.members.len() < before;
    for entry in &mut object.members {
        let key = joined(prefix, &entry.key);
        if let Kind::Object(inner) = &mut entry.value.kind
            && path.starts_with(&key)
        {
            removed |= remove(inner, &key, path);
        }
    }
    removed
}
