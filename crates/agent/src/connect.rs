//! Roots, authorize and cached catalog answers: the cache with the caller's rights kept current.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_api::connect::Authorize;
use concord_mesh::intention::Verdict;
use concord_model::ca::CaRoots;
use concord_model::catalog::CheckStatus;
use concord_model::intention::ServiceIntentions;
use concord_model::{Datacenter, ServiceName, ServiceRef};
use concord_proxycfg::Leaf;
use concord_rpc::request::{InstanceHealth, InstanceOnNode, InstanceSelection};
use concord_rpc::{Head, RpcError};

use crate::agent::Agent;
use crate::answer::{AuthorizeAnswer, CacheAnswer};
use crate::cache::{HealthWant, IntentionSet, Stored, Wait, Want};
use crate::caller::Caller;
use crate::limits::FIRST_ANSWER_WAIT;

impl Agent {
    /// The roots of trust. Public: no token is looked at, none leaves a trace.
    pub async fn roots(&self, head: &Head) -> Result<CacheAnswer<Arc<CaRoots>>, RpcError> {
        let caller = Caller::unrestricted(None);
        let datacenter = self.foreign(head.datacenter.as_ref());
        let answer = self.cached(&caller, datacenter, &Want::Roots, head).await?;
        Ok(answer.map(|stored| {
            let Stored::Roots(roots) = stored else { unreachable!("each question has its own answer") };
            roots
        }))
    }

    /// The instances of a service with their health, as far as the caller may see them.
    pub async fn health(
        &self,
        caller: &Caller,
        select: InstanceSelection,
        worst: Option<CheckStatus>,
        head: &Head,
    ) -> Result<CacheAnswer<Arc<Vec<InstanceHealth>>>, RpcError> {
        let want = Want::Health(HealthWant { select, worst });
        let datacenter = self.foreign(head.datacenter.as_ref());
        let answer = self.cached(caller, datacenter, &want, head).await?;
        Ok(answer.map(|stored| {
            let Stored::Health(instances) = stored else { unreachable!("each question has its own answer") };
            instances
        }))
    }

    /// All instances on nodes with this metadata, as far as the caller may see them.
    pub async fn instances(
        &self,
        caller: &Caller,
        node_meta: BTreeMap<String, String>,
        head: &Head,
    ) -> Result<CacheAnswer<Arc<Vec<InstanceOnNode>>>, RpcError> {
        let datacenter = self.foreign(head.datacenter.as_ref());
        let answer = self.cached(caller, datacenter, &Want::Instances(node_meta), head).await?;
        Ok(answer.map(|stored| {
            let Stored::Instances(instances) = stored else {
                unreachable!("each question has its own answer")
            };
            instances
        }))
    }

    /// The intention entries that can decide on calls to a service. Needs `intention:read`.
    pub async fn intentions(
        &self,
        caller: &Caller,
        destination: ServiceRef,
        head: &Head,
    ) -> Result<CacheAnswer<Vec<Arc<ServiceIntentions>>>, RpcError> {
        let answer = self.intention_set(caller, destination, head).await?;
        Ok(answer.map(|set| set.entries.clone()))
    }

    /// Whether a connection may be made. Needs `service:write` on the service called; trust domain
    /// and datacenter of the caller were checked in the handshake and do not enter.
    pub async fn authorize(
        &self,
        caller: &Caller,
        question: &Authorize,
    ) -> Result<AuthorizeAnswer, RpcError> {
        if let Some(answer) = self.authorize_now(caller, question)? {
            return Ok(answer);
        }
        let found = self.intention_set(caller, question.target.clone(), &Head::default()).await?;
        Ok(self.decide(question, &found))
    }

    /// The same without waiting: `None` if the intentions are not here yet.
    pub fn authorize_now(
        &self,
        caller: &Caller,
        question: &Authorize,
    ) -> Result<Option<AuthorizeAnswer>, RpcError> {
        let Authorize { target, source } = question;
        caller.require_service_write(target.name.as_str())?;
        if source.partition != target.partition {
            let text = format!("Mismatched partitions: \"{}\" != \"{}\"", source.partition, target.partition);
            return Err(RpcError::Invalid(text));
        }
        let found = self.inner.cache.peek(caller, &Want::Intentions(target.clone()))?;
        Ok(found.map(|found| self.decide(question, &found.map(into_intentions))))
    }

