//! What a reader of the ledger is shown of proxies.

use std::time::Duration;

use concord_api::proxy_status::{
    EndedProxy, MadeFrom, ProxyStatus, ProxyStatuses, RejectedResource, ResponseStatus, TypeStatus,
};
use concord_model::entry::EntryName;
use concord_rpc::Caller;
use concord_runtime::Instant;
use concord_syntax::duration;
use concord_xds::causes::{self, Cause};
use concord_xds::delta::Stage;
use concord_xds::{Name, ResourceType};

use super::account::{Account, Has, OfEnvoy, Times};
use super::{Ended, LISTED_MAX, Ledger, ProxyKind, REJECTIONS_MAX, Row, Shown, is_asked, may};

impl Ledger {
    /// The proxies that a caller may see: those attached here, and those that were. It needs `service:read` on the
    /// service of each.
    pub fn proxies(&self, caller: &Caller, node: &str, proxy: Option<&str>) -> Shown<ProxyStatuses> {
        let index = self.index(caller, proxy);
        let (rows, mut filtered) = self.rows(caller, proxy);
        let now = self.now();
        let proxies: Vec<_> = rows.iter().take(LISTED_MAX).map(|row| status(row, now)).collect();
        let table = self.0.rows.lock();
        let asked = || table.ended.iter().filter(|ended| is_asked(&ended.told.proxy, proxy));
        let (seen, hidden): (Vec<_>, Vec<_>) = asked().partition(|ended| may(caller, &ended.service));
        filtered |= !hidden.is_empty();
        let is_back = |ended: &Ended| rows.iter().any(|row| row.proxy == ended.told.proxy);
        let ended =
            seen.into_iter().rev().filter(|ended| !is_back(ended)).map(|own| shown(own, now)).collect();
        let value = ProxyStatuses {
            node: node.to_owned(),
            left_out: rows.len() - proxies.len(),
            proxies,
            ended,
            forgotten: if filtered { 0 } else { table.forgotten },
        };
        Shown { value, index, filtered }
    }
}

/// How long ago a time was.
pub(super) fn ago(at: Instant, now: Instant) -> String {
    span(if now > at { now - at } else { Duration::ZERO })
}

/// A duration, to the millisecond.
pub(super) fn span(exact: Duration) -> String {
    duration::format(Duration::from_millis(u64::try_from(exact.as_millis()).unwrap_or(u64::MAX)))
}

fn shown(ended: &Ended, now: Instant) -> EndedProxy {
    EndedProxy { ago: ago(ended.at, now), ..ended.told.clone() }
}

fn status(row: &Row, now: Instant) -> ProxyStatus {
    let account = row.account.lock();
    let basis = account.basis();
    let mut status = ProxyStatus {
        proxy: row.proxy.clone(),
        node: basis.map_or_else(String::new, |basis| basis.node.to_string()),
        service: basis.map_or_else(String::new, |basis| basis.service.to_string()),
        kind: row.kind.as_str().to_owned(),
        envoy_version: match row.kind {
            ProxyKind::Envoy(version) => version.map_or_else(String::new, |version| version.to_string()),
            ProxyKind::BuiltIn => String::new(),
        },
        connected: ago(row.since, now),
        snapshot: account.snapshot().map_or(0, |snapshot| snapshot.version),
        ..ProxyStatus::default()
    };
    match &account.has {
        Has::Envoy(own) => {
            status.types = types(own, now);
            let all = rejections(&row.proxy, &account, own, now, |_, _| true);
            status.more_rejections = all.len().saturating_sub(REJECTIONS_MAX);
            status.rejections = all.into_iter().take(REJECTIONS_MAX).collect();
            status.unserved = own.unserved.iter().map(ToString::to_string).collect();
            status.state = state(own).to_owned();
        }
        Has::BuiltIn(version, _) => {
            status.state = if *version == 0 { "starting" } else { "delivered" }.to_owned();
        }
    }
    status
}

