//! Snapshots for the sidecars registered here, at a server also for those that are registered in the catalog alone
//! (D61), and for proxies that describe themselves (D15). Each stream has one state machine, which the cache feeds.
//!
//! ```text
//! feed: local registration, ┐
//! catalog, what it says     │
//! cache, per watch ─────────┼─► proxycfg::Proxy ─► latest snapshot ─┬─► what differs, by section ─► proxy
//! the token's rights ───────┘                                       └─► the whole, in this process ─► Envoy's stream
//! (denied: the stream ends with the error)
//! ```
//!
//! Each stream's machine uses the rights of the caller that attached. Streams with the same token share their watches;
//! all others share what the cache shares, and the memory of equal listeners (D68), and nothing else. A slow proxy first
//! gets one change completely; changes that arrive meanwhile are merged into one.

mod basis;
mod feed;
mod rate;
mod stream;
mod topic;
mod watched;
mod watching;

use std::fmt;
use std::sync::Arc;

use concord_ca::Csr;
use concord_model::ca::LeafCertificate;
use concord_model::catalog::ServiceInstance;
use concord_model::{InstanceId, NodeName, Secret};
use concord_proxycfg::{DescribedProxy, Parts, WatchKey};
use concord_rpc::request::{FollowProxy, SignLeaf};
use concord_rpc::{
    Attach, Caller, Consistency, Head, ProxyTarget, RpcError, ServerApi, ServerApiExt, SnapshotSource,
    SnapshotStream,
};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use self::feed::{CatalogFeed, Feed, LocalFeed};
pub(crate) use self::rate::Rate;
use self::stream::{Attached, Standing, require_proxy, service_of, unknown};
use self::topic::Mailbox;
use self::watched::{Shared, Watches};
use self::watching::Watching;
use crate::answers::Answers;
use crate::caller::TokenKey;
use crate::callers::Callers;
use crate::checks::Runners;
use crate::config::AgentConfig;
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
    /// What the streams follow.
    pub(crate) watches: Arc<Watches>,
    /// Turns to send a change.
    pub(crate) rate: Arc<Rate>,
    /// What the registrations of proxies have in common.
    pub(crate) parts: Parts,
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
        let (standing, source) = self.standing(&caller, &attach.proxy).await?;
        require_proxy(&caller, &standing.service)?;
        require_understanding(&attach)?;
        let busy =
            || RpcError::Busy("too many proxies are attached to this agent, try again later".to_owned());
        let permit = self.streams.clone().try_acquire_owned().map_err(|_| busy())?;
        let follow = self.callers.tokens.follow(&caller)?;
        let (messages, stream) = mpsc::channel(PROXY_MESSAGES);
        let feed = self.feed(&standing, source, token);
        let attached = Attached::new(self.clone(), (standing, feed), attach, follow, messages);
        let run = Box::new(attached).run();
        self.site.scope.spawn("follow a proxy", run.map(move |()| drop(permit)));
        Ok(ReceiverStream::new(stream).map_ok(|event| *event).boxed())
    }

    async fn sign_for_proxy(
        &self,
        target: &ProxyTarget,
        token: Option<&Secret>,
        csr: String,
    ) -> Result<LeafCertificate, RpcError> {
        let caller = self.callers.resolve(token).await?;
        let (standing, source) = self.standing(&caller, target).await?;
        let service = &standing.service;
        require_proxy(&caller, service)?;
        let parsed = Csr::parse(&csr).map_err(|refusal| RpcError::Invalid(refusal.to_string()))?;
        let identity = parsed.identity.service().ok_or_else(|| {
            RpcError::Invalid("CSR: a proxy's certificate speaks for a service; name one".to_owned())
        })?;
        if identity.service_ref() != *service || identity.datacenter != self.site.config.datacenter {
            return Err(RpcError::Denied(format!(
                "Permission denied: proxy {target} stands before {service} in {} and gets no certificate for another identity",
                self.site.config.datacenter
            )));
        }
        let head = Head::with_token(caller.token.clone());
        let leaf = self.servers.call(head, SignLeaf { csr }).await?.value;
        // The proxy serves with this snapshot.
        if matches!(source, Source::Local) {
            self.runners.expect_up(&self.local, &standing.id);
        }
        Ok(leaf)
    }

    /// Which proxy it is, and where its registration is: here, else in the catalog.
    async fn standing(&self, caller: &Caller, target: &ProxyTarget) -> Result<(Standing, Source), RpcError> {
        let own = || self.site.config.node.clone();
        let (node, proxy) = match target {
            ProxyTarget::Registered { node, proxy } => (node.clone().unwrap_or_else(own), proxy),
            ProxyTarget::Described(described) => {
                let (id, service) = (described.id(), described.service());
                let source = Source::Described(Arc::clone(described));
                return Ok((Standing { node: own(), id, service }, source));
            }
        };
        let (service, source) = match self.local.instance(proxy).filter(|_| node == self.site.config.node) {
            Some(instance) => (service_of(&instance)?, Source::Local),
            None => (service_of(&*self.in_catalog(caller, &node, proxy).await?)?, Source::Catalog),
        };
        Ok((Standing { node, id: proxy.clone(), service }, source))
    }

    /// The proxy in the catalog. Only a server follows the catalog: a client would ask the servers for each proxy of
    /// each node. What is not there is not kept by the cache.
    async fn in_catalog(
        &self,
        caller: &Caller,
        node: &NodeName,
        proxy: &InstanceId,
    ) -> Result<Arc<ServiceInstance>, RpcError> {
        let AgentConfig { about, node: own, .. } = &*self.site.config;
        if !about.role.is_server() {
            return Err(match node == own {
                true => unknown(proxy),
                false => RpcError::NotFound(format!(
                    "unknown service ID: {proxy} on node {node}; this is a client agent, on node {own}: it \
                     configures its own proxies; ask a server"
                )),
            });
        }
        let head = Head { consistency: Consistency::Stale, ..Head::with_token(caller.token.clone()) };
        let question = FollowProxy { node: node.clone(), proxy: proxy.clone() };
        let found = self.servers.call(head, question).await?.value;
        found.map(|found| found.instance).ok_or_else(|| unknown(proxy))
    }

    /// Begins to follow something with this token. Who follows the same with the same token shares it.
    fn watch(&self, token: Option<&Secret>, what: WatchKey, mailbox: &Arc<Mailbox<WatchKey>>) -> Shared {
        let whose = token.map(|token| TokenKey::of(Some(token)));
        let what = Arc::new(what);
        self.watches.join((whose, Arc::clone(&what)), mailbox, |tell| {
            let watching = Watching { proxies: self.clone(), token: token.cloned(), what, tell };
            self.site.scope.spawn("watch for proxies", watching.run()).abort_on_drop()
        })
    }

    fn feed(&self, standing: &Standing, source: Source, token: Option<&Secret>) -> Feed {
        match source {
            Source::Described(proxy) => Feed::Described(Some(proxy)),
            Source::Local => Feed::Local(LocalFeed::new(self.local.clone(), standing.id.clone())),
            Source::Catalog => {
                let question = FollowProxy { node: standing.node.clone(), proxy: standing.id.clone() };
                Feed::Catalog(CatalogFeed::new(&self.servers, &self.site.world, token, question))
            }
        }
    }
}

/// Where the registration of a proxy is.
enum Source {
    /// The proxy has none; it describes itself.
    Described(Arc<DescribedProxy>),
    /// At this agent.
    Local,
    /// In the catalog.
    Catalog,
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
