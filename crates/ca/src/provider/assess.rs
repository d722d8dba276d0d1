//! Checks whether all verifiers accept what a provider of any kind signs, before anything depends on it.

use std::time::Duration;

use concord_model::ca::{CaRoots, KeyKind};
use concord_model::{SpiffeId, Timestamp};

use super::settings::go_text;
use super::{
    CaChain, Issue, LeafRequest, Made, Means, ParsedSettings, Provider, ProviderError, RootCertFault,
};
use crate::verify::{Refusal, TrustBundle, Usage, check_beside, check_root, verify_service};
use crate::x509::Certificate;
use crate::x509::build::Serial;

/// Makes the provider generate its root, or use the supplied one, and checks that root.
pub async fn make_root(
    provider: &dyn Provider,
    means: &Means,
    settings: &ParsedSettings,
    issue: Issue,
) -> Result<Made, ProviderError> {
    let now = issue.now;
    let made = provider.generate_ca_chain(issue).await?;
    if settings.supplied {
        assess(provider, means, settings.common.life.leaf, now).await?;
    } else {
        trial(provider, means, &made.chain.root, &made.chain.intermediates, now).await?;
    }
    Ok(made)
}

/// Checks whether all verifiers accept what this provider signs: the form of its root, and a trial leaf below that root
/// alone. A provider that has not made its root yet passes; [`make_root`] checks it later.
pub async fn assess(
    provider: &dyn Provider,
    means: &Means,
    leaf_life: Duration,
    now: Timestamp,
) -> Result<(), ProviderError> {
    let Some(chain) = provider.chain() else { return Ok(()) };
    let CaChain { root, intermediates } = &*chain;
    if !root.is_valid_at(now) {
        return Err(RootCertFault::NotValidNow.into());
    }
    if !root.is_valid_at(now.plus(leaf_life)) {
        return Err(RootCertFault::EndsTooSoon { leaf: go_text(leaf_life) }.into());
    }
    check_root(root).map_err(RootCertFault::Authority)?;
    trial(provider, means, root, intermediates, now).await
}

/// Checks whether verifiers can distinguish this provider's root from the published roots.
pub fn stands_apart(provider: &dyn Provider, published: &CaRoots) -> Result<(), ProviderError> {
    let Some(chain) = provider.chain() else { return Ok(()) };
    for root in &published.roots {
        let root = Certificate::parse_pem(&root.root_cert)?;
        check_beside(&chain.root, &root).map_err(RootCertFault::Authority)?;
    }
    Ok(())
}

/// Checks whether peers that trust only `old` accept, through `crossed`, what this provider signs.
pub async fn is_followed_from(
    provider: &dyn Provider,
    means: &Means,
    old: &Certificate,
    crossed: &Certificate,
    now: Timestamp,
) -> Result<(), ProviderError> {
    let chain = provider.chain().ok_or(ProviderError::NotInitialised)?;
    let between: Vec<Certificate> = chain.intermediates.iter().chain([crossed]).cloned().collect();
    trial(provider, means, old, &between, now).await
}

/// Signs a leaf as of `now` and verifies it, as a TLS client's and as a TLS server's. The verifier trusts only `root`
/// and gets the certificates `between` along with the leaf.
pub(super) async fn trial(
    provider: &dyn Provider,
    means: &Means,
    root: &Certificate,
    between: &[Certificate],
    now: Timestamp,
) -> Result<(), ProviderError> {
    let trust_domain = &means.trust_domain;
    let identity = SpiffeId::parse(&format!("spiffe://{trust_domain}/ns/default/dc/trial/svc/trial"))
        .map_err(|refusal| ProviderError::Trial(Refusal::Identity(refusal)))?;
    let holder = means.keys.make(KeyKind::EcP256)?;
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: holder.public_key() };
    let leaf = provider.sign(request, Issue { now, serial: Serial::from_counter(1)? }).await?;
    let mut alone = TrustBundle::default();
    alone.add(trust_domain, root.clone(), &[]).map_err(|_| ProviderError::Trial(Refusal::UnknownIssuer))?;
    let chain: Vec<_> = std::iter::once(&leaf).chain(between).map(|one| one.der().clone()).collect();
    for usage in [Usage::Client, Usage::Server] {
        verify_service(&chain, &alone, now, usage).map_err(ProviderError::Trial)?;
    }
    Ok(())
}
