//! The state of a built-in provider and its operations, none of which waits.

use std::sync::Arc;

use concord_model::secret::SecretBytes;
use concord_model::{Secret, Timestamp};

use super::settings::{PRIVATE_KEY, ROOT_CERT, ROOT_OR_KEY, root_cert};
use crate::csr::Csr;
use crate::key::Signer;
use crate::limits::CROSS_SIGNED_LIFE;
use crate::provider::{
    CaChain, CommonSettings, Issue, LeafRequest, Made, Means, ParsedSettings, ProviderError, RootCertFault,
};
use crate::seal::SealError;
use crate::verify::{check_intermediate, check_root};
use crate::x509::build::{
    Authority, IntermediateTemplate, LeafTemplate, RootTemplate, Validity, build_intermediate, build_leaf,
    build_root, common_name, cross_sign,
};
use crate::x509::{Certificate, GeneralName};

/// The state of a built-in provider.
#[derive(Clone, Debug)]
pub(super) struct Held {
    settings: CommonSettings,
    /// Whether the operator supplied the root.
    supplied: bool,
    /// A key that the operator supplied. It is used to make the root.
    key: Option<Secret>,
    /// The certificates, and the private key that signs leaves.
    signing: Option<(Arc<CaChain>, Arc<dyn Signer>)>,
    /// In a secondary: the key for which an intermediate was requested.
    asked: Option<Arc<dyn Signer>>,
}

impl Held {
    /// State without a root, or with the root that the operator supplied, which is checked here.
    pub(super) fn begin(means: &Means, settings: &ParsedSettings) -> Result<Self, ProviderError> {
        let mut own = Self {
            settings: settings.common.clone(),
            supplied: settings.supplied,
            key: settings.secrets.get(PRIVATE_KEY).cloned(),
            signing: None,
            asked: None,
        };
        if let Some(text) = root_cert(settings) {
            let refused = |why: &str| ProviderError::Setting { key: ROOT_CERT, why: why.to_owned() };
            let key = own.key.take().ok_or_else(|| refused("PrivateKey is required with RootCert"))?;
            let root = Certificate::parse_pem(&text)?;
            root.public_key().kind().ca_kind().ok_or(RootCertFault::KeyKind)?;
            let signer = means.keys.load(&key)?;
            if signer.public_key() != root.public_key() {
                return Err(refused("PrivateKey does not belong to it"));
            }
            check_root(&root).map_err(RootCertFault::Authority)?;
            let expected = GeneralName::Uri(format!("spiffe://{}", means.trust_domain).into_bytes());
            if root.extensions().alternative_names.as_ref().is_none_or(|own| own.names != [expected]) {
                return Err(RootCertFault::TrustDomain(means.trust_domain.clone()).into());
            }
            own.signing = Some((Arc::new(CaChain::of_root(root)), signer));
        }
        Ok(own)
    }

    /// State from the published root and its key. The key is all that this kind keeps.
    pub(super) fn open(
        means: &Means,
        settings: &ParsedSettings,
        root: &str,
        kept: &SecretBytes,
    ) -> Result<Self, ProviderError> {
        let text = std::str::from_utf8(kept.expose()).map_err(|_| SealError::Damaged)?;
        let signer = means.keys.load(&Secret::new(text.to_owned()))?;
        let root = Certificate::parse_pem(root)?;
        Authority::try_new(&root, &*signer)?;
        Ok(Self {
            settings: settings.common.clone(),
            supplied: settings.supplied,
            key: None,
            signing: Some((Arc::new(CaChain::of_root(root)), signer)),
            asked: None,
        })
    }

    /// The same state with settings that require no other root.
    pub(super) fn reconfigured(&self, settings: &ParsedSettings) -> Self {
        Self { settings: settings.common.clone(), supplied: settings.supplied, ..self.clone() }
    }

    /// The same state without any key.
    pub(super) fn without_key(&self) -> Self {
        Self { key: None, signing: None, asked: None, ..self.clone() }
    }

    pub(super) fn chain(&self) -> Option<Arc<CaChain>> {
        self.signing.as_ref().map(|(chain, _)| Arc::clone(chain))
    }

    /// The root, and what the log keeps of it.
    pub(super) fn made(&self) -> Result<Made, ProviderError> {
        let (chain, signer) = self.pair()?;
        let kept = SecretBytes::new(signer.private_key()?.expose().as_bytes().to_vec());
        Ok(Made { chain: Arc::clone(chain), kept })
    }

    fn pair(&self) -> Result<&(Arc<CaChain>, Arc<dyn Signer>), ProviderError> {
        self.signing.as_ref().ok_or(ProviderError::NotInitialised)
    }

    /// The same state with a root. Makes the root if there is none.
    pub(super) fn with_root(&self, means: &Means, issue: Issue) -> Result<Self, ProviderError> {
        if self.signing.is_some() {
            return Ok(self.clone());
        }
        let signer = match &self.key {
            Some(key) => means.keys.load(key)?,
            None => means.keys.make(self.settings.key_kind)?,
        };
        let template = RootTemplate {
            common_name: &common_name("pri", &subject_id(&*signer), &means.trust_domain),
            trust_domain: &means.trust_domain,
            // Dated back, so that a leader whose clock is slightly slow does not consider the root invalid.
            validity: Validity::backdated(issue.now, self.settings.life.root),
            serial: issue.serial,
        };
        let chain = CaChain::of_root(build_root(template, &*signer)?);
        Ok(Self { key: None, signing: Some((Arc::new(chain), signer)), ..self.clone() })
    }

