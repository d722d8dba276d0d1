//! The machine of one incremental aggregated discovery stream. It does no I/O: it is told what Envoy sends and what
//! Envoy should have, and says what to send.
//!
//! ```text
//!   DeltaDiscoveryRequest ──► subscription ┐                     ┌─► DeltaDiscoveryResponse, at most one of a type
//!   ResourceSet ────────────► wanted       ├─► what differs and ─┤   until it is answered
//!   ACK, NACK ──────────────► had, refused ┘   may be sent now   └─► what Envoy refused, and in which words
//! ```
//!
//! **Order.** Make before break: a listener or route is sent when Envoy has acknowledged every cluster that it names,
//! with its endpoints; a cluster is removed when Envoy has no listener or route that names it. So Envoy never has a
//! listener that names a cluster that it lacks, and each resource waits only for its own.
//!
//! **What Envoy refuses** stays as it was there. If a refused response had several resources, they are sent again one
//! by one, so that the good ones arrive and the bad one is known. That one is not sent again until it changes.

mod batch;
mod kind;
mod kinds;
mod limits;
mod order;

use std::sync::Arc;

use concord_envoy_proto::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as Sent,
};

use self::kind::Kind;
use self::kind::nonce_of;
pub use self::kind::{Progress, Rejection, Stage};
use self::kinds::Kinds;
pub use self::limits::{NAMES_MAX, WORDS_BYTES_MAX};
use crate::resource::{Name, ResourceSet, ResourceType};

/// An event for the machine.
#[derive(Clone, Debug)]
pub enum Event {
    /// Envoy sent this.
    Asked(Box<DeltaDiscoveryRequest>),
    /// Envoy should have these resources.
    Wanted(Arc<ResourceSet>),
}

/// An action for the caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this to Envoy.
    Send(Box<DeltaDiscoveryResponse>),
    /// Envoy refused resources. It keeps what it has of them. Report it to the operator.
    Refused {
        /// Their type.
        kind: ResourceType,
        /// The names that were in the response.
        names: Vec<Name>,
        /// What Envoy says.
        words: String,
    },
    /// Envoy has acknowledged everything that it should have, but for what it refuses.
    Settled,
    /// End the stream: Envoy asks for too much.
    End(TooMuch),
}

/// Envoy asks for more names than a stream may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a discovery stream can ask for at most {NAMES_MAX} resources")]
pub struct TooMuch;

/// One stream.
#[derive(Debug, Default)]
pub struct State {
    kinds: Kinds,
    wanted: Option<Arc<ResourceSet>>,
    /// Counts the responses.
    nonce: u32,
    /// Whether the caller knows that everything is acknowledged.
    told_settled: bool,
}

impl State {
    /// Handles an event. Adds the actions to `out`, in order.
    pub fn on(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Asked(request) => self.asked(*request, out),
            Event::Wanted(wanted) => {
                for (kind, state) in self.kinds.iter_mut() {
                    state.forgive(kind, &wanted);
                }
                self.wanted = Some(wanted);
                self.told_settled = false;
            }
        }
        self.send(out);
        if !self.told_settled && self.is_settled() {
            self.told_settled = true;
            out.push(Effect::Settled);
        }
    }

    /// What Envoy refuses at present, by type and name.
    pub fn rejections(&self) -> impl Iterator<Item = (ResourceType, &str, &Rejection)> {
        self.kinds.iter().flat_map(|(kind, state)| {
            state.rejections().map(move |(name, rejection)| (kind, name, rejection))
        })
    }

    /// The responses of a type so far; `None` if Envoy has not asked for the type.
    pub fn progress(&self, kind: ResourceType) -> Option<Progress> {
        self.kinds.get(kind).map(Kind::progress)
    }

    /// How far Envoy is with each resource that it should have.
    pub fn stages(&self) -> impl Iterator<Item = (ResourceType, &str, Stage)> {
        let of = |kind: ResourceType| self.wanted.iter().flat_map(move |wanted| wanted.of(kind));
        let stage = |kind: ResourceType, wanted: &crate::Resource| {
            self.kinds.get(kind).map_or(Stage::NotAsked, |state| state.stage(wanted))
        };
        ResourceType::ALL
            .into_iter()
            .flat_map(move |kind| of(kind).map(move |one| (kind, &*one.name, stage(kind, one))))
    }

    /// Whether nothing is to be sent, and nothing waits for an answer.
    pub fn is_settled(&self) -> bool {
        let Some(wanted) = &self.wanted else { return false };
        self.kinds.iter().all(|(kind, state)| state.is_settled(kind, wanted))
    }

    fn asked(&mut self, request: DeltaDiscoveryRequest, out: &mut Vec<Effect>) {
        // Types that are not ours are passed over, as Consul does: Envoy works without an answer.
        let Some(kind) = ResourceType::of_url(&request.type_url) else { return };
        self.told_settled = false;
        let state = self.kinds.begun(kind);
        let answer = state.answered(&request.response_nonce, request.error_detail.as_ref());
        if let Some((names, words)) = answer {
            out.push(Effect::Refused { kind, names, words });
        }
        state.subscribe(kind, request, self.wanted.as_deref());
        if self.kinds.iter().map(|(_, state)| state.names()).sum::<usize>() > NAMES_MAX {
            out.push(Effect::End(TooMuch));
        }
    }

    /// Sends what may be sent, type by type.
    fn send(&mut self, out: &mut Vec<Effect>) {
        let Some(wanted) = self.wanted.clone() else { return };
        for kind in ResourceType::ALL {
            let Some(batch) = order::batch(kind, &self.kinds, &wanted) else { continue };
            self.nonce = self.nonce.wrapping_add(1);
            for (kind, name) in batch.updated.iter().flat_map(|resource| &resource.children) {
                self.kinds.begun(*kind).forget(name);
            }
            let response = DeltaDiscoveryResponse {
                resources: batch.updated.iter().map(|resource| sent(resource)).collect(),
                removed_resources: batch.removed.iter().map(ToString::to_string).collect(),
                type_url: kind.url(),
                nonce: nonce_of(self.nonce),
                ..DeltaDiscoveryResponse::default()
            };
            self.kinds
                .get_mut(kind)
                .expect("a batch is of a type that was asked for")
                .sent(self.nonce, batch);
            out.push(Effect::Send(Box::new(response)));
        }
    }
}

fn sent(resource: &crate::Resource) -> Sent {
    Sent {
        name: resource.name.to_string(),
        version: resource.version.to_string(),
        resource: Some(resource.body.clone()),
        ..Sent::default()
    }
}
