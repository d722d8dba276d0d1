//! Roots, authorize and leaves, with the caller's current rights.

use std::sync::Arc;

use concord_api::connect::Authorize;
use concord_mesh::intention::Verdict;
use concord_model::ServiceName;
use concord_model::ca::CaRoots;
use concord_proxycfg::Leaf;
use concord_rpc::request::ReadCaRoots;
use concord_rpc::{Caller, Head, RpcError};

use crate::answer::{AuthorizeAnswer, CacheAnswer};
use crate::answers::Answers;
use crate::cache::{IntentionSet, IntentionsTo, Wait};
use crate::leaves::Leaves;
use crate::limits::FIRST_ANSWER_WAIT;
use crate::site::Site;
use crate::tokens::Tokens;

/// Answers what services without a proxy ask: roots, authorize, and their leaf.
#[derive(Clone, Debug)]
pub struct Connect {
    pub(crate) site: Site,
    pub(crate) answers: Answers,
    pub(crate) leaves: Arc<Leaves>,
    pub(crate) tokens: Arc<Tokens>,
}

impl Connect {
    /// The root certificates. They are public: no token is checked or remembered.
    pub async fn roots(&self, head: &Head) -> Result<CacheAnswer<Arc<CaRoots>>, RpcError> {
        self.answers.read(&Caller::unrestricted(None), &ReadCaRoots {}, head).await
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
        let found =
            self.answers.read(caller, &IntentionsTo(question.target.clone()), &Head::default()).await?;
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
        let found = self.answers.cache.peek(caller, &IntentionsTo(target.clone()))?;
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
        if self.answers.foreign(head.datacenter.as_ref()).is_some() {
            return Err(RpcError::UnknownDatacenter);
        }
        if head.min_index == 0 {
            let until = self.site.world.clock.now() + FIRST_ANSWER_WAIT;
            return self.leaves.read(caller, service, Wait { index: 0, until }).await;
        }
        let until = self.site.deadline(head.wait);
        let mut follow = self.tokens.follow(caller)?;
        loop {
            let caller = follow.caller()?;
            caller.require_service_write(service.as_str())?;
            let wait = Wait { index: head.min_index, until };
            tokio::select! {
                // Check the rights first: a caller that has just lost them must not get a key.
                biased;
                () = follow.changed() => {}
                answer = self.leaves.read(&caller, service, wait) => {
                    follow.caller()?.require_service_write(service.as_str())?;
                    return answer;
                }
            }
        }
    }

    fn decide(&self, question: &Authorize, found: &CacheAnswer<Arc<IntentionSet>>) -> AuthorizeAnswer {
        let verdict: Verdict =
            found.value.policy.decide(&question.source, self.site.config.intention_default());
        AuthorizeAnswer {
            authorized: verdict.allowed,
            reason: verdict.reason(),
            hit: found.hit,
            age: found.age,
        }
    }
}
