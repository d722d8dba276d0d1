//! The certificate that a server presents to clients where the operator names none: signed by the mesh's own authority.
//!
//! ```text
//! roots in the view ─┐
//! signature ─────────┼─► Host (when to renew, keys) ─► watch: what is presented now
//! clock ─────────────┘
//! ```
//!
//! Its identity is the server's ([`SpiffeId::Server`]), and its names are the server's. No request for a certificate can
//! get either: what clients send is signed for services only ([`crate::endpoint`]). This is the only place that asks for
//! such a certificate, within the process, and no token is needed for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::Csr;
use concord_ca::leaf::{Attempt, Config, Host, Input, SignFailure, Task};
use concord_ca::provider::LeafRequest;
use concord_model::ca::{CaRoots, LeafCertificate};
use concord_model::{Secret, SpiffeId, sni};
use concord_rpc::RpcError;
use concord_runtime::Instant;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::ca::{Authority, signing};
use crate::limits::CERTIFICATE_TICK_MAX;
use crate::parts::Core;

/// A new root is followed at once: one certificate per server burdens no authority.
const FOLLOWING: Config = Config { root_change_jitter: Duration::ZERO };

/// The names under which clients call this server, besides its name in the mesh ([`sni::servers`]).
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Host names.
    pub dns: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
}

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The certificate and its intermediates, PEM.
    pub chain_pem: String,
    /// The private key, PEM.
    pub key: Secret,
}

/// Keeps the certificate until the scope ends.
pub(crate) async fn keep(core: Arc<Core>, names: Names, told: watch::Sender<Option<Arc<Presented>>>) {
    let mut keeper = Keeper {
        core,
        names,
        told,
        host: None,
        signatures: FuturesUnordered::new(),
        error: RpcError::NoLeader,
    };
    keeper.run().await;
}

/// A pending signature.
type Signature = BoxFuture<'static, (Attempt, Result<LeafCertificate, RpcError>)>;

struct Keeper {
    core: Arc<Core>,
    names: Names,
    told: watch::Sender<Option<Arc<Presented>>>,
    /// Exists once there are roots, because they name the trust domain.
    host: Option<Host>,
    signatures: FuturesUnordered<Signature>,
    /// The full error of the last attempt.
    error: RpcError,
}

impl Keeper {
    async fn run(&mut self) {
        let core = Arc::clone(&self.core);
        loop {
            let mut reader = core.log.view().read();
            let roots = reader.ca_roots();
            let read = reader.finish();
            if let Some(roots) = roots {
                self.roots_changed(roots);
            }
            let waiter = core.log.published.hub.register_duty(read.keys().cloned().collect());
            while read.holds_in(&core.log.view()) {
                let pause = self.pause();
                tokio::select! {
                    biased;
                    () = core.scope.cancelled() => return,
                    Some((attempt, answer)) = self.signatures.next(), if !self.signatures.is_empty() => self.answered(attempt, answer),
                    () = waiter.woken() => break,
                    () = core.world.clock.sleep(pause) => self.feed(Input::Tick),
                }
            }
        }
    }

    fn pause(&self) -> Duration {
        let timer = self.host.as_ref().and_then(Host::timer);
        let now = self.core.world.clock.now();
        timer.map_or(CERTIFICATE_TICK_MAX, |at| (Instant::from_epoch(at) - now).min(CERTIFICATE_TICK_MAX))
    }

    fn roots_changed(&mut self, roots: Arc<CaRoots>) {
        if self.host.is_none() {
            let datacenter = self.core.config.datacenter.clone();
            self.names.dns.insert(0, sni::servers(datacenter.as_str(), roots.trust_domain.as_str()));
            let identity = SpiffeId::Server { trust_domain: roots.trust_domain.clone(), datacenter };
            self.host = Some(Host::new(identity, FOLLOWING, Arc::clone(&self.core.config.keys)));
        }
        self.feed(Input::Roots(roots));
        self.feed(Input::Wanted);
    }

    fn answered(&mut self, attempt: Attempt, answer: Result<LeafCertificate, RpcError>) {
        let outcome = answer.map_err(|error| {
            let limited = matches!(error, RpcError::RateLimited);
            self.error = error;
            if limited { SignFailure::RateLimited } else { SignFailure::Unreachable }
        });
        self.feed(Input::Answered(attempt, outcome));
    }

    fn feed(&mut self, input: Input) {
        let Some(host) = &mut self.host else { return };
        let (mut tasks, entropy) = (Vec::new(), &self.core.world.entropy);
        host.on(self.core.log.both(), input, &mut || entropy.u64(), &mut tasks);
        for task in tasks {
            self.perform(task);
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Sign { attempt, csr } => self.sign(attempt, csr),
            Task::Present { certificate, key } => {
                let LeafCertificate { cert_pem: chain_pem, serial, .. } = *certificate;
                info!(serial, "this server has a certificate of its own for gRPC");
                self.told.send_replace(Some(Arc::new(Presented { chain_pem, key })));
            }
            Task::Withdraw => drop(self.told.send_replace(None)),
            Task::Trouble(error) => self.error = RpcError::Internal(error.to_string()),
            Task::Fail(why) => {
                warn!(%why, last_error = %self.error, "this server has no certificate of its own for gRPC; it is tried again");
            }
            Task::Alarm(alarm) => {
                metrics::counter!("concord_server_certificate_alarms_total", "alarm" => alarm.name())
                    .increment(1);
                error!(last_error = %self.error, "this server's own certificate for gRPC: {alarm}");
            }
            Task::AlarmOver => info!("renewal of this server's own certificate for gRPC works again"),
        }
    }

    fn sign(&mut self, attempt: Attempt, csr: String) {
        let (core, names) = (Arc::clone(&self.core), self.names.clone());
        self.signatures.clear();
        self.signatures.push(Box::pin(async move { (attempt, signed(&core, &names, &csr).await) }));
    }
}

/// Signs a request of this server's own host.
async fn signed(core: &Core, names: &Names, csr: &str) -> Result<LeafCertificate, RpcError> {
    let csr = Csr::parse(csr).map_err(|refusal| RpcError::Internal(refusal.to_string()))?;
    core.lead().await?;
    let Core { ca: host, config, log, duties, world, scope, .. } = core;
    let authority = Authority { host, kinds: &config.ca.kinds, log, duties, world, scope };
    let Names { dns, addresses } = names;
    let request =
        LeafRequest { identity: &csr.identity, dns_names: dns, addresses, public_key: &csr.public_key };
    signing::issue(authority, request).await
}