    /// Certificate and key for a service. Needs `service:write`, asked on every read and again
    /// whenever a wait ends. Only the agent's own datacenter signs for it.
    pub async fn leaf(
        &self,
        caller: &Caller,
        service: &ServiceName,
        head: &Head,
    ) -> Result<CacheAnswer<Arc<Leaf>>, RpcError> {
        caller.require_service_write(service.as_str())?;
        if self.foreign(head.datacenter.as_ref()).is_some() {
            return Err(RpcError::UnknownDatacenter);
        }
        if head.min_index == 0 {
            let until = self.inner.world.clock.now() + FIRST_ANSWER_WAIT;
            return self.inner.leaves.read(caller, service, Wait { index: 0, until }).await;
        }
        let until = self.deadline(head.wait);
        let mut follow = self.inner.tokens.follow(caller)?;
        loop {
            let caller = follow.caller()?;
            caller.require_service_write(service.as_str())?;
            let wait = Wait { index: head.min_index, until };
            tokio::select! {
                // Rights first: no key goes to somebody who has just lost them.
                biased;
                () = follow.changed() => {}
                answer = self.inner.leaves.read(&caller, service, wait) => {
                    follow.caller()?.require_service_write(service.as_str())?;
                    return answer;
                }
            }
        }
    }

    /// Reads through the cache. While it waits, the caller's rights are watched, and asked again
    /// before anything is handed out.
    pub(crate) async fn cached(
        &self,
        caller: &Caller,
        datacenter: Option<&Datacenter>,
        want: &Want,
        head: &Head,
    ) -> Result<CacheAnswer<Stored>, RpcError> {
        if head.min_index == 0 {
            let until = self.inner.world.clock.now() + FIRST_ANSWER_WAIT;
            return self.inner.cache.read(caller, datacenter, want, Wait { index: 0, until }).await;
        }
        caller.meet(&want.need())?;
        let mut wait = Wait { index: head.min_index, until: self.deadline(head.wait) };
        let (mut follow, before) = (self.inner.tokens.follow(caller)?, caller.rights);
        loop {
            let caller = follow.caller()?;
            if caller.rights != before && !want.is_shared() {
                // With other rights it is another answer, whatever its index.
                wait.index = 0;
            }
            tokio::select! {
                // Rights first: with other rights it is another question.
                biased;
                () = follow.changed() => {}
                answer = self.inner.cache.read(&caller, datacenter, want, wait) => {
                    let caller = follow.caller()?;
                    caller.meet(&want.need())?;
                    let CacheAnswer { value, index, hit, age, filtered } = answer?;
                    let (value, hidden) = value.shown_to(want, &caller);
                    return Ok(CacheAnswer { value, index, hit, age, filtered: filtered || hidden });
                }
            }
        }
    }

    async fn intention_set(
        &self,
        caller: &Caller,
        destination: ServiceRef,
        head: &Head,
    ) -> Result<CacheAnswer<Arc<IntentionSet>>, RpcError> {
        let answer = self.cached(caller, None, &Want::Intentions(destination), head).await?;
        Ok(answer.map(into_intentions))
    }

    fn decide(&self, question: &Authorize, found: &CacheAnswer<Arc<IntentionSet>>) -> AuthorizeAnswer {
        let verdict: Verdict =
            found.value.policy.decide(&question.source, self.inner.config.intention_default());
        AuthorizeAnswer {
            authorized: verdict.allowed,
            reason: verdict.reason(),
            hit: found.hit,
            age: found.age,
        }
    }

    /// A datacenter other than the agent's own.
    pub(crate) fn foreign<'a>(&self, datacenter: Option<&'a Datacenter>) -> Option<&'a Datacenter> {
        datacenter.filter(|datacenter| **datacenter != self.inner.config.datacenter)
    }
}

fn into_intentions(stored: Stored) -> Arc<IntentionSet> {
    match stored {
        Stored::Intentions(set) => set,
        Stored::Roots(_) | Stored::Health(_) | Stored::Instances(_) => {
            unreachable!("each question has its own answer")
        }
    }
}
