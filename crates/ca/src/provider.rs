//! CA providers: they hold the CA's key and sign with it.
//!
//! Each provider has a kind. A [`Kind`] is one row of the table in [`kinds`]: it has a name, reads its settings, makes
//! a new provider, and reopens a provider from what the log keeps. A [`Provider`] has the methods of Consul's
//! interface, but asynchronous. Its host awaits each [`Call`] without holding a lock, limits its time, cancels it by
//! dropping it, and repeats it where that may help. Nothing here depends on a runtime.
//!
//! The host seals the secrets that a provider keeps. The log stores them as `{kind, sealed bytes}`
//! ([`ProviderRecord`](concord_model::ca::ProviderRecord)). Only the module of a kind refers to that kind.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use concord_model::ca::CaRoot;
use concord_model::proxy::Settings;
use concord_model::secret::SecretBytes;
use concord_model::{SpiffeId, Timestamp, TrustDomain};

use crate::key::PublicKey;
use crate::x509::Certificate;
use crate::x509::build::Serial;

pub mod assess;
mod builtin;
pub mod error;
pub mod kinds;
pub mod means;
pub mod record;
pub mod settings;

pub use self::error::{ProviderError, RootCertFault, Unreachable};
pub use self::kinds::{Kinds, UnknownKind};
pub use self::means::{Means, Workers};
pub use self::settings::{CommonSettings, ParsedSettings, SettingFault, SettingReader};

#[cfg(test)]
mod tests;

/// A running call of a provider. Dropping it cancels it.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// A kind of provider.
pub trait Kind: fmt::Debug + Send + Sync {
    /// Its name in configurations and records.
    fn name(&self) -> &'static str;

    /// The display name of its roots.
    fn root_name(&self) -> &'static str;

    /// The purpose for which its records are sealed. It is unique, so no record opens as one of another kind.
    fn purpose(&self) -> &'static str;

    /// Reads settings, including those of this kind alone. Returns all faults at once; each names its setting.
    fn parse(&self, settings: &Settings) -> Result<ParsedSettings, Vec<SettingFault>>;

    /// Makes a provider. It has no root yet, or the root that the settings supply.
    fn configure<'a>(&'a self, means: &'a Means, settings: &'a ParsedSettings)
    -> Call<'a, Arc<dyn Provider>>;

    /// Reopens the provider of a published root from what it kept: after a restart, or on a new leader.
    fn open<'a>(
        &'a self,
        means: &'a Means,
        settings: &'a ParsedSettings,
        root: &'a CaRoot,
        kept: &'a SecretBytes,
    ) -> Call<'a, Arc<dyn Provider>>;
}

/// Holds a CA's key and signs with it.
///
/// Calls may run concurrently. The host may cancel a call and repeat it, on this leader or the next one, so a call must
/// continue what an earlier, cancelled call began. A temporary failure is [`ProviderError::Unreachable`].
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its current certificates, without I/O. `None` before there are any.
    fn chain(&self) -> Option<Arc<CaChain>>;

    /// In the primary datacenter: its root. The first call makes it; later calls return the same root.
    fn generate_ca_chain(&self, issue: Issue) -> Call<'_, Made>;

    /// In a secondary datacenter: a request for an intermediate, for the primary to sign.
    fn generate_intermediate_csr(&self) -> Call<'_, String>;

    /// In a secondary datacenter: accepts the intermediate and signs leaves with it from now on.
    fn set_intermediate(&self, intermediate: Certificate, root: Certificate) -> Call<'_, ()>;

    /// Signs a leaf.
    fn sign<'a>(&'a self, request: LeafRequest<'a>, issue: Issue) -> Call<'a, Certificate>;

    /// In the primary datacenter: signs a secondary's request for an intermediate.
    fn sign_intermediate<'a>(&'a self, csr: &'a str, issue: Issue) -> Call<'a, Certificate>;

    /// Cross-signs another root, so that peers that trust only this root can verify the new one. Returns
    /// [`ProviderError::NoCrossSigning`] if it cannot do that.
    fn cross_sign_ca<'a>(&'a self, new_root: &'a Certificate, issue: Issue) -> Call<'a, Certificate>;

    /// Whether these settings of its own kind require a new provider, which may have another root. Changed life times
    /// and limits do not require one; an expired root does.
    fn needs_rotation<'a>(&'a self, settings: &'a ParsedSettings, now: Timestamp) -> Call<'a, bool>;

    /// Applies settings that require no new provider: life times and limits.
    fn reconfigure(&self, settings: &ParsedSettings);

    /// Releases what it holds in other systems, after another provider has replaced it or if it will not be used.
    fn cleanup(&self) -> Call<'_, ()>;
}

/// The time and the serial number of a certificate to be issued.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The time of the leader's clock.
    pub now: Timestamp,
    /// The next number of the cluster's counter.
    pub serial: Serial,
}

/// A leaf to be signed. The server has authorised it.
#[derive(Clone, Copy, Debug)]
pub struct LeafRequest<'a> {
    /// The identity of the leaf.
    pub identity: &'a SpiffeId,
    /// DNS names that the identity's kind determines.
    pub dns_names: &'a [String],
    /// Addresses that the identity's kind determines.
    pub addresses: &'a [std::net::IpAddr],
    /// The key, from a request that proved possession of it.
    pub public_key: &'a PublicKey,
}

/// A root, and what its provider must keep.
#[derive(Clone, Debug)]
pub struct Made {
    /// The certificates.
    pub chain: Arc<CaChain>,
    /// The provider is reopened from this and from the published root. The host seals it before it is written.
    pub kept: SecretBytes,
}

/// The certificates of a CA, as published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaChain {
    /// The root.
    pub root: Certificate,
    /// The certificates between the root and the leaves. The last one signs leaves.
    pub intermediates: Vec<Certificate>,
}

impl CaChain {
    /// A root that signs leaves itself.
    pub fn of_root(root: Certificate) -> Self {
        Self { root, intermediates: Vec::new() }
    }

    /// The certificate that signs leaves.
    pub fn signing(&self) -> &Certificate {
        self.intermediates.last().unwrap_or(&self.root)
    }

    /// The record of an inactive root. Fails if a CA cannot have a key of the root's kind here.
    pub fn record(&self, name: &str, trust_domain: &TrustDomain) -> Result<CaRoot, ProviderError> {
        let domain = trust_domain.as_str();
        Ok(CaRoot {
            id: self.root.id(),
            name: name.to_owned(),
            serial: self.root.serial_u64(),
            signing_key_id: self.signing().key_id_text(),
            external_trust_domain: domain.strip_suffix(".consul").unwrap_or(domain).to_owned(),
            not_before: self.root.not_before(),
            not_after: self.root.not_after(),
            root_cert: self.root.pem(),
            intermediate_certs: self.intermediates.iter().map(Certificate::pem).collect(),
            active: false,
            rotated_out_at: None,
            key_kind: self.root.public_key().kind().ca_kind().ok_or(RootCertFault::KeyKind)?,
            stamp: concord_model::Stamp::default(),
        })
    }
}

/// The PEM chain of a leaf as clients get it: the leaf, then the root's intermediates, never the root.
pub fn chain_pem(leaf: &Certificate, active: &CaRoot) -> String {
    let mut out = leaf.pem();
    for text in &active.intermediate_certs {
        out.push_str(text);
        if !text.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}
