//! Compares the authorizer with a simple reference implementation, on random policies.

use concord_acl::{Access, Authorizer, Grant, Labelled, Level, Policy, Right, Rule, Scalar, Scope};
use concord_model::intention::Action;
use proptest::prelude::*;

/// The number of random sets of policies for each test.
const SETS: u64 = 100_000;

/// Pseudo-random numbers that are the same in every run (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    /// A short name of few letters, so that names are often equal or prefixes of each other.
    fn name(&mut self) -> String {
        (0..self.roll(5)).map(|_| self.pick(&['a', 'b', '*', 'é'])).collect()
    }

    /// Only keys have the level between read and write.
    fn grant(&mut self, key: bool) -> Grant {
        let levels =
            if key { &[Level::Read, Level::List, Level::Write][..] } else { &[Level::Read, Level::Write] };
        if self.roll(levels.len() + 1) == 0 { Grant::Deny } else { Grant::Allow(self.pick(levels)) }
    }

    fn scope(&mut self) -> Scope {
        let name = self.name().into();
        if self.roll(2) == 0 { Scope::Exact(name) } else { Scope::Prefix(name) }
    }

    fn rules(&mut self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for _ in 0..self.roll(6) {
            let scope = self.scope();
            match self.roll(8) {
                0 => rules.push(Rule::Whole { resource: self.pick(&SCALARS), grant: self.grant(false) }),
                1..4 => rules.push(Rule::Names { resource: Labelled::Key, scope, grant: self.grant(true) }),
                _ => {
                    let grant = self.grant(false);
                    rules.push(Rule::Names { resource: Labelled::Service, scope: scope.clone(), grant });
                    if self.roll(3) == 0 {
                        rules.push(Rule::Names {
                            resource: Labelled::Intention,
                            scope,
                            grant: self.grant(false),
                        });
                    }
                }
            }
        }
        rules
    }

    fn policies(&mut self) -> Vec<Vec<Rule>> {
        (0..self.roll(4)).map(|_| self.rules()).collect()
    }

    fn right(&mut self) -> Right<'static> {
        let level = self.pick(&[Level::Read, Level::List, Level::Write]);
        let resource = self.pick(&[Labelled::Key, Labelled::Service, Labelled::Intention, Labelled::Node]);
        match self.roll(12) {
            0 => Right::Whole { resource: self.pick(&SCALARS), level },
            1 => Right::All { resource, level },
            2 => Right::Any { resource, level },
            3 => Right::Snapshot,
            4 | 5 => Right::Under { resource, prefix: self.name().into(), level },
            6 => Right::named(Labelled::Intention, "*", level),
            _ => Right::named(resource, self.name(), level),
        }
    }

    fn default(&mut self) -> Action {
        self.pick(&[Action::Allow, Action::Deny])
    }
}

const SCALARS: [Scalar; 5] = [Scalar::Acl, Scalar::Keyring, Scalar::Mesh, Scalar::Operator, Scalar::Peering];

/// Merges all grants for one resource and scope, as the manual describes.
fn merged(grants: &[Grant]) -> Option<Grant> {
    if grants.is_empty() {
        return None;
    }
    if grants.contains(&Grant::Deny) {
        return Some(Grant::Deny);
    }
    [Level::Write, Level::List, Level::Read]
        .map(Grant::Allow)
        .into_iter()
        .find(|grant| grants.contains(grant))
}

struct Reference<'a> {
    rules: &'a [Rule],
    default: Action,
}

