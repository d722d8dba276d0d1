//! How long one chain takes, by the number of services that requests pass, and of parts that they are split into.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::chain::{Overrides, Request, VirtualIps, compile, gather};
use concord_model::entry::{
    Entry, EntryKind, EntryName, ProxyDefaults, Record, ResolverTarget, ServiceResolver, ServiceSplitter,
    Split, Weight,
};
use concord_model::proxy::Settings;
use concord_model::{Datacenter, ServiceName, ServiceRef, Stamp, TrustDomain};
use divan::{Bencher, black_box};

type Entries = BTreeMap<EntryName, Arc<Entry>>;

fn main() {
    divan::main();
}

fn name(number: usize) -> ServiceName {
    ServiceName::parse(&format!("s{number}")).expect("a name")
}

fn record<T>(kind: EntryKind, name: &str, said: T) -> Record<T> {
    let scope = EntryName::parse(kind, name).expect("a name").scope;
    Record { scope, said, meta: BTreeMap::new(), stamp: Stamp::default() }
}

fn entries(all: impl Iterator<Item = Entry>) -> Entries {
    let config = Settings::from([("protocol".to_owned(), "http".into())]);
    let said = ProxyDefaults { config, ..ProxyDefaults::default() };
    let proxies = Entry::ProxyDefaults(record(EntryKind::ProxyDefaults, "global", said));
    all.chain([proxies]).map(|entry| (entry.name(), Arc::new(entry))).collect()
}

fn split(to: usize, weight: i32) -> Split {
    Split { weight: Weight::from_hundredths(weight), service: Some(name(to)), ..Split::default() }
}

fn splitter(own: usize, splits: Vec<Split>) -> Entry {
    let own = format!("s{own}");
    Entry::ServiceSplitter(record(EntryKind::ServiceSplitter, &own, ServiceSplitter { splits }))
}

/// A redirect after the other.
fn redirects(count: usize) -> Entries {
    entries((0..count).map(|own| {
        let to = ResolverTarget { service: Some(name(own + 1)), ..ResolverTarget::default() };
        let said = ServiceResolver { redirect: Some(to), ..ServiceResolver::default() };
        Entry::ServiceResolver(record(EntryKind::ServiceResolver, &format!("s{own}"), said))
    }))
}

/// A splitter after the other: a percent stays, the rest goes on.
fn hops(count: usize) -> Entries {
    entries((0..count).map(|own| splitter(own, vec![split(own, 100), split(own + 1, 9900)])))
}

/// One splitter with as many parts.
fn parts(count: usize) -> Entries {
    let each = Weight::WHOLE.hundredths() / count as i32;
    let all = (1..=count).map(|to| split(to, each)).collect();
    entries([splitter(0, all)].into_iter())
}

fn run(bencher: Bencher<'_, '_>, entries: &Entries) {
    let request = Request {
        service: ServiceRef::local(name(0)),
        datacenter: Datacenter::parse("dc1").expect("a name"),
        trust_domain: TrustDomain::parse("td.consul").expect("a domain"),
        overrides: Overrides::default(),
        virtual_ips: VirtualIps::default(),
    };
    bencher.bench_local(|| {
        let gathered = gather(&request.service, |name| entries.get(name).cloned()).expect("it fits");
        compile(black_box(&gathered), black_box(&request)).expect("it fits")
    });
}

#[divan::bench(args = [1, 100, 1_000])]
fn redirects_one_after_the_other(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &redirects(count));
}

#[divan::bench(args = [1, 100, 1_000])]
fn splitters_one_after_the_other(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &hops(count));
}

#[divan::bench(args = [1, 100, 1_000])]
fn parts_of_one_splitter(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &parts(count));
}
