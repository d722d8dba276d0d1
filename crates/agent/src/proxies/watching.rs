//! The watches of attached proxies: each follows one question and tells the machines the answers. Proxies that ask the
//! same with the same token share a watch.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;

use concord_api::health::ServiceEntry;
use concord_api::select::{self, SERVICE_ENTRY};
use concord_filter::Expression;
use concord_mesh::chain::CompiledChain;
use concord_model::entry::Entry;
use concord_model::{Datacenter, Secret};
use concord_proxycfg::{Chain, ChainQuestion, ChainStep, Endpoint, Event, Target, WatchKey};
use concord_rpc::request::{
    InstanceHealth, InstanceSelection, ReadCaRoots, ReadChain, ReadEntry, ServiceHealth,
};
use concord_rpc::{Caller, Head, RpcError};
use concord_runtime::Backoff;

use crate::answer::CacheAnswer;
use crate::cache::{Cached, IntentionSet, IntentionsTo};
use crate::proxies::Proxies;
use crate::proxies::basis::News;
use crate::proxies::watched::Tell;

/// One watch.
pub(super) struct Watching {
    pub(super) proxies: Proxies,
    pub(super) token: Option<Secret>,
    pub(super) what: Arc<WatchKey>,
    pub(super) tell: Tell,
}

/// The next request of a watch, and the pause after errors.
#[derive(Default)]
struct Pace {
    head: Head,
    /// Whether there was an answer, and no denial since. Who begins to follow then hears the answer, and not that the
    /// servers are out of reach.
    is_known: bool,
    backoff: Backoff,
}

impl Watching {
    /// Runs until nobody follows it, or until the watch is refused.
    pub(super) async fn run(self) {
        if let Some(error) = self.watch().await {
            self.tell.end(Err(error));
        }
    }

    /// Watches until nobody follows it, or until it is refused. Returns the reason of a refusal.
    async fn watch(&self) -> Option<RpcError> {
        match &*self.what {
            WatchKey::Roots => self.follow(Question::of(ReadCaRoots {}), Event::RootsChanged, unheard).await,
            WatchKey::Intentions(destination) => {
                let event = |set: Arc<IntentionSet>| Event::IntentionsChanged {
                    destination: Arc::clone(destination),
                    entries: set.entries.clone(),
                    default: self.proxies.site.config.intention_default(),
                };
                self.follow(Question::of(IntentionsTo(destination.as_ref().clone())), event, unheard).await
            }
            WatchKey::Endpoints(target) => {
                let select = InstanceSelection::connect(target.service.clone());
                let here = &self.proxies.site.config.datacenter;
                let selected = Selected::by(&target.subset.filter);
                let event = |instances: Arc<Vec<InstanceHealth>>| {
                    let endpoints = selected.endpoints(&instances, here);
                    Event::EndpointsChanged(Arc::new(Target::new(target.clone(), endpoints)))
                };
                // What is only out of reach for a moment is waited for; another datacenter may be away for long.
                let is_far = target.datacenter != *here;
                let failed = |error: &RpcError| {
                    (is_far || !error.is_retryable()).then(|| Event::EndpointsFailed(target.clone()))
                };
                let question = Question::at(target.datacenter.clone(), ServiceHealth { select, worst: None });
                self.follow(question, event, failed).await
            }
            WatchKey::Chain(question) => {
                let event = |chain: Arc<Arc<CompiledChain>>| Event::ChainChanged {
                    question: Arc::clone(question),
                    chain: Arc::new(Chain::new(
                        question.chain.clone(),
                        ChainStep::Compiled(Arc::clone(&chain)),
                    )),
                };
                let failed = |error: &RpcError| {
                    let (question, reason) = (Arc::clone(question), error.to_string());
                    (!error.is_retryable()).then_some(Event::ChainFailed { question, reason })
                };
                let ChainQuestion { chain: _, service, datacenter, overrides } = question.as_ref().clone();
                let read = ReadChain { service, datacenter: Some(datacenter.clone()), overrides };
                self.follow(Question::at(datacenter, read), event, failed).await
            }
            WatchKey::Entry(name) => {
                let event = |entry: Arc<Option<Arc<Entry>>>| Event::EntryChanged {
                    name: Arc::clone(name),
                    entry: entry.as_ref().clone(),
                };
                self.follow(Question::of(ReadEntry { name: name.as_ref().clone() }), event, unheard).await
            }
            WatchKey::Leaf(service) => {
                let event = |leaf| Event::LeafChanged { service: Arc::clone(service), leaf };
                let mut pace = Pace::default();
                loop {
                    let answer = match self.caller().await {
                        Ok(caller) => self.proxies.connect.leaf(&caller, &service.name, &pace.head).await,
                        Err(error) => Err(error),
                    };
                    if let Break(ended) = self.tell(&mut pace, answer, event, unheard).await {
                        return ended;
                    }
                }
            }
        }
    }

