//! Entries from files (`config_entries.bootstrap`), those of kinds that are not built yet among them.
//!
//! An entry that is not built has no effect and is told by one warning. Where going on without it would leave
//! something unprotected that its author takes for protected, the agent does not start.

use std::collections::BTreeMap;

use concord_api::entry::{entry_from_node, parse_kind, unbuilt_kind};
use concord_model::entry::{Entry, EntryKind};
use concord_syntax::{Node, Pos, same_key};

use super::Resolver;
use crate::absent::asks_for_nothing;
use crate::diagnostic::{Diagnostic, Origin};
use crate::layer::Piece;

/// A value of an entry that is not built, without which something would be open.
struct Guard {
    kinds: &'static [&'static str],
    /// Keys from the entry down; empty: the entry as such.
    path: &'static [&'static str],
    asks: Asks,
    /// What would happen without it.
    without: &'static str,
}

/// When such a value asks for protection.
enum Asks {
    /// Always, unless it is empty, zero or `false`.
    Given,
    /// If it is this text.
    Text(&'static str),
}

const DEFAULTS: &[&str] = &["proxy-defaults", "service-defaults"];
const TLS_1_3: Asks = Asks::Text("TLSv1_3");
const TLS_1_2_TOO: &str = "connections with TLS 1.2 would be taken";

const GUARDS: &[Guard] = &[
    Guard {
        kinds: &["control-plane-request-limit"],
        path: &[],
        asks: Asks::Given,
        without: "requests would not be limited",
    },
    Guard {
        kinds: DEFAULTS,
        path: &["EnvoyExtensions"],
        asks: Asks::Given,
        without: "whom an extension keeps out would be let in",
    },
    Guard {
        kinds: DEFAULTS,
        path: &["Config", "envoy_public_listener_json"],
        asks: Asks::Given,
        without: "whom that listener keeps out would be let in",
    },
    Guard {
        kinds: &["service-defaults"],
        path: &["MaxInboundConnections"],
        asks: Asks::Given,
        without: "connections would not be limited",
    },
    Guard {
        kinds: &["service-defaults"],
        path: &["RateLimits"],
        asks: Asks::Given,
        without: "requests would not be limited",
    },
    Guard {
        kinds: &["mesh"],
        path: &["TransparentProxy", "MeshDestinationsOnly"],
        asks: Asks::Given,
        without: "services could call destinations outside of the mesh",
    },
    Guard {
        kinds: &["mesh"],
        path: &["HTTP", "SanitizeXForwardedClientCert"],
        asks: Asks::Given,
        without: "callers could claim another identity in x-forwarded-client-cert",
    },
    Guard {
        kinds: &["mesh"],
        path: &["TLS", "Incoming", "TLSMinVersion"],
        asks: TLS_1_3,
        without: TLS_1_2_TOO,
    },
    Guard {
        kinds: &["mesh"],
        path: &["TLS", "Outgoing", "TLSMinVersion"],
        asks: TLS_1_3,
        without: "connections with TLS 1.2 would be made",
    },
];

impl Resolver<'_> {
    pub(crate) fn entries(&mut self, pieces: &[Piece]) -> Vec<Entry> {
        let mut own = Vec::new();
        let mut names = BTreeMap::new();
        let mut unbuilt = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let key = format!("config_entries.bootstrap[{at}]");
            if let Some(kind) = unbuilt_kind(&piece.node) {
                if !self.guarded(&key, kind, piece) {
                    unbuilt.push((at, kind, piece.origin.clone()));
                }
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
            // Only the first would be written: a deny in the second would not hold.
            if let Some(first) = names.insert(name.clone(), piece.origin.clone()) {
                let text = format!("the entry {name} is already written at {first}; put both into one");
                self.found.push(Diagnostic::error(piece.origin.clone(), key, text));
            }
            own.push(entry);
        }
        self.tell_unbuilt(&unbuilt);
        own
    }

    /// One warning for the entries of a source that are not built.
    fn tell_unbuilt(&mut self, unbuilt: &[(usize, &str, Origin)]) {
        for of_source in unbuilt.chunk_by(|(.., one), (.., next)| one.source == next.source) {
            let names = of_source.iter().map(|(at, kind, _)| format!("[{at}] {kind}")).collect::<Vec<_>>();
            let (has, kinds) =
                if names.len() == 1 { ("has", "its kind is") } else { ("have", "their kinds are") };
            let text = format!(
                "config_entries.bootstrap {} {has} no effect: {kinds} not available yet",
                names.join(", ")
            );
            let key = "config_entries.bootstrap";
            self.found.push(Diagnostic::warning(of_source[0].2.clone(), key, text));
        }
    }

    /// Whether something would be open without an entry that is not built; that is told.
    fn guarded(&mut self, key: &str, kind: &'static str, piece: &Piece) -> bool {
        let mut guarded = false;
        for guard in GUARDS.iter().filter(|guard| guard.kinds.contains(&kind)) {
            let Some(node) = found(&piece.node, guard.path).into_iter().find(|node| guard.asks.of(node))
            else {
                continue;
            };
            guarded = true;
            let mut origin = piece.origin.clone();
            origin.pos = node.pos;
            let at = [&[key], guard.path].concat().join(".");
            let text =
                format!("not available yet: {kind} with it; without it {}; leave it out", guard.without);
            self.found.push(Diagnostic::error(origin, at, text));
        }
        guarded
    }
}

impl Asks {
    fn of(&self, node: &Node) -> bool {
        match self {
            Self::Given => !asks_for_nothing(node),
            Self::Text(text) => node.as_str() == Some(text),
        }
    }
}

/// The kind of an entry, and where it stands, if there is none such.
fn unknown_kind(node: &Node) -> Option<(String, Pos)> {
    let written = node.find("Kind")?;
    let kind = written.as_str()?;
    parse_kind(kind).is_err().then(|| (kind.chars().take(64).collect(), written.pos))
}

/// The values at a path; blocks may be lists of objects, as HCL's are.
fn found<'a>(node: &'a Node, path: &[&str]) -> Vec<&'a Node> {
    let Some((first, rest)) = path.split_first() else { return vec![node] };
    let nodes = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
    let blocks = nodes.iter().filter_map(Node::as_object);
    let members = blocks.flat_map(|block| &block.entries).filter(|entry| same_key(&entry.key, first));
    members.flat_map(|entry| found(&entry.value, rest)).collect()
}
