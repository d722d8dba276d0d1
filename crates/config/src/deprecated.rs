//! Keys of earlier days that mean what another key means: read as that one, with a warning, as in Consul.
//!
//! Where one source says both, the key of today counts. Old keys whose meaning is not built stand in
//! [`crate::absent`], beside the keys that replaced them.

use concord_syntax::{Kind, Member, Node, Object};

use crate::diagnostic::{Diagnostic, Origin};
use crate::key::{joined, plain};

/// A key and the one that replaced it.
#[derive(Clone, Copy, Debug)]
pub struct Deprecated {
    /// The key with the blocks around it, joined by dots.
    pub key: &'static str,
    /// The key of today.
    pub now: &'static str,
}

const fn old(key: &'static str, now: &'static str) -> Deprecated {
    Deprecated { key, now }
}

/// All of them.
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

/// The key that turns rights on by being there, whatever else the same source says.
const IMPLIES_ACLS: &str = "acl_datacenter";

/// The key from the days when gRPC never asked callers for certificates: it does not begin to.
const SPARES_GRPC: &str = "verify_incoming";

/// The same source in the keys of today.
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
        // Only blocks that can hold such a key are of interest.
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

/// What becomes of a value that is there already.
#[derive(Clone, Copy)]
enum Existing {
    Keep,
    Replace,
}

/// Puts a value under a key of today, with the place of the old one.
fn put(object: &mut Object, key: &str, old: Member, existing: Existing) {
    let (own, inner) = key.split_once('.').map_or((key, None), |(block, inner)| (block, Some(inner)));
    // `null` says nothing.
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
            // Anything but a block there is a fault of its own.
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
