//! Connections from the mesh to the local service.
//!
//! ```text
//! accept ─► room? ─► handshake ─► chain and SPIFFE id verified ─► intention decided ─► local service ─► relay
//!             │          │                    │                        │                    │             │
//!             └──────────┴──── refused, with its reason, before a byte reaches the service ─┘       cut when denied
//! ```

use std::sync::Arc;
use std::time::Duration;

use concord_ca::Verified;
use concord_ca::verify::read_verified_leaf;
use concord_model::ServiceIdentity;
use concord_proxycfg::{HANDSHAKE_TIMEOUT, InboundListener, LOCAL_CONNECT_TIMEOUT_BUILT_IN};
use concord_runtime::timeout;
use rustls::server::Acceptor;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::events::{Carrying, Decided, Direction};
use crate::gate::Stranger;
use crate::identity::failed_handshake;
use crate::refusals::{NO_BYTES, Refused};
use crate::relay::relay;
use crate::state::{Current, Shared};
use crate::wire::{Remote, Wire};

/// Why a connection was refused.
struct Refusal {
    reason: &'static str,
    detail: String,
}

fn failed(error: &std::io::Error) -> Refusal {
    let (reason, detail) = failed_handshake(error);
    Refusal { reason, detail }
}

fn refusal(reason: &'static str, detail: impl ToString) -> Refusal {
    Refusal { reason, detail: detail.to_string() }
}

/// There is no room for a handshake, or a source that holds less needs it.
const NO_ROOM: &str = "as much is held for callers that have not proved who they are as may be";
/// The connection was cut.
const CUT: &str = "cut: an intention denies it now";

/// Whether there is room for one more connection; else the reason.
pub(crate) fn admit(shared: &Shared, remote: Remote) -> Result<Stranger, &'static str> {
    if shared.inbound.is_full() {
        return Err("connection_limit");
    }
    shared.gate.enter(remote.source()).ok_or("handshake_limit")
}

/// Handles one connection from accept to its end.
pub(crate) async fn serve(shared: Arc<Shared>, wire: Wire, remote: Remote, stranger: Stranger) {
    if let Err(Refusal { reason, detail }) = attempt(&shared, wire, remote, stranger).await {
        let direction = Direction::Inbound;
        shared.refusals.add(&Refused { direction, remote, reason, detail: &detail });
    }
}

async fn attempt(shared: &Shared, wire: Wire, remote: Remote, stranger: Stranger) -> Result<(), Refusal> {
    let before = shared.current().ok_or_else(|| refusal("no_snapshot", "not configured yet"))?;
    let clock = &*shared.world.clock;
    let limit =
        before.snapshot.inbound().and_then(|inbound| inbound.handshake_timeout).unwrap_or(HANDSHAKE_TIMEOUT);
    let began = clock.now();
    within(shared, limit, limit, &stranger, async {
        let silent =
            || refusal(NO_BYTES, "the caller went before it sent a byte; a check of the port does that");
        wire.is_spoken_to().await.then_some(()).ok_or_else(silent)
    })
    .await?;
    // Boxed, so that a caller that sends nothing costs only the memory of the wait for it.
    let left = limit.saturating_sub(clock.now() - began);
    Box::pin(answer(shared, &before, wire, remote, stranger, (limit, left))).await
}

