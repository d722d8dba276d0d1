//! Gives the proxies registered here the settings that configuration entries have for them.
//!
//! ```text
//! registrations ─► Merger::run ─► a watch per question and token ─► what the entries say ─► Local::settle
//! ```
//!
//! Proxies with the same question and the same token share a watch. A watch asks with the token of the registration,
//! which needs the right to read the proxied service. Until there is an answer, the proxy is neither sent to the
//! catalog nor configured: what is not merged yet could be less strict than it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_mesh::defaults::Question;
use concord_model::{InstanceId, Secret};
use concord_rpc::request::ReadDefaults;
use concord_rpc::{Head, RpcError, ServerApi};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_util::sync::DropGuard;

use crate::limits::MERGES_QUEUED;
use crate::local::{Local, LocalState, Settled};
use crate::site::Site;
use crate::sync::service_token;
use crate::watch::Watch;

/// Watches the entries that apply to the proxies registered here.
pub(crate) struct Merger {
    site: Site,
    local: LocalState,
    servers: Arc<dyn ServerApi>,
    watches: BTreeMap<Key, Followed>,
    /// The watch of each proxy.
    followed: BTreeMap<InstanceId, Key>,
    tell: mpsc::Sender<(Key, Settled)>,
    news: mpsc::Receiver<(Key, Settled)>,
}

/// A question, and the digest of the token that asks it.
type Key = (Question, Option<[u8; 32]>);

/// A watch, the proxies that use it, and its last answer.
struct Followed {
    proxies: BTreeSet<InstanceId>,
    last: Option<Settled>,
    _end: DropGuard,
}

/// What a proxy asks and with which token.
type Asked = (Question, Option<Secret>);

impl Merger {
    pub(crate) fn new(site: Site, local: LocalState, servers: Arc<dyn ServerApi>) -> Self {
        let (tell, news) = mpsc::channel(MERGES_QUEUED);
        Self { site, local, servers, watches: BTreeMap::new(), followed: BTreeMap::new(), tell, news }
    }

    /// Merges until the agent ends.
    pub(crate) async fn run(mut self) {
        let mut changes = self.local.changes();
        let mut settings = self.site.clone();
        loop {
            changes.mark_unchanged();
            self.follow_registrations();
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => return,
                _ = changes.changed() => {}
                // Another token may be used now.
                () = settings.changed() => self.local.edit(Local::ask_again),
                Some((key, settled)) = self.news.recv() => self.deliver(&key, &settled),
            }
        }
    }

    /// Starts and ends watches for the registrations that have changed.
    fn follow_registrations(&mut self) {
        let config = self.site.now();
        let asked = self.local.edit(|local| {
            let ids = local.take_unmerged();
            let asked = |id: InstanceId| {
                let asked = local
                    .services
                    .get(&id)
                    .and_then(|record| Some((record.question()?, service_token(&config, record))));
                (id, asked)
            };
            ids.into_iter().map(asked).collect::<Vec<_>>()
        });
        asked.into_iter().for_each(|(id, asked)| self.follow(id, asked));
    }

    fn follow(&mut self, id: InstanceId, asked: Option<Asked>) {
        let key = asked.as_ref().map(|(question, token)| (question.clone(), digest(token.as_ref())));
        if let Some(before) = self.followed.get(&id).filter(|before| Some(*before) != key.as_ref()).cloned() {
            self.leave(&id, &before);
        }
        let (Some((question, token)), Some(key)) = (asked, key) else { return };
        if !self.watches.contains_key(&key) {
            let followed = self.start(&key, question, token);
            self.watches.insert(key.clone(), followed);
        }
        let watch = self.watches.get_mut(&key).expect("started above");
        watch.proxies.insert(id.clone());
        if let Some(last) = watch.last.clone() {
            self.local.edit(|local| local.settle(&id, &last));
        }
        self.followed.insert(id, key);
    }

    fn leave(&mut self, id: &InstanceId, key: &Key) {
        self.followed.remove(id);
        let Some(watch) = self.watches.get_mut(key) else { return };
        watch.proxies.remove(id);
        if watch.proxies.is_empty() {
            self.watches.remove(key);
        }
    }

    fn start(&self, key: &Key, question: Question, token: Option<Secret>) -> Followed {
        let head = Head::with_token(token);
        let watch = Watch::new(&self.servers, &self.site.world, head, ReadDefaults { question });
        let task = self
            .site
            .scope
            .spawn("watch entries for a proxy", watch_entries(watch, key.clone(), self.tell.clone()));
        Followed { proxies: BTreeSet::new(), last: None, _end: task.abort_on_drop() }
    }

    fn deliver(&mut self, key: &Key, settled: &Settled) {
        let Some(watch) = self.watches.get_mut(key) else { return };
        watch.last = Some(settled.clone());
        self.local.edit(|local| watch.proxies.iter().for_each(|id| local.settle(id, settled)));
    }
}

/// Passes on each new answer. While the servers do not answer, what was merged last stays.
async fn watch_entries(mut watch: Watch<ReadDefaults>, key: Key, tell: mpsc::Sender<(Key, Settled)>) {
    let mut refused = false;
    loop {
        let settled = match watch.next().await {
            Ok(told) => {
                if !told.is_news && !refused {
                    continue;
                }
                refused = false;
                Settled::By(Arc::new(told.answer.value), told.answer.index)
            }
            Err(error) if error.is_retryable() => {
                tracing::debug!(service = %key.0.service, %error, "the entries for a proxy are unknown, will retry");
                continue;
            }
            Err(_) if refused => continue,
            Err(error) => {
                refused = true;
                warn_refused(&key, &error);
                Settled::Alone
            }
        };
        if tell.send((key.clone(), settled)).await.is_err() {
            return;
        }
    }
}

fn warn_refused(key: &Key, error: &RpcError) {
    tracing::warn!(
        service = %key.0.service,
        %error,
        "configuration entries do not apply to the proxies of this service here: the token of their registration may \
         not read them; give it service:read"
    );
}

fn digest(token: Option<&Secret>) -> Option<[u8; 32]> {
    token.map(|token| Sha256::digest(token.expose()).into())
}
