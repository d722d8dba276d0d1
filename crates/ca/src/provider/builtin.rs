//! The built-in provider: the root's key in this process, sealed in the log.
//!
//! In a primary it signs leaves with the root itself; in a secondary with an intermediate whose
//! key it made and which the primary's root signed.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::ca::{BuiltinCaState, KeyKind};
use concord_model::{Secret, Stamp, Timestamp, TrustDomain};

use super::settings::go_text;
use super::trial::Trial;
use super::{
    BUILTIN, CaChain, CaSettings, Issue, LeafRequest, Provider, ProviderError, RootCertFault, SettingFault,
};
use crate::csr::Csr;
use crate::key::{KeyMaker, Signer};
use crate::limits::CROSS_SIGNED_LIFE;
use crate::seal::{Entropy, Kek, PURPOSE_CA_KEY, open, seal};
use crate::verify::{check_beside, check_intermediate, check_root};
use crate::x509::build::{
    Authority, IntermediateTemplate, LeafTemplate, RootTemplate, Validity, build_intermediate, build_leaf,
    build_root, common_name, cross_sign,
};
use crate::x509::{Certificate, GeneralName};

/// The provider named `consul`.
#[derive(Debug)]
pub struct BuiltinProvider {
    settings: CaSettings,
    trust_domain: TrustDomain,
    keys: Arc<dyn KeyMaker>,
    /// A key supplied by the user, used when the root is made.
    supplied_key: Option<Secret>,
    root: Option<Certificate>,
    /// In a secondary: signs leaves instead of the root.
    intermediate: Option<Certificate>,
    signer: Option<Arc<dyn Signer>>,
}

impl BuiltinProvider {
    /// A provider without root or intermediate. A root supplied by the user is judged here.
    pub fn configure(
        settings: CaSettings,
        trust_domain: TrustDomain,
        private_key: Option<Secret>,
        keys: Arc<dyn KeyMaker>,
    ) -> Result<Self, ProviderError> {
        let mut own = Self {
            settings,
            trust_domain,
            keys,
            supplied_key: private_key,
            root: None,
            intermediate: None,
            signer: None,
        };
        if let Some(text) = own.settings.root_cert.clone() {
            let key = own.supplied_key.take().ok_or(RootCertFault::NoPrivateKey)?;
            let (root, signer) = own.supplied_root(&text, &key)?;
            own.settings.key_kind = signer.kind();
            (own.root, own.signer) = (Some(root), Some(signer));
        }
        Ok(own)
    }

    /// The provider as it was when its record was made: after a restart, or on a new leader.
    pub fn open(
        settings: CaSettings,
        trust_domain: TrustDomain,
        record: &BuiltinCaState,
        keks: &[Kek],
        keys: Arc<dyn KeyMaker>,
    ) -> Result<Self, ProviderError> {
        let bytes = open(&purpose(&record.id), &record.key, keks)?;
        let text = std::str::from_utf8(bytes.expose()).map_err(|_| crate::seal::SealError::Damaged)?;
        let signer = keys.load(&Secret::new(text.to_owned()))?;
        let root = Certificate::parse_pem(&record.root_cert)?;
        Authority::try_new(&root, &*signer)?;
        let settings = CaSettings { key_kind: signer.kind(), ..settings };
        Ok(Self {
            settings,
            trust_domain,
            keys,
            supplied_key: None,
            root: Some(root),
            intermediate: None,
            signer: Some(signer),
        })
    }

    /// What has to be remembered: the root, and its key sealed.
    pub fn record(&self, keks: &[Kek], entropy: Entropy<'_>) -> Result<BuiltinCaState, ProviderError> {
        let (root, signer) = self.root_pair()?;
        let id = root.id();
        let key = seal(&purpose(&id), signer.private_key()?.expose().as_bytes(), keks, entropy)?;
        Ok(BuiltinCaState { id, root_cert: root.pem(), key, stamp: Stamp::default() })
    }

    /// Takes over settings that need no new root: life times and limits.
    pub fn reconfigure(&mut self, settings: CaSettings) {
        self.settings = CaSettings { key_kind: self.settings.key_kind, ..settings };
    }

    /// Whether these settings and this key ask for another root than the provider has: another key
    /// kind, another certificate, another key. Life times and limits do not. A root that has expired is
    /// replaced whatever they are, unless it is asked for again.
    pub fn needs_rotation(
        &self,
        settings: &CaSettings,
        private_key: Option<&Secret>,
        now: Timestamp,
    ) -> Result<bool, ProviderError> {
        let (root, signer) = self.root_pair()?;
        if let Some(text) = &settings.root_cert {
            return Ok(Certificate::parse_pem(text)? != *root);
        }
        if let Some(key) = private_key {
            return Ok(self.keys.load(key)?.public_key() != signer.public_key());
        }
        // A root the user brought along and takes back is replaced by one of our own.
        let taken_back = self.settings.root_cert.is_some();
        Ok(taken_back || root.not_after() < now || settings.key_kind != signer.kind())
    }

