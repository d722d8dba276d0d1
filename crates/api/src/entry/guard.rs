//! Values of entries whose effect is not built, where something would be open that its author takes for closed.
//!
//! An entry with such a value is refused, wherever it comes from; every other value without effect yet is kept and
//! shown. A row goes when its effect is built.

use concord_syntax::{Node, Pos, same_key};

use crate::fault::Problem;
use crate::shape::says_something;

/// A value of an entry whose effect is not built, without which something would be open.
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

/// A value that would leave something open.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unguarded {
    /// The value's field; empty for the entry as such.
    pub field: String,
    /// Where it stands.
    pub pos: Pos,
    kind: &'static str,
    without: &'static str,
}

impl Unguarded {
    /// What is wrong with it.
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
        let Some(node) = found(entry, guard.path).into_iter().find(|node| guard.asks.of(node)) else {
            continue;
        };
        open.push(Unguarded { field: guard.path.join("."), pos: node.pos, kind, without: guard.without });
    }
    open
}

impl Asks {
    fn of(&self, node: &Node) -> bool {
        match self {
            Self::Given => says_something(node),
            Self::Text(text) => node.as_str() == Some(text),
        }
    }
}

/// The values at a path; blocks may be lists of objects, as HCL's are.
fn found<'a>(node: &'a Node, path: &[&str]) -> Vec<&'a Node> {
    let Some((first, rest)) = path.split_first() else { return vec![node] };
    let nodes = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
    let blocks = nodes.iter().filter_map(Node::as_object);
    let members = blocks.flat_map(|block| &block.members).filter(|entry| same_key(&entry.key, first));
    members.flat_map(|entry| found(&entry.value, rest)).collect()
}