    /// The caller whose watch it is, with the rights that it has now.
    async fn caller(&self) -> Result<Caller, RpcError> {
        self.proxies.callers.resolve(self.token.as_ref()).await
    }

    /// Follows a question that the cache answers. `failed` says what the machine is told of an error; if it is told
    /// of it, a denial does not end the watch.
    async fn follow<C: Cached>(
        &self,
        Question { asked: question, datacenter }: Question<C>,
        event: impl Fn(Arc<C::Kept>) -> Event,
        failed: impl Fn(&RpcError) -> Option<Event>,
    ) -> Option<RpcError> {
        let mut pace = Pace { head: Head { datacenter, ..Head::default() }, ..Pace::default() };
        loop {
            let answer = match self.caller().await {
                Ok(caller) => self.proxies.answers.read(&caller, &question, &pace.head).await,
                Err(error) => Err(error),
            };
            if let Break(ended) = self.tell(&mut pace, answer, &event, &failed).await {
                return ended;
            }
        }
    }

    /// Passes an answer to the machines. After an error waits until it is time to ask again.
    async fn tell<T>(
        &self,
        pace: &mut Pace,
        answer: Result<CacheAnswer<Arc<T>>, RpcError>,
        event: impl Fn(Arc<T>) -> Event,
        failed: impl Fn(&RpcError) -> Option<Event>,
    ) -> ControlFlow<Option<RpcError>> {
        match answer {
            Ok(answer) => {
                pace.backoff.reset();
                pace.is_known = true;
                pace.head.min_index = answer.index;
                if self.tell.tell(Ok(News::of(answer.index, event(answer.value)))).is_err() {
                    return Break(None);
                }
            }
            Err(error) => {
                let told = failed(&error);
                if told.is_none() && error.is_denial() {
                    return Break(Some(error));
                }
                pace.is_known &= !error.is_denial();
                if let Some(event) = told.filter(|_| !pace.is_known)
                    && self.tell.tell(Ok(News::of(0, event))).is_err()
                {
                    return Break(None);
                }
                tracing::debug!(watch = ?self.what, %error, "a proxy's watch failed, will retry");
                let world = &self.proxies.site.world;
                world.clock.sleep(pace.backoff.next(&*world.entropy)).await;
            }
        }
        Continue(())
    }
}

/// The machine is not told of an error: what it knows stays.
fn unheard(_: &RpcError) -> Option<Event> {
    None
}

/// A question, and the datacenter whose servers answer it.
struct Question<C> {
    asked: C,
    datacenter: Option<Datacenter>,
}

impl<C> Question<C> {
    /// Answered by the agent's own datacenter.
    fn of(asked: C) -> Self {
        Self { asked, datacenter: None }
    }

    fn at(datacenter: Datacenter, asked: C) -> Self {
        Self { asked, datacenter: Some(datacenter) }
    }
}

/// Which instances of a service belong to a target.
enum Selected {
    All,
    Matching(Expression),
    /// The filter is wrong: then none do, as no request may go where it was not meant to go.
    None,
}

impl Selected {
    fn by(filter: &str) -> Self {
        match Expression::parse(filter) {
            _ if filter.is_empty() => Self::All,
            Ok(filter) => Self::Matching(filter),
            Err(_) => Self::None,
        }
    }

    fn endpoints(&self, instances: &[InstanceHealth], here: &Datacenter) -> Vec<Endpoint> {
        let of = |one: &InstanceHealth| Endpoint::of_catalog(&one.node, &one.service, &one.checks, here);
        let filter = match self {
            Self::All => return instances.iter().filter_map(of).collect(),
            Self::None => return Vec::new(),
            Self::Matching(filter) => filter,
        };
        let shown = |one: &InstanceHealth| ServiceEntry::from_model(&one.node, &one.service, &one.checks);
        let pairs = instances.iter().map(|one| (one, shown(one)));
        let kept = select::keep_values(Some(filter), &SERVICE_ENTRY, pairs).unwrap_or_default();
        kept.into_iter().filter_map(|(one, _)| of(one)).collect()
    }
}