    /// The settings in force.
    pub fn settings(&self) -> &CaSettings {
        &self.settings
    }

    /// The kind of the root's key.
    pub fn key_kind(&self) -> KeyKind {
        self.settings.key_kind
    }

    #[cfg(test)]
    pub(super) fn signer_for_tests(&self) -> &dyn Signer {
        &**self.signer.as_ref().expect("initialised")
    }

    fn root_pair(&self) -> Result<(&Certificate, &Arc<dyn Signer>), ProviderError> {
        match (&self.root, &self.signer) {
            (Some(root), Some(signer)) => Ok((root, signer)),
            _ => Err(ProviderError::NotInitialised),
        }
    }

    fn supplied_root(
        &self,
        text: &str,
        key: &Secret,
    ) -> Result<(Certificate, Arc<dyn Signer>), ProviderError> {
        let root = Certificate::parse_pem(text)?;
        root.public_key().kind().ca_kind().ok_or(RootCertFault::KeyKind)?;
        let signer = self.keys.load(key)?;
        if signer.public_key() != root.public_key() {
            return Err(RootCertFault::WrongKey.into());
        }
        check_root(&root).map_err(RootCertFault::Authority)?;
        let expected = GeneralName::Uri(format!("spiffe://{}", self.trust_domain).into_bytes());
        if root.extensions().alternative_names.as_ref().is_none_or(|own| own.names != [expected]) {
            return Err(RootCertFault::TrustDomain(self.trust_domain.clone()).into());
        }
        Ok((root, signer))
    }

    /// Whether all verifiers accept what this CA signs: its form, and a trial leaf below its root alone. A root that is
    /// still to be made passes, and is judged when it has been.
    pub fn assess(&self, now: Timestamp) -> Result<(), ProviderError> {
        let Some(root) = &self.root else { return Ok(()) };
        if !root.is_valid_at(now) {
            return Err(RootCertFault::NotValidNow.into());
        }
        let leaf = self.settings.life.leaf;
        if !root.is_valid_at(now.plus(leaf)) {
            return Err(RootCertFault::EndsTooSoon { leaf: go_text(leaf) }.into());
        }
        check_root(root).map_err(RootCertFault::Authority)?;
        self.trial(root, self.intermediate.as_slice(), now)
    }

    /// Whether verifiers can tell this CA's root from another that stays published.
    pub fn stands_apart_from(&self, published: &Certificate) -> Result<(), ProviderError> {
        let Some(root) = &self.root else { return Ok(()) };
        Ok(check_beside(root, published).map_err(RootCertFault::Authority)?)
    }

    /// Whether those who trust `old` alone accept what this CA signs, through `old`'s signature over its root.
    pub fn is_followed_from(
        &self,
        old: &Certificate,
        crossed: &Certificate,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let between: Vec<Certificate> = self.intermediate.iter().chain([crossed]).cloned().collect();
        self.trial(old, &between, now)
    }

    fn trial(
        &self,
        root: &Certificate,
        between: &[Certificate],
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let (certificate, signer) = self.signing()?;
        let trial = Trial {
            root,
            between,
            signing: Authority::try_new(certificate, &**signer)?,
            trust_domain: &self.trust_domain,
            life: self.settings.life.leaf,
            keys: &*self.keys,
        };
        trial.run(now)
    }

    /// The certificate that signs leaves, with its key.
    fn signing(&self) -> Result<(&Certificate, &Arc<dyn Signer>), ProviderError> {
        let signer = self.signer.as_ref().ok_or(ProviderError::NotInitialised)?;
        let certificate =
            self.intermediate.as_ref().or(self.root.as_ref()).ok_or(ProviderError::NotInitialised)?;
        Ok((certificate, signer))
    }

    fn intermediate_name(&self, signer: &dyn Signer) -> String {
        common_name("sec", &subject_id(signer), &self.trust_domain)
    }
}

