//! What can be cached: the question, the right to it, the answer, and what of it whom is shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::intention::Policy;
use concord_model::ServiceRef;
use concord_model::ca::CaRoots;
use concord_model::catalog::{Check, CheckStatus, Node, ServiceInstance};
use concord_model::intention::ServiceIntentions;
use concord_rpc::request::{
    InstanceHealth, InstanceOnNode, InstanceSelection, ListInstances, MatchBy, MatchIntentions, ReadCaRoots,
    ServiceHealth,
};
use concord_rpc::{Answer, Consistency, Head, Need, Request, RpcError, ServerApi, ServerApiExt};

use crate::caller::Caller;

/// A question to the servers whose answer is kept.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Want {
    /// The roots of trust. Public.
    Roots,
    /// The intentions that can decide on calls to a service. One right opens all of it.
    Intentions(ServiceRef),
    /// Instances of a service with their health. Filtered by rights.
    Health(HealthWant),
    /// All instances on nodes with this metadata. Filtered by rights.
    Instances(BTreeMap<String, String>),
}

/// Which instances.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct HealthWant {
    pub(crate) select: InstanceSelection,
    pub(crate) worst: Option<CheckStatus>,
}

/// An answer, shared by all who read it.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// To [`Want::Roots`].
    Roots(Arc<CaRoots>),
    /// To [`Want::Intentions`].
    Intentions(Arc<IntentionSet>),
    /// To [`Want::Health`].
    Health(Arc<Vec<InstanceHealth>>),
    /// To [`Want::Instances`].
    Instances(Arc<Vec<InstanceOnNode>>),
}

/// The intentions for one destination with the decision compiled from them.
#[derive(Debug)]
pub(crate) struct IntentionSet {
    /// The entries, for whoever compiles them itself.
    pub(crate) entries: Vec<Arc<ServiceIntentions>>,
    /// Compiled once, when the answer came.
    pub(crate) policy: Policy,
}

// === impl Want ===

impl Want {
    /// The right it needs, asked of every reader before anything is looked at.
    pub(crate) fn need(&self) -> Need {
        match self {
            Self::Roots => Need::Open,
            Self::Intentions(destination) => match_request(destination).need(),
            Self::Health(_) | Self::Instances(_) => Need::Filtered,
        }
    }

    /// Whether all who have the right see the same.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Roots | Self::Intentions(_) => true,
            Self::Health(_) | Self::Instances(_) => false,
        }
    }

    /// Whether it is asked without a token, because everybody may know.
    pub(crate) fn is_public(&self) -> bool {
        match self {
            Self::Roots => true,
            Self::Intentions(_) | Self::Health(_) | Self::Instances(_) => false,
        }
    }

    /// Who may answer: any server where Consul lets any.
    pub(super) fn consistency(&self) -> Consistency {
        match self {
            Self::Roots | Self::Intentions(_) => Consistency::Default,
            Self::Health(_) | Self::Instances(_) => Consistency::Stale,
        }
    }

    pub(super) async fn ask(&self, servers: &dyn ServerApi, head: Head) -> Result<Answer<Stored>, RpcError> {
        match self {
            Self::Roots => {
                let answer = servers.call(head, ReadCaRoots {}).await?;
                Ok(answer.map(|roots| Stored::Roots(Arc::new(roots))))
            }
            Self::Intentions(destination) => {
                let answer = servers.call(head, match_request(destination)).await?;
                Ok(answer
                    .map(|entries| Stored::Intentions(Arc::new(IntentionSet::new(destination, entries)))))
            }
            Self::Health(HealthWant { select, worst }) => {
                let request = ServiceHealth { select: select.clone(), worst: *worst };
                let answer = servers.call(head, request).await?;
                Ok(answer.map(|instances| Stored::Health(Arc::new(instances))))
            }
            Self::Instances(node_meta) => {
                let answer = servers.call(head, ListInstances { node_meta: node_meta.clone() }).await?;
                Ok(answer.map(|instances| Stored::Instances(Arc::new(instances))))
            }
        }
    }
}

