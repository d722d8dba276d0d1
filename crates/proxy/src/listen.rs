//! Listeners: accept within limits, give each connection its own task, stop in two phases.

use std::future::Future;
use std::sync::Arc;

use concord_proxycfg::BindAddress;
use concord_runtime::Scope;
use tokio_util::sync::CancellationToken;

use crate::events::{Direction, degraded};
use crate::limits::ACCEPT_PAUSE;
use crate::refusals::Refused;
use crate::state::Shared;
use crate::wire::{Remote, Socket, Wire};

/// A running listener. Dropping it closes the socket; open connections continue.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) bind: BindAddress,
    pub(crate) address: String,
    stop: CancellationToken,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Listener {
    /// Binds and starts to accept. `admit` returns a place for one more connection, or the reason why there is none;
    /// `serve` handles each connection to its end.
    pub(crate) fn start<P, F>(
        shared: &Arc<Shared>,
        scope: &Scope,
        direction: Direction,
        bind: BindAddress,
        admit: impl Fn(Remote) -> Result<P, &'static str> + Send + Sync + 'static,
        serve: impl Fn(Wire, Remote, P) -> F + Send + Sync + 'static,
    ) -> std::io::Result<Self>
    where
        P: Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        // Bind on the runtime that will serve the socket, because sockets belong to the reactor they were created on.
        let socket = {
            let _entered = scope.runtime_handle().enter();
            Socket::bind(&bind)?
        };
        let address = socket.address();
        let stop = CancellationToken::new();
        let accepting = Accepting { shared: Arc::clone(shared), scope: scope.clone(), direction, socket };
        let stopped = stop.clone();
        scope.spawn("proxy listener", async move {
            tokio::select! {
                biased;
                () = accepting.scope.cancelled() => {}
                () = stopped.cancelled() => {}
                () = accepting.run(&admit, &serve) => {}
            }
        });
        Ok(Self { bind, address, stop })
    }
}

struct Accepting {
    shared: Arc<Shared>,
    scope: Scope,
    direction: Direction,
    socket: Socket,
}

impl Accepting {
    async fn run<P, F>(
        &self,
        admit: &(impl Fn(Remote) -> Result<P, &'static str> + Send + Sync),
        serve: &(impl Fn(Wire, Remote, P) -> F + Send + Sync),
    ) where
        P: Send,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut failing = false;
        loop {
            match self.socket.accept().await {
                Ok((wire, remote)) => {
                    failing = false;
                    match admit(remote) {
                        Ok(place) => {
                            self.scope.spawn("proxy connection", serve(wire, remote, place));
                        }
                        Err(reason) => self.shared.refusals.add(&Refused {
                            direction: self.direction,
                            remote,
                            reason,
                            detail: "as many connections are open as are allowed",
                        }),
                    }
                }
                Err(error) => {
                    // The usual cause is a lack of file descriptors: open connections continue, and free some when
                    // they end. Log it once, because it repeats with every attempt.
                    if !failing {
                        degraded("accept", &error);
                    }
                    failing = true;
                    self.shared.world.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