/// Handles a caller from its first byte to its end.
async fn answer(
    shared: &Shared,
    before: &Current,
    wire: Wire,
    remote: Remote,
    stranger: Stranger,
    limit: (Duration, Duration),
) -> Result<(), Refusal> {
    let called = &before.snapshot.proxy.service;
    let mut stream = within(shared, limit.0, limit.1, &stranger, handshake(shared, wire, &stranger)).await?;
    let caller = caller(&stream)?;
    drop(stranger);
    let source = caller.id.service_ref();
    let place = shared.inbound.enter(Some(source.clone()));
    let place =
        place.ok_or_else(|| refusal("connection_limit", "as many connections are open as are allowed"))?;
    // Decide after the connection is registered with its caller: a rule that changes from now on cuts the connection.
    let current = shared.current().ok_or_else(|| refusal("no_snapshot", "not configured any more"))?;
    let proxy = &current.snapshot.proxy;
    if proxy.service != *called {
        let detail = format!("{called} was called, but the proxy stands before {} now", proxy.service);
        return Err(refusal("service_changed", detail));
    }
    let verdict = current.decide(&source);
    Decided {
        remote,
        identity: &caller.id.to_string(),
        authority: &caller.authority_key_id,
        source: &source,
        destination: &proxy.service,
        verdict: &verdict,
    }
    .emit();
    if !verdict.allowed {
        return Err(refusal("intention", verdict.reason()));
    }
    let mut local = tokio::select! {
        biased;
        () = place.cut() => return Err(refusal("intention", CUT)),
        local = connect_local(shared, current.snapshot.inbound()) => local?,
    };
    let clock = Arc::clone(&shared.world.clock);
    let mut carrying = Carrying::begin(Direction::Inbound, remote, &source, &proxy.service, clock);
    local.reset_on_drop(true);
    let end = tokio::select! {
        biased;
        () = place.cut() => Err(CUT.to_owned()),
        end = relay(&mut stream, &mut local, carrying.carried()) => end.map_err(|error| error.to_string()),
    };
    local.reset_on_drop(end.is_err());
    carrying.ended(end);
    Ok(())
}

/// Waits for a stranger for at most `left` of its handshake time, and only until others need the room.
async fn within<T>(
    shared: &Shared,
    limit: Duration,
    left: Duration,
    stranger: &Stranger,
    future: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let done = tokio::select! {
        biased;
        () = stranger.evicted() => return Err(refusal("handshake_limit", NO_ROOM)),
        done = timeout(&*shared.world.clock, left, future) => done,
    };
    done.unwrap_or_else(|_| Err(refusal("handshake_timeout", format!("no handshake within {limit:?}"))))
}

/// Performs the handshake after the caller's first byte. Waiting for the caller and for our turns counts.
async fn handshake(shared: &Shared, wire: Wire, stranger: &Stranger) -> Result<TlsStream<Wire>, Refusal> {
    stranger.settled(&*shared.world.clock).await;
    let _held = stranger.begin().ok_or_else(|| refusal("handshake_limit", NO_ROOM))?;
    let hello = LazyConfigAcceptor::new(Acceptor::default(), wire).await;
    let hello = hello.map_err(|error| failed(&error))?;
    if !shared.identity.can_present() {
        return Err(refusal("no_leaf", "no valid certificate to present; is the agent reachable?"));
    }
    let shaken = stranger.compute(hello.into_stream(shared.identity.server_config())).await;
    shaken.map_err(|error| failed(&error))
}

/// The caller's identity. The handshake has verified the chain, so the leaf can be trusted.
fn caller(stream: &TlsStream<Wire>) -> Result<Verified<ServiceIdentity>, Refusal> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let leaf = leaf.ok_or_else(|| refusal("handshake", "no client certificate"))?;
    read_verified_leaf(leaf).and_then(Verified::into_service).map_err(|error| refusal("handshake", error))
}

async fn connect_local(shared: &Shared, inbound: Option<&InboundListener>) -> Result<Wire, Refusal> {
    let local = inbound.and_then(|inbound| inbound.local.as_ref());
    let local =
        local.ok_or_else(|| refusal("no_local_service", "the registration names no local service"))?;
    let limit = inbound.and_then(|inbound| inbound.local_connect_timeout);
    let limit = limit.unwrap_or(LOCAL_CONNECT_TIMEOUT_BUILT_IN);
    match timeout(&*shared.world.clock, limit, Wire::connect_local(local)).await {
        Ok(Ok(wire)) => Ok(wire),
        Ok(Err(error)) => {
            Err(refusal("local_connect", format!("cannot connect to the local service: {error}")))
        }
        Err(_) => Err(refusal(
            "local_connect_timeout",
            format!("the local service did not accept within {limit:?}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::STRANGER_BYTES;

    #[test]
    fn n_10_a_caller_that_says_nothing_costs_what_is_counted_for_it() {
        fn bytes<F>(_: impl FnOnce(Arc<Shared>, Wire, Remote, Stranger) -> F) -> usize {
            size_of::<F>()
        }
        assert!(bytes(serve) <= STRANGER_BYTES, "{} bytes", bytes(serve));
    }
}
