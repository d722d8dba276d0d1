//! Roots, authorize, leaves and cached reads: the cache, with the caller's current rights.

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
    /// The root certificates. They are public: no token is checked or remembered.
    pub async fn roots(&self, head: &Head) -> Result<CacheAnswer<Arc<CaRoots>>, RpcError> {
        self.cached(&Caller::unrestricted(None), &ReadCaRoots {}, head).await
    }

    /// Decides whether a connection is allowed. Needs `service:write` on the called service. The handshake has
    /// checked the caller's trust domain and datacenter already; they are ignored here.
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

    /// The same without waiting. `None` if the cache does not have the intentions yet.
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

    /// Certificate and key for a service. Needs `service:write`; the right is checked on every read, and again after
    /// every wait. Only the agent's own datacenter signs it.
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
                // Check the rights first: a caller that has just lost them must not get a key.
                biased;
                () = follow.changed() => {}
                answer = self.inner.leaves.read(&caller, service, wait) => {
                    follow.caller()?.require_service_write(service.as_str())?;
                    return answer;
                }
            }
        }
    }

    /// Reads through the cache; the answer contains only what the caller may see. During a wait the caller's rights
    /// are watched, and they are checked again before the answer is returned.
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
                // With other rights the answer may differ, whatever its index.
                wait.index = 0;
            }
            tokio::select! {
                // Check the rights first: other rights need another cache entry.
                biased;
                () = follow.changed() => {}
                answer = self.inner.cache.read(&caller, datacenter, question, wait) => {
                    let answer = answer?;
                    if answer.outdated && self.inner.world.clock.now() < wait.until {
                        // The servers know of wider rights already: answer with them, once this agent knows them.
                        tokio::select! {
                            () = follow.changed() => {}
                            () = self.inner.world.clock.sleep_until(wait.until) => {}
                        }
                        continue;
                    }
                    let caller = follow.caller()?;
                    caller.meet(&need)?;
                    let CacheAnswer { value, index, hit, age, filtered, outdated } = answer;
                    let (value, hidden) = shown(question, value, &caller);
                    return Ok(CacheAnswer { value, index, hit, age, filtered: filtered || hidden, outdated });
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

    /// The datacenter, if it is not the agent's own.
    fn foreign<'a>(&self, datacenter: Option<&'a Datacenter>) -> Option<&'a Datacenter> {
        datacenter.filter(|datacenter| **datacenter != self.inner.config.datacenter)
    }
}
