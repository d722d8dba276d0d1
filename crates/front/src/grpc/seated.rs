//! Gives each built-in proxy that attaches its row in the ledger.

use std::sync::Arc;

use concord_model::Secret;
use concord_model::ca::LeafCertificate;
use concord_rpc::{Attach, ProxyTarget, RpcError, SnapshotEvent, SnapshotSource, SnapshotStream};
use concord_runtime::BoxFuture;
use futures::StreamExt as _;

use crate::ledger::{Ledger, ProxyKind, Seat};

/// A source whose streams have rows in the ledger.
pub(super) struct Seated {
    pub(super) source: Arc<dyn SnapshotSource>,
    pub(super) ledger: Ledger,
}

impl SnapshotSource for Seated {
    fn admit(&self, token: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        self.source.admit(token)
    }

    fn attach(
        &self,
        attach: Attach,
        token: Option<Secret>,
    ) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        Box::pin(async move {
            let proxy = match &attach.proxy {
                ProxyTarget::Registered { node: _, proxy } => proxy.to_string(),
                ProxyTarget::Described(described) => described.id().to_string(),
            };
            let events = self.source.attach(Attach { tells_basis: true, ..attach }, token).await?;
            let mut seat = self.ledger.begin(proxy, ProxyKind::BuiltIn);
            let noted = events.filter_map(move |event| std::future::ready(note(&mut seat, event)));
            Ok(noted.boxed())
        })
    }

    fn sign_leaf(
        &self,
        proxy: ProxyTarget,
        token: Option<Secret>,
        csr_pem: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>> {
        self.source.sign_leaf(proxy, token, csr_pem)
    }
}

/// Notes an event. Returns it, unless it is not for the proxy.
fn note(seat: &mut Seat, event: Result<SnapshotEvent, RpcError>) -> Option<Result<SnapshotEvent, RpcError>> {
    let passed = match &event {
        Ok(SnapshotEvent::Basis(_)) => None,
        Ok(event) => Some(Ok(event.clone())),
        Err(error) => {
            seat.ends(error.to_string());
            return Some(event);
        }
    };
    if let Ok(event) = event {
        let now = seat.now();
        // What does not fit is told by the proxy, which then attaches again.
        let _ = seat.account().take(event, now);
        seat.changed();
    }
    passed
}