fn match_request(destination: &ServiceRef) -> MatchIntentions {
    MatchIntentions { by: MatchBy::Destination(destination.clone()) }
}

// === impl IntentionSet ===

impl IntentionSet {
    fn new(destination: &ServiceRef, entries: Vec<ServiceIntentions>) -> Self {
        let policy = Policy::compile(destination, &entries);
        Self { entries: entries.into_iter().map(Arc::new).collect(), policy }
    }
}

// === impl Stored ===

impl Stored {
    /// What of it a caller may see, and whether that is less.
    pub(crate) fn shown_to(self, want: &Want, caller: &Caller) -> (Self, bool) {
        match self {
            // Opened whole by `need`.
            Self::Roots(_) | Self::Intentions(_) => (self, false),
            Self::Health(instances) => {
                let Want::Health(HealthWant { select, .. }) = want else {
                    unreachable!("each question has its own answer")
                };
                let sees =
                    |one: &&InstanceHealth| caller.sees().selected(select, &one.node.name, &one.service);
                if instances.iter().all(|one| sees(&one)) {
                    return (Self::Health(instances), false);
                }
                let shown = instances.iter().filter(sees).cloned().collect();
                (Self::Health(Arc::new(shown)), true)
            }
            Self::Instances(instances) => {
                let sees = |one: &&InstanceOnNode| caller.sees().instance(&one.node.name, &one.service);
                if instances.iter().all(|one| sees(&one)) {
                    return (Self::Instances(instances), false);
                }
                let shown = instances.iter().filter(sees).cloned().collect();
                (Self::Instances(Arc::new(shown)), true)
            }
        }
    }

    /// Roughly what it occupies; counted, not measured.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Roots(roots) => {
                let root = |root: &concord_model::ca::CaRoot| {
                    512 + root.root_cert.len()
                        + root.intermediate_certs.iter().map(String::len).sum::<usize>()
                };
                roots.roots.iter().map(root).sum()
            }
            Self::Intentions(set) => set.entries.iter().map(|entry| entry_bytes(entry)).sum(),
            Self::Health(instances) => instances.iter().map(instance_bytes).sum(),
            Self::Instances(instances) => {
                instances.iter().map(|one| node_bytes(&one.node) + service_bytes(&one.service)).sum()
            }
        }
    }
}

/// An entry twice: as it is, and compiled.
fn entry_bytes(entry: &ServiceIntentions) -> usize {
    let source = |one: &concord_model::intention::SourceIntention| 600 + 2 * one.description.len();
    1024 + entry.sources.iter().map(source).sum::<usize>()
}

fn instance_bytes(one: &InstanceHealth) -> usize {
    node_bytes(&one.node) + service_bytes(&one.service) + one.checks.iter().map(check_bytes).sum::<usize>()
}

fn node_bytes(node: &Node) -> usize {
    let pairs = node.meta.iter().chain(&node.tagged_addresses);
    256 + pairs.map(|(key, value)| 64 + key.len() + value.len()).sum::<usize>()
}

fn service_bytes(service: &ServiceInstance) -> usize {
    let pairs = service.meta.iter().map(|(key, value)| 64 + key.len() + value.len()).sum::<usize>();
    let tags = service.tags.iter().map(|tag| 24 + tag.len()).sum::<usize>();
    let upstreams = service.proxy.as_ref().map_or(0, |proxy| 256 + 512 * proxy.upstreams.len());
    512 + pairs + tags + upstreams
}

fn check_bytes(check: &Check) -> usize {
    let definition = check.definition.iter().map(|(key, value)| 64 + key.len() + value.to_string().len());
    384 + check.name.len() + check.notes.len() + check.output.len() + definition.sum::<usize>()
}
