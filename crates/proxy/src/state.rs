//! The state that connections use: the last valid snapshot, compiled, and the proxy's identity.
//!
//! Only the control task replaces it; connections load it. Nothing is changed in place, so a connection sees one
//! consistent state, and a replacement does not touch open connections.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use concord_mesh::intention::{Policy, Verdict};
use concord_model::{Now, ServiceRef, Timestamp};
use concord_proxycfg::{MixedSections, ProxySnapshot};
use concord_runtime::{Budget, World};

use crate::gate::Gate;
use crate::identity::Identity;
use crate::live::Live;
use crate::refusals::Refusals;

/// A snapshot with its policy compiled.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) snapshot: ProxySnapshot,
    policy: Policy,
}

impl Current {
    /// Compiles a snapshot.
    pub(crate) fn compile(snapshot: ProxySnapshot) -> Result<Self, MixedSections> {
        let policy = snapshot.policy()?;
        Ok(Self { snapshot, policy })
    }

    /// Whether a caller may connect, and why.
    pub(crate) fn decide(&self, source: &ServiceRef) -> Verdict {
        self.policy.decide(source, self.snapshot.intentions.default)
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) identity: Identity,
    pub(crate) inbound: Arc<Live>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) refusals: Refusals,
    /// Whether a change to deny cuts open connections.
    pub(crate) cut_denied: bool,
    current: ArcSwapOption<Current>,
}

impl Shared {
    pub(crate) fn new(
        world: World,
        identity: Identity,
        budget: &Arc<Budget>,
        connections: usize,
        cut_denied: bool,
    ) -> Arc<Self> {
        let refusals = Refusals::new(Arc::clone(&world.clock));
        Arc::new(Self {
            world,
            identity,
            inbound: Live::new(connections),
            gate: Gate::new(budget),
            refusals,
            cut_denied,
            current: ArcSwapOption::empty(),
        })
    }

    /// The current state; `None` until the first snapshot: until then nothing is let through.
    pub(crate) fn current(&self) -> Option<Arc<Current>> {
        self.current.load_full()
    }

    /// Uses a new snapshot from now on, and cuts the open connections that it denies.
    pub(crate) fn install(&self, current: Current) -> usize {
        let current = Arc::new(current);
        self.current.store(Some(Arc::clone(&current)));
        if self.cut_denied { self.inbound.cut_unless(|source| current.decide(source).allowed) } else { 0 }
    }

    /// The time of both clocks.
    pub(crate) fn both(&self) -> Now {
        let (wall, uptime) = self.world.clock.both();
        Now { wall: Timestamp::from_nanos(wall), uptime }
    }
}
