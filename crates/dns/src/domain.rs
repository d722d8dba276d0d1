//! The domains that are ours, and the names in them.

use hickory_proto::rr::Name;

/// The domains that are ours.
#[derive(Clone, Debug)]
pub(crate) struct Domains {
    /// The domain, lower-case labels.
    own: Vec<String>,
    /// A second domain.
    alternative: Option<Vec<String>>,
}

/// Whose name it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Ours.
    Ours(Ours),
    /// One of the tree of addresses (`in-addr.arpa`, `ip6.arpa`).
    Reverse,
    /// Somebody else's.
    Foreign,
}

/// A name in one of our domains.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Ours {
    /// The labels before the domain in lower case; `None` if one of them cannot be part of a name of ours.
    pub(crate) labels: Option<Vec<String>>,
    /// The domain as the client spells it.
    pub(crate) domain: Name,
    /// The same as configured.
    pub(crate) zone: Name,
}

impl Domains {
    pub(crate) fn new(own: &str, alternative: Option<&str>) -> Self {
        Self { own: labels_of(own), alternative: alternative.map(labels_of) }
    }

    /// The main domain.
    pub(crate) fn zone(&self) -> Name {
        name(&self.own).unwrap_or_default()
    }

    /// Whose name this is. If one of our domains is below the other, the longer one counts.
    pub(crate) fn place(&self, asked: &Name) -> Place {
        let all: Vec<&[u8]> = asked.iter().collect();
        let ends_with = |domain: &&Vec<String>| {
            let tail = all.len().checked_sub(domain.len()).map(|at| &all[at..]);
            tail.is_some_and(|tail| {
                tail.iter().zip(domain.iter()).all(|(label, own)| label.eq_ignore_ascii_case(own.as_bytes()))
            })
        };
        let ours = std::iter::once(&self.own).chain(&self.alternative).filter(ends_with);
        let reverse = all.last().is_some_and(|label| label.eq_ignore_ascii_case(b"arpa"));
        match ours.max_by_key(|domain| domain.len()) {
            // The root as a domain of ours does not take the tree of addresses.
            Some(domain) if !(reverse && domain.is_empty()) => {
                let (before, tail) = all.split_at(all.len() - domain.len());
                Place::Ours(Ours {
                    labels: before.iter().map(|label| plain(label)).collect(),
                    domain: Name::from_labels(tail.iter().copied()).unwrap_or_default(),
                    zone: name(domain).unwrap_or_default(),
                })
            }
            _ if reverse => Place::Reverse,
            _ => Place::Foreign,
        }
    }
}

/// A label in lower case. `None` if it is none that a name of ours could have: a dot or a blank within a label.
fn plain(label: &[u8]) -> Option<String> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b".\\".contains(byte);
    let text = label.iter().all(is_plain).then(|| label.to_ascii_lowercase())?;
    String::from_utf8(text).ok()
}

fn labels_of(text: &str) -> Vec<String> {
    text.split('.').filter(|label| !label.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// A name of these labels. `None` if it is too long, or one of them is.
pub(crate) fn name<L: AsRef<str>>(labels: &[L]) -> Option<Name> {
    Name::from_labels(labels.iter().map(|label| label.as_ref().as_bytes())).ok()
}

/// The name that begins with this text, of which each part between dots is a label, and ends with a domain. `None` if
/// that is no name.
pub(crate) fn below(text: &str, domain: &Name) -> Option<Name> {
    let labels = text.split('.').map(str::as_bytes).chain(domain.iter());
    Name::from_labels(labels).ok()
}

/// The name that a text is, relative to the root. `None` if it is none.
pub(crate) fn absolute(text: &str) -> Option<Name> {
    let text = text.strip_suffix('.').unwrap_or(text);
    below(text, &Name::root())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[track_caller]
    fn check(domains: &Domains, text: &str, labels: &[&str], domain: &str) {
        match domains.place(&asked(text)) {
            Place::Ours(ours) => {
                assert_eq!(ours.labels.expect("plain labels"), labels, "{text}");
                assert_eq!(ours.domain.to_ascii(), domain, "{text}");
                assert!(ours.domain.to_lowercase().eq_case(&ours.zone), "{text}");
            }
            place => panic!("{text}: {place:?}"),
        }
    }

    #[test]
    fn the_longer_domain_counts_and_case_does_not() {
        let own = Domains::new("consul.", Some("mesh.consul"));
        check(&own, "Web.Service.CONSUL.", &["web", "service"], "CONSUL.");
        check(&own, "web.service.Mesh.consul.", &["web", "service"], "Mesh.consul.");
        check(&own, "consul.", &[], "consul.");
        assert_eq!(own.place(&asked("web.service.consul.example.")), Place::Foreign);
        assert_eq!(own.place(&asked("notconsul.")), Place::Foreign);
        assert_eq!(own.place(&asked("1.0.0.127.in-addr.ARPA.")), Place::Reverse);
        assert_eq!(own.place(&Name::root()), Place::Foreign);
        let root = Domains::new(".", None);
        check(&root, "web.service.", &["web", "service"], ".");
        assert_eq!(root.place(&asked("1.0.0.127.in-addr.arpa.")), Place::Reverse);
    }

    #[test]
    fn a_dot_within_a_label_is_no_dot_between_labels() {
        let own = Domains::new("consul.", None);
        let odd = Name::from_labels([b"a.web".as_slice(), b"service", b"consul"]).expect("a name");
        let Place::Ours(ours) = own.place(&odd) else { panic!("it is ours") };
        assert_eq!(ours.labels, None);
        assert_eq!(
            below("a.b", &asked("consul.")).map(|name| name.to_ascii()),
            Some("a.b.consul.".to_owned())
        );
        assert_eq!(below(&"a".repeat(64), &asked("consul.")), None);
        assert_eq!(absolute("a..b"), None);
        assert_eq!(absolute("db.example."), absolute("db.example"));
    }
}
