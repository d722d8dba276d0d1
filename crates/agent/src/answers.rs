//! Cached reads: the cache, with the caller's current rights.

use std::sync::Arc;

use concord_model::Datacenter;
use concord_rpc::{Caller, Head, RpcError};

use crate::answer::CacheAnswer;
use crate::cache::{Cache, Cached, Wait, is_shared, need, shown};
use crate::limits::FIRST_ANSWER_WAIT;
use crate::site::Site;
use crate::tokens::Tokens;

/// Answers questions from the cache.
#[derive(Clone, Debug)]
pub struct Answers {
    pub(crate) site: Site,
    pub(crate) cache: Arc<Cache>,
    pub(crate) tokens: Arc<Tokens>,
}

impl Answers {
    /// Reads through the cache; the answer contains only what the caller may see. During a wait the caller's rights
    /// are watched, and they are checked again before the answer is returned.
    pub async fn read<C: Cached>(
        &self,
        caller: &Caller,
        question: &C,
        head: &Head,
    ) -> Result<CacheAnswer<Arc<C::Kept>>, RpcError> {
        let datacenter = self.foreign(head.datacenter.as_ref());
        if head.min_index == 0 {
            let until = self.site.world.clock.now() + FIRST_ANSWER_WAIT;
            return self.cache.read(caller, datacenter, question, Wait { index: 0, until }).await;
        }
        let need = need(question);
        caller.meet(&need)?;
        let mut wait = Wait { index: head.min_index, until: self.site.deadline(head.wait) };
        let (mut follow, before) = (self.tokens.follow(caller)?, caller.rights_key());
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
                answer = self.cache.read(&caller, datacenter, question, wait) => {
                    let answer = answer?;
                    if answer.outdated && self.site.world.clock.now() < wait.until {
                        // The servers know of wider rights already: answer with them, once this agent knows them.
                        tokio::select! {
                            () = follow.changed() => {}
                            () = self.site.world.clock.sleep_until(wait.until) => {}
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

    /// The datacenter, if it is not the agent's own.
    pub(crate) fn foreign<'a>(&self, datacenter: Option<&'a Datacenter>) -> Option<&'a Datacenter> {
        datacenter.filter(|datacenter| **datacenter != self.site.config.datacenter)
    }
}
