//! Where the registration of a proxy comes from: this agent, the catalog, or the proxy itself. What follows from it is
//! the same for all three.

use std::fmt;
use std::future::pending;
use std::sync::Arc;

use concord_model::InstanceId;
use concord_model::catalog::ServiceInstance;
use concord_proxycfg::{DescribedProxy, Event};
use concord_rpc::RpcError;
use tokio::sync::watch;

use super::basis::News;
use super::topic::Mailbox;
use super::watched::{Shared, Watched};
use crate::local::{LocalView, ServiceRecord};

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

/// The registration of one proxy in the catalog. Proxies with the same rights share the answers of the cache.
pub(super) struct CatalogFeed {
    /// Says that there is something new.
    pub(super) mailbox: Arc<Mailbox<Watched>>,
    /// The watch.
    pub(super) shared: Shared,
}

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
            Self::Catalog(feed) => loop {
                feed.mailbox.next().await;
                if let Some(news) = feed.shared.latest() {
                    return news;
                }
            },
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

/// What the machine is told of a registration.
pub(super) fn event(instance: Option<Arc<ServiceInstance>>) -> Event {
    instance.map_or(Event::Gone, Event::ProxyChanged)
}
