//! The cost of a leaf: its key, the request, the signature and the verification of a chain.

use std::sync::Arc;
use std::time::Duration;

use concord_ca::csr::Csr;
use concord_ca::key::{KeyMaker, OsKeys, Signer};
use concord_ca::provider::means::at_once;
use concord_ca::provider::{Issue, Kinds, LeafRequest, Means, Provider};
use concord_ca::verify::{TrustBundle, Usage, verify_service};
use concord_ca::x509::build::{Authority, LeafTemplate, Serial, Validity, build_leaf};
use concord_model::ca::KeyKind;
use concord_model::{SpiffeId, Timestamp, TrustDomain};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn main() {
    divan::main();
}

fn domain() -> TrustDomain {
    TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul").expect("a trust domain")
}

fn web() -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://{}/ns/default/dc/dc1/svc/web", domain())).expect("an identity")
}

fn issue() -> Issue {
    Issue { now: NOW, serial: Serial::from_counter(7).expect("positive") }
}

fn provider(kind: KeyKind) -> Arc<dyn Provider> {
    let (kinds, means) = (Kinds::default(), Means::inline(domain(), Arc::new(OsKeys)));
    let mut settings = kinds.default_kind().parse(&Default::default()).expect("no settings");
    settings.common.key_kind = kind;
    let provider = at_once(kinds.default_kind().configure(&means, &settings)).expect("a provider");
    at_once(provider.generate_ca_chain(issue())).expect("a root");
    provider
}

fn key() -> Arc<dyn Signer> {
    OsKeys.make(KeyKind::EcP256).expect("a key")
}

/// The minimum: a key and a signed leaf, without a request.
#[divan::bench]
fn keygen_and_sign(bencher: divan::Bencher<'_, '_>) {
    let signer = key();
    let root = {
        let template = concord_ca::x509::build::RootTemplate {
            common_name: "bench",
            trust_domain: &domain(),
            validity: Validity::from_now(NOW, Duration::from_secs(86_400 * 365)),
            serial: Serial::from_counter(1).expect("positive"),
        };
        concord_ca::x509::build::build_root(template, &*signer).expect("a root")
    };
    let identity = web();
    bencher.bench_local(|| {
        let holder = key();
        let template = LeafTemplate {
            identity: &identity,
            dns_names: &[],
            addresses: &[],
            public_key: holder.public_key(),
            validity: Validity::backdated(NOW, Duration::from_secs(72 * 3600)),
            serial: Serial::from_counter(2).expect("positive"),
        };
        build_leaf(template, Authority::try_new(&root, &*signer).expect("a pair")).expect("a leaf")
    });
}

/// The holder's part: a key and a request.
#[divan::bench]
fn keygen_and_request(bencher: divan::Bencher<'_, '_>) {
    let identity = web();
    bencher.bench_local(|| Csr::build(&*key(), &identity).expect("a request"));
}

/// The server's part: reading and checking a request, and signing a leaf.
#[divan::bench(args = [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048])]
fn parse_request_and_sign(bencher: divan::Bencher<'_, '_>, kind: &KeyKind) {
    let provider = provider(*kind);
    let csr = Csr::build(&*key(), &web()).expect("a request");
    bencher.bench_local(|| {
        let parsed = Csr::parse(&csr).expect("a good request");
        let request = LeafRequest {
            identity: &parsed.identity,
            dns_names: &[],
            addresses: &[],
            public_key: &parsed.public_key,
        };
        at_once(provider.sign(request, issue())).expect("a leaf")
    });
}

/// The peer's part of a handshake: verifying a leaf that the root signed directly.
#[divan::bench]
fn judge_a_chain(bencher: divan::Bencher<'_, '_>) {
    let provider = provider(KeyKind::EcP256);
    let root = at_once(provider.generate_ca_chain(issue())).expect("a root").chain.root.clone();
    let (holder, identity) = (key(), web());
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: holder.public_key() };
    let chain = [at_once(provider.sign(request, issue())).expect("a leaf").der().clone()];
    let mut bundle = TrustBundle::default();
    bundle.add(&domain(), root, &[]).expect("a root");
    bencher.bench_local(|| verify_service(&chain, &bundle, NOW, Usage::Client).expect("a good chain"));
}
