//! Drives the rotation machine on the leader: performs its effects and reports the results to it.
//!
//! It performs one step at a time. The machine alone decides the order, and the log holds every result that counts.
//! When leadership ends, the driver is dropped, even in the middle of a step or of a provider call that hangs. The
//! next leader's machine continues from the log. While a step runs, the driver also serves the queue of changes, so
//! that a slow provider makes nobody wait long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use concord_ca::Certificate;
use concord_ca::limits::{CLOCK_STEP_MIN, DISTRIBUTION_WAIT_FORCED};
use concord_ca::provider::settings::with_lives;
use concord_ca::provider::{Means, ParsedSettings, Provider};
use concord_ca::rotation::{Change, Effect, Event, Failure, Machine, Persisted, Proposal, RequestId, Step};
use concord_model::ca::{CaConfig, CaRoots, CertificateLife};
use concord_model::{Secret, Stamp, TrustDomain};
use concord_rpc::RpcError;
use concord_state::CommandReply;
use concord_state::command::{DeleteCaProviderState, SetCaConfig, SetCaRoots};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::host::Ask;
use super::parse;
use super::queue::Queue;
use crate::limits::{CA_TIMER_MAX, CA_TIMER_MIN};
use crate::parts::Core;

mod provider;

/// Runs until the scope ends: manages the roots while this server leads.
pub(crate) async fn run(core: Arc<Core>) {
    let queue = core.ca.queue();
    let Some(mut queue) = queue.filter(|_| core.config.ca.enabled) else { return };
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
            () = lead(&core, &mut queue) => {}
        }
        core.ca.close();
        queue.refuse(&RpcError::NoLeader);
    }
}

/// One term of leadership.
async fn lead(core: &Core, queue: &mut Queue) {
    let mut driver = match Driver::begin(core) {
        Ok(driver) => driver,
        Err(error) => {
            warn!(%error, "the certificate authority cannot start; everything else goes on");
            core.ca.report(error.to_string());
            loop {
                queue.next().await.refuse(core.ca.not_ready("it could not start"));
            }
        }
    };
    loop {
        tokio::select! {
            biased;
            () = driver.work() => {}
            never = queue.keep(&*core.world.clock) => match never {},
        }
        driver.show_expiry();
        let pause = driver.pause();
        tokio::select! {
            biased;
            ask = queue.next() => driver.asked = Some(ask),
            () = core.ca.look.notified() => driver.tell(Event::Tick),
            () = core.world.clock.sleep(pause) => driver.tell(Event::Tick),
        }
    }
}

struct Driver<'a> {
    core: &'a Core,
    machine: Machine,
    means: Means,
    /// The secrets from the agent's settings, for the very first root only.
    initial_secrets: BTreeMap<&'static str, Secret>,
    effects: VecDeque<Effect>,
    /// The provider that was configured last, with its root. It is not in use yet.
    candidate: Option<(String, Arc<dyn Provider>)>,
    /// The next change to begin.
    asked: Option<Ask>,
    request: Option<Pending>,
    requests: u64,
    /// The uptime at which the machine wants to be woken.
    timer: Option<Duration>,
    /// Index of the last change written.
    written: u64,
}

/// A request in progress.
struct Pending {
    id: RequestId,
    secrets: BTreeMap<&'static str, Secret>,
    answer: oneshot::Sender<Result<u64, RpcError>>,
    /// Why a step failed, in more detail than the machine keeps.
    why: Option<RpcError>,
}

impl<'a> Driver<'a> {
    fn begin(core: &'a Core) -> Result<Self, RpcError> {
        let start = &core.config.ca;
        let cluster_id =
            core.log.cluster_id().ok_or_else(|| RpcError::Internal("the cluster has no id".to_owned()))?;
        // The agent's settings apply to the first root only. If they are wrong later, nothing is affected.
        let parsed = match parse(&start.kinds, &start.provider, &start.settings) {
            Err(error) if core.log.view().read().ca_roots().is_none() => return Err(error),
            parsed => parsed.ok(),
        };
        let life = parsed.as_ref().map_or_else(CertificateLife::default, |parsed| parsed.common.life);
        let (settings, initial_secrets) =
            parsed.map_or_else(Default::default, |parsed| (with_lives(parsed.stored), parsed.secrets));
        let initial = CaConfig {
            cluster_id,
            provider: start.provider.clone(),
            settings,
            state: BTreeMap::new(),
            force_without_cross_signing: false,
            stamp: Stamp::default(),
        };
        let ahead = core.log.view().at().since(core.log.now());
        if ahead >= CLOCK_STEP_MIN {
            metrics::counter!("concord_ca_alarms_total", "alarm" => "clock_behind").increment(1);
            warn!(
                ?ahead,
                "the clock of this server is behind the last entry of the log: leaves and tokens are judged by it; compare \
                 it with the other machines"
            );
        }
        let trust_domain = TrustDomain::of_cluster(cluster_id);
        let means = Means {
            trust_domain: trust_domain.clone(),
            keys: Arc::clone(&core.config.keys),
            workers: Arc::clone(&core.config.workers),
        };
        let mut effects = Vec::new();
        let machine = Machine::start(core.log.both(), trust_domain, initial, life.leaf, &mut effects);
        Ok(Self {
            core,
            machine,
            means,
            initial_secrets,
            effects: effects.into(),
            candidate: None,
            asked: None,
            request: None,
            requests: 0,
            timer: None,
            written: 0,
        })
    }

