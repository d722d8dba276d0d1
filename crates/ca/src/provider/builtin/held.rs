//! What a provider of this kind holds, and what it makes of that: functions that wait for nothing.

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

/// What a provider of this kind holds.
#[derive(Clone, Debug)]
pub(super) struct Held {
    settings: CommonSettings,
    /// Whether the operator brought the root along.
    supplied: bool,
    /// A key supplied by the operator, used when the root is made.
    key: Option<Secret>,
    /// The certificates, and the key of the one that signs leaves.
    signing: Option<(Arc<CaChain>, Arc<dyn Signer>)>,
    /// In a secondary: the key for which an intermediate was asked.
    asked: Option<Arc<dyn Signer>>,
}

impl Held {
    /// No root yet, or the one supplied by the operator, which is judged here.
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

    /// From the published root, and from its key, which is all that this kind keeps.
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

    /// The same under settings that need no other root.
    pub(super) fn reconfigured(&self, settings: &ParsedSettings) -> Self {
        Self { settings: settings.common.clone(), supplied: settings.supplied, ..self.clone() }
    }

    /// The same without a key.
    pub(super) fn without_key(&self) -> Self {
        Self { key: None, signing: None, asked: None, ..self.clone() }
    }

    pub(super) fn chain(&self) -> Option<Arc<CaChain>> {
        self.signing.as_ref().map(|(chain, _)| Arc::clone(chain))
    }

    /// What is published and kept of the root.
    pub(super) fn made(&self) -> Result<Made, ProviderError> {
        let (chain, signer) = self.pair()?;
        let kept = SecretBytes::new(signer.private_key()?.expose().as_bytes().to_vec());
        Ok(Made { chain: Arc::clone(chain), kept })
    }

    fn pair(&self) -> Result<&(Arc<CaChain>, Arc<dyn Signer>), ProviderError> {
        self.signing.as_ref().ok_or(ProviderError::NotInitialised)
    }

    /// The same with a root, made unless there is one.
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
            // Dated back: a leader whose clock is a little behind must not take it for one of another time.
            validity: Validity::backdated(issue.now, self.settings.life.root),
            serial: issue.serial,
        };
        let chain = CaChain::of_root(build_root(template, &*signer)?);
        Ok(Self { key: None, signing: Some((Arc::new(chain), signer)), ..self.clone() })
    }

    /// The same with a new key, and the request for an intermediate for it.
    pub(super) fn asking_for_intermediate(
        means: &Means,
        own: &Self,
    ) -> Result<(Self, String), ProviderError> {
        let signer = means.keys.make(own.settings.key_kind)?;
        let name = common_name("sec", &subject_id(&*signer), &means.trust_domain);
        let csr = Csr::build_for_intermediate(&*signer, &name, &means.trust_domain)?;
        Ok((Self { asked: Some(signer), ..own.clone() }, csr))
    }

    /// The same with the intermediate that was asked for.
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

    /// Whether a leaf is signed in less time than it takes to hand the work on.
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
        // A root of the operator's may allow no authority below it: chains through its signature would be refused.
        if root.extensions().basic_constraints.is_some_and(|constraints| constraints.path_len == Some(0)) {
            return Err(ProviderError::NoCrossSigning);
        }
        let validity = Validity::backdated(issue.now, CROSS_SIGNED_LIFE);
        let authority = Authority::try_new(root, &**signer)?;
        Ok(cross_sign(new_root, &means.trust_domain, authority, validity, issue.serial)?)
    }

    /// Whether settings ask for another root: another key kind, another certificate, another key. A root that has
    /// expired is replaced whatever they are, unless it is asked for again.
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
        // A root the operator brought along and takes back is replaced by one of our own.
        Ok(self.supplied || chain.root.not_after() < now || settings.common.key_kind != signer.kind())
    }
}

fn valid<'a>(certificate: &'a Certificate, issue: &Issue) -> Result<&'a Certificate, ProviderError> {
    if certificate.is_valid_at(issue.now) { Ok(certificate) } else { Err(ProviderError::Expired) }
}

/// Random text for a subject: the key is new and random, so its fingerprint is as well.
fn subject_id(signer: &dyn Signer) -> String {
    base36(&signer.public_key().key_id())
}

fn base36(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    bytes[..8].iter().map(|byte| char::from(DIGITS[usize::from(byte % 36)])).collect()
}
