//! The built-in kind, which Consul calls `consul`: the root's key is in this process, and sealed in the log.
//!
//! In the primary datacenter it signs leaves with the root itself. In a secondary datacenter it makes a key, gets an
//! intermediate for it from the primary, and signs leaves with that. The host's workers do the work that takes long. A
//! leaf's signature with an elliptic-curve key is done directly, because passing it to a worker would take longer.

use std::sync::Arc;

use arc_swap::ArcSwap;
use concord_model::Timestamp;
use concord_model::ca::CaRoot;
use concord_model::proxy::Settings;
use concord_model::secret::SecretBytes;

use self::held::Held;
use super::assess::trial;
use super::{
    CaChain, Call, Issue, Kind, LeafRequest, Made, Means, ParsedSettings, Provider, ProviderError,
    SettingFault,
};
use crate::x509::Certificate;

mod held;
mod settings;

/// The row of this kind in the table.
#[derive(Debug)]
pub(super) struct Builtin;

impl Kind for Builtin {
    fn name(&self) -> &'static str {
        "consul"
    }

    fn root_name(&self) -> &'static str {
        "Consul CA Primary Cert"
    }

    fn purpose(&self) -> &'static str {
        "concord ca private key"
    }

    fn parse(&self, settings: &Settings) -> Result<ParsedSettings, Vec<SettingFault>> {
        settings::parse(settings)
    }

    fn configure<'a>(
        &'a self,
        means: &'a Means,
        settings: &'a ParsedSettings,
    ) -> Call<'a, Arc<dyn Provider>> {
        Box::pin(async move {
            let (own, settings) = (means.clone(), settings.clone());
            let held = means.compute(move || Held::begin(&own, &settings)).await?;
            Ok(InProcess::of(means, held))
        })
    }

    fn open<'a>(
        &'a self,
        means: &'a Means,
        settings: &'a ParsedSettings,
        root: &'a CaRoot,
        kept: &'a SecretBytes,
    ) -> Call<'a, Arc<dyn Provider>> {
        Box::pin(async move {
            let (own, settings) = (means.clone(), settings.clone());
            let (root, kept) = (root.root_cert.clone(), kept.clone());
            let held = means.compute(move || Held::open(&own, &settings, &root, &kept)).await?;
            Ok(InProcess::of(means, held))
        })
    }
}

/// A provider of this kind.
#[derive(Debug)]
struct InProcess {
    means: Means,
    /// Replaced as a whole: a running signature continues with the value with which it began.
    held: ArcSwap<Held>,
}

impl InProcess {
    fn of(means: &Means, held: Held) -> Arc<dyn Provider> {
        Arc::new(Self { means: means.clone(), held: ArcSwap::from_pointee(held) })
    }

    /// Runs `work` on the workers, with the current value.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Means, &Held) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let (means, held) = (self.means.clone(), self.held.load_full());
        self.means.compute(move || work(&means, &held)).await
    }
}

impl Provider for InProcess {
    fn chain(&self) -> Option<Arc<CaChain>> {
        self.held.load().chain()
    }

    fn generate_ca_chain(&self, issue: Issue) -> Call<'_, Made> {
        Box::pin(async move {
            let held = self.compute(|means, held| held.with_root(means, issue)).await?;
            let made = held.made()?;
            self.held.store(Arc::new(held));
            Ok(made)
        })
    }

    fn generate_intermediate_csr(&self) -> Call<'_, String> {
        Box::pin(async move {
            let (held, csr) = self.compute(Held::asking_for_intermediate).await?;
            self.held.store(Arc::new(held));
            Ok(csr)
        })
    }

    fn set_intermediate(&self, intermediate: Certificate, root: Certificate) -> Call<'_, ()> {
        Box::pin(async move {
            let chain = CaChain { root, intermediates: vec![intermediate] };
            // There is no clock here, so the trial uses the first time at which both certificates are valid.
            let from = chain.signing().not_before().max(chain.root.not_before());
            let held = self.compute(move |_, held| held.with_intermediate(chain)).await?;
            let next = Self { means: self.means.clone(), held: ArcSwap::from_pointee(held) };
            let chain = next.chain().ok_or(ProviderError::NotInitialised)?;
            trial(&next, &self.means, &chain.root, &chain.intermediates, from).await?;
            self.held.store(next.held.into_inner());
            Ok(())
        })
    }

    fn sign<'a>(&'a self, request: LeafRequest<'a>, issue: Issue) -> Call<'a, Certificate> {
        let held = self.held.load_full();
        if held.signs_quickly() {
            return Box::pin(std::future::ready(held.sign(&request, issue)));
        }
        let identity = request.identity.clone();
        let (dns_names, addresses) = (request.dns_names.to_vec(), request.addresses.to_vec());
        let public_key = request.public_key.clone();
        Box::pin(self.means.compute(move || {
            let request = LeafRequest {
                identity: &identity,
                dns_names: &dns_names,
                addresses: &addresses,
                public_key: &public_key,
            };
            held.sign(&request, issue)
        }))
    }

    fn sign_intermediate<'a>(&'a self, csr: &'a str, issue: Issue) -> Call<'a, Certificate> {
        let csr = csr.to_owned();
        Box::pin(self.compute(move |means, held| held.sign_intermediate(means, &csr, issue)))
    }

    fn cross_sign_ca<'a>(&'a self, new_root: &'a Certificate, issue: Issue) -> Call<'a, Certificate> {
        let new_root = new_root.clone();
        Box::pin(self.compute(move |means, held| held.cross_sign(means, &new_root, issue)))
    }

    fn needs_rotation<'a>(&'a self, settings: &'a ParsedSettings, now: Timestamp) -> Call<'a, bool> {
        let settings = settings.clone();
        Box::pin(self.compute(move |means, held| held.needs_rotation(means, &settings, now)))
    }

    fn reconfigure(&self, settings: &ParsedSettings) {
        self.held.rcu(|held| held.reconfigured(settings));
    }

    fn cleanup(&self) -> Call<'_, ()> {
        self.held.rcu(|held| held.without_key());
        Box::pin(std::future::ready(Ok(())))
    }
}
