//! Removes tokens that have expired. Until then they are refused all the same.

use concord_rpc::RpcError;
use concord_state::command::ReapExpiredTokens;

use crate::limits::REAP_BATCH;
use crate::paths::Core;

/// Removes one batch of expired tokens.
pub(super) async fn reap(core: &Core) -> Result<(), RpcError> {
    let accessors = core.view().read().expired_tokens(core.now(), REAP_BATCH);
    if accessors.is_empty() {
        return Ok(());
    }
    core.write(ReapExpiredTokens { accessors }).await.map(|_| ())
}
