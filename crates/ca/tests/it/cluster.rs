//! A small simulated cluster without an executor: a log, a leader with the rotation machine and a provider of the
//! default kind, and peers. Each peer has a leaf manager and a bundle that may be outdated.
//!
//! After each change, each peer's presented leaf must verify with the current bundle of every other live peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use concord_ca::csr::{Csr, IdentityKind, SigningScope, check_csr_for};
use concord_ca::key::{KeyMaker, Signer};
use concord_ca::leaf::{self, Issued, Manager, SignFailure};
use concord_ca::provider::assess::make_root;
use concord_ca::provider::means::at_once;
use concord_ca::provider::record::{open_record, seal_record};
use concord_ca::provider::{Issue, Kinds, LeafRequest, Means, Provider, ProviderError, chain_pem};
use concord_ca::rotation::{
    Change, Effect, Event, Failure, Machine, Persisted, Proposal, RequestId, Step, may_sign,
};
use concord_ca::seal::Kek;
use concord_ca::testing::SeededKeys;
use concord_ca::verify::{TrustBundle, Usage, verify_service};
use concord_ca::x509::Certificate;
use concord_ca::x509::build::Serial;
use concord_model::ca::{CaConfig, CaRoot, CaRoots, ProviderRecord};
use concord_model::proxy::Settings;
use concord_model::{Datacenter, Namespace, Now, Partition, SpiffeId, Timestamp, TrustDomain, Uuid};
use rustls_pki_types::CertificateDer;

pub(crate) const START: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
/// The start of all uptimes.
const EPOCH: Timestamp = Timestamp::EPOCH;
const CLUSTER: Uuid = Uuid([7; 16]);

/// A small random generator (splitmix64), so that a seed determines the whole run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn of(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn within(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.next() % (most.as_millis() as u64).max(1))
    }
}

/// A fault at one effect of the leader.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The leader dies before it performs the effect.
    CrashBefore,
    /// The leader dies after it has performed the effect, before the machine gets the answer.
    CrashAfter,
    /// The effect is not performed and fails.
    FailBefore,
    /// The effect is performed, but its answer is lost.
    FailAfter,
}

#[derive(Default)]
struct Log {
    roots: Option<CaRoots>,
    config: Option<CaConfig>,
    records: BTreeMap<String, ProviderRecord>,
    index: u64,
    serial: u64,
}

impl Log {
    fn persisted(&self) -> Persisted {
        let records = self.records.keys().cloned().collect();
        Persisted::read(self.roots.clone(), self.config.clone(), records, &Kinds::default())
    }

    fn apply(&mut self, proposal: Proposal) -> bool {
        let Proposal { mut roots, roots_cas, mut config, config_cas, record } = proposal;
        let at = self.roots.as_ref().map_or(0, |roots| roots.index);
        let config_at = self.config.as_ref().map_or(0, |config| config.stamp.modify);
        if (at, config_at) != (roots_cas, config_cas) {
            return false;
        }
        assert_eq!(roots.roots.iter().filter(|root| root.active).count(), 1);
        self.index += 1;
        roots.index = self.index;
        config.stamp.modify = self.index;
        (self.roots, self.config) = (Some(roots), Some(config));
        self.records.extend(record.map(|record| (record.id.clone(), record)));
        true
    }

    fn issue(&mut self, now: Timestamp) -> Issue {
        self.serial += 1;
        Issue { now, serial: Serial::from_counter(self.serial).unwrap() }
    }
}

struct Leader {
    machine: Machine,
    queue: VecDeque<Effect>,
    timer: Option<Timestamp>,
    provider: Option<Arc<dyn Provider>>,
    prepared: Option<Arc<dyn Provider>>,
    awaiting: Option<String>,
}

