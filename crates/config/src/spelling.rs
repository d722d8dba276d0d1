//! The spelling of keys: case is ignored, but underscores count, as in Consul. Definitions of services, checks and
//! entries allow both spellings and are not checked here.

use concord_syntax::spelling::{edits, edits_max};
use concord_syntax::{Kind, Member, Node, Object};

use crate::absent::{ABSENT, BLOCKS};
use crate::deprecated::DEPRECATED;
use crate::diagnostic::{Diagnostic, Origin};
use crate::flags::key_of;
use crate::key::{joined, plain};
use crate::knob::KNOBS;

/// Keys whose content is decoded elsewhere, with its own spelling.
const DEFINITIONS: [&str; 4] = ["service", "services", "check", "checks"];
/// Maps with free keys.
const FREE: [&str; 3] = ["node_meta", "connect.ca_config", "http_config.response_headers"];
/// Longest key that is compared with others; a longer one is similar to none.
const KEY_CHARS_MAX: usize = 64;

/// The tree without unknown keys, each of which is an error. Blocks that were written as lists of objects, as in JSON
/// converted from HCL, become blocks.
pub(crate) fn spelt(
    object: Object,
    prefix: &str,
    named: &dyn Fn(&str) -> String,
    found: &mut Vec<Diagnostic>,
) -> Object {
    let members = members(&prefix.to_lowercase());
    let mut rest = Object::default();
    for entry in object.members {
        let key = joined(prefix, &entry.key);
        if !members.is_empty() && !members.contains(&&*entry.key.to_lowercase()) {
            let origin = Origin { source: named(&key), pos: entry.key_pos };
            let shown: String = entry.key.chars().take(KEY_CHARS_MAX).collect();
            let meant = nearest(prefix, &entry.key, &members);
            let meant = meant.map(|meant| format!(", did you mean {meant}?")).unwrap_or_default();
            found.push(Diagnostic::error(
                origin,
                joined(prefix, &shown),
                format!("unknown key {shown:?}{meant}"),
            ));
            continue;
        }
        if !is_block(&key) {
            rest.members.push(entry);
            continue;
        }
        let Member { key: own, key_pos, value } = entry;
        let nodes = match value.kind {
            Kind::List(items) if items.iter().all(|item| item.as_object().is_some()) => items,
            kind => vec![Node { pos: value.pos, kind }],
        };
        for Node { pos, kind } in nodes {
            let kind = match kind {
                Kind::Object(inner) => Kind::Object(spelt(inner, &key, named, found)),
                kind => kind,
            };
            rest.members.push(Member { key: own.clone(), key_pos, value: Node { pos, kind } });
        }
    }
    rest
}

/// All keys, except those inside of [`BLOCKS`].
fn known() -> impl Iterator<Item = &'static str> {
    current().chain(DEPRECATED.iter().map(|old| old.key)).chain(DEFINITIONS)
}

/// The current keys.
fn current() -> impl Iterator<Item = &'static str> {
    let knobs = KNOBS.iter().map(|knob| knob.key);
    knobs.chain(ABSENT.iter().filter(|absent| absent.now.is_empty()).map(|absent| absent.key))
}

/// The keys that a block, or the top level, may contain; empty if any key is allowed.
fn members(block: &str) -> Vec<&'static str> {
    if FREE.contains(&block) {
        return Vec::new();
    }
    let old = ABSENT.iter().filter(|absent| !absent.now.is_empty()).map(|absent| absent.key);
    let own = known().chain(old).filter_map(|known| {
        let inside = if block.is_empty() { known } else { known.strip_prefix(block)?.strip_prefix('.')? };
        inside.split('.').next()
    });
    let listed = BLOCKS.iter().filter(|(own, _)| *own == block).flat_map(|(_, keys)| keys.iter().copied());
    own.chain(listed).collect()
}

fn is_old(key: &str) -> bool {
    let absent = ABSENT.iter().filter(|absent| !absent.now.is_empty()).map(|absent| absent.key);
    absent.chain(DEPRECATED.iter().map(|old| old.key)).any(|old| old == key)
}

fn is_block(key: &str) -> bool {
    let own = key.to_lowercase();
    own != "config_entries" && (FREE.contains(&&*own) || !members(&own).is_empty())
}

/// The key that was probably meant, for messages: a key of the same block, the key of a flag with that name, or a key
/// elsewhere with the same words.
fn nearest(prefix: &str, key: &str, members: &[&'static str]) -> Option<String> {
    if key.chars().nth(KEY_CHARS_MAX).is_some() {
        return None;
    }
    let meant = plain(key);
    let beside = members.iter().map(|own| (edits(&meant, &plain(own)), *own));
    // For an old key only one edit is allowed.
    let far = |own: &str| if is_old(&joined(prefix, own)) { 1 } else { edits_max(meant.chars().count()) };
    let beside = beside.filter(|(edits, own)| *edits <= far(own)).min();
    let flag = || key_of(&key.to_lowercase().replace('_', "-")).filter(|_| prefix.is_empty());
    let elsewhere =
        || flag().or_else(|| of_words(&words(&joined(prefix, key)))).or_else(|| of_words(&words(key)));
    match beside {
        Some((_, own)) => Some(format!("{own:?}")),
        None => elsewhere().map(|own| match own.strip_prefix(prefix).and_then(|own| own.strip_prefix('.')) {
            Some(inside) => format!("{inside:?}"),
            None if !prefix.is_empty() && !own.contains('.') => format!("{own:?} outside of {prefix}"),
            None => format!("{own:?}"),
        }),
    }
}

/// The key or block that contains all of these words and at most one other word; the one with the fewest others.
fn of_words(asked: &[String]) -> Option<&'static str> {
    let paths = current().flat_map(|key| {
        let ends = key.match_indices('.').map(|(at, _)| at).chain([key.len()]);
        ends.map(|end| &key[..end]).collect::<Vec<_>>()
    });
    let fits = paths.filter_map(|path| {
        let own = words(path);
        let others = own.iter().filter(|word| !asked.contains(word)).count();
        (others <= 1 && asked.iter().all(|word| own.contains(word))).then_some((others, path.len(), path))
    });
    fits.min().map(|(_, _, path)| path)
}

/// The words of a key, in the singular.
fn words(key: &str) -> Vec<String> {
    let words = key.split(['.', '_', '-']).filter(|word| !word.is_empty());
    words
        .map(|word| word.to_lowercase())
        .map(|word| word.strip_suffix('s').map(str::to_owned).unwrap_or(word))
        .collect()
}
