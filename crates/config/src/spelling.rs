//! How keys are spelt: in any case, but with their underscores, as Consul reads an agent's keys.
//! Definitions of services, checks and entries may be spelt either way and are not looked at here.

use concord_syntax::{Entry, Kind, Node, Object};

use crate::absent::ABSENT;
use crate::deprecated::DEPRECATED;
use crate::diagnostic::{Diagnostic, Origin};
use crate::knob::KNOBS;

/// Keys whose content is decoded elsewhere, in its own spelling.
const DEFINITIONS: [&str; 4] = ["service", "services", "check", "checks"];
/// Maps with keys of their author's choice.
const FREE: [&str; 3] = ["node_meta", "connect.ca_config", "http_config.response_headers"];

/// A key inside of a block.
pub(crate) fn joined(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// A key with case and `_` put aside, to find what was meant.
pub(crate) fn plain(key: &str) -> String {
    key.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// The tree without keys that are spelt wrongly, each of which is a fault, and with blocks that were
/// written as lists of objects, as JSON converted from HCL has them, written as blocks.
pub(crate) fn spelt(
    object: Object,
    prefix: &str,
    named: &dyn Fn(&str) -> String,
    found: &mut Vec<Diagnostic>,
) -> Object {
    let mut rest = Object::default();
    for entry in object.entries {
        let key = joined(prefix, &entry.key);
        if let Some(meant) = misspelt(&key) {
            let origin = Origin { source: named(&key), pos: entry.key_pos };
            let text = format!("unknown key {:?}, did you mean {meant:?}?", entry.key);
            found.push(Diagnostic::error(origin, key, text));
            continue;
        }
        if !is_block(&key) {
            rest.entries.push(entry);
            continue;
        }
        let Entry { key: own, key_pos, value } = entry;
        let nodes = match value.kind {
            Kind::List(items) if items.iter().all(|item| item.as_object().is_some()) => items,
            kind => vec![Node { pos: value.pos, kind }],
        };
        for Node { pos, kind } in nodes {
            let kind = match kind {
                Kind::Object(inner) => Kind::Object(spelt(inner, &key, named, found)),
                kind => kind,
            };
            rest.entries.push(Entry { key: own.clone(), key_pos, value: Node { pos, kind } });
        }
    }
    rest
}

/// All keys there are, and what they stand in.
fn known() -> impl Iterator<Item = &'static str> {
    let knobs = KNOBS.iter().map(|knob| knob.key);
    let absent = ABSENT.iter().map(|absent| absent.key);
    knobs.chain(absent).chain(DEPRECATED.iter().map(|old| old.key)).chain(DEFINITIONS)
}

/// The last part of the key that differs from this one in its underscores alone.
fn misspelt(key: &str) -> Option<&'static str> {
    let (own, meant, depth) = (key.to_lowercase(), plain(key), key.matches('.').count());
    let mut near = None;
    for known in known() {
        let Some(part) = known.match_indices('.').map(|(at, _)| at).chain([known.len()]).nth(depth) else {
            continue;
        };
        let known = &known[..part];
        if known == own {
            return None;
        }
        if plain(known) == meant {
            near = Some(known.rsplit('.').next().unwrap_or(known));
        }
    }
    near
}

fn is_block(key: &str) -> bool {
    let (own, block) = (key.to_lowercase(), format!("{}.", key.to_lowercase()));
    own != "config_entries" && (FREE.contains(&&*own) || known().any(|known| known.starts_with(&block)))
}