impl Reference<'_> {
    fn at(&self, resource: Labelled, scope: &Scope) -> Option<Grant> {
        let said: Vec<_> = self
            .rules
            .iter()
            .filter_map(|rule| match rule {
                Rule::Names { resource: r, scope: s, grant } if *r == resource && s == scope => Some(*grant),
                _ => None,
            })
            .collect();
        match merged(&said) {
            None if resource == Labelled::Intention => match self.at(Labelled::Service, scope) {
                Some(Grant::Allow(_)) => Some(Grant::Allow(Level::Read)),
                other => other,
            },
            other => other,
        }
    }

    /// The scopes that have a rule.
    fn scopes(&self, resource: Labelled) -> Vec<Scope> {
        let names = self.rules.iter().filter_map(|rule| match rule {
            Rule::Names { scope, .. } => Some(scope.clone()),
            Rule::Whole { .. } => None,
        });
        names.filter(|scope| self.at(resource, scope).is_some()).collect()
    }

    fn named(&self, resource: Labelled, name: &str) -> Option<Grant> {
        self.at(resource, &Scope::Exact(name.into())).or_else(|| self.by_prefix(resource, name))
    }

    fn by_prefix(&self, resource: Labelled, name: &str) -> Option<Grant> {
        let lengths = (0..=name.len()).rev().filter(|length| name.is_char_boundary(*length));
        lengths.filter_map(|length| self.at(resource, &Scope::Prefix(name[..length].into()))).next()
    }

    fn all(&self, resource: Labelled, level: Level) -> Option<bool> {
        let scopes = self.scopes(resource);
        if scopes.iter().any(|scope| !self.at(resource, scope).is_some_and(|grant| grant.allows(level))) {
            return Some(false);
        }
        scopes.contains(&Scope::Prefix("".into())).then_some(true)
    }

    fn any(&self, resource: Labelled, level: Level) -> Option<bool> {
        let scopes = self.scopes(resource);
        if scopes.iter().any(|scope| self.at(resource, scope).is_some_and(|grant| grant.allows(level))) {
            return Some(true);
        }
        scopes.contains(&Scope::Prefix("".into())).then_some(false)
    }

    fn under(&self, resource: Labelled, prefix: &str, level: Level) -> Option<bool> {
        let below = |scope: &Scope| match scope {
            Scope::Exact(text) | Scope::Prefix(text) => text.starts_with(prefix),
        };
        let scopes = self.scopes(resource);
        if scopes
            .iter()
            .filter(|scope| below(scope))
            .any(|scope| !self.at(resource, scope).is_some_and(|grant| grant.allows(level)))
        {
            return Some(false);
        }
        self.by_prefix(resource, prefix).map(|grant| grant.allows(level))
    }

    fn whole(&self, resource: Scalar) -> Option<Grant> {
        let said: Vec<_> = self
            .rules
            .iter()
            .filter_map(|rule| match rule {
                Rule::Whole { resource: r, grant } if *r == resource => Some(*grant),
                _ => None,
            })
            .collect();
        merged(&said)
    }

    fn check(&self, right: &Right<'_>) -> bool {
        let otherwise = self.default == Action::Allow;
        match right {
            Right::Snapshot => self.whole(Scalar::Acl).is_some_and(|grant| grant.allows(Level::Write)),
            Right::Whole { resource: Scalar::Acl, level } => {
                self.whole(Scalar::Acl).is_some_and(|g| g.allows(*level))
            }
            Right::Whole { resource: resource @ (Scalar::Mesh | Scalar::Peering), level } => self
                .whole(*resource)
                .or_else(|| self.whole(Scalar::Operator))
                .map_or(otherwise, |grant| grant.allows(*level)),
            Right::Whole { resource, level } => {
                self.whole(*resource).map_or(otherwise, |grant| grant.allows(*level))
            }
            Right::Named { resource: Labelled::Intention, name, level: Level::Write } if name == "*" => {
                self.all(Labelled::Intention, Level::Write).unwrap_or(otherwise)
            }
            Right::Named { resource: Labelled::Intention, name, level } if name == "*" => {
                self.any(Labelled::Intention, *level).unwrap_or(otherwise)
            }
            Right::Named { resource, name, level } => {
                self.named(*resource, name).map_or(otherwise, |grant| grant.allows(*level))
            }
            Right::All { resource, level } => self.all(*resource, *level).unwrap_or(otherwise),
            Right::Any { resource, level } => self.any(*resource, *level).unwrap_or(otherwise),
            Right::Under { resource, prefix, level } => {
                self.under(*resource, prefix, *level).unwrap_or(otherwise)
            }
        }
    }
}

fn authorizer(policies: &[Vec<Rule>], default: Action) -> Authorizer {
    let policies: Vec<_> = policies.iter().cloned().map(Policy::from_rules).collect();
    Authorizer::new(&policies.iter().collect::<Vec<_>>(), default)
}

