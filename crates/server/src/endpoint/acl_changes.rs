//! Tells agents that tokens or policies have changed.

use concord_rpc::request::AwaitAclChange;
use concord_rpc::{Answer, Head, Request, RpcError};

use crate::paths::Core;

impl Core {
    pub(crate) async fn await_acl_change(
        &self,
        head: &Head,
        request: AwaitAclChange,
    ) -> Result<Answer<()>, RpcError> {
        self.acls_enabled()?;
        self.read(head, &request.need(), |eval| {
            eval.reader.note_acl();
            Ok(())
        })
        .await
    }
}
