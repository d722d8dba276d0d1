//! Where the registration of a proxy comes from: this agent, the catalog, or the proxy itself. What follows from it is
//! the same for all three.

use std::fmt;
use std::future::pending;
use std::sync::Arc;

use concord_model::catalog::ServiceInstance;
use concord_model::{InstanceId, Secret};
use concord_proxycfg::{DescribedProxy, Event};
use concord_rpc::request::FollowProxy;
use concord_rpc::{Consistency, Head, RpcError, ServerApi};
use concord_runtime::World;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;

use super::basis::News;
use crate::local::{LocalView, ServiceRecord};
use crate::watch::{Told, Watch};

/// Tells what is known of a proxy, and then each change of it.
pub(super) enum Feed {
    /// The proxy's own description, until it is told. It does not change.
    Described(Option<Arc<DescribedProxy>>),
    /// Registrations at this agent.
    Local(LocalFeed),
    /// The catalog, for proxies on nodes without an agent.
    Catalog(CatalogFeed),
}

/// The registration of one proxy at this agent.
pub(super) struct LocalFeed {
    local: LocalView,
    proxy: InstanceId,
    changes: watch::Receiver<u64>,
    /// The version that was told; within it `None`: there is no such proxy.
    told: Option<Option<u64>>,
}

/// The registration of one proxy in the catalog. The cache does not keep it: hardly anybody else asks, and the machine
/// keeps what it needs of it.
pub(super) struct CatalogFeed(BoxStream<'static, Result<News, RpcError>>);

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Described(_) => "described",
            Self::Local(_) => "local",
            Self::Catalog(_) => "catalog",
        })
    }
}

impl Feed {
    /// What is known, and after that the next change. Nothing is lost if it is dropped before it completes.
    pub(super) async fn next(&mut self) -> Result<News, RpcError> {
        match self {
            Self::Described(proxy) => match proxy.take() {
                Some(proxy) => Ok(News::of(0, Event::ProxyDescribed(proxy))),
                None => pending().await,
            },
            Self::Local(feed) => Ok(News::of(0, feed.next().await)),
            Self::Catalog(CatalogFeed(news)) => news.next().await.unwrap_or(Err(RpcError::ShuttingDown)),
        }
    }
}

impl LocalFeed {
    pub(super) fn new(local: LocalView, proxy: InstanceId) -> Self {
        let changes = local.changes();
        Self { local, proxy, changes, told: None }
    }

    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.news() {
                return event;
            }
            if self.changes.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// What has not been told yet. Nothing is told while it is unknown what entries say.
    fn news(&mut self) -> Option<Event> {
        let record = |record: &ServiceRecord| (record.version, record.is_awaiting_entries());
        let found = self.local.look(|local| local.services.get(&self.proxy).map(record));
        let version = found.map(|(version, _)| version);
        if found.is_some_and(|(_, awaiting)| awaiting) || self.told == Some(version) {
            return None;
        }
        self.told = Some(version);
        Some(event(self.local.proxy(&self.proxy).map(Arc::new)))
    }
}

impl CatalogFeed {
    /// Asks with this token.
    pub(super) fn new(
        servers: &Arc<dyn ServerApi>,
        world: &World,
        token: Option<&Secret>,
        question: FollowProxy,
    ) -> Self {
        let head = Head { consistency: Consistency::Stale, ..Head::with_token(token.cloned()) };
        let watch = Watch::new(servers, world, head, question);
        let next = |mut watch| async move { Some((Self::news(&mut watch).await, watch)) };
        // The stream keeps the question that is under way while its proxy is busy with something else.
        Self(stream::unfold(watch, next).boxed())
    }

    /// Waits for news. Ends with the error if the token may not be the proxy; after any other it asks again.
    async fn news(watch: &mut Watch<FollowProxy>) -> Result<News, RpcError> {
        loop {
            match watch.next().await {
                Ok(Told { answer, is_news: true }) => {
                    let merged = answer.value.as_ref().and_then(|own| own.merged.clone());
                    let event = event(answer.value.map(|own| own.instance));
                    return Ok(News { index: answer.index, event, merged });
                }
                Ok(Told { is_news: false, .. }) => {}
                Err(error) if error.is_denial() => return Err(error),
                Err(error) => tracing::debug!(%error, "following a registration failed, will retry"),
            }
        }
    }
}

/// What the machine is told of a registration.
fn event(instance: Option<Arc<ServiceInstance>>) -> Event {
    instance.map_or(Event::Gone, Event::ProxyChanged)
}
