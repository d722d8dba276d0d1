//! Roots, authorize, leaves and whatever is cached: the cache with the caller's rights kept current.

use std::sync::Arc;

use concord_api::connect::Authorize;
use concord_mesh::intention::Verdict;
use concord_model::ca::CaRoots;
use concord_model::{Datacenter, ServiceName};
use concord_proxycfg::Leaf;
use concord_rpc::request::ReadCaRoots;
use concord_rpc::{Caller, Head, RpcError};

use crate::agent::Agent;
use crate::answer::{AuthorizeAnswer, CacheAnswer};
use crate::cache::{Cached, IntentionSet, IntentionsTo, Wait, is_shared, need, shown};
use crate::limits::FIRST_ANSWER_WAIT;

impl Agent {
    /// The roots of trust. Public: no token is looked at, none leaves a trace.
    pub async fn roots(&self, head: &Head) -> Result<CacheAnswer<Arc<CaRoots>>, RpcError> {
        self.cached(&Caller::unrestricted(None), &ReadCaRoots {}, head).await
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
        let found = self.cached(caller, &IntentionsTo(question.target.clone()), &Head::default()).await?;
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
        let found = self.inner.cache.peek(caller, &IntentionsTo(target.clone()))?;
        Ok(found.map(|found| self.decide(question, &found)))
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

    /// Reads through the cache, as far as the caller may see the answer. While it waits, the caller's rights are
    /// watched, and asked again before anything is handed out.
    pub async fn cached<C: Cached>(
        &self,
        caller: &Caller,
        question: &C,
        head: &Head,
    ) -> Result<CacheAnswer<Arc<C::Kept>>, RpcError> {
        let datacenter = self.foreign(head.datacenter.as_ref());
        if head.min_index == 0 {
            let until = self.inner.world.clock.now() + FIRST_ANSWER_WAIT;
            return self.inner.cache.read(caller, datacenter, question, Wait { index: 0, until }).await;
        }
        let need = need(question);
        caller.meet(&need)?;
        let mut wait = Wait { index: head.min_index, until: self.deadline(head.wait) };
        let (mut follow, before) = (self.inner.tokens.follow(caller)?, caller.rights_key());
        loop {
            let caller = follow.caller()?;
            if caller.rights_key() != before && !is_shared::<C>(&need) {
                // With other rights it is another answer, whatever its index.
                wait.index = 0;
            }
            tokio::select! {
                // Rights first: with other rights it is another question.
                biased;
                () = follow.changed() => {}
                answer = self.inner.cache.read(&caller, datacenter, question, wait) => {
                    let caller = follow.caller()?;
                    caller.meet(&need)?;
                    let CacheAnswer { value, index, hit, age, filtered } = answer?;
                    let (value, hidden) = shown(question, value, &caller);
                    return Ok(CacheAnswer { value, index, hit, age, filtered: filtered || hidden });
                }
            }
        }
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
    fn foreign<'a>(&self, datacenter: Option<&'a Datacenter>) -> Option<&'a Datacenter> {
        datacenter.filter(|datacenter| **datacenter != self.inner.config.datacenter)
    }
}
