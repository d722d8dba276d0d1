//! How the agent learns of changed rights: at once from its own writes, and otherwise from a watch.
//!
//! ```text
//! PUT, DELETE acl/… ──► PassedOn ──► servers         the answer goes out after the table was outdated
//! anybody else's    ──► AwaitAclChange ──► outdated  a moment later
//! neither works     ──► token_ttl                    the bound while servers cannot be reached
//! ```

use std::sync::Arc;

use concord_acl::{Level, Right, Scalar};
use concord_rpc::request::AwaitAclChange;
use concord_rpc::{Answer, AnyReply, AnyRequest, Head, Need, RpcError, ServerApi, Watching};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::tokens::Tokens;
use crate::watch::Watch;

/// The servers, for requests that the agent forwards.
pub(crate) struct PassedOn {
    servers: Arc<dyn ServerApi>,
    tokens: Arc<Tokens>,
}

/// Marks the table as outdated when it is dropped, even if nobody waits for the answer any more.
struct Outdating<'a>(Option<&'a Tokens>);

impl PassedOn {
    pub(crate) fn new(servers: Arc<dyn ServerApi>, tokens: Arc<Tokens>) -> Self {
        Self { servers, tokens }
    }
}

impl ServerApi for PassedOn {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        if !changes_rights(&request) {
            return self.servers.call_any(head, request);
        }
        async move {
            let mut outdating = Outdating(Some(&self.tokens));
            let answer = self.servers.call_any(head, request).await;
            if answer.as_ref().is_err_and(RpcError::is_denial) {
                // Nothing was written. A caller without rights must not make the agent forget the others' rights.
                outdating.0 = None;
            }
            answer
        }
        .boxed()
    }

    fn watch_any(self: Arc<Self>, head: Head, request: AnyRequest) -> Box<dyn Watching> {
        // Requests that can be watched never write.
        Arc::clone(&self.servers).watch_any(head, request)
    }
}

impl Drop for Outdating<'_> {
    fn drop(&mut self) {
        if let Some(tokens) = self.0 {
            tokens.outdate();
        }
    }
}

impl Tokens {
    /// Waits for changes of tokens and policies, and marks all known rights as outdated after each.
    pub(crate) async fn watch_changes(self: Arc<Self>) {
        let mut watch = Watch::new(&self.servers, &self.site.world, Head::default(), AwaitAclChange {});
        loop {
            let told = tokio::select! {
                biased;
                () = self.site.scope.cancelled() => return,
                told = watch.next() => told,
            };
            match told {
                Ok(told) if told.is_news => self.outdate(),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "no server reports token changes; cached rights are used for their TTL");
                }
            }
        }
    }

    /// From now on, known rights are used only after asking again.
    pub(super) fn outdate(&self) {
        self.table.lock().outdate();
        // New questions must not join requests that were sent before this moment.
        self.flights.lock().clear();
    }
}

/// Whether a request can change a token's rights. Decided by the right that the request needs, so that new requests
/// need no entry here.
fn changes_rights(request: &AnyRequest) -> bool {
    let writes_acl = Need::Right(Right::whole(Scalar::Acl, Level::Write));
    request.terms().writes && (request.need() == writes_acl || matches!(request, AnyRequest::BootstrapAcl(_)))
}
