//! Snapshots for the sidecars registered here, and for proxies that describe themselves (D15). Each stream has one
//! state machine, which the cache feeds.
//!
//! ```text
//! local registrations, ┐
//! or what it says      │
//! cache, per watch ────┼─► proxycfg::Proxy ─► latest snapshot ─► what differs, by section ─► proxy
//! the token's rights ──┘ (denied: the stream ends with the error)
//! ```
//!
//! Each stream's machine uses the rights of the caller that attached. Two streams of the same proxy share what the
//! cache shares, and nothing else. A slow proxy first gets one change completely; changes that arrive meanwhile are
//! merged into one.

mod stream;
mod watching;

use std::fmt;
use std::sync::Arc;

use concord_ca::Csr;
use concord_model::ca::LeafCertificate;
use concord_model::catalog::NodeScope;
use concord_model::{Secret, ServiceRef};
use concord_rpc::request::SignLeaf;
use concord_rpc::{
    Attach, Head, ProxyTarget, RpcError, ServerApi, ServerApiExt, SnapshotSource, SnapshotStream,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use self::stream::{Attached, Standing, require_proxy};
use crate::answers::Answers;
use crate::callers::Callers;
use crate::checks::Runners;
use crate::connect::Connect;
use crate::limits::PROXY_MESSAGES;
use crate::local::LocalView;
use crate::site::Site;

/// Streams snapshots to proxies.
#[derive(Clone)]
pub struct Proxies {
    pub(crate) site: Site,
    pub(crate) callers: Callers,
    pub(crate) answers: Answers,
    pub(crate) connect: Connect,
    pub(crate) local: LocalView,
    pub(crate) runners: Arc<Runners>,
    /// Signs leaves.
    pub(crate) servers: Arc<dyn ServerApi>,
    pub(crate) streams: Arc<Semaphore>,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies").field("node", &self.site.config.node).finish_non_exhaustive()
    }
}

impl SnapshotSource for Proxies {
    fn admit(&self, token: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        async move { self.callers.resolve(token.as_ref()).await.map(drop) }.boxed()
    }

    fn attach(
        &self,
        proxy: Attach,
        token: Option<Secret>,
    ) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        async move { self.attach_proxy(proxy, token.as_ref()).await }.boxed()
    }

    fn sign_leaf(
        &self,
        proxy: ProxyTarget,
        token: Option<Secret>,
        csr_pem: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>> {
        async move { self.sign_for_proxy(&proxy, token.as_ref(), csr_pem).await }.boxed()
    }
}

impl Proxies {
    async fn attach_proxy(&self, attach: Attach, token: Option<&Secret>) -> Result<SnapshotStream, RpcError> {
        let caller = self.callers.resolve(token).await?;
        let (standing, service) = self.standing(&attach.proxy)?;
        require_proxy(&caller, &service)?;
        require_understanding(&attach)?;
        let busy =
            || RpcError::Busy("too many proxies are attached to this agent, try again later".to_owned());
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| busy())?;
        let follow = self.callers.tokens.follow(&caller)?;
        let (messages, stream) = mpsc::channel(PROXY_MESSAGES);
        let attached = Attached::new(self.clone(), standing, attach, follow, messages);
        self.site.scope.spawn("follow a proxy", async move {
            attached.run().await;
            drop(permit);
        });
        Ok(ReceiverStream::new(stream).boxed())
    }

    async fn sign_for_proxy(
        &self,
        target: &ProxyTarget,
        token: Option<&Secret>,
        csr: String,
    ) -> Result<LeafCertificate, RpcError> {
        let caller = self.callers.resolve(token).await?;
        let (standing, service) = self.standing(target)?;
        require_proxy(&caller, &service)?;
        let parsed = Csr::parse(&csr).map_err(|refusal| RpcError::Invalid(refusal.to_string()))?;
        let identity = parsed.identity.service().ok_or_else(|| {
            RpcError::Invalid("CSR: a proxy's certificate speaks for a service; name one".to_owned())
        })?;
        if identity.service_ref() != service || identity.datacenter != self.site.config.datacenter {
            return Err(RpcError::Denied(format!(
                "Permission denied: proxy {target} stands before {service} in {} and gets no certificate for another identity",
                self.site.config.datacenter
            )));
        }
        let head = Head::with_token(caller.token.clone());
        let leaf = self.servers.call(head, SignLeaf { csr }).await?.value;
        // The proxy serves with this snapshot.
        if let Standing::Registered(id) = &standing {
            self.runners.expect_up(&self.local, id);
        }
        Ok(leaf)
    }

    /// How the proxy was described (registered or by itself), and the service that it serves.
    fn standing(&self, target: &ProxyTarget) -> Result<(Standing, ServiceRef), RpcError> {
        let (node, proxy) = match target {
            ProxyTarget::Registered { node, proxy } => (node, proxy),
            ProxyTarget::Described(described) => {
                return Ok((Standing::Described(Arc::clone(described)), described.service()));
            }
        };
        let unknown = || RpcError::NotFound(format!("unknown service ID: {proxy}"));
        if node.as_ref().is_some_and(|node| *node != self.site.config.node) {
            return Err(unknown());
        }
        let instance = self.local.instance(proxy).ok_or_else(unknown)?;
        let service = instance.connect_target(&NodeScope::default()).ok_or_else(|| {
            RpcError::Invalid(format!("service ID {proxy} is not a sidecar and takes no mesh traffic"))
        })?;
        Ok((Standing::Registered(instance.id), service))
    }
}

/// Refuses a proxy that does not say what it understands.
fn require_understanding(attach: &Attach) -> Result<(), RpcError> {
    if !attach.understands.is_empty() {
        return Ok(());
    }
    let text = "the proxy does not say what it understands of its configuration: it is older than the agent; \
                run a proxy of the agent's version";
    Err(RpcError::Invalid(text.to_owned()))
}
