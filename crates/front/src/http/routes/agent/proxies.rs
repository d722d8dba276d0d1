//! `agent/proxies`: which proxy that is attached here has what, and who has an entry.

use std::sync::Arc;

use concord_api::entry::parse_name;
use concord_model::entry::EntryName;
use concord_rpc::Head;
use concord_rpc::request::{Acceptance, ReadAcceptance};
use concord_runtime::{BoxFuture, Instant};

use crate::http::context::Ctx;
use crate::http::limits::PROXIES_WAIT;
use crate::http::reply::Meta;
use crate::http::routes::config::{kind, missing};
use crate::http::{Call, HttpError, Reply};
use crate::ledger::{Accepted, Shown};

/// The index that the client knows, and how long it waits for another.
struct Wait {
    known: u64,
    until: Instant,
}

impl Wait {
    fn of(ctx: &Ctx, call: &Call) -> Result<Self, HttpError> {
        let head = call.head()?;
        let (usual, most) = PROXIES_WAIT;
        let until = ctx.ledger.clock().now() + head.wait.unwrap_or(usual).min(most);
        Ok(Self { known: head.min_index, until })
    }

    /// Whether the client is answered with this index.
    fn ends_at(&self, index: u64, ctx: &Ctx) -> bool {
        self.known == 0 || self.known != index || ctx.ledger.clock().now() >= self.until
    }
}

pub(super) async fn proxies(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let proxy = call.parameter("proxy-id").filter(|id| !id.is_empty());
    let wait = Wait::of(&ctx, &call)?;
    loop {
        let mut changes = ctx.ledger.changes();
        let caller = ctx.caller(&call).await?;
        if wait.ends_at(ctx.ledger.index(&caller, proxy), &ctx) {
            let shown = ctx.ledger.proxies(&caller, ctx.agent.config.node.as_str(), proxy);
            let meta = meta(&shown, shown.filtered && !caller.is_anonymous());
            return Ok(Reply::json(shown.value).with_meta(&meta));
        }
        tokio::select! {
            biased;
            _ = changes.changed() => {}
            () = ctx.ledger.clock().sleep_until(wait.until) => {}
        }
    }
}

/// The index of the answer is the sum of that of the entry and that of the proxies: it grows when either does.
pub(super) async fn delivery(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let name = parse_name(kind(&ctx, &call).await?, call.capture(1))?;
    let wait = Wait::of(&ctx, &call)?;
    let (mut entry, mut written) = read(&ctx, &call, name.clone(), 0, &wait).await?;
    let mut next: Option<BoxFuture<'_, _>> = None;
    loop {
        let mut changes = ctx.ledger.changes();
        let caller = ctx.caller(&call).await?;
        let index = ctx.ledger.index(&caller, None) + written;
        if wait.ends_at(index, &ctx) {
            let Some(accepted) = entry else {
                let meta = Meta { index, ..meta(&Shown { value: (), index, filtered: false }, false) };
                return Ok(missing(&name).with_meta(&meta));
            };
            let mut shown = ctx.ledger.delivery(&caller, ctx.agent.config.node.as_str(), &accepted);
            shown.index += written;
            let meta = meta(&shown, shown.filtered && !caller.is_anonymous());
            return Ok(Reply::json(shown.value).with_meta(&meta));
        }
        let newer = next.get_or_insert_with(|| Box::pin(read(&ctx, &call, name.clone(), written, &wait)));
        tokio::select! {
            biased;
            found = newer => {
                (entry, written) = found?;
                next = None;
            }
            _ = changes.changed() => {}
            () = ctx.ledger.clock().sleep_until(wait.until) => {}
        }
    }
}

/// The entry as it was accepted after an index, and the index of that answer.
async fn read(
    ctx: &Ctx,
    call: &Call,
    name: EntryName,
    after: u64,
    wait: &Wait,
) -> Result<(Option<Accepted>, u64), HttpError> {
    let now = ctx.ledger.clock().now();
    let left = if wait.until > now { wait.until - now } else { std::time::Duration::ZERO };
    let head = Head { min_index: after, wait: Some(left), ..ctx.head(call)? };
    let (found, meta) = ctx.ask_with(call, head, ReadAcceptance { name: name.clone() }).await?;
    Ok((found.map(|Acceptance { modify, at }| Accepted { name, index: modify, at }), meta.index))
}

fn meta<T>(shown: &Shown<T>, filtered: bool) -> Meta {
    Meta {
        index: shown.index,
        known_leader: true,
        last_contact: std::time::Duration::ZERO,
        filtered,
        consistency: None,
    }
}
