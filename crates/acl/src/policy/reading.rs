//! Converts the syntax tree of a rules text to rules, and collects all faults.

use std::collections::HashSet;

use concord_syntax::{Kind, Member, Node, Object, Pos, same_key};

use super::fault::{FAULTS_MAX, Fault, PolicyFault};
use super::rule::{Rule, Scope};
use crate::right::{Grant, Labelled, Level, Scalar};

/// The meaning of a key at the top level of the rules.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Resource {
    Whole(Scalar),
    Exact(Labelled),
    Prefix(Labelled),
}

const RESOURCES: [(&str, Resource); 19] = [
    ("acl", Resource::Whole(Scalar::Acl)),
    ("agent", Resource::Exact(Labelled::Agent)),
    ("agent_prefix", Resource::Prefix(Labelled::Agent)),
    ("event", Resource::Exact(Labelled::Event)),
    ("event_prefix", Resource::Prefix(Labelled::Event)),
    ("key", Resource::Exact(Labelled::Key)),
    ("key_prefix", Resource::Prefix(Labelled::Key)),
    ("keyring", Resource::Whole(Scalar::Keyring)),
    ("mesh", Resource::Whole(Scalar::Mesh)),
    ("node", Resource::Exact(Labelled::Node)),
    ("node_prefix", Resource::Prefix(Labelled::Node)),
    ("operator", Resource::Whole(Scalar::Operator)),
    ("peering", Resource::Whole(Scalar::Peering)),
    ("query", Resource::Exact(Labelled::Query)),
    ("query_prefix", Resource::Prefix(Labelled::Query)),
    ("service", Resource::Exact(Labelled::Service)),
    ("service_prefix", Resource::Prefix(Labelled::Service)),
    ("session", Resource::Exact(Labelled::Session)),
    ("session_prefix", Resource::Prefix(Labelled::Session)),
];

const ENTERPRISE: [&str; 5] = ["namespace", "namespace_prefix", "partition", "partition_prefix", "sentinel"];

const LEVELS: &[&str] = &["deny", "read", "write"];
const KEY_LEVELS: &[&str] = &["deny", "read", "list", "write"];

pub(super) fn read(root: &Node) -> Result<Vec<Rule>, Vec<PolicyFault>> {
    let mut reader = RulesReader::default();
    match root.as_object() {
        Some(object) => reader.top(object),
        None => reader.fault(root.pos, "", Fault::Shape { expected: "an object of rules" }),
    }
    if reader.faults.is_empty() { Ok(reader.rules) } else { Err(reader.faults) }
}

#[derive(Default)]
struct RulesReader {
    rules: Vec<Rule>,
    faults: Vec<PolicyFault>,
    wholes: HashSet<Scalar>,
    scopes: HashSet<(Labelled, Scope)>,
}

impl RulesReader {
    fn fault(&mut self, pos: Pos, path: &str, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            let path = path.chars().take(concord_syntax::limits::QUOTED_CHARS_MAX * 3).collect();
            self.faults.push(PolicyFault { pos, path, fault });
        }
    }

    fn unknown(&mut self, entry: &Member, path: &str, known: impl Iterator<Item = &'static str>) {
        let enterprise = ENTERPRISE.into_iter().find(|field| same_key(field, &entry.key));
        let fault = match enterprise {
            Some(field) => Fault::Enterprise { field },
            None => Fault::UnknownKey { known: { known }.find(|key| same_key(key, &entry.key)) },
        };
        self.fault(entry.key_pos, path, fault);
    }

    fn top(&mut self, object: &Object) {
        for entry in &object.members {
            match RESOURCES.iter().find(|(key, _)| *key == entry.key) {
                Some((_, Resource::Whole(resource))) => self.whole(entry, *resource),
                Some((_, Resource::Exact(resource))) => self.labels(entry, *resource, Scope::Exact),
                Some((_, Resource::Prefix(resource))) => self.labels(entry, *resource, Scope::Prefix),
                None => self.unknown(entry, &entry.key, RESOURCES.into_iter().map(|(key, _)| key)),
            }
        }
    }

    fn whole(&mut self, entry: &Member, resource: Scalar) {
        if !self.wholes.insert(resource) {
            return self.fault(entry.key_pos, &entry.key, Fault::Repeated);
        }
        if let Some(grant) = self.grant(&entry.value, &entry.key, LEVELS) {
            self.rules.push(Rule::Whole { resource, grant });
        }
    }

    /// Reads the labels of a resource: an object of rules. In JSON it may also be a list of such objects.
    fn labels(&mut self, entry: &Member, resource: Labelled, scope: fn(Box<str>) -> Scope) {
        for node in one_or_list(&entry.value) {
            let Some(labels) = node.as_object() else {
                let expected = "a label and an object, such as service \"web\" { policy = \"read\" }";
                self.fault(node.pos, &entry.key, Fault::Shape { expected });
                continue;
            };
            for label in &labels.members {
                let path = format!("{}.{:?}", entry.key, label.key);
                let scope = scope(label.key.as_str().into());
                if self.scopes.insert((resource, scope.clone())) {
                    self.rule(label, &path, resource, scope);
                } else {
                    self.fault(label.key_pos, &path, Fault::Repeated);
                }
            }
        }
    }

    fn rule(&mut self, label: &Member, path: &str, resource: Labelled, scope: Scope) {
        let [Node { kind: Kind::Object(object), .. }] = one_or_list(&label.value) else {
            return self.fault(label.value.pos, path, Fault::Shape { expected: "an object with a policy" });
        };
        let levels = if resource == Labelled::Key { KEY_LEVELS } else { LEVELS };
        let parts: &[&'static str] =
            if resource == Labelled::Service { &["policy", "intentions"] } else { &["policy"] };
        let mut grants = [None, None];
        for entry in &object.members {
            let path = format!("{path}.{}", entry.key);
            match parts.iter().position(|part| *part == entry.key) {
                None => self.unknown(entry, &path, parts.iter().copied()),
                Some(part) if grants[part].is_some() => self.fault(entry.key_pos, &path, Fault::Repeated),
                Some(part) => grants[part] = Some(self.grant(&entry.value, &path, levels)),
            }
        }
        let [policy, intentions] = grants;
        match policy {
            None => self.fault(label.value.pos, path, Fault::NoPolicy),
            Some(None) => {}
            Some(Some(grant)) => self.rules.push(Rule::Names { resource, scope: scope.clone(), grant }),
        }
        if let Some(Some(grant)) = intentions {
            self.rules.push(Rule::Names { resource: Labelled::Intention, scope, grant });
        }
    }

    fn grant(&mut self, node: &Node, path: &str, expected: &'static [&'static str]) -> Option<Grant> {
        let grant = match node.as_str().filter(|word| expected.contains(word)) {
            Some("deny") => Some(Grant::Deny),
            Some("read") => Some(Grant::Allow(Level::Read)),
            Some("list") => Some(Grant::Allow(Level::List)),
            Some("write") => Some(Grant::Allow(Level::Write)),
            Some(_) | None => None,
        };
        if grant.is_none() {
            self.fault(node.pos, path, Fault::Level { expected });
        }
        grant
    }
}

fn one_or_list(node: &Node) -> &[Node] {
    node.as_list().unwrap_or_else(|| std::slice::from_ref(node))
}