pub(crate) struct Peer {
    identity: SpiffeId,
    manager: Manager,
    timer: Option<Timestamp>,
    fetch_at: Option<Timestamp>,
    key: Option<Arc<dyn Signer>>,
    signed: Option<Vec<CertificateDer<'static>>>,
    presented: Option<Vec<CertificateDer<'static>>>,
    bundle: TrustBundle,
    trusts: BTreeSet<String>,
}

pub(crate) struct Cluster {
    pub(crate) now: Timestamp,
    pub(crate) answers: Vec<(RequestId, Result<(), Failure>)>,
    pub(crate) checks: u64,
    /// The alarms that operators got.
    pub(crate) alarms: Vec<&'static str>,
    pub(crate) performed: usize,
    /// The difference in nanoseconds between the wall clocks and the simulated time.
    set_by: i64,
    /// The clocks were set, so the invariant is not checked any more.
    lenient: bool,
    seed: u64,
    random: Random,
    keys: Arc<SeededKeys>,
    kek: Kek,
    trust_domain: TrustDomain,
    log: Log,
    leader: Option<Leader>,
    elect_at: Option<Timestamp>,
    peers: Vec<Peer>,
    /// Longest time until a peer learns of new roots.
    lag: Duration,
    fault: Option<(usize, Fault)>,
    dirty: bool,
    can_cross_sign: bool,
}

impl Cluster {
    pub(crate) fn new(seed: u64, peers: usize, lag: Duration, fault: Option<(usize, Fault)>) -> Self {
        let trust_domain = TrustDomain::of_cluster(CLUSTER);
        let peer = |at: usize| Peer {
            identity: SpiffeId::parse(&format!("spiffe://{trust_domain}/ns/default/dc/dc1/svc/s{at}"))
                .unwrap(),
            manager: Manager::new(leaf::Config::default()),
            timer: None,
            fetch_at: None,
            key: None,
            signed: None,
            presented: None,
            bundle: TrustBundle::default(),
            trusts: BTreeSet::new(),
        };
        let peers = (0..peers).map(peer).collect();
        let mut own = Self {
            now: START,
            answers: Vec::new(),
            checks: 0,
            alarms: Vec::new(),
            performed: 0,
            set_by: 0,
            lenient: false,
            seed,
            random: Random(seed),
            keys: Arc::new(SeededKeys::new(seed)),
            kek: Kek::from_bytes(&[9; 32]).unwrap(),
            trust_domain,
            log: Log::default(),
            leader: None,
            elect_at: Some(START),
            peers,
            lag,
            fault,
            dirty: false,
            can_cross_sign: true,
        };
        own.run_for(Duration::from_secs(180));
        own
    }

    pub(crate) fn forbid_cross_signing(&mut self) {
        self.can_cross_sign = false;
    }

    /// Stops checking the invariant.
    pub(crate) fn forgive(&mut self) {
        self.lenient = true;
    }

    pub(crate) fn set_lag(&mut self, lag: Duration) {
        self.lag = lag;
    }

    pub(crate) fn config(&self) -> CaConfig {
        self.log.config.clone().expect("there is a configuration")
    }

    pub(crate) fn roots(&self) -> &CaRoots {
        self.log.roots.as_ref().expect("there are roots")
    }

    pub(crate) fn active(&self) -> CaRoot {
        self.roots().active().unwrap().clone()
    }

    pub(crate) fn records(&self) -> Vec<String> {
        self.log.records.keys().cloned().collect()
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.leader.as_ref().is_some_and(|leader| leader.machine.is_steady())
    }

    /// Whether every peer presents a leaf that the active root signed.
    pub(crate) fn all_present_the_active_root(&self) -> bool {
        let active = self.active();
        self.peers.iter().all(|peer| {
            peer.presented.is_some()
                && peer.manager.leaf().is_some_and(|leaf| leaf.authority_key_id == active.signing_key_id)
        })
    }

    pub(crate) fn longest_chain(&self) -> usize {
        self.peers.iter().filter_map(|peer| peer.presented.as_ref()).map(Vec::len).max().unwrap_or(0)
    }

