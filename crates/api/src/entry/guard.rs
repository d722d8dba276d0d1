//! Fields of entries whose effect is not built, so that something would stay open that the author believes to be
//! closed.
//!
//! An entry with such a field is refused, wherever it comes from. All other fields without effect are stored and
//! shown. When an effect is built, its row here is removed.

use concord_syntax::{Node, Pos, same_key};

use crate::fault::Problem;
use crate::shape::says_something;

/// A field of an entry whose effect is not built, so that something would stay open if it says anything.
struct Guard {
    kinds: &'static [&'static str],
    /// The keys from the entry down to the field; empty: the entry itself.
    path: &'static [&'static str],
    /// What would happen if the field were ignored.
    without: &'static str,
}

const DEFAULTS: &[&str] = &["proxy-defaults", "service-defaults"];

const GUARDS: &[Guard] = &[
    Guard { kinds: &["control-plane-request-limit"], path: &[], without: "requests would not be limited" },
    Guard {
        kinds: DEFAULTS,
        path: &["EnvoyExtensions"],
        without: "whom an extension keeps out would be let in",
    },
    Guard { kinds: &["service-defaults"], path: &["RateLimits"], without: "requests would not be limited" },
    Guard {
        kinds: &["mesh"],
        path: &["TransparentProxy", "MeshDestinationsOnly"],
        without: "services could call destinations outside of the mesh",
    },
];

/// A value that would leave something open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unguarded {
    /// The field; empty for the entry itself.
    pub field: String,
    /// Its position.
    pub pos: Pos,
    kind: &'static str,
    without: &'static str,
}

impl Unguarded {
    /// The error about it.
    pub fn problem(&self) -> Problem {
        let Self { field, pos: _, kind, without } = self;
        let what = if field.is_empty() { (*kind).to_owned() } else { format!("{field} of {kind}") };
        Problem::NotAvailable(format!("{what}; without it {without}; leave it out"))
    }
}

/// The values of an entry that would leave something open.
pub fn unguarded(entry: &Node) -> Vec<Unguarded> {
    let kind = entry.find("Kind").and_then(Node::as_str).unwrap_or_default();
    let mut open = Vec::new();
    for guard in GUARDS {
        let Some(kind) = guard.kinds.iter().copied().find(|own| *own == kind) else { continue };
        let Some(node) = found(entry, guard.path).into_iter().find(|node| says_something(node)) else {
            continue;
        };
        open.push(Unguarded { field: guard.path.join("."), pos: node.pos, kind, without: guard.without });
    }
    open
}

/// The values at a path. Blocks may be lists of objects, as in HCL.
fn found<'a>(node: &'a Node, path: &[&str]) -> Vec<&'a Node> {
    let Some((first, rest)) = path.split_first() else { return vec![node] };
    let nodes = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
    let blocks = nodes.iter().filter_map(Node::as_object);
    let members = blocks.flat_map(|block| &block.members).filter(|entry| same_key(&entry.key, first));
    members.flat_map(|entry| found(&entry.value, rest)).collect()
}
