//! Listeners: accept within limits, hand each connection to its own task, stop in two phases.

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

/// A running listener. Dropping it closes the socket; open connections go on.
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
    /// Binds and begins to accept. `admit` says whether there is room for one more, or why not;
    /// `serve` takes each connection to its end.
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
        // Bound on the runtime that will serve it: sockets belong to the reactor they were made on.
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
                    // Most often the descriptors are used up: what is open goes on, and ends some
                    // time. Told once, for it comes back with every try.
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
