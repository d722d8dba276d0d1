//! Reads of the local registrations: lists filtered by rights, and a watch of one service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_acl::{Labelled, Level, Right};
use concord_api::health::HealthCheck;
use concord_api::service::AgentService;
use concord_model::catalog::{NodeScope, ServiceInstance};
use concord_model::{CheckId, InstanceId};
use concord_rpc::{Caller, RpcError};

use crate::answer::Listed;
use crate::local::{CheckRecord, LocalView, ServiceRecord};
use crate::site::Site;
use crate::tokens::Tokens;

/// Lists the local registrations for callers who may see them.
#[derive(Clone, Debug)]
pub struct Listing {
    pub(crate) site: Site,
    pub(crate) local: LocalView,
    pub(crate) tokens: Arc<Tokens>,
}

impl Listing {
    /// The services registered here that the caller may see, by id.
    pub fn services(&self, caller: &Caller) -> Listed<BTreeMap<InstanceId, AgentService>> {
        let records: Vec<ServiceRecord> = self.local.look(|local| local.services.values().cloned().collect());
        let sees = |record: &&ServiceRecord| caller.sees().service(&record.registration.service.service);
        let shown: BTreeMap<_, _> = records
            .iter()
            .filter(sees)
            .map(|record| (record.id().clone(), self.shown(&record.service())))
            .collect();
        Listed { filtered: shown.len() < records.len(), value: shown }
    }

    /// The checks registered here that the caller may see, by id.
    pub fn checks(&self, caller: &Caller) -> Listed<BTreeMap<CheckId, HealthCheck>> {
        let records: Vec<CheckRecord> = self.local.look(|local| local.checks.values().cloned().collect());
        let node = &self.site.config.node;
        let sees = |record: &&CheckRecord| caller.sees().own_check(node, &record.check);
        let shown: BTreeMap<_, _> = records
            .iter()
            .filter(sees)
            .map(|record| {
                (record.spec.id.clone(), HealthCheck::from_model(&NodeScope::default(), node, &record.check))
            })
            .collect();
        Listed { filtered: shown.len() < records.len(), value: shown }
    }

    /// One local service, with its fingerprint. With `hash`, waits until the fingerprint differs from it or the wait
    /// is over. Needs `service:read`, which is checked again when the wait ends.
    pub async fn service(
        &self,
        caller: &Caller,
        id: &InstanceId,
        hash: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<AgentService, RpcError> {
        let Some(hash) = hash.filter(|hash| !hash.is_empty()) else { return self.service_now(caller, id) };
        let until = self.site.deadline(wait);
        let mut follow = self.tokens.follow(caller)?;
        let mut changes = self.local.changes();
        loop {
            changes.mark_unchanged();
            let service = self.service_now(&follow.caller()?, id)?;
            if service.content_hash != hash || self.site.world.clock.now() >= until {
                return Ok(service);
            }
            tokio::select! {
                // Check the rights first: a caller that has just lost them must see nothing.
                biased;
                () = follow.changed() => {}
                _ = changes.changed() => {}
                () = self.site.world.clock.sleep_until(until) => {}
                () = self.site.scope.cancelled() => return Err(RpcError::ShuttingDown),
            }
        }
    }

    fn service_now(&self, caller: &Caller, id: &InstanceId) -> Result<AgentService, RpcError> {
        let record = self.local.look(|local| local.services.get(id).cloned());
        let Some(record) = record else {
            return Err(RpcError::NotFound(format!("unknown service ID: {id}")));
        };
        let service = &record.registration.service;
        caller.require(&Right::named(Labelled::Service, service.service.as_str(), Level::Read))?;
        Ok(self.shown(&record.service()).hashed())
    }

    fn shown(&self, service: &ServiceInstance) -> AgentService {
        AgentService::from_model(&NodeScope::default(), &self.site.config.datacenter, service)
    }
}
