//! Problems of the active root and of the leader's clock that an operator should know.

use std::time::Duration;

use concord_model::Timestamp;

use crate::der::time::shown;
use crate::provider::settings::go_text;

/// A problem that an operator should look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Alarm {
    /// Somebody has set the leader's wall clock.
    #[error(
        "the clock of this server was set {}: leaves and tokens are judged by it; compare it with the other machines",
        way(*forward, *back)
    )]
    ClockSet {
        /// How far forward.
        forward: Duration,
        /// How far back.
        back: Duration,
    },
    /// The active root is not valid yet.
    #[error(
        "the active root is not valid before {}: it was made under a clock that was ahead, or the clock of this server is \
         behind; {}",
        shown(*not_before),
        remedy(*supplied)
    )]
    RootNotYetValid {
        /// When it becomes valid.
        not_before: Timestamp,
        /// Whether the operator supplied the root.
        supplied: bool,
    },
    /// The active root has expired.
    #[error("the active root has expired on {}; {}", shown(*not_after), remedy(*supplied))]
    RootExpired {
        /// When it expired.
        not_after: Timestamp,
        /// Whether the operator supplied the root.
        supplied: bool,
    },
    /// The active root will expire soon.
    #[error("the active root ends on {}, four fifths of its life are over; {}", shown(*not_after), remedy(*supplied))]
    RootEnding {
        /// When it expires.
        not_after: Timestamp,
        /// Whether the operator supplied the root.
        supplied: bool,
    },
}

impl Alarm {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClockSet { .. } => "clock_set",
            Self::RootNotYetValid { .. } => "root_not_yet_valid",
            Self::RootExpired { .. } => "root_expired",
            Self::RootEnding { .. } => "root_ending",
        }
    }
}

fn way(forward: Duration, back: Duration) -> String {
    let whole = |by: Duration| go_text(Duration::from_secs(by.as_secs()));
    if forward >= back {
        format!("forward by {}", whole(forward))
    } else {
        format!("back by {}", whole(back))
    }
}

fn remedy(supplied: bool) -> &'static str {
    if supplied {
        "supply another one (RootCert), or take it back for one of concord's own"
    } else {
        "it is being replaced"
    }
}
