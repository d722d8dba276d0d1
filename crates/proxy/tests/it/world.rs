//! What the tests are made of: a mesh with its authority and clock, and what watches it.

mod clock;
mod mesh;
mod peers;
mod script;
mod sidecar;
mod telemetry;

use std::future::Future;
use std::time::Duration;

use concord_runtime::{TokioClock, timeout};

pub(crate) use self::clock::TestClock;
pub(crate) use self::mesh::{Mesh, dc, service};
pub(crate) use self::peers::{Local, Peer, app_is_refused, closed_without_a_byte, exchange, is_refused};
pub(crate) use self::script::{Mood, Parts, Script, UpstreamParts, allow, deny, entry, upstream_id};
pub(crate) use self::sidecar::{Sidecar, options};
pub(crate) use self::telemetry::{logged, metric, telemetry};

/// Bounds a wait, so that a hanging test tells where it hangs. Not a measure of anything.
#[track_caller]
pub(crate) fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let bounded = timeout(&TokioClock::new(), Duration::from_secs(20), future).await;
        bounded.unwrap_or_else(|_| panic!("hangs at {caller}"))
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !holds() {
            pause().await;
        }
    })
}

/// A moment in which others may get on.
pub(crate) async fn pause() {
    TokioClock::timer(TokioClock::monotonic() + Duration::from_millis(3)).await;
}
