//! Drives the rotation machine on the leader: does what it asks for and tells it what came of it.
//!
//! One step after the other; the machine alone decides the order, and what counts of it stands in the
//! log. Dropped in the middle of a step when leadership ends: the next leader's machine goes on from
//! what the log holds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use concord_ca::Certificate;
use concord_ca::limits::{CLOCK_STEP_MIN, DISTRIBUTION_WAIT_FORCED};
use concord_ca::provider::{BuiltinProvider, CaSettings, ParsedSettings, Provider, ProviderError};
use concord_ca::rotation::{Change, Effect, Event, Failure, Machine, Persisted, Proposal, RequestId, Step};
use concord_model::ca::{BuiltinCaState, CaConfig, CaRoot, CaRoots};
use concord_model::proxy::Settings;
use concord_model::{Secret, Stamp, TrustDomain};
use concord_rpc::RpcError;
use concord_state::Reply;
use concord_state::command::{DeleteCaProviderState, SetCaConfig, SetCaRoots};
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

use super::{Ask, Force, InUse, issue, parse, provider_error};
use crate::limits::{CA_TIMER_MAX, CA_TIMER_MIN};
use crate::paths::Core;

/// Name of the built-in provider's roots.
const ROOT_NAME: &str = "Consul CA Primary Cert";

/// Runs until the scope ends: looks after the roots while this server leads.
pub(crate) async fn run(core: Arc<Core>) {
    let asked = core.ca.asked.lock().take();
    let Some(mut asked) = asked.filter(|_| core.config.ca.enabled) else { return };
    let mut leading = core.duties.watch();
    loop {
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            led = leading.wait_for(|leads| *leads) => if led.is_err() { return },
        }
        tokio::select! {
            biased;
            () = core.scope.cancelled() => {}
            _ = leading.wait_for(|leads| !*leads) => {}
            () = lead(&core, &mut asked) => {}
        }
        core.ca.close().await;
        while let Ok(ask) = asked.try_recv() {
            // The caller may have gone away.
            let _ = ask.answer.send(Err(RpcError::NoLeader));
        }
    }
}

/// One leadership.
async fn lead(core: &Core, asked: &mut mpsc::Receiver<Ask>) {
    let mut driver = match Driver::begin(core) {
        Ok(driver) => driver,
        Err(error) => {
            warn!(%error, "the certificate authority cannot start; everything else goes on");
            core.ca.report(Some(error.to_string()));
            while let Some(ask) = asked.recv().await {
                // The caller may have gone away.
                let _ = ask.answer.send(Err(core.ca.not_ready("it could not start")));
            }
            return;
        }
    };
    loop {
        driver.work().await;
        let pause = driver.pause();
        tokio::select! {
            biased;
            Some(ask) = asked.recv() => driver.ask(ask).await,
            () = core.ca.look.notified() => driver.tell(Event::Tick),
            () = core.world.clock.sleep(pause) => {
                driver.show_expiry();
                driver.tell(Event::Tick);
            }
        }
    }
}

struct Driver<'a> {
    core: &'a Core,
    machine: Machine,
    trust_domain: TrustDomain,
    /// The key that came with the agent's settings, for the very first root.
    initial_key: Option<Secret>,
    effects: VecDeque<Effect>,
    /// The provider configured last, with its root; not in use yet.
    candidate: Option<(String, BuiltinProvider)>,
    request: Option<Pending>,
    requests: u64,
    /// The uptime at which the machine wants to be woken.
    timer: Option<Duration>,
    /// Index of the last change written.
    written: u64,
}

/// The first settings with the life times that hold where none is written, so that who reads the configuration
/// reads how long certificates live.
fn with_lives(mut settings: Settings) -> Settings {
    let life = CaSettings::default().life;
    let lives =
        [("IntermediateCertTTL", life.intermediate), ("LeafCertTTL", life.leaf), ("RootCertTTL", life.root)];
    for (key, life) in lives {
        let same = |written: &String| written.replace('_', "").eq_ignore_ascii_case(key);
        if !settings.keys().any(same) {
            settings.insert(key.to_owned(), format!("{}h", life.as_secs() / 3600).into());
        }
    }
    settings
}

