//! What is read of the catalog, always with the rights of the token that the question is answered with.
//!
//! What the token may not see is not there: the servers leave it out, and where they refuse instead, the refusal is
//! taken for "there is none". So names do not tell what exists.

use std::sync::Arc;

use concord_model::catalog::{CheckStatus, Node, SERVER_SERVICE};
use concord_model::{Datacenter, NodeName, PeerName, Secret, ServiceName, ServiceRef};
use concord_rpc::request::{
    InstanceHealth, InstanceOnNode, InstanceSelection, ListInstances, ListNodes, ListServices, NodeDump,
    ReadChain, ServiceHealth,
};
use concord_rpc::{Consistency, Head, Request, RpcError, ServerApi, ServerApiExt};
use concord_runtime::{Clock, timeout};

use crate::asked::Through;
use crate::limits::{READ_TIMEOUT, STALE_AFTER};
use crate::settings::Settings;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// There is no such name.
    #[error("there is no such name")]
    NoName,
    /// The servers cannot tell now.
    #[error("the servers do not answer")]
    Failed,
}

/// Reads the catalog.
#[derive(Clone)]
pub(crate) struct Catalog {
    pub(crate) servers: Arc<dyn ServerApi>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// How one question is read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The token.
    pub(crate) token: Option<Secret>,
    /// The settings.
    pub(crate) settings: Arc<Settings>,
}

impl Catalog {
    /// Healthy instances of a service.
    pub(crate) async fn instances(
        &self,
        with: &Reading,
        service: &str,
        tag: Option<&str>,
        through: Through,
        place: (Option<&str>, Option<&str>),
    ) -> Result<Vec<InstanceHealth>, Unanswered> {
        let (datacenter, peer) = place;
        let Some(service) = service_ref(service, peer)? else { return Ok(Vec::new()) };
        let select = match through {
            Through::Itself => InstanceSelection::of(service),
            Through::Mesh => InstanceSelection::connect_or_gateway(service),
            Through::Ingress => InstanceSelection::ingress(service),
        };
        let select = InstanceSelection { tags: tag.map(str::to_owned).into_iter().collect(), ..select };
        let worst = match with.settings.section.only_passing {
            true => CheckStatus::Passing,
            false => CheckStatus::Warning,
        };
        let request = ServiceHealth { select, worst: Some(worst) };
        Ok(self.read(with, datacenter, request).await?.unwrap_or_default())
    }

    /// The servers of our datacenter.
    pub(crate) async fn servers(&self, with: &Reading) -> Result<Vec<InstanceHealth>, Unanswered> {
        self.instances(with, SERVER_SERVICE, None, Through::Itself, (None, None)).await
    }

    /// A node of our cluster. There are no nodes of peers yet.
    pub(crate) async fn node(
        &self,
        with: &Reading,
        node: &str,
        place: (Option<&str>, Option<&str>),
    ) -> Result<Option<Node>, Unanswered> {
        let (datacenter, peer) = place;
        let Ok(node) = NodeName::parse(node) else { return Ok(None) };
        if peer.is_some() {
            return Ok(None);
        }
        let found = self.read(with, datacenter, NodeDump::of(node)).await?;
        Ok(found.flatten().map(|records| records.node))
    }

    /// The virtual addresses that the cluster has given a service.
    pub(crate) async fn virtual_addresses(
        &self,
        with: &Reading,
        service: &str,
        peer: Option<&str>,
    ) -> Result<Vec<String>, Unanswered> {
        let Some(service) = service_ref(service, peer)? else { return Ok(Vec::new()) };
        let request = ReadChain { service, datacenter: None, overrides: Default::default() };
        match self.read(with, None, request).await {
            Ok(chain) => Ok(chain.map(|chain| chain.auto_virtual_ips.clone()).unwrap_or_default()),
            Err(error) => Err(error),
        }
    }

    /// All nodes.
    pub(crate) async fn nodes(&self, with: &Reading) -> Result<Vec<Node>, Unanswered> {
        Ok(self.read(with, None, ListNodes::default()).await?.unwrap_or_default())
    }

    /// All instances of all services.
    pub(crate) async fn all_instances(&self, with: &Reading) -> Result<Vec<InstanceOnNode>, Unanswered> {
        Ok(self.read(with, None, ListInstances::default()).await?.unwrap_or_default())
    }

    /// The names of all services.
    pub(crate) async fn services(&self, with: &Reading) -> Result<Vec<String>, Unanswered> {
        let found = self.read(with, None, ListServices::default()).await?.unwrap_or_default();
        Ok(found.into_keys().map(|name| name.to_string()).collect())
    }

    /// `None` if the token may not see it.
    async fn read<R: Request>(
        &self,
        with: &Reading,
        datacenter: Option<&str>,
        request: R,
    ) -> Result<Option<R::Reply>, Unanswered> {
        let section = &with.settings.section;
        let datacenter = datacenter.map(Datacenter::parse).transpose().map_err(|_| Unanswered::NoName)?;
        let datacenter = datacenter.filter(|named| *named != with.settings.datacenter);
        let consistency = if section.allow_stale { Consistency::Stale } else { Consistency::Default };
        let head = Head { datacenter, consistency, ..Head::with_token(with.token.clone()) };
        let mut answer = self.call(head.clone(), request.clone()).await;
        if let Ok(found) = &answer
            && found.consistency == Consistency::Stale
        {
            if found.last_contact > section.max_stale {
                answer = self.call(Head { consistency: Consistency::Default, ..head }, request).await;
            } else if found.last_contact > STALE_AFTER {
                metrics::counter!("consul.dns.stale_queries").increment(1);
            }
        }
        match answer {
            Ok(found) => Ok(Some(found.value)),
            Err(RpcError::Denied(_) | RpcError::NotFound(_)) => Ok(None),
            Err(RpcError::UnknownDatacenter) => Err(Unanswered::NoName),
            Err(error) => {
                tracing::debug!(%error, request = R::NAME, "the servers do not answer a question of DNS");
                Err(Unanswered::Failed)
            }
        }
    }

    async fn call<R: Request>(
        &self,
        head: Head,
        request: R,
    ) -> Result<concord_rpc::Answer<R::Reply>, RpcError> {
        let answer = timeout(&*self.clock, READ_TIMEOUT, self.servers.call(head, request)).await;
        answer.unwrap_or_else(|_| Err(RpcError::Unreachable("it takes too long".to_owned())))
    }
}

/// `None` if no service can have this name.
fn service_ref(service: &str, peer: Option<&str>) -> Result<Option<ServiceRef>, Unanswered> {
    let Ok(name) = ServiceName::parse(service) else { return Ok(None) };
    let peer = peer.map(PeerName::parse).transpose().map_err(|_| Unanswered::NoName)?;
    Ok(Some(ServiceRef { peer, ..ServiceRef::local(name) }))
}