impl Provider for BuiltinProvider {
    fn name(&self) -> &'static str {
        BUILTIN
    }

    fn state(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn generate_ca_chain(&mut self, issue: Issue) -> Result<CaChain, ProviderError> {
        if let Some(root) = &self.root {
            self.assess(issue.now)?;
            return Ok(CaChain { root: root.clone(), intermediates: Vec::new() });
        }
        let signer = match self.supplied_key.take() {
            Some(key) => self.keys.load(&key)?,
            None => self.keys.make(self.settings.key_kind)?,
        };
        let template = RootTemplate {
            common_name: &common_name("pri", &subject_id(&*signer), &self.trust_domain),
            trust_domain: &self.trust_domain,
            // Dated back: a leader whose clock is a little behind must not take it for one of another time.
            validity: Validity::backdated(issue.now, self.settings.life.root),
            serial: issue.serial,
        };
        let root = build_root(template, &*signer)?;
        self.settings.key_kind = signer.kind();
        (self.root, self.signer) = (Some(root.clone()), Some(signer));
        self.trial(&root, &[], issue.now)?;
        Ok(CaChain { root, intermediates: Vec::new() })
    }

    fn generate_intermediate_csr(&mut self) -> Result<String, ProviderError> {
        let signer = self.keys.make(self.settings.key_kind)?;
        let csr =
            Csr::build_for_intermediate(&*signer, &self.intermediate_name(&*signer), &self.trust_domain)?;
        self.signer = Some(signer);
        Ok(csr)
    }

    fn set_intermediate(
        &mut self,
        intermediate: Certificate,
        root: Certificate,
    ) -> Result<(), ProviderError> {
        let signer = self.signer.as_ref().ok_or(ProviderError::NotInitialised)?;
        let fits =
            intermediate.public_key() == signer.public_key() && intermediate.is_signed_by(root.public_key());
        if !fits {
            return Err(ProviderError::ForeignIntermediate);
        }
        check_root(&root).map_err(RootCertFault::Authority)?;
        check_intermediate(&intermediate, &root).map_err(ProviderError::Intermediate)?;
        // Without a clock: as of the first moment at which both are valid.
        let from = intermediate.not_before().max(root.not_before());
        let trial = Trial {
            root: &root,
            between: std::slice::from_ref(&intermediate),
            signing: Authority::try_new(&intermediate, &**signer)?,
            trust_domain: &self.trust_domain,
            life: self.settings.life.leaf,
            keys: &*self.keys,
        };
        trial.run(from)?;
        (self.intermediate, self.root) = (Some(intermediate), Some(root));
        Ok(())
    }

    fn active_leaf_signing_cert(&self) -> Result<Certificate, ProviderError> {
        self.signing().map(|(certificate, _)| certificate.clone())
    }

    fn sign(&mut self, request: &LeafRequest<'_>, issue: Issue) -> Result<Certificate, ProviderError> {
        let (certificate, signer) = self.signing()?;
        if !certificate.is_valid_at(issue.now) {
            return Err(ProviderError::Expired);
        }
        let template = LeafTemplate {
            identity: request.identity,
            dns_names: request.dns_names,
            addresses: request.addresses,
            public_key: request.public_key,
            validity: Validity::backdated(issue.now, self.settings.life.leaf),
            serial: issue.serial,
        };
        Ok(build_leaf(template, Authority::try_new(certificate, &**signer)?)?)
    }

    fn sign_intermediate(&mut self, csr: &str, issue: Issue) -> Result<Certificate, ProviderError> {
        let (root, signer) = self.root_pair()?;
        if !root.is_valid_at(issue.now) {
            return Err(ProviderError::Expired);
        }
        let public_key = Csr::parse_for_intermediate(csr, &self.trust_domain)?;
        let id = base36(&public_key.key_id());
        let template = IntermediateTemplate {
            common_name: &common_name("sec", &id, &self.trust_domain),
            trust_domain: &self.trust_domain,
            public_key: &public_key,
            validity: Validity::backdated(issue.now, self.settings.life.intermediate),
            serial: issue.serial,
        };
        Ok(build_intermediate(template, Authority::try_new(root, &**signer)?)?)
    }

    fn cross_sign_ca(&mut self, new_root: &Certificate, issue: Issue) -> Result<Certificate, ProviderError> {
        let (root, signer) = self.root_pair()?;
        if !root.is_valid_at(issue.now) {
            return Err(ProviderError::Expired);
        }
        // A root of the user's may allow no authority below it: chains through its signature would be refused.
        if root.extensions().basic_constraints.is_some_and(|constraints| constraints.path_len == Some(0)) {
            return Err(ProviderError::NoCrossSigning);
        }
        let validity = Validity::backdated(issue.now, CROSS_SIGNED_LIFE);
        let authority = Authority::try_new(root, &**signer)?;
        Ok(cross_sign(new_root, &self.trust_domain, authority, validity, issue.serial)?)
    }

    fn supports_cross_signing(&self) -> bool {
        true
    }

    fn cleanup(&mut self) -> Result<(), ProviderError> {
        (self.signer, self.intermediate, self.root) = (None, None, None);
        Ok(())
    }
}

/// Binds an envelope to the root whose key it holds, so that records cannot be swapped.
fn purpose(root_id: &str) -> String {
    format!("{PURPOSE_CA_KEY} {root_id}")
}

/// Random text for a subject: the key is new and random, so its fingerprint is as well.
fn subject_id(signer: &dyn Signer) -> String {
    base36(&signer.public_key().key_id())
}

fn base36(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    bytes[..8].iter().map(|byte| char::from(DIGITS[usize::from(byte % 36)])).collect()
}

/// Faults of settings, as one text for an answer.
pub fn describe(faults: &[SettingFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