fn state(own: &OfEnvoy) -> &'static str {
    let is_told = ResourceType::ALL
        .iter()
        .any(|kind| own.times(*kind).is_some_and(|times| times.progress.delivered > 0));
    let is_refusing = own.machine.rejections().next().is_some();
    match (is_told, is_refusing, own.machine.is_settled()) {
        (false, _, _) => "starting",
        (true, true, _) => "rejected",
        (true, false, true) => "acknowledged",
        (true, false, false) => "pending",
    }
}

fn types(own: &OfEnvoy, now: Instant) -> Vec<TypeStatus> {
    let of = |kind: ResourceType| {
        let times = own.times(kind)?;
        let mut shown = TypeStatus { kind: kind.as_str().to_owned(), ..responses(times, now) };
        for (_, _, stage) in own.machine.stages().filter(|(own, _, _)| *own == kind) {
            shown.resources += 1;
            *match stage {
                Stage::NotAsked | Stage::Waiting => &mut shown.waiting,
                Stage::Delivered => &mut shown.delivered,
                Stage::Acknowledged => &mut shown.acknowledged,
                Stage::Refused => &mut shown.rejected,
            } += 1;
        }
        Some(shown)
    };
    ResourceType::ALL.into_iter().filter_map(of).collect()
}

fn responses(times: &Times, now: Instant) -> TypeStatus {
    let response = |version: u32, at| (version > 0).then(|| ResponseStatus { version, ago: ago(at, now) });
    TypeStatus {
        last_delivered: response(times.progress.delivered, times.delivered),
        last_acknowledged: response(times.progress.acknowledged, times.acknowledged),
        last_rejected: response(times.progress.refused, times.refused),
        ..TypeStatus::default()
    }
}

/// What Envoy refuses, of the resources that are asked for.
pub(super) fn rejections(
    proxy: &str,
    account: &Account,
    own: &OfEnvoy,
    now: Instant,
    is_asked: impl Fn(ResourceType, &str) -> bool,
) -> Vec<RejectedResource> {
    let refused = own.machine.rejections().filter(|(kind, name, _)| is_asked(*kind, name));
    let shown = refused.map(|(kind, name, rejection)| RejectedResource {
        kind: kind.as_str().to_owned(),
        name: name.to_owned(),
        words: rejection.words.clone(),
        made_from: made_from(proxy, account, kind, name),
        ago: own.refused.get(&(kind, name.to_owned())).map_or_else(String::new, |at| ago(*at, now)),
    });
    shown.collect()
}

impl Account {
    /// What a refused resource is made from, in words; empty if Envoy refused several at once.
    pub(crate) fn told_causes(&self, proxy: &str, names: &[Name], kind: ResourceType) -> String {
        let [name] = names else { return String::new() };
        let told = made_from(proxy, self, kind, name);
        told.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// What a resource is made from. A registration is followed by the entries that are merged with it.
fn made_from(proxy: &str, account: &Account, kind: ResourceType, name: &str) -> Vec<MadeFrom> {
    let Some(snapshot) = account.snapshot() else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |one: MadeFrom| {
        let is_there = all.iter().any(|own: &MadeFrom| {
            *own == one
                || (!one.kind.is_empty()
                    && one.field.is_empty()
                    && (&own.kind, &own.name) == (&one.kind, &one.name))
        });
        if !is_there {
            all.push(one);
        }
    };
    for cause in causes::of_resource(snapshot, kind, name) {
        match cause {
            Cause::Entry { name, field } => add(of_entry(&name, field)),
            Cause::Registration { upstream } => {
                let upstream = upstream.map_or_else(String::new, |upstream| upstream.to_string());
                add(MadeFrom { registration: proxy.to_owned(), upstream, ..MadeFrom::default() });
                let merged = account.basis().and_then(|basis| basis.registration.as_ref());
                merged
                    .iter()
                    .flat_map(|merged| merged.entries.iter())
                    .for_each(|name| add(of_entry(name, String::new())));
            }
            Cause::Authority => add(MadeFrom { authority: true, ..MadeFrom::default() }),
        }
    }
    all
}

fn of_entry(name: &EntryName, field: String) -> MadeFrom {
    MadeFrom {
        kind: name.kind.as_str().to_owned(),
        name: name.as_str().to_owned(),
        field,
        ..MadeFrom::default()
    }
}
