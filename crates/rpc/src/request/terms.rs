//! What each request declares beside its reply: the right it needs, and how it is carried out.

use concord_acl::Right;

use crate::head::{Consistency, Head};

/// The right a request needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Need {
    /// None: the answer is public by design; the reason stands with the request.
    Open,
    /// Each thing in the answer is shown to who may read it; the rest is left out.
    Filtered,
    /// A right that depends on what is found; this says on what. Whoever finds it asks for the right.
    CheckedAt(&'static str),
    /// This one.
    Right(Right<'static>),
    /// All of these.
    All(Vec<Right<'static>>),
    /// The token itself is the proof: it must be a valid one.
    OwnToken,
}

/// How a request is carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Whether it writes to the log.
    pub writes: bool,
    /// Who carries it out.
    pub runs: Runs,
    /// Whether it can wait for something newer. One that cannot answers at once, whatever the caller asks for.
    pub waits: bool,
    /// As whom.
    pub identity: Identity,
    /// Which part of the server it belongs to.
    pub part: Part,
}

/// A part of the server that can be switched off; what belongs to it is refused then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// None: it is always there.
    Always,
    /// Tokens and policies (`acl.enabled`).
    Acl,
    /// The certificate authority (`connect.enabled`).
    Connect,
}

/// Who carries a request out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runs {
    /// The server that it came to, whoever leads.
    Here,
    /// The leader of the datacenter that it names; a read that may be stale, any server there.
    Leader,
    /// The leader of the primary datacenter.
    Primary,
}

/// As whom a request is carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// As the holder of its token.
    Caller,
    /// As nobody: the token is not looked at, so that an unknown one is no reason to refuse.
    Anybody,
}

/// A read by the leader that can wait, as its caller.
pub(super) const READ: Terms =
    Terms { writes: false, runs: Runs::Leader, waits: true, identity: Identity::Caller, part: Part::Always };
/// A write by the leader, as its caller.
pub(super) const WRITE: Terms =
    Terms { writes: true, runs: Runs::Leader, waits: false, identity: Identity::Caller, part: Part::Always };

impl Terms {
    /// The same, by the server that it came to.
    pub(super) const fn here(self) -> Self {
        Self { runs: Runs::Here, ..self }
    }

    /// The same, in the primary datacenter.
    pub(super) const fn primary(self) -> Self {
        Self { runs: Runs::Primary, ..self }
    }

    /// The same, at once.
    pub(super) const fn once(self) -> Self {
        Self { waits: false, ..self }
    }

    /// The same, as nobody.
    pub(super) const fn for_anybody(self) -> Self {
        Self { identity: Identity::Anybody, ..self }
    }

    /// The same, where there are tokens and policies.
    pub(super) const fn of_acl(self) -> Self {
        Self { part: Part::Acl, ..self }
    }

    /// The same, where there is a certificate authority.
    pub(super) const fn of_connect(self) -> Self {
        Self { part: Part::Connect, ..self }
    }

    /// What of a head counts for a request on these terms.
    #[must_use]
    pub fn applied_to(self, head: Head) -> Head {
        let Self { writes: _, runs, waits, identity, part: _ } = self;
        let Head { datacenter, token, consistency, min_index, wait } = head;
        Head {
            datacenter,
            token: token.filter(|_| identity == Identity::Caller),
            consistency: if runs == Runs::Here { Consistency::Stale } else { consistency },
            min_index: if waits { min_index } else { 0 },
            wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use concord_model::Secret;

    use super::*;
    use crate::request::{AnyRequest, ReadStatus, Request};

    fn full() -> Head {
        Head {
            datacenter: Some("dc2".parse().unwrap()),
            token: Some(Secret::new("s".to_owned())),
            consistency: Consistency::Consistent,
            min_index: 7,
            wait: Some(Duration::from_secs(1)),
        }
    }

    #[test]
    fn what_a_request_does_not_take_of_a_head_does_not_count() {
        let head = READ.applied_to(full());
        assert_eq!((head.min_index, head.consistency), (7, Consistency::Consistent));
        assert!(head.token.is_some());
        assert_eq!(READ.once().applied_to(full()).min_index, 0);
        assert!(READ.for_anybody().applied_to(full()).token.is_none());
        assert_eq!(READ.here().applied_to(full()).consistency, Consistency::Stale);
        assert_eq!(WRITE.applied_to(full()).min_index, 0, "a write does not wait for another");
        assert_eq!(WRITE.primary().applied_to(full()).datacenter, full().datacenter);
    }

    #[test]
    fn what_is_declared_makes_sense_together() {
        for (name, terms) in AnyRequest::DECLARED {
            assert!(!(terms.writes && terms.waits), "{name} writes and waits");
            assert!(!terms.writes || terms.runs != Runs::Here, "{name} writes without the leader");
        }
        assert_eq!(ReadStatus::TERMS.runs, Runs::Here);
    }
}
