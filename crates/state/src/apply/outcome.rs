//! Replies that several kinds of commands share.

use crate::reply::CommandReply;

pub(super) fn done(changed: bool) -> CommandReply {
    CommandReply::Done { changed }
}

/// Returns a failure if the record changed since its writer read it. 0 stands for no record.
pub(super) fn cas_failed(asked: Option<u64>, current: u64) -> Option<CommandReply> {
    (asked? != current).then_some(CommandReply::CasFailed { current })
}
