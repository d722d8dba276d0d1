//! Wakes agents when tokens or policies have changed.

use concord_rpc::RpcError;
use concord_rpc::request::AwaitAclChange;

use crate::reading::Reading;

pub(crate) fn await_acl_change(reading: &mut Reading<'_>, _: &AwaitAclChange) -> Result<(), RpcError> {
    reading.reader.note_acl();
    Ok(())
}
