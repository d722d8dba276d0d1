//! The rate at which leaves are issued: by an agent over HTTP, and by the cryptography alone on one core.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use concord_ca::csr::Csr;
use concord_ca::key::{KeyMaker, OsKeys};
use concord_ca::provider::means::at_once;
use concord_ca::provider::settings::describe;
use concord_ca::provider::{Issue, Kinds, LeafRequest, Means};
use concord_ca::x509::build::{
    Authority, LeafTemplate, RootTemplate, Serial, Validity, build_leaf, build_root,
};
use concord_e2e::World;
use concord_model::ca::KeyKind;
use concord_model::{SpiffeId, Timestamp, TrustDomain};
use serde_json::json;

use crate::agents::Kind;
use crate::figures::Figures;
use crate::traffic::{in_parallel, together};
use crate::usage::Group;

/// The time of the bare certificates. Its value does not matter.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
/// Clients that send requests at the same time.
const CONNECTIONS: usize = 8;
/// Maximum number of leaves from one agent, which keeps at most 4,096.
const LEAVES_MAX: u64 = 3_000;
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn run(lasting: Duration) -> Result<Figures> {
    let mut figures = Figures::default();
    bare(lasting, &mut figures)?;
    for kind in Kind::ALL {
        end_to_end(kind, lasting, &mut figures)?;
    }
    Ok(figures)
}

/// Each leaf is for another service: the agent makes a key, requests and checks a signature, and returns the leaf.
fn end_to_end(kind: Kind, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let world = World::new();
    let (mut agent, kind) = (kind.start(&world), kind.name());
    let http = agent.http();
    // Otherwise the default limit of fifty a second would determine the result.
    let config = http.get("/v1/connect/ca/configuration").json();
    let mut settings = config["Config"].as_object().cloned().unwrap_or_default();
    settings.insert("CSRMaxPerSecond".to_owned(), json!(0));
    settings.insert("CSRMaxConcurrent".to_owned(), json!(0));
    http.put("/v1/connect/ca/configuration", &json!({ "Provider": "consul", "Config": settings })).ok();
    http.get("/v1/agent/connect/ca/leaf/first").ok();

    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(http.connect()?);
    }
    let process = Group::new([agent.process().pid()]);
    let numbers = AtomicU64::new(0);
    let (cpu, began) = (process.cpu()?, Instant::now());
    let until = began + lasting;
    let times = in_parallel(&mut connections, |conn| {
        let mut times = Vec::new();
        while Instant::now() < until {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            if number >= LEAVES_MAX {
                break;
            }
            let began = Instant::now();
            let reply = conn.send("GET", &format!("/v1/agent/connect/ca/leaf/leaf-{number}"), None)?;
            ensure!(reply.status == 200, "leaf {number}: {} {}", reply.status, reply.body);
            times.push(began.elapsed());
        }
        Ok(times)
    })?;
    let (cpu, took) = (process.cpu()?.saturating_sub(cpu), began.elapsed());
    let what = |of: &str| format!("leaves end to end, {kind}, {}: {of}", together(CONNECTIONS));
    let count = times.count() as f64;
    figures.add(what("leaves a second"), count / took.as_secs_f64(), "/s");
    figures.add(what("leaves a second and core of the agent"), count / cpu.as_secs_f64().max(1e-9), "/s");
    figures.add(what("p50"), times.millis(50), "ms");
    figures.add(what("p99"), times.millis(99), "ms");
    Ok(())
}

/// Uses only this process, and one core.
fn bare(lasting: Duration, figures: &mut Figures) -> Result<()> {
    let domain = TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul")?;
    let identity = SpiffeId::parse(&format!("spiffe://{domain}/ns/default/dc/dc1/svc/web"))?;
    let signer = OsKeys.make(KeyKind::EcP256)?;
    let template = RootTemplate {
        common_name: "load",
        trust_domain: &domain,
        validity: Validity::from_now(NOW, 24 * 365 * HOUR),
        serial: serial(1)?,
    };
    let root = build_root(template, &*signer)?;
    let rate = repeated(lasting, || {
        let holder = OsKeys.make(KeyKind::EcP256)?;
        let template = LeafTemplate {
            identity: &identity,
            dns_names: &[],
            addresses: &[],
            public_key: holder.public_key(),
            validity: Validity::backdated(NOW, 72 * HOUR),
            serial: serial(2)?,
        };
        build_leaf(template, Authority::try_new(&root, &*signer)?)?;
        Ok(())
    })?;
    figures.add("bare key and signature, one core", rate, "/s");

    let (kinds, means) = (Kinds::default(), Means::inline(domain.clone(), Arc::new(OsKeys)));
    let settings = kinds.default_kind().parse(&Default::default());
    let settings = settings.map_err(|faults| anyhow::anyhow!(describe(&faults)))?;
    let provider = at_once(kinds.default_kind().configure(&means, &settings))?;
    at_once(provider.generate_ca_chain(Issue { now: NOW, serial: serial(7)? }))?;
    let rate = repeated(lasting, || {
        let csr = Csr::build(&*OsKeys.make(KeyKind::EcP256)?, &identity)?;
        let parsed = Csr::parse(&csr)?;
        let request = LeafRequest {
            identity: &parsed.identity,
            dns_names: &[],
            addresses: &[],
            public_key: &parsed.public_key,
        };
        at_once(provider.sign(request, Issue { now: NOW, serial: serial(8)? }))?;
        Ok(())
    })?;
    figures.add("bare key, request, check of it and signature, one core", rate, "/s");
    Ok(())
}

fn serial(number: u64) -> Result<Serial> {
    Serial::from_counter(number).context("serials are positive")
}

/// How often `work` runs in a second.
fn repeated(lasting: Duration, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let (began, mut done) = (Instant::now(), 0u32);
    while began.elapsed() < lasting {
        work()?;
        done += 1;
    }
    Ok(f64::from(done) / began.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_leaves_are_made() {
        let mut figures = Figures::default();
        bare(Duration::from_millis(1), &mut figures).unwrap();
        assert!(figures.to_json().contains("bare key and signature"));
    }
}
