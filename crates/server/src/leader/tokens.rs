//! Removes tokens that have expired. Until then they are refused all the same.
//!
//! A token that is gone does not come back when the clock is right again. So none is removed for a day after the wall
//! clock was set: meanwhile it may be wrong.

use concord_rpc::RpcError;
use concord_state::command::ReapExpiredTokens;

use crate::limits::REAP_BATCH;
use crate::parts::Core;

/// Removes one batch of expired tokens.
pub(super) async fn reap(core: &Core) -> Result<(), RpcError> {
    if !core.clock_watch.is_settled(core.log.both()) {
        return Ok(());
    }
    let accessors = core.log.view().read().expired_tokens(core.log.now(), REAP_BATCH);
    if accessors.is_empty() {
        return Ok(());
    }
    core.log.write(ReapExpiredTokens { accessors }).await.map(|_| ())
}