    /// The same state with a new key, and a request for an intermediate for that key.
    pub(super) fn asking_for_intermediate(
        means: &Means,
        own: &Self,
    ) -> Result<(Self, String), ProviderError> {
        let signer = means.keys.make(own.settings.key_kind)?;
        let name = common_name("sec", &subject_id(&*signer), &means.trust_domain);
        let csr = Csr::build_for_intermediate(&*signer, &name, &means.trust_domain)?;
        Ok((Self { asked: Some(signer), ..own.clone() }, csr))
    }

    /// The same state with the requested intermediate.
    pub(super) fn with_intermediate(&self, chain: CaChain) -> Result<Self, ProviderError> {
        let signer = self.asked.clone().ok_or(ProviderError::NotInitialised)?;
        let (root, intermediate) = (&chain.root, chain.signing());
        if intermediate.public_key() != signer.public_key() || !intermediate.is_signed_by(root.public_key()) {
            return Err(ProviderError::ForeignIntermediate);
        }
        check_root(root).map_err(RootCertFault::Authority)?;
        check_intermediate(intermediate, root).map_err(ProviderError::Intermediate)?;
        Ok(Self { asked: None, signing: Some((Arc::new(chain), signer)), ..self.clone() })
    }

    /// Whether signing a leaf takes less time than passing the work to a worker.
    pub(super) fn signs_quickly(&self) -> bool {
        self.signing.as_ref().is_none_or(|(_, signer)| signer.kind().type_str() == "ec")
    }

    pub(super) fn sign(&self, request: &LeafRequest<'_>, issue: Issue) -> Result<Certificate, ProviderError> {
        let (chain, signer) = self.pair()?;
        let certificate = valid(chain.signing(), &issue)?;
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

    pub(super) fn sign_intermediate(
        &self,
        means: &Means,
        csr: &str,
        issue: Issue,
    ) -> Result<Certificate, ProviderError> {
        let (chain, signer) = self.pair()?;
        let root = valid(&chain.root, &issue)?;
        let public_key = Csr::parse_for_intermediate(csr, &means.trust_domain)?;
        let id = base36(&public_key.key_id());
        let template = IntermediateTemplate {
            common_name: &common_name("sec", &id, &means.trust_domain),
            trust_domain: &means.trust_domain,
            public_key: &public_key,
            validity: Validity::backdated(issue.now, self.settings.life.intermediate),
            serial: issue.serial,
        };
        Ok(build_intermediate(template, Authority::try_new(root, &**signer)?)?)
    }

    pub(super) fn cross_sign(
        &self,
        means: &Means,
        new_root: &Certificate,
        issue: Issue,
    ) -> Result<Certificate, ProviderError> {
        let (chain, signer) = self.pair()?;
        let root = valid(&chain.root, &issue)?;
        // If the operator's root allows no authority below it, verifiers refuse a cross-signed certificate.
        if root.extensions().basic_constraints.is_some_and(|constraints| constraints.path_len == Some(0)) {
            return Err(ProviderError::NoCrossSigning);
        }
        let validity = Validity::backdated(issue.now, CROSS_SIGNED_LIFE);
        let authority = Authority::try_new(root, &**signer)?;
        Ok(cross_sign(new_root, &means.trust_domain, authority, validity, issue.serial)?)
    }

    /// Whether the settings require another root: another key kind, certificate or key. An expired root is replaced,
    /// unless the settings supply that root or its key.
    pub(super) fn needs_rotation(
        &self,
        means: &Means,
        settings: &ParsedSettings,
        now: Timestamp,
    ) -> Result<bool, ProviderError> {
        let (chain, signer) = self.pair()?;
        let unreadable =
            |why: &dyn ToString| ProviderError::Setting { key: ROOT_OR_KEY, why: why.to_string() };
        if let Some(text) = root_cert(settings) {
            return Ok(Certificate::parse_pem(&text).map_err(|error| unreadable(&error))? != chain.root);
        }
        if let Some(key) = settings.secrets.get(PRIVATE_KEY) {
            let wanted = means.keys.load(key).map_err(|error| unreadable(&error))?;
            return Ok(wanted.public_key() != signer.public_key());
        }
        // If the settings no longer supply the operator's root, a root of our own replaces it.
        Ok(self.supplied || chain.root.not_after() < now || settings.common.key_kind != signer.kind())
    }
}

fn valid<'a>(certificate: &'a Certificate, issue: &Issue) -> Result<&'a Certificate, ProviderError> {
    if certificate.is_valid_at(issue.now) { Ok(certificate) } else { Err(ProviderError::Expired) }
}

/// Random text for a subject. The key is new and random, so its fingerprint is random too.
fn subject_id(signer: &dyn Signer) -> String {
    base36(&signer.public_key().key_id())
}

fn base36(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    bytes[..8].iter().map(|byte| char::from(DIGITS[usize::from(byte % 36)])).collect()
}
