//! Keeps what follows from the entries about API gateways: the `bound-api-gateway` entries, and the status of gateways
//! and routes. [`mesh::gateway`](concord_mesh::gateway) computes it; this duty writes what differs.
//!
//! It runs while this server leads, when an entry that it has read changes. What it writes wakes it once more, and then
//! nothing differs. A write that fails is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_mesh::entry::links;
use concord_mesh::gateway::{GatewayEntries, Settled, dated, protocol_of, settle};
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, Record};
use concord_model::{ServiceRef, Stamp, Timestamp};
use concord_rpc::RpcError;
use concord_runtime::Backoff;
use concord_state::command::{Command, DeleteEntry, SetEntry, SetEntryStatus};
use concord_state::{ReadSet, Reader};
use tracing::{debug, warn};

use crate::parts::Core;

/// Runs until the scope ends.
pub(crate) async fn run(core: Arc<Core>) {
    let mut leading = core.duties.watch();
    loop {
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            led = leading.wait_for(|leads| *leads) => if led.is_err() { return },
        }
        tokio::select! {
            biased;
            () = core.scope.cancelled() => return,
            _ = leading.wait_for(|leads| !*leads) => {}
            () = lead(&core) => {}
        }
    }
}

/// One term of leadership.
async fn lead(core: &Core) {
    let mut backoff = Backoff::default();
    loop {
        match keep(core).await {
            Ok(()) => backoff = Backoff::default(),
            Err(error) => {
                warn!(%error, "the state of API gateways cannot be kept; it will be tried again");
                core.world.clock.sleep(backoff.next(&*core.world.entropy)).await;
            }
        }
    }
}

/// Writes what differs. If nothing does, waits until an entry changes.
async fn keep(core: &Core) -> Result<(), RpcError> {
    let mut reader = core.log.view().read();
    let differs = differing(&mut reader, core.log.now());
    if differs.is_empty() {
        changed(core, &reader.finish()).await;
        return Ok(());
    }
    for command in differs {
        debug!(command = command.name(), "keeping the state of API gateways");
        core.log.write(command).await?;
    }
    Ok(())
}

/// Waits until something that was read changes.
async fn changed(core: &Core, read: &ReadSet) {
    let waiter = core.log.published.hub.register_duty(read.keys().cloned().collect());
    if read.holds_in(&core.log.view()) {
        waiter.woken().await;
    }
}

/// What has to be written so that the stored state is what follows from the entries.
fn differing(reader: &mut Reader, now: Timestamp) -> Vec<Command> {
    let kept =
        [EntryKind::ApiGateway, EntryKind::HttpRoute, EntryKind::TcpRoute].map(|kind| all(reader, kind));
    let settled = settled(reader, &kept);
    let stored: BTreeMap<EntryName, &Entry> =
        kept.iter().flatten().map(|entry| (entry.name(), &**entry)).collect();
    let mut differs: Vec<Command> = Vec::new();
    for (entry, status) in settled.statuses {
        let Some((was, stamp)) = stored.get(&entry).and_then(|own| Some((own.status()?, own.stamp()))) else {
            continue;
        };
        let status = dated(status, was, now);
        if status != *was {
            differs.push(SetEntryStatus { entry, modify: stamp.modify, status }.into());
        }
    }
    let mut bound: BTreeMap<EntryName, Arc<Entry>> =
        all(reader, EntryKind::BoundApiGateway).into_iter().map(|entry| (entry.name(), entry)).collect();
    for (name, said) in settled.bound {
        let entry = Entry::BoundApiGateway(Record {
            scope: name.scope.clone(),
            said,
            meta: BTreeMap::new(),
            stamp: Stamp::default(),
        });
        if bound.remove(&name).is_none_or(|old| !old.says_the_same(&entry)) {
            differs.push(SetEntry { entry, cas: None }.into());
        }
    }
    differs.extend(bound.into_keys().map(|entry| DeleteEntry { entry, cas: None }.into()));
    differs
}

/// What follows from the entries.
fn settled(reader: &mut Reader, kept: &[Vec<Arc<Entry>>; 3]) -> Settled {
    let mut entries = GatewayEntries::default();
    for entry in kept.iter().flatten() {
        match &**entry {
            Entry::ApiGateway(own) => entries.gateways.push(own),
            Entry::HttpRoute(own) => entries.http_routes.push(own),
            Entry::TcpRoute(own) => entries.tcp_routes.push(own),
            _ => {}
        }
    }
    for kind in [EntryKind::InlineCertificate, EntryKind::FileSystemCertificate] {
        entries.certificates.extend(reader.entry_rows(kind).iter().map(|row| row.name()));
    }
    let chains = chains(reader, kept.iter().flatten());
    let none = || Err("the service was not looked at".to_owned());
    settle(&entries, |service| chains.get(service).cloned().unwrap_or_else(none))
}

/// The protocols of the chains of the services that routes name, or why there is no chain.
fn chains<'a>(
    reader: &mut Reader,
    entries: impl Iterator<Item = &'a Arc<Entry>>,
) -> BTreeMap<ServiceRef, Result<Protocol, String>> {
    let services: BTreeSet<ServiceRef> = entries.flat_map(|entry| links(entry)).collect();
    let of = |service: ServiceRef| {
        let protocol = protocol_of(&service, |name| reader.entry(name)).map_err(|fault| fault.to_string());
        (service, protocol)
    };
    services.into_iter().map(of).collect()
}

/// All entries of a kind.
fn all(reader: &mut Reader, kind: EntryKind) -> Vec<Arc<Entry>> {
    let rows = reader.entry_rows(kind);
    rows.iter().map(|row| reader.whole_entry(row)).collect()
}
