//! Providers: who holds the CA's key and signs with it.
//!
//! A provider is of a kind. A [`Kind`] is one row of the table in [`kinds`]: its name, how it reads its settings, how a
//! provider is configured anew, and how it is opened again from what the log keeps. A [`Provider`] is Consul's
//! interface, asynchronous: whoever hosts it waits for each [`Call`] outside every lock, bounds it in time, cuts it by
//! dropping it, and makes it again where that may help. Nothing here knows a runtime.
//!
//! What a provider keeps is sealed by its host and stands in the log as `{kind, sealed bytes}`
//! ([`ProviderRecord`](concord_model::ca::ProviderRecord)). Nothing outside a kind's own folder names it.

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

/// A call of a provider, under way. Dropping it cuts it.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// A kind of provider.
pub trait Kind: fmt::Debug + Send + Sync {
    /// Its name in configurations and records.
    fn name(&self) -> &'static str;

    /// What people call its roots.
    fn root_name(&self) -> &'static str;

    /// What its records are sealed for, unlike that of every other kind: no record opens as one of another kind.
    fn purpose(&self) -> &'static str;

    /// Reads settings, those of its own among them. All faults at once, each naming the setting.
    fn parse(&self, settings: &Settings) -> Result<ParsedSettings, Vec<SettingFault>>;

    /// A provider that has no root yet, or the one that the settings bring along.
    fn configure<'a>(&'a self, means: &'a Means, settings: &'a ParsedSettings)
    -> Call<'a, Arc<dyn Provider>>;

    /// The provider of a published root, from what it kept: after a restart, or on a new leader.
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
/// Calls may run at the same time. Each may be cut and made again, by this leader or the next one: a call finds what an
/// earlier one has begun. A failure that may pass is [`ProviderError::Unreachable`].
pub trait Provider: fmt::Debug + Send + Sync {
    /// Its certificates as it knows them, without asking anybody; `None` before there are any.
    fn chain(&self) -> Option<Arc<CaChain>>;

    /// In a primary: its root, made on the first call, the same ever after.
    fn generate_ca_chain(&self, issue: Issue) -> Call<'_, Made>;

    /// In a secondary: a request for an intermediate, to be signed by the primary.
    fn generate_intermediate_csr(&self) -> Call<'_, String>;

    /// In a secondary: takes the intermediate over and signs leaves with it from now on.
    fn set_intermediate(&self, intermediate: Certificate, root: Certificate) -> Call<'_, ()>;

    /// Signs a leaf.
    fn sign<'a>(&'a self, request: LeafRequest<'a>, issue: Issue) -> Call<'a, Certificate>;

    /// In a primary: signs a secondary's request for an intermediate.
    fn sign_intermediate<'a>(&'a self, csr: &'a str, issue: Issue) -> Call<'a, Certificate>;

    /// Signs another root, so that those who trust only this one follow. [`ProviderError::NoCrossSigning`] where it
    /// cannot.
    fn cross_sign_ca<'a>(&'a self, new_root: &'a Certificate, issue: Issue) -> Call<'a, Certificate>;

    /// Whether settings of its own kind ask for a provider configured anew, which may have another root. Life times and
    /// limits do not; a root that has expired does.
    fn needs_rotation<'a>(&'a self, settings: &'a ParsedSettings, now: Timestamp) -> Call<'a, bool>;

    /// Goes by settings that need no new provider: life times and limits.
    fn reconfigure(&self, settings: &ParsedSettings);

    /// Lets go of what it holds elsewhere, once another provider has replaced it or it is not going to be used.
    fn cleanup(&self) -> Call<'_, ()>;
}

/// When a certificate is issued, and under which serial number.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The leader's clock.
    pub now: Timestamp,
    /// Next of the cluster's counter.
    pub serial: Serial,
}

/// A leaf to be signed: what the server has authorised.
#[derive(Clone, Copy, Debug)]
pub struct LeafRequest<'a> {
    /// Who it is for.
    pub identity: &'a SpiffeId,
    /// DNS names that follow from the identity's kind.
    pub dns_names: &'a [String],
    /// Addresses that follow from the identity's kind.
    pub addresses: &'a [std::net::IpAddr],
    /// The key, taken from a request that proved its possession.
    pub public_key: &'a PublicKey,
}

/// A root, and what its provider has to remember.
#[derive(Clone, Debug)]
pub struct Made {
    /// The certificates.
    pub chain: Arc<CaChain>,
    /// From this, and from the published root, the provider is opened again. Sealed before it is written.
    pub kept: SecretBytes,
}

/// The certificates of a CA, as published.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaChain {
    /// The root.
    pub root: Certificate,
    /// What stands between the root and leaves, the one that signs leaves last.
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

    /// The record of a root, not active yet. Refuses a root whose key is of a kind that cannot be used here.
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

/// The PEM of a leaf as it is handed out: the leaf, then the root's intermediates, never the root.
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
