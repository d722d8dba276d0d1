//! The certificate authority's host: keeps the provider, runs rotations, signs within limits.
//!
//! A side task of the leader (D7): leadership, catalog and intentions never wait for it. What it
//! knows beyond a restart stands in the log: roots, configuration, the provider's sealed key. The
//! key is opened in the leader's memory only.

use std::sync::Arc;
use std::time::Duration;

use concord_ca::limiter::{Admission, CsrLimiter, CsrLimits};
use concord_ca::provider::{
    BUILTIN, BuiltinProvider, CaSettings, Issue, ParsedSettings, Provider, ProviderError,
};
use concord_ca::x509::build::Serial;
use concord_model::ca::{CaConfig, CaRoot, CaRoots};
use concord_model::proxy::Settings;
use concord_model::{Secret, Stamp, Timestamp, TrustDomain, Uuid};
use concord_rpc::RpcError;
use concord_runtime::Backoff;
use concord_state::Reply;
use concord_state::command::{AllocateSerials, DeleteCaProviderState, SetCaConfig, SetCaRoots};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore};
use tracing::{info, warn};

use crate::core::Core;
use crate::limits::{PRUNE_PERIOD, SIGNATURES_WAITING};

/// Name of the built-in provider's roots.
const ROOT_NAME: &str = "Consul CA Primary Cert";

/// What the leader holds of the certificate authority.
#[derive(Debug)]
pub(crate) struct CaHost {
    wake: Notify,
    /// The opened provider of the active root. Held while signing: providers sign one at a time.
    provider: AsyncMutex<Option<Opened>>,
    /// One change of the configuration at a time.
    changing: AsyncMutex<()>,
    limiter: Mutex<CsrLimiter>,
    waiting: Semaphore,
}

#[derive(Debug)]
struct Opened {
    root: String,
    config_index: u64,
    provider: BuiltinProvider,
}

impl CaHost {
    pub(crate) fn new() -> Self {
        Self {
            wake: Notify::new(),
            provider: AsyncMutex::default(),
            changing: AsyncMutex::default(),
            limiter: Mutex::new(CsrLimiter::new(CsrLimits::default())),
            waiting: Semaphore::new(SIGNATURES_WAITING),
        }
    }

    /// Lets the host look at the state soon.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }
}

/// Runs until the scope ends: looks after the roots while this server leads.
pub(crate) async fn run(core: Arc<Core>) {
    if !core.config.ca.enabled {
        return;
    }
    let mut backoff = Backoff::default();
    loop {
        let pause = if core.duties.has_led() {
            match tend(&core).await {
                Ok(()) => {
                    backoff.reset();
                    PRUNE_PERIOD
                }
                Err(error) => {
                    warn!(%error, "the certificate authority is not as it should be; trying again");
                    backoff.next(&*core.world.entropy)
                }
            }
        } else {
            PRUNE_PERIOD
        };
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            () = core.ca.wake.notified() => {}
            () = core.world.clock.sleep(pause) => {}
        }
    }
}

/// Brings the roots to where they should be.
async fn tend(core: &Core) -> Result<(), RpcError> {
    let _changing = core.ca.changing.lock().await;
    let Some(roots) = core.view().read().ca_roots() else {
        return begin(core).await;
    };
    prune(core, &roots).await
}

/// The first root of a new cluster.
async fn begin(core: &Core) -> Result<(), RpcError> {
    let start = &core.config.ca;
    let cluster_id = core.cluster_id().ok_or_else(|| RpcError::CaNotReady("no cluster id".to_owned()))?;
    let parsed = parse(&start.provider, &start.settings)?;
    let trust_domain = TrustDomain::of_cluster(cluster_id);
    let mut provider = configure(core, &parsed, &trust_domain)?;
    let root = new_root(core, &mut provider, &trust_domain).await?;
    let config = config_record(cluster_id, &start.provider, parsed.stored, false);
    let roots = CaRoots {
        active_root_id: root.id.clone(),
        trust_domain,
        roots: vec![CaRoot { active: true, ..root }],
        index: 0,
    };
    publish(core, roots, 0, Some((config, 0)), Some(&provider)).await?;
    info!("certificate authority initialised");
    Ok(())
}

