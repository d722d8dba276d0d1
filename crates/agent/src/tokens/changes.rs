//! How the agent hears that rights have changed: at once from its own writes, and from a watch.
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

/// The servers, for requests of others that are passed on.
pub(crate) struct PassedOn {
    servers: Arc<dyn ServerApi>,
    tokens: Arc<Tokens>,
}

/// Outdates the table when it goes, also when nobody waits for the answer any more.
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
                // Nothing was written. Somebody without rights must not cost the others theirs.
                outdating.0 = None;
            }
            answer
        }
        .boxed()
    }

    fn watch_any(self: Arc<Self>, head: Head, request: AnyRequest) -> Box<dyn Watching> {
        // What can be watched writes nothing.
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
    /// Waits for changes of tokens and policies, and outdates what is known whenever there is one.
    pub(crate) async fn watch_changes(self: Arc<Self>) {
        let mut watch = Watch::new(&self.servers, &self.world, Head::default(), AwaitAclChange {});
        loop {
            let told = tokio::select! {
                biased;
                () = self.scope.cancelled() => return,
                told = watch.next() => told,
            };
            match told {
                Ok(told) if told.is_news => self.outdate(),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "no server tells of changed tokens; they are believed for their time");
                }
            }
        }
    }

    /// From now on nothing that was asked before is believed without asking again.
    pub(super) fn outdate(&self) {
        self.table.lock().outdate();
        // Whoever asks from here on must not be answered from before.
        self.flights.lock().clear();
    }
}

/// Whether a request can change what some token may do: by the right it asks for, so that one more
/// such request needs no mention here.
fn changes_rights(request: &AnyRequest) -> bool {
    let writes_acl = Need::Right(Right::whole(Scalar::Acl, Level::Write));
    request.terms().writes && (request.need() == writes_acl || matches!(request, AnyRequest::BootstrapAcl(_)))
}
