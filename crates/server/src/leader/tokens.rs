//! Removes expired tokens. Until they are removed, requests with them are refused.
//!
//! A removed token does not return when a wrong clock is corrected. So no token is removed within a day after the
//! wall clock was set.

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
