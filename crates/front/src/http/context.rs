//! What endpoints run on: the agent, the servers behind it, and a few settings.

use std::sync::Arc;

use bytes::Bytes;
use concord_acl::{Labelled, Level, Right, Scalar};
use concord_agent::{Agent, CacheAnswer, Cached};
use concord_config::section::Level as LogLevel;
use concord_filter::Expression;
use concord_model::Secret;
use concord_rpc::{Answer, Caller, Consistency, Head, Request, ServerApiExt};
use futures::stream::BoxStream;

use super::call::Call;
use super::error::HttpError;
use super::reply::Meta;
use super::router::Authorise;
use crate::ledger::Ledger;

/// Renders all metrics in Prometheus' text format. The program provides the exporter.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Lines of the log.
pub type LogLines = BoxStream<'static, Bytes>;

/// A log that can be followed while it is written. The program provides it.
pub trait LogSource: Send + Sync {
    /// Lines of this level and above, whatever the agent's own level. `None` if too many readers follow the log
    /// already.
    fn follow(self: Arc<Self>, level: LogLevel, json: bool) -> Option<LogLines>;
}

/// What endpoints run on.
pub struct Ctx {
    /// The agent.
    pub agent: Agent,
    /// Whether `?cached` counts (`http_config.use_cache`).
    pub use_cache: bool,
    /// Renders the metrics, if they are kept.
    pub metrics: Option<MetricsText>,
    /// The log, if it can be followed.
    pub log: Option<Arc<dyn LogSource>>,
    /// Which proxy has what. The gRPC port writes it.
    pub ledger: Ledger,
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("agent", &self.agent).finish_non_exhaustive()
    }
}

impl Authorise for Ctx {
    async fn authorise(&self, token: Option<Secret>, right: Right<'static>) -> Result<(), HttpError> {
        let caller = self.agent.callers.resolve(token.as_ref()).await?;
        Ok(caller.require(&right)?)
    }

    async fn knows(&self, token: &Secret) -> bool {
        let caller = self.agent.callers.resolve(Some(token)).await;
        caller.is_ok_and(|caller| caller.accessor.is_some() && !caller.is_anonymous())
    }
}

impl Ctx {
    /// Endpoints over an agent, without metrics and log.
    pub fn new(agent: Agent) -> Self {
        let ledger = Ledger::new(Arc::clone(agent.scope.clock()));
        Self { agent, use_cache: true, metrics: None, log: None, ledger }
    }

    /// Resolves the caller of a request.
    pub async fn caller(&self, call: &Call) -> Result<Caller, HttpError> {
        Ok(self.agent.callers.resolve(call.token().as_ref()).await?)
    }

    /// The head of a request that is forwarded to the servers. A request without a token gets the agent's default
    /// token.
    pub fn head(&self, call: &Call) -> Result<Head, HttpError> {
        let head = call.head()?;
        Ok(Head { token: self.agent.callers.token_or_default(head.token.as_ref()), ..head })
    }

    /// Forwards a request to the servers. If the answer is older than `?max_stale`, asks the leader again.
    pub async fn ask<R: Request>(&self, call: &Call, request: R) -> Result<(R::Reply, Meta), HttpError> {
        let head = self.head(call)?;
        self.ask_with(call, head, request).await
    }

    /// The same with a given head.
    pub async fn ask_with<R: Request>(
        &self,
        call: &Call,
        head: Head,
        request: R,
    ) -> Result<(R::Reply, Meta), HttpError> {
        let (servers, anonymous) = (&self.agent.servers, head.token.is_none());
        let oldest = call.max_stale()?.filter(|_| head.consistency == Consistency::Stale);
        let mut answer: Answer<R::Reply> = match oldest {
            None => servers.call(head, request).await?,
            Some(oldest) => {
                let answer = servers.call(head.clone(), request.clone()).await?;
                if answer.last_contact <= oldest {
                    answer
                } else {
                    servers.call(Head { consistency: Consistency::Default, ..head }, request).await?
                }
            }
        };
        answer.filtered &= !anonymous;
        Ok(Meta::of(answer))
    }

    /// The answer from the agent's cache. `None` if the servers have to be asked.
    pub async fn ask_cache<C: Cached>(
        &self,
        call: &Call,
        question: &C,
    ) -> Result<Option<(Arc<C::Kept>, Meta, FromCache)>, HttpError> {
        let head = self.head(call)?;
        if !self.may_cache(call)? {
            return Ok(None);
        }
        let caller = self.caller(call).await?;
        Ok(Some(cached(self.agent.answers.read(&caller, question, &head).await?, &caller)))
    }

    /// Whether the agent's cache may answer: the request asks for it, and `Cache-Control` allows it.
    fn may_cache(&self, call: &Call) -> Result<bool, HttpError> {
        Ok(self.use_cache && call.flag("cached")? && !call.must_revalidate()?)
    }

    /// The `filter` parameter, parsed, if there is one.
    pub fn filter(call: &Call) -> Result<Option<Expression>, HttpError> {
        let text = call.parameter("filter").filter(|text| !text.is_empty());
        Ok(text.map(Expression::parse).transpose()?)
    }

    /// The right to read or change the agent itself.
    pub fn own(&self, level: Level) -> Right<'static> {
        Right::named(Labelled::Agent, self.agent.config.node.as_str().to_owned(), level)
    }

    /// The operator right.
    pub fn operator(level: Level) -> Right<'static> {
        Right::whole(Scalar::Operator, level)
    }
}

/// Splits an answer from the cache into its value, its metadata and its cache state.
pub fn cached<T>(answer: CacheAnswer<T>, caller: &Caller) -> (T, Meta, FromCache) {
    let CacheAnswer { value, index, hit, age, filtered, .. } = answer;
    let meta = Meta {
        index,
        known_leader: age.is_zero(),
        last_contact: age,
        filtered: filtered && !caller.is_anonymous(),
        consistency: None,
    };
    (value, meta, FromCache { hit, age })
}

/// The cache state of an answer.
#[derive(Clone, Copy, Debug)]
pub struct FromCache {
    /// Whether the cache had the answer when the request came.
    pub hit: bool,
    /// Time since the agent lost contact with the servers; zero while it has contact.
    pub age: std::time::Duration,
}