    /// A rotation that may remove the oldest root.
    pub(crate) fn rotate_without_oldest(&mut self, request: u64) {
        self.ask(request, "{}", |change| Change { force_without_oldest_root: true, ..change });
    }

    /// A rotation in which no inactive root has signed a valid leaf.
    pub(crate) fn rotate_idle(&mut self, request: u64) {
        let idle = self.roots().roots.iter().map(|root| root.id.clone()).collect();
        self.ask(request, "{}", |change| Change { idle, ..change });
    }

    pub(crate) fn configure(&mut self, request: u64, settings: &str, force: bool, rotates: bool) {
        self.ask(request, settings, |change| Change {
            force_without_cross_signing: force,
            rotates,
            ..change
        });
    }

    fn ask(&mut self, request: u64, settings: &str, bend: impl FnOnce(Change) -> Change) {
        let settings: Settings = serde_json::from_str(settings).unwrap();
        let kinds = Kinds::default();
        let parsed = kinds.default_kind().parse(&settings).unwrap();
        let change = Change {
            provider: kinds.default_kind().name().to_owned(),
            settings: parsed.stored,
            force_without_cross_signing: false,
            leaf_life: parsed.common.life.leaf,
            rotates: true,
            force_without_oldest_root: false,
            idle: BTreeSet::new(),
        };
        self.machine_event(Event::Configure(RequestId(request), bend(change)));
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now.plus(time);
        loop {
            self.drain();
            let next = self.next_moment().filter(|next| *next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.moment();
        }
        self.now = end;
    }

    fn both(&self) -> Now {
        Now { wall: self.wall(), uptime: self.now.since(EPOCH) }
    }

    /// The time that all wall clocks show.
    pub(crate) fn wall(&self) -> Timestamp {
        Timestamp::from_nanos(self.now.nanos().saturating_add(self.set_by))
    }

    /// Sets all wall clocks to this time. Handshakes may fail briefly, so the invariant is not checked any more.
    pub(crate) fn set_clocks(&mut self, to: Timestamp) {
        self.set_by = to.nanos().saturating_sub(self.now.nanos());
        self.lenient = true;
        self.look();
    }

    /// Lets all hosts check the clock, as they do every few seconds.
    pub(crate) fn look(&mut self) {
        self.machine_event(Event::Tick);
        self.drain();
        for at in 0..self.peers.len() {
            self.peer_event(at, leaf::Event::Tick);
        }
        self.drain();
    }

    /// Whether each peer accepts the leaves of all others.
    pub(crate) fn all_accept_all(&self) -> bool {
        let now = self.wall();
        self.peers.iter().all(|peer| {
            peer.presented.as_ref().is_some_and(|chain| {
                self.peers
                    .iter()
                    .all(|judge| verify_service(chain, &judge.bundle, now, Usage::Server).is_ok())
            })
        })
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let leader = self.leader.as_ref().and_then(|leader| leader.timer);
        let peers = self.peers.iter().flat_map(|peer| [peer.timer, peer.fetch_at]).flatten();
        self.elect_at.into_iter().chain(leader).chain(peers).min()
    }

    fn moment(&mut self) {
        let now = self.now;
        let due = |at: &mut Option<Timestamp>| at.take_if(|at| *at <= now).is_some();
        if due(&mut self.elect_at) {
            self.elect();
        }
        if self.leader.as_mut().is_some_and(|leader| due(&mut leader.timer)) {
            self.machine_event(Event::Tick);
        }
        for at in 0..self.peers.len() {
            if due(&mut self.peers[at].fetch_at) {
                self.fetch(at);
            }
            if due(&mut self.peers[at].timer) {
                self.peer_event(at, leaf::Event::Tick);
            }
        }
    }

    // === The leader ===

    fn elect(&mut self) {
        let initial = CaConfig {
            cluster_id: CLUSTER,
            provider: Kinds::default().default_kind().name().to_owned(),
            settings: Settings::default(),
            state: BTreeMap::new(),
            force_without_cross_signing: false,
            stamp: concord_model::Stamp::default(),
        };
        let mut out = Vec::new();
        let machine = Machine::start(self.both(), self.trust_domain.clone(), initial, HOUR * 72, &mut out);
        let queue = out.into();
        self.leader =
            Some(Leader { machine, queue, timer: None, provider: None, prepared: None, awaiting: None });
    }

    fn machine_event(&mut self, event: Event) {
        let now = self.both();
        let Some(leader) = &mut self.leader else { return };
        let mut out = Vec::new();
        leader.machine.on(now, event, &mut out);
        leader.queue.extend(out);
    }

    /// Performs all effects of the leader, one after another.
    fn drain(&mut self) {
        loop {
            self.check();
            let Some(effect) = self.leader.as_mut().and_then(|leader| leader.queue.pop_front()) else {
                return;
            };
            if let Effect::ArmTimer(at) = effect {
                self.leader.as_mut().unwrap().timer = Some(EPOCH.plus(at));
                continue;
            }
            let fault = self.fault.filter(|(at, _)| *at == self.performed).map(|(_, fault)| fault);
            self.performed += 1;
            let step = step_of(&effect);
            match (fault, step) {
                (Some(Fault::CrashBefore), _) => self.crash(),
                (Some(Fault::FailBefore), Some(step)) => {
                    self.machine_event(Event::Failed(step, Failure::Conflict))
                }
                (Some(Fault::CrashAfter), _) => {
                    self.perform(effect);
                    self.crash();
                }
                (Some(Fault::FailAfter), Some(step)) => {
                    self.perform(effect);
                    self.machine_event(Event::Failed(step, Failure::Unknown));
                }
                _ => {
                    if let Some(event) = self.perform(effect) {
                        self.machine_event(event);
                    }
                }
            }
        }
    }

    fn crash(&mut self) {
        self.leader = None;
        let away = self.random.within(Duration::from_secs(60));
        self.elect_at = Some(self.now.plus(away));
    }

    fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Load(step) => Some(Event::Loaded(step, self.log.persisted())),
            Effect::GenerateRoot(step, change) => {
                let (root, record, provider) = self.generate(&change);
                self.leader.as_mut().unwrap().prepared = Some(provider);
                Some(Event::Generated(step, Box::new(root), Some(record)))
            }
            Effect::CrossSign(step, _) if !self.can_cross_sign => {
                Some(Event::Failed(step, Failure::NoCrossSigning))
            }
            Effect::CrossSign(step, pem) => {
                let wall = self.wall();
                let issue = self.log.issue(wall);
                let provider = self.leader.as_ref().unwrap().provider.as_ref().unwrap();
                let root = Certificate::parse_pem(&pem).unwrap();
                Some(match at_once(provider.cross_sign_ca(&root, issue)) {
                    Ok(crossed) => Event::CrossSigned(step, crossed.pem()),
                    Err(ProviderError::Expired) => Event::Failed(step, Failure::NoCrossSigning),
                    Err(error) => panic!("{error}"),
                })
            }
            Effect::Propose(step, proposal) => Some(match self.log.apply(*proposal) {
                true => {
                    self.roots_written();
                    Event::Applied(step, self.log.persisted())
                }
                false => Event::Failed(step, Failure::Conflict),
            }),
            Effect::UseProvider(step, root_id, config) => {
                let record = &self.log.records[&root_id];
                let kinds = Kinds::default();
                let kind = kinds.of_record(record).unwrap();
                let settings = kind.parse(&config.settings).unwrap();
                let kept = open_record(&**kind, record, std::slice::from_ref(&self.kek)).unwrap();
                let root = self.roots().roots.iter().find(|root| root.id == root_id).unwrap();
                let provider = at_once(kind.open(&self.means(), &settings, root, &kept)).unwrap();
                self.leader.as_mut().unwrap().provider = Some(provider);
                Some(Event::ProviderReady(step))
            }
            Effect::DropProvider => {
                self.leader.as_mut().unwrap().prepared = None;
                None
            }
            Effect::ForgetRecord(id) => {
                self.log.records.remove(&id);
                None
            }
            Effect::AwaitConfirmation(root_id) => {
                self.leader.as_mut().unwrap().awaiting = Some(root_id);
                self.confirmation()
            }
            Effect::Answer(request, outcome) => {
                self.answers.push((request, outcome));
                None
            }
            Effect::ArmTimer(_) => None,
            Effect::Alarm(alarm) => {
                self.alarms.push(alarm.name());
                None
            }
        }
    }

    fn means(&self) -> Means {
        Means::inline(self.trust_domain.clone(), Arc::clone(&self.keys) as Arc<dyn KeyMaker>)
    }

    fn generate(&mut self, change: &Change) -> (CaRoot, ProviderRecord, Arc<dyn Provider>) {
        let (kinds, means) = (Kinds::default(), self.means());
        let kind = kinds.find(&change.provider).unwrap();
        let settings = kind.parse(&change.settings).unwrap();
        let provider = at_once(kind.configure(&means, &settings)).unwrap();
        let wall = self.wall();
        let issue = self.log.issue(wall);
        let made = at_once(make_root(&*provider, &means, &settings, issue)).unwrap();
        let root = made.chain.record(kind.root_name(), &self.trust_domain).unwrap();
        let random = &mut self.random;
        let mut entropy = |buffer: &mut [u8]| buffer.iter_mut().for_each(|byte| *byte = random.next() as u8);
        let keks = std::slice::from_ref(&self.kek);
        let record = seal_record(&**kind, &root.id, &made.kept, keks, &mut entropy).unwrap();
        (root, record, provider)
    }

    fn roots_written(&mut self) {
        for peer in &mut self.peers {
            let at = self.now.plus(self.random.within(self.lag));
            peer.fetch_at = Some(peer.fetch_at.map_or(at, |own| own.min(at)));
        }
    }

    fn confirmation(&mut self) -> Option<Event> {
        let leader = self.leader.as_mut()?;
        let root_id = leader.awaiting.clone()?;
        if !self.peers.iter().all(|peer| peer.trusts.contains(&root_id)) {
            return None;
        }
        leader.awaiting = None;
        Some(Event::Confirmed { root_id })
    }

    /// The server's part in signing a leaf.
    fn sign(&mut self, identity: &SpiffeId, csr: &str) -> Result<(Certificate, String), SignFailure> {
        let csr = Csr::parse(csr).expect("managers build good requests");
        let scope = SigningScope {
            kinds: &[IdentityKind::Service],
            trust_domain: &self.trust_domain,
            datacenter: &Datacenter::parse("dc1").unwrap(),
            partition: &Partition::default(),
            namespace: &Namespace::default(),
        };
        check_csr_for(&csr, &scope).expect("an identity of the cluster");
        let roots = self.log.roots.clone().ok_or(SignFailure::Unreachable)?;
        let wall = self.wall();
        let issue = self.log.issue(wall);
        let provider = self.leader.as_ref().and_then(|leader| leader.provider.clone());
        let provider = provider.ok_or(SignFailure::Unreachable)?;
        if !may_sign(provider.chain().unwrap().signing(), &roots) {
            return Err(SignFailure::Unreachable);
        }
        let request = LeafRequest { identity, dns_names: &[], addresses: &[], public_key: &csr.public_key };
        let leaf = at_once(provider.sign(request, issue)).map_err(|_| SignFailure::Unreachable)?;
        let chain = chain_pem(&leaf, roots.active().unwrap());
        Ok((leaf, chain))
    }

    // === Peers ===

    fn fetch(&mut self, at: usize) {
        let Some(roots) = self.log.roots.clone() else { return };
        let peer = &mut self.peers[at];
        peer.bundle = TrustBundle::from_roots(&roots).unwrap();
        peer.trusts = roots.roots.iter().map(|root| root.id.clone()).collect();
        self.dirty = true;
        let signing_key_id = roots.active().unwrap().signing_key_id.clone();
        self.peer_event(at, leaf::Event::RootsChanged { signing_key_id });
        self.peer_event(at, leaf::Event::Wanted);
        if let Some(event) = self.confirmation() {
            self.machine_event(event);
        }
    }

    fn peer_event(&mut self, at: usize, event: leaf::Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut out = Vec::new();
            let now = Now { wall: self.wall(), ..self.both() };
            let random = &mut self.random;
            self.peers[at].manager.on(now, event, &mut || random.next(), &mut out);
            for effect in out {
                events.extend(self.peer_effect(at, effect));
            }
        }
    }

    fn peer_effect(&mut self, at: usize, effect: leaf::Effect) -> Option<leaf::Event> {
        match effect {
            leaf::Effect::MakeKey(attempt) => {
                self.peers[at].key = Some(self.keys.make(concord_model::ca::KeyKind::EcP256).unwrap());
                Some(leaf::Event::KeyMade(attempt))
            }
            leaf::Effect::RequestSignature(attempt) => {
                let identity = self.peers[at].identity.clone();
                let csr = Csr::build(&**self.peers[at].key.as_ref().unwrap(), &identity).unwrap();
                match self.sign(&identity, &csr) {
                    Err(why) => Some(leaf::Event::Failed(attempt, why)),
                    Ok((leaf, chain)) => {
                        let chain = Certificate::parse_pem_chain(&chain).unwrap();
                        self.peers[at].signed = Some(chain.iter().map(|own| own.der().clone()).collect());
                        let issued = Issued {
                            not_before: leaf.not_before(),
                            not_after: leaf.not_after(),
                            authority_key_id: leaf.authority_key_id_text(),
                        };
                        Some(leaf::Event::Signed(attempt, issued))
                    }
                }
            }
            leaf::Effect::Publish(_) => {
                self.peers[at].presented = self.peers[at].signed.take();
                self.dirty = true;
                None
            }
            leaf::Effect::Withdraw => {
                self.peers[at].presented = None;
                None
            }
            leaf::Effect::ArmTimer(moment) => {
                self.peers[at].timer = Some(EPOCH.plus(moment));
                None
            }
            leaf::Effect::Forget(_)
            | leaf::Effect::Fail(_)
            | leaf::Effect::Alarm(_)
            | leaf::Effect::AlarmOver => None,
        }
    }

    /// Checks the invariant.
    fn check(&mut self) {
        if !std::mem::take(&mut self.dirty) || self.lenient {
            return;
        }
        for (at, peer) in self.peers.iter().enumerate() {
            let Some(chain) = &peer.presented else { continue };
            for (other, judge) in self.peers.iter().enumerate() {
                if judge.trusts.is_empty() || at == other {
                    continue;
                }
                self.checks += 1;
                let outcome = verify_service(chain, &judge.bundle, self.wall(), Usage::Server);
                assert!(
                    outcome.is_ok(),
                    "seed {} fault {:?}: s{at} is refused by s{other} after {:?}: {outcome:?}",
                    self.seed,
                    self.fault,
                    self.now.since(START)
                );
            }
        }
    }
}

fn step_of(effect: &Effect) -> Option<Step> {
    match effect {
        Effect::Load(step)
        | Effect::GenerateRoot(step, _)
        | Effect::CrossSign(step, _)
        | Effect::Propose(step, _)
        | Effect::UseProvider(step, ..) => Some(*step),
        Effect::DropProvider
        | Effect::ForgetRecord(_)
        | Effect::AwaitConfirmation(_)
        | Effect::Answer(..)
        | Effect::ArmTimer(_)
        | Effect::Alarm(_) => None,
    }
}