/// Removes roots that no leaf in use can hang on any more: twice the life of a leaf after they
/// were rotated out.
async fn prune(core: &Core, roots: &CaRoots) -> Result<(), RpcError> {
    let Some(config) = core.view().read().ca_config() else { return Ok(()) };
    let life = parse(&config.provider, &config.settings)?.settings.life.leaf;
    let now = core.now();
    let stays = |root: &&CaRoot| root.rotated_out_at.is_none_or(|at| now < at.plus(life * 2));
    let kept: Vec<CaRoot> = roots.roots.iter().filter(stays).cloned().collect();
    if kept.len() == roots.roots.len() {
        return Ok(());
    }
    let gone: Vec<&CaRoot> = roots.roots.iter().filter(|root| !stays(root)).collect();
    let pruned = CaRoots { roots: kept, ..roots.clone() };
    publish(core, pruned, roots.index, None, None).await?;
    for root in gone {
        info!(root = %root.id, "pruned a root that was rotated out");
        core.write(DeleteCaProviderState { id: root.id.clone() }).await?;
    }
    Ok(())
}

/// Changes the configuration; a new root follows if it asks for one. The old root signs the new
/// one, so that who trusts only the old one accepts new leaves at once.
pub(crate) async fn change(
    core: &Core,
    provider_name: &str,
    settings: &Settings,
    state: &std::collections::BTreeMap<String, String>,
    force: bool,
) -> Result<u64, RpcError> {
    let _changing = core.ca.changing.lock().await;
    let (roots, config) = {
        let mut reader = core.view().read();
        (reader.ca_roots(), reader.ca_config())
    };
    let (Some(roots), Some(config)) = (roots, config) else {
        return Err(RpcError::CaNotReady("it has not been initialised".to_owned()));
    };
    if !state.is_empty() && *state != config.state {
        return Err(RpcError::Invalid(
            "State: is kept by the provider; leave it out or send it unchanged".to_owned(),
        ));
    }
    let parsed = parse(provider_name, settings)?;
    let record = config_record(config.cluster_id, provider_name, parsed.stored.clone(), force);
    let mut opened = core.ca.provider.lock().await;
    let old = open(core, &mut opened, &roots, &config)?;
    if !old
        .needs_rotation(&parsed.settings, parsed.private_key.as_ref())
        .map_err(|error| provider_error(&error))?
    {
        let command = SetCaConfig { config: record, cas: Some(config.stamp.modify) };
        let (reply, index) = core.write(command).await?;
        *opened = None;
        drop(opened);
        return held(&reply).map(|()| index);
    }
    let mut new = configure(core, &parsed, &roots.trust_domain)?;
    let mut root = new_root(core, &mut new, &roots.trust_domain).await?;
    if roots.roots.iter().any(|known| known.id == root.id) {
        return Err(RpcError::Invalid(
            "RootCert: this root is or was one of the cluster's; use a new one".to_owned(),
        ));
    }
    let certificate = concord_ca::Certificate::parse_pem(&root.root_cert)
        .map_err(|error| RpcError::Internal(error.to_string()))?;
    if old.supports_cross_signing() {
        let issue = issue(core).await?;
        let crossed = old.cross_sign_ca(&certificate, issue).map_err(|error| provider_error(&error))?;
        root.intermediate_certs.insert(0, crossed.pem());
    } else if !force {
        let text = "ForceWithoutCrossSigning: the current provider cannot sign the new root; connections may fail until \
                    all proxies trust it. Set it to true to rotate all the same";
        return Err(RpcError::Invalid(text.to_owned()));
    }
    let now = core.now();
    let mut all: Vec<CaRoot> = roots.roots.iter().map(|known| rotated_out(known, now)).collect();
    let active_root_id = root.id.clone();
    all.push(CaRoot { active: true, ..root });
    let next = CaRoots {
        active_root_id: active_root_id.clone(),
        trust_domain: roots.trust_domain.clone(),
        roots: all,
        index: 0,
    };
    let index = publish(core, next, roots.index, Some((record, config.stamp.modify)), Some(&new)).await?;
    *opened = None;
    drop(opened);
    info!(root = %active_root_id, "rotated the root");
    Ok(index)
}