    /// Performs all waiting effects.
    async fn work(&mut self) {
        if let Some(ask) = self.asked.take() {
            self.ask(ask).await;
        }
        while let Some(effect) = self.effects.pop_front() {
            if let Some(event) = self.perform(effect).await {
                self.tell(event);
            }
        }
    }

    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.machine.on(self.core.log.both(), event, &mut out);
        self.effects.extend(out);
    }

    /// Publishes the remaining life of the active root as a metric. Negative once the root has expired.
    fn show_expiry(&self) {
        if let Some(active) = self.core.log.view().read().ca_roots().as_ref().and_then(|roots| roots.active())
        {
            let left = active.not_after.secs().saturating_sub(self.core.log.now().secs());
            metrics::gauge!("concord_ca_active_root_expiry_seconds").set(left as f64);
        }
    }

    /// Time until the machine's timer. It is never long, because somebody may set the wall clock.
    fn pause(&self) -> Duration {
        let uptime = self.core.log.both().uptime;
        let until = self.timer.map_or(CA_TIMER_MAX, |at| at.saturating_sub(uptime));
        until.clamp(CA_TIMER_MIN, CA_TIMER_MAX)
    }

    async fn ask(&mut self, ask: Ask) {
        let rotates = match self.judge(&ask).await {
            Ok(rotates) => rotates,
            Err(error) => return ask.refuse(error),
        };
        if self.request.is_some() || !self.machine.accepts(rotates && ask.force.without_cross_signing) {
            return ask.refuse(RpcError::Busy(Failure::Busy.to_string()));
        }
        let Ask { provider, parsed, force, answer } = ask;
        let ParsedSettings { common, stored, secrets, supplied: _ } = parsed;
        self.requests += 1;
        let id = RequestId(self.requests);
        self.request = Some(Pending { id, secrets, answer, why: None });
        let change = Change {
            provider,
            settings: stored,
            force_without_cross_signing: force.without_cross_signing,
            leaf_life: common.life.leaf,
            rotates,
            force_without_oldest_root: force.without_oldest_root,
            idle: self.core.ca.idle(self.core.log.view().read().ca_roots().as_deref(), self.core.log.now()),
        };
        self.tell(Event::Configure(id, change));
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
                Ok(()) => Event::ProviderReady(step),
                Err(error) => {
                    warn!(%error, "the certificate authority cannot sign; everything else goes on");
                    let text = match error {
                        RpcError::CaNotReady(text) => text,
                        other => other.to_string(),
                    };
                    self.core.ca.report(text);
                    Event::Failed(step, Failure::Provider)
                }
            }),
            Effect::DropProvider => {
                if let Some((root, candidate)) = self.candidate.take() {
                    self.let_go(&root, &*candidate).await;
                }
                None
            }
            Effect::ForgetRecord(id) => {
                if let Err(error) = self.core.log.write(DeleteCaProviderState { id: id.clone() }).await {
                    warn!(root = %id, %error, "the key of a removed root could not be deleted yet");
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
        let mut reader = self.core.log.view().read();
        let records = reader.ca_provider_states().iter().map(|record| record.id.clone()).collect();
        let roots = reader.ca_roots().map(Arc::unwrap_or_clone);
        let config = reader.ca_config().map(Arc::unwrap_or_clone);
        Persisted::read(roots, config, records, &self.core.config.ca.kinds)
    }

    fn failed(&mut self, step: Step, failure: Failure, why: RpcError) -> Event {
        warn!(error = %why, "a step of the certificate authority failed");
        match &mut self.request {
            Some(request) => request.why = Some(why),
            None => self.core.ca.report(why.to_string()),
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

    async fn propose(&mut self, step: Step, proposal: Proposal) -> Event {
        let Proposal { roots, roots_cas, config, config_cas, record } = proposal;
        let active = roots.active_root_id.clone();
        let command = SetCaRoots {
            roots,
            cas: roots_cas,
            config: Some(SetCaConfig { config, cas: Some(config_cas) }),
            provider_state: record,
        };
        match self.core.log.write(command).await {
            Ok((CommandReply::Done { .. }, index)) => {
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

    /// If a new root carries the active root's signature, everybody who trusts the active root also trusts the new
    /// one, so nobody has to confirm it. Without that signature the machine can only wait; the operator's request
    /// does not wait for it.
    fn confirmation(&mut self, root_id: String) -> Option<Event> {
        let roots = self.core.log.view().read().ca_roots()?;
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

/// Whether a published root is cross-signed by the active one.
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
