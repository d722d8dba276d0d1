//! Old names of keys: they are read as their current names, with a warning, as in Consul.
//!
//! If one source has both, the current name wins. Old keys whose meaning is not built are in [`crate::absent`],
//! beside the keys that replaced them.

use concord_syntax::{Kind, Member, Node, Object};

use crate::diagnostic::{Diagnostic, Origin};
use crate::key::{joined, plain};

/// An old key and the one that replaced it.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The key with the blocks around it, joined by dots.
    pub key: &'static str,
    /// The current key.
    pub now: &'static str,
}

const fn old(key: &'static str, now: &'static str) -> Deprecated {
    Deprecated { key, now }
}

/// All old keys.
pub const DEPRECATED: &[Deprecated] = &[
    old("acl.tokens.master", "acl.tokens.initial_management"),
    old("acl_agent_token", "acl.tokens.agent"),
    old(IMPLIES_ACLS, "primary_datacenter"),
    old("acl_default_policy", "acl.default_policy"),
    old("acl_down_policy", "acl.down_policy"),
    old("acl_master_token", "acl.tokens.initial_management"),
    old("acl_token", "acl.tokens.default"),
    old("acl_ttl", "acl.token_ttl"),
    old("ca_file", "tls.defaults.ca_file"),
    old("ca_path", "tls.defaults.ca_path"),
    old("cert_file", "tls.defaults.cert_file"),
    old("key_file", "tls.defaults.key_file"),
    old("tls_cipher_suites", "tls.defaults.tls_cipher_suites"),
    old("tls_min_version", "tls.defaults.tls_min_version"),
    old(SPARES_GRPC, "tls.defaults.verify_incoming"),
    old("verify_incoming_https", "tls.https.verify_incoming"),
    old("verify_incoming_rpc", "tls.internal_rpc.verify_incoming"),
    old("verify_outgoing", "tls.defaults.verify_outgoing"),
    old("verify_server_hostname", "tls.internal_rpc.verify_server_hostname"),
];

/// If this key is present, ACLs are enabled, whatever else the same source says.
const IMPLIES_ACLS: &str = "acl_datacenter";

/// This key is older than client certificates for gRPC, so it does not demand them for gRPC.
const SPARES_GRPC: &str = "verify_incoming";

/// The same source with current keys.
pub(crate) fn rewritten(root: Object, named: &dyn Fn(&str) -> String, found: &mut Vec<Diagnostic>) -> Object {
    let mut moved = Vec::new();
    let mut root = without_old(root, "", &mut moved);
    for (Deprecated { key, now }, entry) in moved {
        if entry.value.kind == Kind::Null {
            continue;
        }
        let origin = Origin { source: named(key), pos: entry.key_pos };
        let text = format!("the key {key} is deprecated; use {now}");
        found.push(Diagnostic::warning(origin, *key, text));
        if *key == IMPLIES_ACLS {
            let on = Node { pos: entry.value.pos, kind: Kind::Bool(true) };
            put(&mut root, "acl.enabled", Member { value: on, ..entry.clone() }, Existing::Replace);
        }
        if *key == SPARES_GRPC {
            let off = Node { pos: entry.value.pos, kind: Kind::Bool(false) };
            put(
                &mut root,
                "tls.grpc.verify_incoming",
                Member { value: off, ..entry.clone() },
                Existing::Keep,
            );
        }
        put(&mut root, now, entry, Existing::Keep);
    }
    root
}

type Moved = (&'static Deprecated, Member);

fn without_old(object: Object, prefix: &str, moved: &mut Vec<Moved>) -> Object {
    let mut rest = Object::default();
    for mut entry in object.members {
        let key = joined(prefix, &entry.key);
        if let Some(old) = DEPRECATED.iter().find(|old| plain(old.key) == plain(&key)) {
            moved.push((old, entry));
            continue;
        }
        // Only blocks that can contain such a key need to be searched.
        let block = format!("{}.", plain(&key));
        if DEPRECATED.iter().any(|old| plain(old.key).starts_with(&block)) {
            entry.value = descend(entry.value, &key, moved);
        }
        rest.members.push(entry);
    }
    rest
}

fn descend(node: Node, key: &str, moved: &mut Vec<Moved>) -> Node {
    let kind = match node.kind {
        Kind::Object(inner) => Kind::Object(without_old(inner, key, moved)),
        Kind::List(items) => Kind::List(items.into_iter().map(|item| descend(item, key, moved)).collect()),
        kind @ (Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::String(_)) => kind,
    };
    Node { pos: node.pos, kind }
}

/// What happens if the current key already has a value.
#[derive(Clone, Copy)]
enum Existing {
    Keep,
    Replace,
}

/// Stores a value under a current key, with the position of the old one.
fn put(object: &mut Object, key: &str, old: Member, existing: Existing) {
    let (own, inner) = key.split_once('.').map_or((key, None), |(block, inner)| (block, Some(inner)));
    // `null` counts as absent.
    object.members.retain(|entry| plain(&entry.key) != plain(own) || entry.value.kind != Kind::Null);
    let at = object.members.iter().position(|entry| plain(&entry.key) == plain(own));
    match (at, inner) {
        (Some(at), None) => {
            if let Existing::Replace = existing {
                object.members[at] = Member { key: own.to_owned(), ..old };
            }
        }
        (None, None) => object.members.push(Member { key: own.to_owned(), ..old }),
        (Some(at), Some(inner)) => {
            // If the value is not a block, that is reported elsewhere.
            if let Kind::Object(block) = &mut object.members[at].value.kind {
                put(block, inner, old, existing);
            }
        }
        (None, Some(inner)) => {
            let (key_pos, mut block) = (old.key_pos, Object::default());
            put(&mut block, inner, old, existing);
            let value = Node { pos: key_pos, kind: Kind::Object(block) };
            object.members.push(Member { key: own.to_owned(), key_pos, value });
        }
    }
}