#[test]
fn the_authorizer_agrees_with_the_reference() {
    let mut allowed = 0_u64;
    for seed in 0..SETS {
        let mut dice = Dice(seed);
        let (policies, default) = (dice.policies(), dice.default());
        let rules: Vec<_> = policies.concat();
        let (authorizer, reference) = (authorizer(&policies, default), Reference { rules: &rules, default });
        for _ in 0..4 {
            let right = dice.right();
            let expected = reference.check(&right);
            assert_eq!(
                authorizer.check(&right).is_allowed(),
                expected,
                "seed {seed}: {right:?} with {rules:?}, {default:?}"
            );
            allowed += u64::from(expected);
        }
    }
    // If one answer were rare, the comparison would prove little.
    assert!((SETS..3 * SETS).contains(&allowed), "{allowed}");
}

#[test]
fn the_order_of_policies_does_not_matter() {
    for seed in 0..SETS {
        let mut dice = Dice(seed ^ 0x5eed << 32);
        let (mut policies, default) = (dice.policies(), dice.default());
        let first = authorizer(&policies, default);
        let shift = dice.roll(4).min(policies.len());
        policies.rotate_left(shift);
        policies.iter_mut().for_each(|rules| rules.reverse());
        let second = authorizer(&policies, default);
        for _ in 0..3 {
            let right = dice.right();
            assert_eq!(first.check(&right), second.check(&right), "seed {seed}: {right:?}");
        }
    }
}

#[test]
fn another_deny_never_allows_more() {
    for seed in 0..SETS {
        let mut dice = Dice(seed ^ 0xdead << 32);
        let (mut policies, default) = (dice.policies(), dice.default());
        let before = authorizer(&policies, default);
        policies.push(vec![match dice.roll(4) {
            0 => Rule::Whole { resource: dice.pick(&SCALARS), grant: Grant::Deny },
            _ => Rule::Names {
                resource: dice.pick(&[Labelled::Key, Labelled::Service, Labelled::Intention]),
                scope: dice.scope(),
                grant: Grant::Deny,
            },
        }]);
        let after = authorizer(&policies, default);
        for _ in 0..4 {
            let right = dice.right();
            let raised = before.check(&right) == Access::Deny && after.check(&right) == Access::Allow;
            assert!(!raised, "seed {seed}: {right:?} by {:?}", policies.last());
        }
    }
}

#[test]
fn rules_read_back_from_text_mean_the_same() {
    for seed in 0..5_000 {
        let mut dice = Dice(seed ^ 0x7e47 << 32);
        let policy = Policy::from_rules(dice.rules());
        let text = written(&policy);
        let read = Policy::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let (a, b) = (Authorizer::new(&[&policy], Action::Deny), Authorizer::new(&[&read], Action::Deny));
        for _ in 0..10 {
            let right = dice.right();
            assert_eq!(a.check(&right), b.check(&right), "{right:?} with\n{text}");
        }
    }
}

/// Writes a policy as rules text.
fn written(policy: &Policy) -> String {
    let mut text = String::new();
    for rule in policy.rules() {
        match rule {
            Rule::Whole { resource, grant } => {
                text += &format!("{} = \"{}\"\n", resource.as_str(), grant.as_str())
            }
            Rule::Names { resource: Labelled::Intention, .. } => {}
            Rule::Names { resource, scope, grant } => {
                let (suffix, label) = match scope {
                    Scope::Exact(label) => ("", label),
                    Scope::Prefix(label) => ("_prefix", label),
                };
                let grant = grant.as_str();
                let intentions = policy.rules().iter().find_map(|other| match other {
                    Rule::Names { resource: Labelled::Intention, scope: s, grant }
                        if *resource == Labelled::Service && s == scope =>
                    {
                        Some(format!(" intentions = \"{}\"", grant.as_str()))
                    }
                    _ => None,
                });
                text += &format!(
                    "{}{suffix} \"{label}\" {{ policy = \"{grant}\"{} }}\n",
                    resource.as_str(),
                    intentions.unwrap_or_default()
                );
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s)((service|key_prefix|acl|namespace)? ?\"?.{0,4}\"?[ ={}\\[\\]]{0,3}(policy = \"(read|deny|list)\")?){0,6}") {
        let _ = Policy::parse(&text);
    }
}
