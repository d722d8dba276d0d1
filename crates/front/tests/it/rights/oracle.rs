//! What a set of rules allows, written a second time and in a simple way. It shares no line with the product.

/// One rule of a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    resource: &'static str,
    scope: Scope,
    level: &'static str,
    /// For a rule about services: its level for their intentions.
    intentions: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    Whole,
    Exact(&'static str),
    Prefix(&'static str),
}

/// A right: resource, name, level. The name of a resource with one rule is empty.
pub(crate) type Right = (&'static str, &'static str, &'static str);

/// What a row needs: all rights of one of these lists.
pub(crate) type Needs = Vec<Vec<Right>>;

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

    /// The level of this rule for a resource. Rules about services also have a level for intentions.
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

    /// The rule of exactly this name, else that of the longest prefix. Without a rule nothing is allowed.
    pub(crate) fn allow(&self, (resource, name, level): Right) -> bool {
        let enough = |said: &str| said == "write" || (level == "read" && said == "read");
        if (resource, name, level) == ("intention", "*", "read") {
            return self.0.iter().filter_map(|rule| rule.says(resource)).any(enough);
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

    /// Rights to everything that lists show.
    pub(crate) fn wide() -> Self {
        Self(vec![prefix("node", "", "read"), prefix("service", "", "read")])
    }

    /// Rights to a part of it.
    pub(crate) fn narrow() -> Self {
        Self(vec![exact("node", "n1", "read"), exact("service", "web", "read")])
    }

    /// Every single right alone, and pairs of rights that are needed together.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![Self(Vec::new())];
        let mut alone = |rule: Rule| all.push(Self(vec![rule]));
        for resource in ["acl", "keyring", "mesh", "operator", "peering"] {
            ["read", "write"].into_iter().for_each(|level| alone(whole(resource, level)));
        }
        for resource in ["event", "key", "query", "session"] {
            alone(prefix(resource, "", "write"));
            alone(exact(resource, "n1", "write"));
        }
        for level in ["read", "write"] {
            alone(prefix("agent", "", level));
            alone(exact("agent", "n1", level));
            alone(exact("agent", "n2", level));
            alone(prefix("node", "", level));
            alone(prefix("service", "", level));
            alone(exact("service", "web", level));
        }
        for name in ["n1", "n2", "m1"] {
            alone(exact("node", name, "read"));
        }
        for name in ["db", "web-admin", "web-proxy", "consul"] {
            alone(exact("service", name, "read"));
        }
        alone(prefix("node", "n", "read"));
        alone(prefix("service", "web", "read"));
        alone(intentions(prefix("service", "", "read"), "deny"));
        alone(intentions(prefix("service", "", "deny"), "read"));
        alone(intentions(exact("service", "web", "deny"), "write"));
        alone(intentions(exact("service", "db", "read"), "deny"));
        let nodes = [
            vec![prefix("node", "", "read")],
            vec![prefix("node", "n", "read")],
            vec![exact("node", "n1", "read")],
            vec![exact("node", "n2", "read")],
            vec![exact("node", "m1", "write")],
            vec![prefix("node", "", "read"), exact("node", "n2", "deny")],
        ];
        let services = [
            vec![prefix("service", "", "read")],
            vec![exact("service", "web", "read")],
            vec![exact("service", "web-proxy", "read")],
            vec![exact("service", "db", "write")],
            vec![prefix("service", "web", "read"), exact("service", "web-admin", "deny")],
        ];
        for node in &nodes {
            all.extend(services.iter().map(|service| Self([node.clone(), service.clone()].concat())));
        }
        all
    }
}
