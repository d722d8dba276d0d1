//! The trial leaf: what a CA would sign from now on, verified against its root alone, before anybody depends on it.

use std::time::Duration;

use concord_model::ca::KeyKind;
use concord_model::{SpiffeId, Timestamp, TrustDomain};

use super::ProviderError;
use crate::key::KeyMaker;
use crate::verify::{Refusal, TrustBundle, Usage, verify_service};
use crate::x509::Certificate;
use crate::x509::build::{Authority, LeafTemplate, Serial, Validity, build_leaf};

/// A CA on trial.
#[derive(Debug)]
pub(super) struct Trial<'a> {
    /// The one root that is trusted.
    pub(super) root: &'a Certificate,
    /// What is presented beside the leaf.
    pub(super) between: &'a [Certificate],
    /// Signs the leaf.
    pub(super) signing: Authority<'a>,
    pub(super) trust_domain: &'a TrustDomain,
    /// How long leaves live.
    pub(super) life: Duration,
    pub(super) keys: &'a dyn KeyMaker,
}

impl Trial<'_> {
    /// Signs a leaf as of `now`, and judges it in both roles of TLS.
    pub(super) fn run(&self, now: Timestamp) -> Result<(), ProviderError> {
        let identity =
            SpiffeId::parse(&format!("spiffe://{}/ns/default/dc/trial/svc/trial", self.trust_domain))
                .map_err(|refusal| ProviderError::Trial(Refusal::Identity(refusal)))?;
        let holder = self.keys.make(KeyKind::EcP256)?;
        let template = LeafTemplate {
            identity: &identity,
            dns_names: &[],
            addresses: &[],
            public_key: holder.public_key(),
            validity: Validity::backdated(now, self.life),
            serial: Serial::from_counter(1)?,
        };
        let leaf = build_leaf(template, self.signing)?;
        let mut alone = TrustBundle::default();
        alone
            .add(self.trust_domain, self.root.clone(), &[])
            .map_err(|_| ProviderError::Trial(Refusal::UnknownIssuer))?;
        let chain: Vec<_> = std::iter::once(&leaf).chain(self.between).map(|one| one.der().clone()).collect();
        for usage in [Usage::Client, Usage::Server] {
            verify_service(&chain, &alone, now, usage).map_err(ProviderError::Trial)?;
        }
        Ok(())
    }
}