fn rotated_out(root: &CaRoot, now: Timestamp) -> CaRoot {
    if root.active {
        CaRoot { active: false, rotated_out_at: Some(now), ..root.clone() }
    } else {
        root.clone()
    }
}

/// Waits for a turn within the configured limits, or refuses.
pub(crate) async fn admit(core: &Core) -> Result<(), RpcError> {
    let _place = core.ca.waiting.try_acquire().map_err(|_| RpcError::RateLimited)?;
    let admission = core.ca.limiter.lock().admit(core.now());
    match admission {
        Admission::Refused => Err(RpcError::RateLimited),
        Admission::After(Duration::ZERO) => Ok(()),
        Admission::After(wait) => {
            core.world.clock.sleep(wait).await;
            Ok(())
        }
    }
}

/// What a signature is made with.
pub(crate) struct Signing<'a> {
    pub(crate) provider: &'a mut BuiltinProvider,
    pub(crate) active: &'a CaRoot,
}

/// Runs `sign` with the provider of the active root.
pub(crate) async fn with_provider<T>(
    core: &Core,
    issue: Issue,
    sign: impl FnOnce(Signing<'_>, Issue) -> Result<T, ProviderError>,
) -> Result<T, RpcError> {
    let mut opened = core.ca.provider.lock().await;
    let (roots, config) = {
        let mut reader = core.view().read();
        (reader.ca_roots(), reader.ca_config())
    };
    let (Some(roots), Some(config)) = (roots, config) else {
        return Err(RpcError::CaNotReady("it has not been initialised".to_owned()));
    };
    let active = roots.active().ok_or_else(|| RpcError::CaNotReady("no root is active".to_owned()))?.clone();
    let provider = open(core, &mut opened, &roots, &config)?;
    if active.not_after <= issue.now {
        return Err(RpcError::CaNotReady("the active root has expired; rotate it".to_owned()));
    }
    sign(Signing { provider, active: &active }, issue).map_err(|error| provider_error(&error))
}

/// The provider of the active root, opened if it is not yet, with the settings in force.
fn open<'a>(
    core: &Core,
    opened: &'a mut Option<Opened>,
    roots: &CaRoots,
    config: &CaConfig,
) -> Result<&'a mut BuiltinProvider, RpcError> {
    let stands = |own: &Opened| own.root == roots.active_root_id && own.config_index == config.stamp.modify;
    if !opened.as_ref().is_some_and(stands) {
        let settings = parse(&config.provider, &config.settings)?.settings;
        let record = core.view().read().ca_provider_state(&roots.active_root_id);
        let record = record
            .ok_or_else(|| RpcError::CaNotReady("the active root's key is not in the state".to_owned()))?;
        core.ca.limiter.lock().configure(settings.limits);
        let keys = Arc::clone(&core.config.keys);
        let provider = BuiltinProvider::open(
            open_settings(settings),
            roots.trust_domain.clone(),
            &record,
            &core.config.keks,
            keys,
        )
        .map_err(|error| RpcError::CaNotReady(error.to_string()))?;
        *opened =
            Some(Opened { root: roots.active_root_id.clone(), config_index: config.stamp.modify, provider });
    }
    let own = opened.as_mut().ok_or_else(|| RpcError::Internal("the provider was not opened".to_owned()))?;
    Ok(&mut own.provider)
}

/// Settings of a provider that has its root already.
fn open_settings(settings: CaSettings) -> CaSettings {
    CaSettings { root_cert: None, ..settings }
}

fn parse(provider: &str, settings: &Settings) -> Result<ParsedSettings, RpcError> {
    match provider {
        BUILTIN => ParsedSettings::parse(settings)
            .map_err(|faults| RpcError::Invalid(concord_ca::provider::builtin::describe(&faults))),
        "vault" | "aws-pca" => Err(RpcError::NotAvailable(format!("CA provider {provider:?}"))),
        other => {
            Err(RpcError::Invalid(format!("Provider: {other:?} is unknown; \"consul\" is the built-in one")))
        }
    }
}

