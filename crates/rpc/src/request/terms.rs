//! The declarations of a request besides its reply: the right it needs, and how it is carried out.

use concord_acl::Right;

use crate::head::{Consistency, Head};

/// The right a request needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Need {
    /// No right: the answer is public by design; the declaration of the request has the reason.
    Open,
    /// The answer contains only what the caller may read.
    Filtered,
    /// A right that depends on the data; the text says on what. The code that finds the data checks the right.
    CheckedAt(&'static str),
    /// This right.
    Right(Right<'static>),
    /// All of these rights.
    All(Vec<Right<'static>>),
    /// Any of these rights. A refusal names the last one.
    AnyOf(Vec<Right<'static>>),
    /// The token itself is the proof: it must be valid.
    OwnToken,
}

/// How a request is carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Whether it writes to the log.
    pub writes: bool,
    /// Which server carries it out.
    pub runs: Runs,
    /// Whether it can wait for something newer. A request that cannot is answered at once, whatever the caller asks
    /// for.
    pub waits: bool,
    /// Whose rights it uses.
    pub identity: Identity,
    /// The part of the server that it belongs to.
    pub part: Part,
}

/// A part of the server that can be switched off. Then its requests are refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// No optional part.
    Always,
    /// Tokens and policies (`acl.enabled`).
    Acl,
    /// The certificate authority (`connect.enabled`).
    Connect,
}

/// Which server carries out a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runs {
    /// The server that received it, whether it leads or not.
    Here,
    /// The leader of the named datacenter. A stale read may be carried out by any server there.
    Leader,
    /// The leader of the primary datacenter.
    Primary,
}

/// Whose rights a request uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identity {
    /// Those of its token.
    Caller,
    /// Nobody's: the token is not checked, so that an unknown token does not prevent the request.
    Anybody,
}

/// A read by the leader that can wait, with the caller's rights.
pub(super) const READ: Terms =
    Terms { writes: false, runs: Runs::Leader, waits: true, identity: Identity::Caller, part: Part::Always };
/// A write by the leader, with the caller's rights.
pub(super) const WRITE: Terms =
    Terms { writes: true, runs: Runs::Leader, waits: false, identity: Identity::Caller, part: Part::Always };

impl Terms {
    /// The same, by the server that received it.
    pub(super) const fn here(self) -> Self {
        Self { runs: Runs::Here, ..self }
    }

    /// The same, in the primary datacenter.
    pub(super) const fn primary(self) -> Self {
        Self { runs: Runs::Primary, ..self }
    }

    /// The same, without waiting.
    pub(super) const fn once(self) -> Self {
        Self { waits: false, ..self }
    }

    /// The same, without checking the token.
    pub(super) const fn for_anybody(self) -> Self {
        Self { identity: Identity::Anybody, ..self }
    }

    /// The same, only if ACLs are enabled.
    pub(super) const fn of_acl(self) -> Self {
        Self { part: Part::Acl, ..self }
    }

    /// The same, only if the certificate authority is enabled.
    pub(super) const fn of_connect(self) -> Self {
        Self { part: Part::Connect, ..self }
    }

    /// The head without the fields that do not apply on these terms.
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