/// A request that is under way.
struct Pending {
    id: RequestId,
    key: Option<Secret>,
    answer: oneshot::Sender<Result<u64, RpcError>>,
    /// Why a step failed, in more words than the machine has.
    why: Option<RpcError>,
}

impl<'a> Driver<'a> {
    fn begin(core: &'a Core) -> Result<Self, RpcError> {
        let start = &core.config.ca;
        let cluster_id =
            core.cluster_id().ok_or_else(|| RpcError::Internal("the cluster has no id".to_owned()))?;
        // Settings of the agent count for the first root only; later wrong ones harm nobody.
        let parsed = match parse(&start.provider, &start.settings) {
            Err(error) if core.view().read().ca_roots().is_none() => return Err(error),
            parsed => parsed.ok(),
        };
        let life = parsed.as_ref().map_or_else(CaSettings::default, |parsed| parsed.settings.clone()).life;
        let (settings, initial_key) =
            parsed.map_or_else(Default::default, |parsed| (with_lives(parsed.stored), parsed.private_key));
        let initial = CaConfig {
            cluster_id,
            provider: start.provider.clone(),
            settings,
            state: BTreeMap::new(),
            force_without_cross_signing: false,
            stamp: Stamp::default(),
        };
        let ahead = core.view().at().since(core.now());
        if ahead >= CLOCK_STEP_MIN {
            metrics::counter!("concord_ca_alarms_total", "alarm" => "clock_behind").increment(1);
            warn!(
                ?ahead,
                "the clock of this server is behind the last entry of the log: leaves and tokens are judged by it; compare \
                 it with the other machines"
            );
        }
        let trust_domain = TrustDomain::of_cluster(cluster_id);
        let mut effects = Vec::new();
        let machine = Machine::start(core.both(), trust_domain.clone(), initial, life.leaf, &mut effects);
        Ok(Self {
            core,
            machine,
            trust_domain,
            initial_key,
            effects: effects.into(),
            candidate: None,
            request: None,
            requests: 0,
            timer: None,
            written: 0,
        })
    }