fn configure(
    core: &Core,
    parsed: &ParsedSettings,
    trust_domain: &TrustDomain,
) -> Result<BuiltinProvider, RpcError> {
    let ParsedSettings { settings, stored: _, private_key } = parsed.clone();
    let keys = Arc::clone(&core.config.keys);
    BuiltinProvider::configure(settings, trust_domain.clone(), private_key as Option<Secret>, keys)
        .map_err(|error| RpcError::Invalid(error.to_string()))
}

/// A provider's root as a record, not active yet.
async fn new_root(
    core: &Core,
    provider: &mut BuiltinProvider,
    trust_domain: &TrustDomain,
) -> Result<CaRoot, RpcError> {
    let issue = issue(core).await?;
    let chain = provider.generate_ca_chain(issue).map_err(|error| provider_error(&error))?;
    Ok(chain.record(ROOT_NAME, trust_domain, provider.key_kind()))
}

/// Time and serial number for one certificate.
pub(crate) async fn issue(core: &Core) -> Result<Issue, RpcError> {
    issue_at(core).await.map(|(issue, _)| issue)
}

/// The same, with the index of the log entry that recorded it.
pub(crate) async fn issue_at(core: &Core) -> Result<(Issue, u64), RpcError> {
    let (reply, index) = core.write(AllocateSerials { count: 1 }).await?;
    match reply {
        Reply::Serials { first, .. } => {
            let serial =
                Serial::from_counter(first).map_err(|error| RpcError::Internal(error.to_string()))?;
            Ok((Issue { now: core.now(), serial }, index))
        }
        other => Err(crate::endpoint::acl::unexpected(&other)),
    }
}

fn config_record(cluster_id: Uuid, provider: &str, settings: Settings, force: bool) -> CaConfig {
    CaConfig {
        cluster_id,
        provider: provider.to_owned(),
        settings,
        state: std::collections::BTreeMap::new(),
        force_without_cross_signing: force,
        stamp: Stamp::default(),
    }
}

/// Stores a set of roots with what belongs to it, all or nothing.
async fn publish(
    core: &Core,
    roots: CaRoots,
    cas: u64,
    config: Option<(CaConfig, u64)>,
    provider: Option<&BuiltinProvider>,
) -> Result<u64, RpcError> {
    let mut fill = |buffer: &mut [u8]| core.world.entropy.fill(buffer);
    let sealed = provider.map(|provider| provider.record(&core.config.keks, &mut fill)).transpose();
    let provider_state = sealed.map_err(|error| provider_error(&error))?;
    let config = config.map(|(config, cas)| SetCaConfig { config, cas: Some(cas) });
    let (reply, index) = core.write(SetCaRoots { roots, cas, config, provider_state }).await?;
    held(&reply).map(|()| index)
}

fn held(reply: &Reply) -> Result<(), RpcError> {
    match reply {
        Reply::Done { .. } => Ok(()),
        Reply::CasFailed { .. } => Err(RpcError::Conflict(
            "the CA was changed by somebody else meanwhile; read it again and decide".to_owned(),
        )),
        other => Err(crate::endpoint::acl::unexpected(other)),
    }
}

pub(crate) fn provider_error(error: &ProviderError) -> RpcError {
    match error {
        ProviderError::Unavailable(_) => RpcError::NotAvailable(error.to_string()),
        ProviderError::RootCert(_) | ProviderError::Csr(_) => RpcError::Invalid(error.to_string()),
        ProviderError::NotInitialised | ProviderError::Expired | ProviderError::Unreachable(_) => {
            RpcError::CaNotReady(error.to_string())
        }
        ProviderError::NoCrossSigning
        | ProviderError::ForeignIntermediate
        | ProviderError::Certificate(_)
        | ProviderError::Build(_)
        | ProviderError::Key(_)
        | ProviderError::Seal(_) => RpcError::Internal(error.to_string()),
    }
}
