//! Connections from the mesh to the local service.
//!
//! ```text
//! accept ─► room? ─► handshake ─► chain and SPIFFE id verified ─► intention decided ─► local service ─► relay
//!             │          │                    │                        │                    │             │
//!             └──────────┴──── refused, with its reason, before a byte reaches the service ─┘       cut when denied
//! ```

use std::sync::Arc;
use std::sync::atomic::Ordering;

use concord_ca::verify::read_verified_leaf;
use concord_model::ServiceIdentity;
use concord_proxycfg::{HANDSHAKE_TIMEOUT, LOCAL_CONNECT_TIMEOUT_BUILT_IN, ProxySection};
use concord_runtime::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::events::{Carrying, Decided, Direction, Refused};
use crate::live::Place;
use crate::relay::{Carried, relay};
use crate::state::Shared;
use crate::wire::Wire;

/// Why a connection went no further.
struct Refusal {
    reason: &'static str,
    detail: String,
}

fn refusal(reason: &'static str, detail: impl ToString) -> Refusal {
    Refusal { reason, detail: detail.to_string() }
}

/// Takes one connection from accept to its end.
pub(crate) async fn serve(shared: Arc<Shared>, wire: Wire, remote: String, place: Place) {
    if let Err(Refusal { reason, detail }) = attempt(&shared, wire, &remote, &place).await {
        Refused { direction: Direction::Inbound, remote: &remote, reason, detail: &detail }.emit();
    }
}

async fn attempt(shared: &Shared, wire: Wire, remote: &str, place: &Place) -> Result<(), Refusal> {
    let current = shared.current().ok_or_else(|| refusal("no_snapshot", "not configured yet"))?;
    let mut stream = handshake(shared, &current.snapshot.proxy, wire).await?;
    let identity = caller(&stream)?;
    let source = identity.service_ref();
    place.identify(source.clone());
    // Decided by what holds after the place knows the caller: a rule that changes from here on cuts.
    let current = shared.current().ok_or_else(|| refusal("no_snapshot", "not configured any more"))?;
    let proxy = &current.snapshot.proxy;
    let verdict = current.decide(&source);
    let identity = identity.to_string();
    Decided { remote, identity: &identity, source: &source, destination: &proxy.service, verdict: &verdict }
        .emit();
    if !verdict.allowed {
        return Err(refusal("intention", verdict.reason()));
    }
    let mut local = connect_local(shared, proxy).await?;
    let carrying = Carrying::begin(Direction::Inbound, &source, &proxy.service);
    let (carried, began) = (Carried::default(), shared.world.clock.now());
    let why = tokio::select! {
        biased;
        () = place.cut() => "cut: an intention denies it now".to_owned(),
        end = relay(&mut stream, &mut local, &carried) => end.map_or_else(|error| error.to_string(), |()| "both sides ended".to_owned()),
    };
    let (received, sent) = (carried.forth.load(Ordering::Relaxed), carried.back.load(Ordering::Relaxed));
    carrying.end(remote, received, sent, shared.world.clock.now() - began, &why);
    Ok(())
}

async fn handshake(shared: &Shared, proxy: &ProxySection, wire: Wire) -> Result<TlsStream<Wire>, Refusal> {
    let permit = shared.handshakes.acquire().await;
    let _permit = permit.map_err(|_| refusal("stopping", "the proxy is stopping"))?;
    if !shared.identity.can_present() {
        return Err(refusal("no_leaf", "no valid certificate to present; is the agent reachable?"));
    }
    let acceptor = TlsAcceptor::from(shared.identity.server_config());
    let limit = proxy.handshake_timeout.unwrap_or(HANDSHAKE_TIMEOUT);
    match timeout(&*shared.world.clock, limit, acceptor.accept(wire)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(refusal("handshake", error)),
        Err(_) => Err(refusal("handshake_timeout", format!("no handshake within {limit:?}"))),
    }
}

/// Who calls: the handshake has verified the chain, so that its leaf can be believed.
fn caller(stream: &TlsStream<Wire>) -> Result<ServiceIdentity, Refusal> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let leaf = leaf.ok_or_else(|| refusal("handshake", "no client certificate"))?;
    let verified = read_verified_leaf(leaf).and_then(concord_ca::Verified::into_service);
    verified.map(|verified| verified.id).map_err(|error| refusal("handshake", error))
}

async fn connect_local(shared: &Shared, proxy: &ProxySection) -> Result<Wire, Refusal> {
    let local = proxy.local.as_ref();
    let local =
        local.ok_or_else(|| refusal("no_local_service", "the registration names no local service"))?;
    let limit = proxy.local_connect_timeout.unwrap_or(LOCAL_CONNECT_TIMEOUT_BUILT_IN);
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