    /// Does all there is to do.
    async fn work(&mut self) {
        while let Some(effect) = self.effects.pop_front() {
            if let Some(event) = self.perform(effect).await {
                self.tell(event);
            }
        }
    }

    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.machine.on(self.core.both(), event, &mut out);
        self.effects.extend(out);
    }

    /// How long the active root still lives, for dashboards: below zero once it is over.
    fn show_expiry(&self) {
        if let Some(active) = self.core.view().read().ca_roots().as_ref().and_then(|roots| roots.active()) {
            let left = active.not_after.secs().saturating_sub(self.core.now().secs());
            metrics::gauge!("concord_ca_active_root_expiry_seconds").set(left as f64);
        }
    }

    /// Until the machine's timer; never long, because somebody may set the wall clock.
    fn pause(&self) -> Duration {
        let uptime = self.core.both().uptime;
        let until = self.timer.map_or(CA_TIMER_MAX, |at| at.saturating_sub(uptime));
        until.clamp(CA_TIMER_MIN, CA_TIMER_MAX)
    }

    async fn ask(&mut self, ask: Ask) {
        let Ask { provider, parsed, force, answer } = ask;
        let rotates = match self.judge(&parsed, &force).await {
            Ok(rotates) => rotates,
            Err(error) => {
                // The caller may have gone away.
                let _ = answer.send(Err(error));
                return;
            }
        };
        let ParsedSettings { settings, stored, private_key } = parsed;
        if self.request.is_some() || !self.machine.accepts(rotates && force.without_cross_signing) {
            let _ = answer.send(Err(RpcError::Busy(Failure::Busy.to_string())));
            return;
        }
        self.requests += 1;
        let id = RequestId(self.requests);
        self.request = Some(Pending { id, key: private_key, answer, why: None });
        let change = Change {
            provider,
            settings: stored,
            force_without_cross_signing: force.without_cross_signing,
            leaf_life: settings.life.leaf,
            rotates,
            force_without_oldest_root: force.without_oldest_root,
            idle: self.core.ca.idle(self.core.view().read().ca_roots().as_deref(), self.core.now()),
        };
        self.tell(Event::Configure(id, change));
    }

    /// Whether settings ask for another root; refuses a root that cannot be one before anything is done.
    async fn judge(&self, parsed: &ParsedSettings, force: &Force) -> Result<bool, RpcError> {
        let in_use = self.core.ca.provider.lock().await;
        let key = parsed.private_key.as_ref();
        let rotates = match in_use.as_ref() {
            Some(own) => {
                own.provider.needs_rotation(&parsed.settings, key, self.core.now()).map_err(|error| {
                    match error {
                        ProviderError::Certificate(_) | ProviderError::Key(_) => {
                            RpcError::Invalid(format!("RootCert or PrivateKey: {error}"))
                        }
                        other => provider_error(&other),
                    }
                })?
            }
            // The key of the active root cannot be opened: whatever is asked for, another root has to come.
            None if force.without_cross_signing => true,
            None => return Err(self.core.ca.not_ready("no provider signs")),
        };
        if rotates {
            let candidate = self.configure(parsed.settings.clone(), key.cloned())?;
            candidate.assess(self.core.now()).map_err(|error| provider_error(&error))?;
            let published = self.core.view().read().ca_roots();
            for root in published.iter().flat_map(|all| &all.roots) {
                let root = Certificate::parse_pem(&root.root_cert)
                    .map_err(|error| RpcError::Internal(error.to_string()))?;
                candidate.stands_apart_from(&root).map_err(|error| provider_error(&error))?;
            }
        }
        Ok(rotates)
    }

    fn configure(&self, settings: CaSettings, key: Option<Secret>) -> Result<BuiltinProvider, RpcError> {
        let keys = Arc::clone(&self.core.config.keys);
        BuiltinProvider::configure(settings, self.trust_domain.clone(), key, keys)
            .map_err(|error| RpcError::Invalid(error.to_string()))
    }

    async fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Load(step) => Some(Event::Loaded(step, self.persisted())),
            Effect::GenerateRoot(step, change) => Some(match self.generate(&change).await {
                Ok((root, record)) => Event::Generated(step, Box::new(root), Some(record)),
                Err(error) => self.failed(step, Failure::Provider, error),
            }),
            Effect::CrossSign(step, root) => Some(match self.cross_sign(&root).await {
                Ok(Some(signed)) => Event::CrossSigned(step, signed),
                Ok(None) => Event::Failed(step, Failure::NoCrossSigning),
                Err(error) => self.failed(step, Failure::Provider, error),
            }),
            Effect::Propose(step, proposal) => Some(self.propose(step, *proposal).await),
            Effect::UseProvider(step, root, config) => Some(match self.use_provider(&root, &config).await {
                Ok(()) => {
                    self.core.ca.report(None);
                    Event::ProviderReady(step)
                }
                Err(error) => {
                    warn!(%error, "the certificate authority cannot sign; everything else goes on");
                    let text = match error {
                        RpcError::CaNotReady(text) => text,
                        other => other.to_string(),
                    };
                    self.core.ca.report(Some(text));
                    Event::Failed(step, Failure::Provider)
                }
            }),
            Effect::DropProvider => {
                self.candidate = None;
                None
            }
            Effect::ForgetRecord(id) => {
                if let Err(error) = self.core.write(DeleteCaProviderState { id: id.clone() }).await {
                    warn!(root = %id, %error, "the key of a root that is gone was not removed yet");
                }
                None
            }
            Effect::AwaitConfirmation(root_id) => self.confirmation(root_id),
            Effect::Answer(id, outcome) => {
                self.answer(id, outcome);
                None
            }
            Effect::ArmTimer(at) => {
                self.timer = Some(at);
                None
            }
            Effect::Alarm(alarm) => {
                metrics::counter!("concord_ca_alarms_total", "alarm" => alarm.name()).increment(1);
                warn!("{alarm}");
                None
            }
        }
    }

    fn persisted(&self) -> Persisted {
        let mut reader = self.core.view().read();
        Persisted {
            roots: reader.ca_roots().map(Arc::unwrap_or_clone),
            config: reader.ca_config().map(Arc::unwrap_or_clone),
            records: reader.ca_provider_states().iter().map(|record| record.id.clone()).collect(),
        }
    }

    fn failed(&mut self, step: Step, failure: Failure, why: RpcError) -> Event {
        warn!(error = %why, "a step of the certificate authority failed");
        match &mut self.request {
            Some(request) => request.why = Some(why),
            None => self.core.ca.report(Some(why.to_string())),
        }
        Event::Failed(step, failure)
    }

    fn answer(&mut self, id: RequestId, outcome: Result<(), Failure>) {
        let Some(request) = self.request.take_if(|request| request.id == id) else { return };
        let outcome = match (outcome, request.why) {
            (Ok(()), _) => Ok(self.written),
            (Err(_), Some(why)) => Err(why),
            (Err(failure @ Failure::Busy), None) => Err(RpcError::Busy(failure.to_string())),
            (Err(failure @ (Failure::NoCrossSigning | Failure::RootsInUse { .. })), None) => {
                Err(RpcError::Invalid(failure.to_string()))
            }
            (Err(failure @ Failure::Conflict), None) => Err(RpcError::Conflict(failure.to_string())),
            (Err(failure @ Failure::Provider), None) => Err(RpcError::CaNotReady(failure.to_string())),
            (Err(Failure::Unknown), None) => Err(RpcError::OutcomeUnknown),
        };
        // The caller may have gone away.
        let _ = request.answer.send(outcome);
    }

    async fn generate(&mut self, change: &Change) -> Result<(CaRoot, BuiltinCaState), RpcError> {
        let key = match &self.request {
            Some(request) => request.key.clone(),
            // Of a later root that nobody asked for, the key is a new one.
            None if self.core.view().read().ca_roots().is_some() => None,
            None => self.initial_key.clone(),
        };
        let settings = parse(&change.provider, &change.settings)?.settings;
        let mut provider = self.configure(settings, key)?;
        let issue = issue(self.core).await?;
        let chain = provider.generate_ca_chain(issue).map_err(|error| provider_error(&error))?;
        let mut fill = |buffer: &mut [u8]| self.core.world.entropy.fill(buffer);
        let record =
            provider.record(&self.core.config.keks, &mut fill).map_err(|error| provider_error(&error))?;
        let root = chain.record(ROOT_NAME, &self.trust_domain, provider.key_kind());
        let published = self.core.view().read().ca_roots();
        if published.is_none_or(|roots| roots.roots.iter().all(|own| own.id != root.id)) {
            self.core.ca.made(&root.id);
        }
        self.candidate = Some((root.id.clone(), provider));
        Ok((root, record))
    }

    /// The root under the signature of the one in use; `None` if that one cannot give it.
    async fn cross_sign(&self, root: &str) -> Result<Option<String>, RpcError> {
        let root = Certificate::parse_pem(root).map_err(|error| RpcError::Internal(error.to_string()))?;
        let issue = issue(self.core).await?;
        let mut in_use = self.core.ca.provider.lock().await;
        let Some(own) = in_use.as_mut() else { return Ok(None) };
        if !own.provider.supports_cross_signing() {
            return Ok(None);
        }
        let old = own.provider.active_leaf_signing_cert().map_err(|error| provider_error(&error))?;
        match own.provider.cross_sign_ca(&root, issue) {
            Ok(signed) => {
                let Some((_, candidate)) = &self.candidate else { return Ok(Some(signed.pem())) };
                Ok(match candidate.is_followed_from(&old, &signed, self.core.now()) {
                    Ok(()) => Some(signed.pem()),
                    Err(error) => {
                        warn!(%error, "the active root's signature over the new one leads nowhere");
                        None
                    }
                })
            }
            Err(ProviderError::NoCrossSigning | ProviderError::Expired) => Ok(None),
            Err(error) => Err(provider_error(&error)),
        }
    }

    async fn propose(&mut self, step: Step, proposal: Proposal) -> Event {
        let Proposal { roots, roots_cas, config, config_cas, record } = proposal;
        let active = roots.active_root_id.clone();
        let command = SetCaRoots {
            roots,
            cas: roots_cas,
            config: Some(SetCaConfig { config, cas: Some(config_cas) }),
            provider_state: record,
        };
        match self.core.write(command).await {
            Ok((Reply::Done { .. }, index)) => {
                self.written = index;
                info!(active, index, "roots and configuration of the certificate authority written");
                Event::Applied(step, self.persisted())
            }
            Ok(_) => Event::Failed(step, Failure::Conflict),
            Err(error @ (RpcError::Invalid(_) | RpcError::Conflict(_))) => {
                self.failed(step, Failure::Conflict, error)
            }
            Err(error) => {
                warn!(%error, "a change of the certificate authority may not have been written");
                Event::Failed(step, Failure::Unknown)
            }
        }
    }

    async fn use_provider(&mut self, root: &str, config: &CaConfig) -> Result<(), RpcError> {
        let settings = parse(&config.provider, &config.settings)?.settings;
        let host = &self.core.ca;
        host.limiter.lock().configure(settings.limits);
        let mut in_use = host.provider.lock().await;
        let own = in_use.take().filter(|own| own.root == root).map(|own| own.provider);
        let candidate = self.candidate.take_if(|(id, _)| id == root).map(|(_, provider)| provider);
        let mut provider = match candidate.or(own) {
            Some(provider) => provider,
            None => self.open(root, settings.clone())?,
        };
        provider.reconfigure(settings);
        if let Err(error) = provider.assess(self.core.now()) {
            warn!(root, %error, "the active root is not one that all verifiers accept; rotate to another");
        }
        *in_use = Some(InUse { root: root.to_owned(), provider });
        Ok(())
    }

    /// The provider of a root, from what the log keeps of it.
    fn open(&self, root: &str, settings: CaSettings) -> Result<BuiltinProvider, RpcError> {
        let record = self.core.view().read().ca_provider_state(root);
        let record = record
            .ok_or_else(|| RpcError::CaNotReady("the active root's key is not in the state".to_owned()))?;
        let keys = Arc::clone(&self.core.config.keys);
        BuiltinProvider::open(settings, self.trust_domain.clone(), &record, &self.core.config.keks, keys)
            .map_err(|error| RpcError::CaNotReady(error.to_string()))
    }

    /// A root that carries the active one's signature is followed by whoever trusts that one: nobody has
    /// to confirm it. Without that signature all that is left is time; the operator need not wait for it.
    fn confirmation(&mut self, root_id: String) -> Option<Event> {
        let roots = self.core.view().read().ca_roots()?;
        if is_cross_signed(&roots, &root_id) {
            return Some(Event::Confirmed { root_id });
        }
        info!(
            root = %root_id,
            wait = ?DISTRIBUTION_WAIT_FORCED,
            "a root without cross-signature is published; it becomes active after the wait, whoever has heard of it"
        );
        if let Some(request) = &self.request {
            self.answer(request.id, Ok(()));
        }
        None
    }
}

/// Whether a published root comes with the active one's signature over its key.
fn is_cross_signed(roots: &CaRoots, root_id: &str) -> bool {
    let Some(root) = roots.roots.iter().find(|root| root.id == root_id) else { return false };
    let own = |text: &str| Certificate::parse_pem(text).ok();
    let (Some(active), Some(new)) =
        (roots.active().and_then(|root| own(&root.root_cert)), own(&root.root_cert))
    else {
        return false;
    };
    root.intermediate_certs.iter().filter_map(|text| own(text)).any(|certificate| {
        certificate.public_key() == new.public_key() && certificate.is_signed_by(active.public_key())
    })
}
