//! What a reader of the ledger is shown of an entry: how far it came with each proxy.

use concord_api::proxy_status::{EntryAtProxy, EntryDelivery};
use concord_model::Timestamp;
use concord_model::entry::EntryName;
use concord_rpc::Caller;
use concord_runtime::Instant;
use concord_xds::causes::{self, Part};
use concord_xds::delta::Stage;

use super::account::{Account, Has, OfEnvoy};
use super::report::{ago, rejections, span};
use super::{LISTED_MAX, Ledger, REJECTIONS_MAX, Row, Shown};

/// An entry as it was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The entry.
    pub name: EntryName,
    /// The index of its last change.
    pub index: u64,
    /// The leader's clock at that change, if it is known.
    pub at: Option<Timestamp>,
}

/// How far an entry came with a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reached {
    Awaited,
    Compiled,
    Delivered,
    Acknowledged,
    Rejected,
}

impl Reached {
    fn as_str(self) -> &'static str {
        match self {
            Self::Awaited => "awaited",
            Self::Compiled => "compiled",
            Self::Delivered => "delivered",
            Self::Acknowledged => "acknowledged",
            Self::Rejected => "rejected",
        }
    }
}

impl Ledger {
    /// Who has an entry, of the proxies that a caller may see. It needs `service:read` on the service of each. Whether
    /// the caller may read the entry is checked where the entry is read.
    pub fn delivery(&self, caller: &Caller, node: &str, entry: &Accepted) -> Shown<EntryDelivery> {
        let index = self.index(caller, None);
        let (rows, filtered) = self.rows(caller, None);
        let now = self.now();
        let wall = Timestamp::from_nanos(self.clock().wall_nanos());
        let mut told = EntryDelivery {
            kind: entry.name.kind.as_str().to_owned(),
            name: entry.name.as_str().to_owned(),
            modify_index: entry.index,
            accepted_ago: entry.at.map_or_else(String::new, |at| span(wall.since(at))),
            node: node.to_owned(),
            ..EntryDelivery::default()
        };
        for row in rows {
            let Some((reached, shown)) = at(&row, entry, now) else { continue };
            told.affected += 1;
            told.compiled += usize::from(reached != Reached::Awaited);
            told.delivered += usize::from(!matches!(reached, Reached::Awaited | Reached::Compiled));
            told.acknowledged += usize::from(reached == Reached::Acknowledged);
            told.rejected += usize::from(reached == Reached::Rejected);
            if told.proxies.len() < LISTED_MAX {
                told.proxies.push(shown);
            }
        }
        told.left_out = told.affected - told.proxies.len();
        Shown { value: told, index, filtered }
    }
}

/// How far the entry came with a proxy; `None` if it does not concern the proxy.
fn at(row: &Row, entry: &Accepted, now: Instant) -> Option<(Reached, EntryAtProxy)> {
    let account = row.account.lock();
    let mut parts = causes::parts(account.snapshot()?, &entry.name);
    // A proxy that describes itself, or that does not act by entries, has no such part.
    parts.retain(|part| {
        matches!(part, Part::Chain(_) | Part::Intentions) || account.index_of(part, &entry.name).is_some()
    });
    if parts.is_empty() {
        return None;
    }
    let mut shown = EntryAtProxy {
        proxy: row.proxy.clone(),
        service: account.service().map_or_else(String::new, ToString::to_string),
        kind: row.kind.as_str().to_owned(),
        ..EntryAtProxy::default()
    };
    let (reached, since) = reached(row, &account, entry, &parts, &mut shown, now);
    shown.reached = reached.as_str().to_owned();
    shown.ago = since.map_or_else(String::new, |at| ago(at, now));
    Some((reached, shown))
}

fn reached(
    row: &Row,
    account: &Account,
    entry: &Accepted,
    parts: &[Part],
    shown: &mut EntryAtProxy,
    now: Instant,
) -> (Reached, Option<Instant>) {
    let Some(compiled) = compiled(account, entry, parts) else { return (Reached::Awaited, None) };
    match &account.has {
        Has::BuiltIn(0, _) => (Reached::Compiled, compiled),
        Has::BuiltIn(_, at) => (Reached::Delivered, Some((*at).max(compiled.unwrap_or(*at)))),
        Has::Envoy(own) => {
            let resources = account.snapshot().map(|snapshot| causes::resources_of(snapshot, parts));
            let is_of = |kind, name: &str| resources.as_ref().is_some_and(|all| all.has(kind, name));
            shown.rejections = rejections(&row.proxy, account, own, now, is_of);
            shown.rejections.truncate(REJECTIONS_MAX);
            of_envoy(own, compiled, is_of)
        }
    }
}

/// Since when the snapshot has the entry as it was accepted; `None` if it has not.
fn compiled(account: &Account, entry: &Accepted, parts: &[Part]) -> Option<Option<Instant>> {
    let mut since = None;
    for part in parts {
        let (index, at) = account.index_of(part, &entry.name)?;
        if index < entry.index {
            return None;
        }
        since = since.max(at);
    }
    Some(since)
}

/// How far the resources came, and when: the least far of them decides, but for one that is refused.
fn of_envoy(
    own: &OfEnvoy,
    compiled: Option<Instant>,
    is_of: impl Fn(concord_xds::ResourceType, &str) -> bool,
) -> (Reached, Option<Instant>) {
    let mut reached = Reached::Acknowledged;
    let mut last = compiled;
    for (kind, name, stage) in own.machine.stages().filter(|(kind, name, _)| is_of(*kind, name)) {
        let Some(times) = own.times(kind) else { return (Reached::Compiled, compiled) };
        match stage {
            Stage::Refused => {
                return (Reached::Rejected, own.refused.get(&(kind, name.to_owned())).copied());
            }
            Stage::NotAsked | Stage::Waiting => reached = Reached::Compiled,
            Stage::Delivered if reached == Reached::Acknowledged => {
                (reached, last) = (Reached::Delivered, Some(times.delivered));
            }
            Stage::Delivered => {}
            Stage::Acknowledged if reached == Reached::Acknowledged => {
                last = last.max(Some(times.acknowledged))
            }
            Stage::Acknowledged => {}
        }
    }
    (reached, if reached == Reached::Compiled { compiled } else { last })
}
