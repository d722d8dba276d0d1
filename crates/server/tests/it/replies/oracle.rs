//! What a set of rules allows, written a second time and plainly: no line of it is shared with the product.

/// A right: resource, name, level. The name of a resource with one rule is empty.
pub(crate) type Right = (&'static str, &'static str, &'static str);

/// What opens something: all the rights of one of these.
pub(crate) type Needs = Vec<Vec<Right>>;

/// The name in a right to at least one name.
pub(crate) const ANY: &str = "(any)";

/// One rule of a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    resource: &'static str,
    scope: Scope,
    level: &'static str,
    /// Of a rule about services: what is said of their intentions.
    intentions: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    Whole,
    Exact(&'static str),
    Prefix(&'static str),
}

/// The rules of one token.
#[derive(Clone, Debug)]
pub(crate) struct Rules(pub(crate) Vec<Rule>);

const fn whole(resource: &'static str, level: &'static str) -> Rule {
    Rule { resource, scope: Scope::Whole, level, intentions: None }
}

const fn exact(resource: &'static str, name: &'static str, level: &'static str) -> Rule {
    Rule { resource, scope: Scope::Exact(name), level, intentions: None }
}

const fn prefix(resource: &'static str, name: &'static str, level: &'static str) -> Rule {
    Rule { resource, scope: Scope::Prefix(name), level, intentions: None }
}

const fn intentions(rule: Rule, level: &'static str) -> Rule {
    Rule { intentions: Some(level), ..rule }
}

impl Rule {
    fn text(&self) -> String {
        let Self { resource, scope, level, intentions } = self;
        let more = intentions.map_or_else(String::new, |level| format!("\nintentions = \"{level}\""));
        match scope {
            Scope::Whole => format!("{resource} = \"{level}\"\n"),
            Scope::Exact(name) => format!("{resource} \"{name}\" {{\npolicy = \"{level}\"{more}\n}}\n"),
            Scope::Prefix(name) => {
                format!("{resource}_prefix \"{name}\" {{\npolicy = \"{level}\"{more}\n}}\n")
            }
        }
    }

    /// What this rule says of a resource. Rules about services say something of intentions, too.
    fn says(&self, resource: &str) -> Option<&'static str> {
        match (resource, self.resource) {
            ("intention", "service") => {
                Some(self.intentions.unwrap_or(if self.level == "deny" { "deny" } else { "read" }))
            }
            _ if resource == self.resource => Some(self.level),
            _ => None,
        }
    }
}

impl Rules {
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(Rule::text).collect()
    }

    /// The rule of exactly that name, else the one of its longest prefix. What no rule speaks of is not allowed.
    fn allow(&self, (resource, name, level): Right) -> bool {
        let enough = |said: &str| said == "write" || (level == "read" && said == "read");
        let said = || self.0.iter().filter_map(|rule| rule.says(resource));
        // All intentions are read by who may read one, and written by who may write every one.
        if (resource, name) == ("intention", "*") {
            let every =
                self.0.iter().any(|rule| rule.scope == Scope::Prefix("") && rule.says(resource).is_some());
            return if level == "read" { said().any(enough) } else { every && said().all(enough) };
        }
        if name == ANY {
            return said().any(enough);
        }
        // Who runs the servers configures the mesh, unless a rule says who does.
        if resource == "mesh" && said().next().is_none() {
            return self.allow(("operator", name, level));
        }
        let weight = |scope: Scope| match scope {
            Scope::Whole => Some(usize::MAX),
            Scope::Exact(own) => (own == name).then_some(usize::MAX),
            Scope::Prefix(own) => name.starts_with(own).then_some(own.len()),
        };
        let fitting = self.0.iter().filter_map(|rule| Some((weight(rule.scope)?, rule.says(resource)?)));
        fitting.max_by_key(|(weight, _)| *weight).is_some_and(|(_, said)| enough(said))
    }

    pub(crate) fn open(&self, needs: &Needs) -> bool {
        needs.iter().any(|all| all.iter().all(|right| self.allow(*right)))
    }

    /// Those of the management token.
    pub(crate) fn management() -> Self {
        let scalars =
            ["acl", "keyring", "mesh", "operator", "peering"].map(|resource| whole(resource, "write"));
        let names = [prefix("node", "", "write"), intentions(prefix("service", "", "write"), "write")];
        Self(scalars.into_iter().chain(names).collect())
    }

    /// One right alone each, pairs of rights that are asked together, and what takes a part of a right away.
    pub(crate) fn narrow() -> Vec<Self> {
        let mut all = vec![Self(Vec::new())];
        for resource in ["acl", "mesh", "operator"] {
            all.extend(["read", "write"].map(|level| Self(vec![whole(resource, level)])));
        }
        let nodes = [
            exact("node", "n1", "read"),
            exact("node", "n2", "read"),
            exact("node", "n2", "write"),
            prefix("node", "", "read"),
            prefix("node", "n", "read"),
        ];
        let services = [
            exact("service", "web", "read"),
            exact("service", "web", "write"),
            exact("service", "db", "write"),
            exact("service", "web-proxy", "read"),
            prefix("service", "", "read"),
            prefix("service", "web", "write"),
        ];
        let of_intentions = [
            intentions(exact("service", "web", "deny"), "read"),
            intentions(exact("service", "db", "deny"), "write"),
            intentions(exact("service", "db", "read"), "deny"),
            intentions(prefix("service", "", "read"), "deny"),
            intentions(prefix("service", "", "read"), "write"),
        ];
        all.extend(nodes.iter().chain(&services).chain(&of_intentions).map(|rule| Self(vec![*rule])));
        for node in nodes {
            all.extend(services.map(|service| Self(vec![node, service])));
        }
        all.push(Self(vec![
            prefix("node", "", "read"),
            exact("node", "n2", "deny"),
            prefix("service", "", "read"),
        ]));
        all.push(Self(vec![
            prefix("node", "", "read"),
            prefix("service", "", "read"),
            exact("service", "db", "deny"),
        ]));
        all
    }
}
