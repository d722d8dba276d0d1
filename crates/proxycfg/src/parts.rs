//! Parts of registrations that many proxies have.

use std::sync::Arc;

use concord_model::pool::Pool;
use parking_lot::Mutex;

use crate::chain::{ChainId, ChainQuestion};
use crate::listener::{Listener, ListenerId};
use crate::registration::Registration;

/// Parts of registrations, each kept once: replicas of a service have the same upstreams. Clones are of one and the
/// same. What a machine does is the same with it as without.
#[derive(Clone, Debug, Default)]
pub struct Parts(Arc<Mutex<Pools>>);

#[derive(Debug, Default)]
struct Pools {
    listeners: Pool<ListenerId, Listener>,
    questions: Pool<ChainId, ChainQuestion>,
}

impl Parts {
    /// Replaces the parts of a registration by equal ones that other proxies have.
    pub(crate) fn share(&self, registration: &mut Registration) {
        let Pools { listeners, questions } = &mut *self.0.lock();
        for listener in &mut registration.listeners {
            match &**listener {
                Listener::Outbound(_) => listeners.share(listener.id(), listener),
                // Its address is the proxy's own.
                Listener::Inbound(_) => {}
            }
        }
        for question in &mut registration.questions {
            questions.share(question.chain.clone(), question);
        }
    }
}
