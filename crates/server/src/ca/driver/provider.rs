//! The driver's calls of providers. No lock is held during them.

use std::sync::Arc;

use concord_ca::Certificate;
use concord_ca::provider::assess::{assess, is_followed_from, make_root, stands_apart};
use concord_ca::provider::record::{open_record, seal_record};
use concord_ca::provider::{Kind, ParsedSettings, Provider, ProviderError};
use concord_ca::rotation::Change;
use concord_model::ca::{CaConfig, CaRoot, ProviderRecord};
use concord_rpc::RpcError;
use tracing::warn;

use super::Driver;
use crate::ca::call::{Patience, patiently, provider_error};
use crate::ca::host::{Ask, InUse};
use crate::ca::signing::issue_at;
use crate::ca::{kind, parse};

impl Driver<'_> {
    /// Whether the settings require another root. Refuses an unusable root before anything is changed.
    pub(super) async fn judge(&self, ask: &Ask) -> Result<bool, RpcError> {
        let core = self.core;
        let rotates = match core.ca.in_use() {
            Some(own) if own.kind == ask.provider => {
                let needs = || own.provider.needs_rotation(&ask.parsed, core.log.now());
                patiently(&core.world, Patience::STEP, needs).await.map_err(|error| provider_error(&error))?
            }
            Some(_) => true,
            // The key of the active root cannot be opened, so any change needs another root.
            None if ask.force.without_cross_signing => true,
            None => return Err(core.ca.not_ready("no provider signs")),
        };
        if rotates {
            let kind = kind(&core.config.ca.kinds, &ask.provider)?;
            let candidate = self.configure(kind, &ask.parsed).await?;
            let life = ask.parsed.common.life.leaf;
            let judged = patiently(&core.world, Patience::STEP, || {
                assess(&*candidate, &self.means, life, core.log.now())
            });
            judged.await.map_err(|error| provider_error(&error))?;
            if let Some(published) = core.log.view().read().ca_roots() {
                stands_apart(&*candidate, &published).map_err(|error| provider_error(&error))?;
            }
        }
        Ok(rotates)
    }

    async fn configure(
        &self,
        kind: &dyn Kind,
        settings: &ParsedSettings,
    ) -> Result<Arc<dyn Provider>, RpcError> {
        let configured =
            patiently(&self.core.world, Patience::STEP, || kind.configure(&self.means, settings)).await;
        configured.map_err(|error| match error {
            ProviderError::Unreachable(_) => provider_error(&error),
            // Any other error means that the settings are wrong.
            other => RpcError::Invalid(other.to_string()),
        })
    }

    /// Lets a provider with these settings create a root. Returns the root and the provider's encrypted record.
    pub(super) async fn generate(&mut self, change: &Change) -> Result<(CaRoot, ProviderRecord), RpcError> {
        let core = self.core;
        let kind = kind(&core.config.ca.kinds, &change.provider)?;
        let mut settings = parse(&core.config.ca.kinds, &change.provider, &change.settings)?;
        settings.secrets = match &self.request {
            Some(request) => request.secrets.clone(),
            // A later root that no operator asked for gets a new key.
            None if core.log.view().read().ca_roots().is_some() => Default::default(),
            None => self.initial_secrets.clone(),
        };
        let provider = self.configure(kind, &settings).await?;
        let (issue, _) = issue_at(&core.log).await?;
        let made = || make_root(&*provider, &self.means, &settings, issue.clone());
        let made =
            patiently(&core.world, Patience::STEP, made).await.map_err(|error| provider_error(&error))?;
        let root = made.chain.record(kind.root_name(), &self.means.trust_domain);
        let root = root.map_err(|error| provider_error(&error))?;
        let mut fill = |buffer: &mut [u8]| core.world.entropy.fill(buffer);
        let record = seal_record(kind, &root.id, &made.kept, &core.config.keks, &mut fill)
            .map_err(|error| provider_error(&error))?;
        let published = core.log.view().read().ca_roots();
        if published.is_none_or(|roots| roots.roots.iter().all(|own| own.id != root.id)) {
            core.ca.made(&root.id);
        }
        self.candidate = Some((root.id.clone(), provider));
        Ok((root, record))
    }

    /// The new root, signed by the active root. `None` if the active root cannot sign it.
    pub(super) async fn cross_sign(&self, root: &str) -> Result<Option<String>, RpcError> {
        let core = self.core;
        let root = Certificate::parse_pem(root).map_err(|error| RpcError::Internal(error.to_string()))?;
        let (issue, _) = issue_at(&core.log).await?;
        let Some(own) = core.ca.in_use() else { return Ok(None) };
        let Some(old) = own.provider.chain() else { return Ok(None) };
        let crossed = || own.provider.cross_sign_ca(&root, issue.clone());
        let signed = match patiently(&core.world, Patience::STEP, crossed).await {
            Ok(signed) => signed,
            Err(ProviderError::NoCrossSigning | ProviderError::Expired) => return Ok(None),
            Err(error @ ProviderError::Unreachable(_)) => {
                warn!(%error, "the active root's provider does not sign the new root");
                return Ok(None);
            }
            Err(error) => return Err(provider_error(&error)),
        };
        let Some((_, candidate)) = &self.candidate else { return Ok(Some(signed.pem())) };
        let followed = || is_followed_from(&**candidate, &self.means, &old.root, &signed, core.log.now());
        Ok(match patiently(&core.world, Patience::STEP, followed).await {
            Ok(()) => Some(signed.pem()),
            Err(error) => {
                warn!(%error, "the new root does not verify with the active root's signature over it");
                None
            }
        })
    }

    /// Makes the provider of this root the one that signs.
    pub(super) async fn use_provider(&mut self, root: &str, config: &CaConfig) -> Result<(), RpcError> {
        let core = self.core;
        let settings = parse(&core.config.ca.kinds, &config.provider, &config.settings)?;
        core.ca.limiter.lock().configure(settings.common.limits);
        let before = core.ca.in_use();
        let own = before.as_ref().filter(|own| own.root == root).map(|own| Arc::clone(&own.provider));
        let candidate = self.candidate.take_if(|(id, _)| id == root).map(|(_, provider)| provider);
        let provider = match candidate.or(own) {
            Some(provider) => provider,
            None => self.open(root, &settings).await.inspect_err(|_| core.ca.sign_with_none())?,
        };
        provider.reconfigure(&settings);
        core.ca.sign_with(InUse {
            root: root.to_owned(),
            kind: config.provider.clone(),
            provider: Arc::clone(&provider),
            leaf_life: settings.common.life.leaf,
        });
        let life = settings.common.life.leaf;
        let judged =
            patiently(&core.world, Patience::ONCE, || assess(&*provider, &self.means, life, core.log.now()));
        if let Err(error) = judged.await {
            warn!(root, %error, "the active root is not one that all verifiers accept; rotate to another");
        }
        if let Some(before) = before {
            self.let_go(&before.root, &*before.provider).await;
        }
        Ok(())
    }

    /// Opens the provider of a root from its record in the log.
    async fn open(&self, root: &str, settings: &ParsedSettings) -> Result<Arc<dyn Provider>, RpcError> {
        let core = self.core;
        let missing = || RpcError::CaNotReady("the active root's key is not in the state".to_owned());
        let mut reader = core.log.view().read();
        let record = reader.ca_provider_state(root).ok_or_else(missing)?;
        let roots = reader.ca_roots().ok_or_else(missing)?;
        let published = roots.roots.iter().find(|own| own.id == root).ok_or_else(missing)?;
        let not_ready = |error: &dyn ToString| RpcError::CaNotReady(error.to_string());
        let kind = core.config.ca.kinds.of_record(&record).map_err(|error| not_ready(&error))?;
        let kept = open_record(&**kind, &record, &core.config.keks).map_err(|error| not_ready(&error))?;
        let opened = || kind.open(&self.means, settings, published, &kept);
        patiently(&core.world, Patience::STEP, opened).await.map_err(|error| not_ready(&error))
    }

    /// Releases a provider that will not sign, unless its root is still the active one.
    pub(super) async fn let_go(&self, root: &str, provider: &dyn Provider) {
        let roots = self.core.log.view().read().ca_roots();
        if roots.and_then(|roots| roots.active().map(|active| active.id == root)).unwrap_or(false) {
            return;
        }
        if let Err(error) = patiently(&self.core.world, Patience::ONCE, || provider.cleanup()).await {
            warn!(root, %error, "a provider that no longer signs could not be cleaned up");
        }
    }
}
