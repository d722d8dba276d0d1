//! Entries from files (`config_entries.bootstrap`), including those of kinds that are not built yet.
//!
//! An entry of a kind that is not built has no effect and causes one warning. If ignoring it would leave something
//! unprotected that the operator believes to be protected, the agent does not start.

use std::collections::BTreeMap;

use concord_api::entry::{entry_from_node, parse_kind, unbuilt_kind, unguarded, unheeded};
use concord_model::entry::{Entry, EntryKind};
use concord_syntax::{Node, Pos};

use super::Resolver;
use crate::diagnostic::{Diagnostic, Origin};
use crate::layer::Piece;

impl Resolver<'_> {
    pub(crate) fn entries(&mut self, pieces: &[Piece]) -> Vec<Entry> {
        let mut own = Vec::new();
        let mut names = BTreeMap::new();
        let (mut unbuilt, mut kept) = (Vec::new(), Vec::new());
        for (at, piece) in pieces.iter().enumerate() {
            let key = format!("config_entries.bootstrap[{at}]");
            if self.unguarded(&key, piece) {
                continue;
            }
            if let Some(kind) = unbuilt_kind(&piece.node) {
                unbuilt.push((at, kind, piece.origin.clone()));
                continue;
            }
            if let Some((kind, pos)) = unknown_kind(&piece.node) {
                let mut origin = piece.origin.clone();
                origin.pos = pos;
                let kinds = EntryKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
                let text = format!("invalid config entry kind: {kind}; use {kinds}");
                self.found.push(Diagnostic::error(origin, format!("{key}.Kind"), text));
                continue;
            }
            let entry = entry_from_node(&piece.node, &piece.origin.source);
            let Some(entry) = self.kept(&key, piece, entry) else { continue };
            let name = entry.name();
            // Only the first one would be written, so a deny in the second one would not be in force.
            if let Some(first) = names.insert(name.clone(), piece.origin.clone()) {
                let text = format!("the entry {name} is already written at {first}; put both into one");
                self.found.push(Diagnostic::error(piece.origin.clone(), key, text));
            }
            if unheeded(entry.kind()) {
                kept.push((at, entry.kind().as_str(), piece.origin.clone()));
            }
            own.push(entry);
        }
        let (are, is) = (
            "are kept and shown, but proxies do not go by them yet",
            "is kept and shown, but proxies do not go by it yet",
        );
        self.tell_without_effect(&kept, [is, are]);
        let is = "has no effect: its kind is not available yet";
        self.tell_without_effect(&unbuilt, [is, "have no effect: their kinds are not available yet"]);
        own
    }

    /// One warning per source for entries without full effect. The two texts are for one entry and for several.
    fn tell_without_effect(&mut self, entries: &[(usize, &str, Origin)], [of_one, of_more]: [&str; 2]) {
        for of_source in entries.chunk_by(|(.., one), (.., next)| one.source == next.source) {
            let names = of_source.iter().map(|(at, kind, _)| format!("[{at}] {kind}")).collect::<Vec<_>>();
            let words = if names.len() == 1 { of_one } else { of_more };
            let text = format!("config_entries.bootstrap {} {words}", names.join(", "));
            let key = "config_entries.bootstrap";
            self.found.push(Diagnostic::warning(of_source[0].2.clone(), key, text));
        }
    }

    /// Whether the entry should close something that stays open, because its kind is not built. If so, reports an
    /// error.
    fn unguarded(&mut self, key: &str, piece: &Piece) -> bool {
        let open = unguarded(&piece.node);
        for value in &open {
            let mut origin = piece.origin.clone();
            origin.pos = value.pos;
            let at = if value.field.is_empty() { key.to_owned() } else { format!("{key}.{}", value.field) };
            self.found.push(Diagnostic::error(origin, at, value.problem().to_string()));
        }
        !open.is_empty()
    }
}

/// The kind of an entry and its position, if the kind is unknown.
fn unknown_kind(node: &Node) -> Option<(String, Pos)> {
    let written = node.find("Kind")?;
    let kind = written.as_str()?;
    parse_kind(kind).is_err().then(|| (kind.chars().take(64).collect(), written.pos))
}
