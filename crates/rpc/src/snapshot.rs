//! The stream of proxy snapshots: first a whole snapshot, section by section, then each changed section (D15, D37).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use concord_model::ca::LeafCertificate;
use concord_model::{InstanceId, NodeName, Secret};
use concord_proxycfg::{DescribedProxy, LeafFrom, ProxySnapshot, SectionUpdate, Understood};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::basis::Basis;
use crate::error::RpcError;

/// Which proxy: a registered one, or one that describes itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "TargetWire", into = "TargetWire")]
pub enum ProxyTarget {
    /// A registered proxy.
    Registered {
        /// The node where it is registered; `None`: the node of this agent. A server finds others in the catalog.
        node: Option<NodeName>,
        /// The proxy's service id there.
        proxy: InstanceId,
    },
    /// An unregistered proxy with its own description.
    Described(Arc<DescribedProxy>),
}

/// The wire form of a target. A registered target keeps its earlier form, so that a proxy can attach to an agent of
/// the next version.
#[derive(Deserialize, Serialize)]
struct TargetWire {
    #[serde(default)]
    node: Option<NodeName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proxy: Option<InstanceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    described: Option<Box<DescribedProxy>>,
}

/// The target names no proxy, or two.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a proxy is either named by its id or described; this one is neither or both")]
struct NoTarget;

impl ProxyTarget {
    /// The proxy with this id that is registered on the node of this agent.
    pub fn registered(proxy: InstanceId) -> Self {
        Self::Registered { node: None, proxy }
    }
}

impl fmt::Display for ProxyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered { node: _, proxy } => fmt::Display::fmt(proxy, f),
            Self::Described(proxy) => write!(f, "{} (not registered)", proxy.id()),
        }
    }
}

impl TryFrom<TargetWire> for ProxyTarget {
    type Error = NoTarget;

    fn try_from(wire: TargetWire) -> Result<Self, NoTarget> {
        match wire {
            TargetWire { node, proxy: Some(proxy), described: None } => Ok(Self::Registered { node, proxy }),
            TargetWire { node: None, proxy: None, described: Some(proxy) } => {
                Ok(Self::Described(Arc::from(proxy)))
            }
            TargetWire { .. } => Err(NoTarget),
        }
    }
}

impl From<ProxyTarget> for TargetWire {
    fn from(target: ProxyTarget) -> Self {
        match target {
            ProxyTarget::Registered { node, proxy } => Self { node, proxy: Some(proxy), described: None },
            ProxyTarget::Described(proxy) => {
                let described = Some(Box::new(Arc::unwrap_or_clone(proxy)));
                Self { node: None, proxy: None, described }
            }
        }
    }
}

/// The request of a proxy to attach.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Attach {
    /// Which proxy it is.
    pub proxy: ProxyTarget,
    /// The features that it understands. If a snapshot needs more, the stream ends with an error that says so.
    #[serde(default)]
    pub understands: Understood,
    /// Who creates the key of its leaf.
    #[serde(default)]
    pub leaf: LeafFrom,
    /// Whether the stream tells what its snapshots are made from. Only for callers in the agent's process.
    #[serde(skip)]
    pub tells_basis: bool,
    /// Whether the stream tells each snapshot as a whole, and not what differs. Only for callers in the agent's process:
    /// they share it with the stream.
    #[serde(skip)]
    pub tells_whole: bool,
}

impl Attach {
    /// A proxy that creates its own key.
    pub fn new(proxy: ProxyTarget, understands: Understood) -> Self {
        Self { proxy, understands, leaf: LeafFrom::Proxy, tells_basis: false, tells_whole: false }
    }
}

/// One message of the stream.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotEvent {
    /// The first message of a stream; there is only one: [`ProxySnapshot::beginning`].
    Begin {
        /// The snapshot without targets, chains and listeners.
        snapshot: Box<ProxySnapshot>,
        /// Whether sections with these follow.
        #[serde(default)]
        more: bool,
    },
    /// One section, replaced or removed.
    Section(SectionUpdate),
    /// A snapshot. It has no wire form: see [`Attach::tells_whole`].
    #[serde(skip)]
    Whole(Arc<ProxySnapshot>),
    /// What the snapshot that was sent so far is made from. It has no wire form: see [`Attach::tells_basis`].
    #[serde(skip)]
    Basis(Arc<Basis>),
}

impl SnapshotEvent {
    /// The messages that turn `old`, or nothing, into `new`.
    pub fn between(old: Option<&ProxySnapshot>, new: &ProxySnapshot) -> VecDeque<Self> {
        let Some(old) = old else {
            let snapshot = Box::new(new.beginning());
            let mut events = Self::between(Some(&snapshot), new);
            events.push_front(Self::Begin { snapshot, more: !events.is_empty() });
            return events;
        };
        new.diff(old).into_iter().map(Self::Section).collect()
    }
}

/// The snapshot received so far.
#[derive(Debug, Default)]
pub struct Received(Option<Arc<ProxySnapshot>>);

impl Received {
    /// The snapshot so far. More of its sections may follow.
    pub fn snapshot(&self) -> Option<&ProxySnapshot> {
        self.0.as_deref()
    }

    /// Applies a message. Returns the snapshot to use from now on; `None` if more of its sections follow.
    ///
    /// # Errors
    /// The message does not fit the earlier ones. The proxy must attach again.
    pub fn take(&mut self, event: SnapshotEvent) -> Result<Option<&ProxySnapshot>, RpcError> {
        let more = match (event, &mut self.0) {
            (SnapshotEvent::Begin { snapshot, more }, own) => {
                *own = Some(Arc::new(*snapshot));
                more
            }
            (SnapshotEvent::Whole(snapshot), own) => {
                *own = Some(snapshot);
                false
            }
            (SnapshotEvent::Section(_), None) => {
                return Err(RpcError::Internal("a section came before the first snapshot".to_owned()));
            }
            (SnapshotEvent::Section(update), Some(own)) => {
                let more = update.more;
                Arc::make_mut(own).apply(update).map_err(|error| RpcError::Internal(error.to_string()))?;
                more
            }
            (SnapshotEvent::Basis(_), _) => return Ok(None),
        };
        Ok(self.0.as_deref().filter(|_| !more))
    }
}

/// A stream of snapshots; ends with its first error.
pub type SnapshotStream = BoxStream<'static, Result<SnapshotEvent, RpcError>>;

/// The source of a proxy's snapshots and certificates.
///
/// Both need `service:write` on the proxy's service. The right is checked on attach, again whenever the token or its
/// policies change, and at each signature.
pub trait SnapshotSource: Send + Sync + 'static {
    /// Checks that a token, if there is one, is known. Called before anything of a request is read.
    fn admit(&self, token: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>>;

    /// Begins a stream of snapshots for a proxy.
    fn attach(&self, proxy: Attach, token: Option<Secret>)
    -> BoxFuture<'_, Result<SnapshotStream, RpcError>>;

    /// Signs a leaf for the proxy's service. The key stays with the caller.
    fn sign_leaf(
        &self,
        proxy: ProxyTarget,
        token: Option<Secret>,
        csr_pem: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>>;
}

#[cfg(test)]
mod tests {
    use concord_model::ServiceName;
    use concord_proxycfg::{DescribedUpstream, Feature, ListenerId, SectionBody};

    use super::*;

    /// A target in the form of the version before descriptions.
    #[derive(Deserialize, Serialize)]
    struct Before {
        node: Option<NodeName>,
        proxy: InstanceId,
    }

    fn read(wire: &impl Serialize) -> Result<ProxyTarget, String> {
        let bytes = rmp_serde::to_vec_named(wire).unwrap();
        rmp_serde::from_slice(&bytes).map_err(|error| error.to_string())
    }

    fn described() -> DescribedProxy {
        let name = |text: &str| ServiceName::parse(text).unwrap();
        let db = DescribedUpstream { service: name("db"), bind: ([127, 0, 0, 1], 9191).into() };
        DescribedProxy::try_new(name("web"), None, vec![db]).unwrap()
    }

    #[test]
    fn a_registered_target_travels_as_it_always_did() {
        let (node, proxy) = (NodeName::parse("n1").unwrap(), InstanceId::parse("web-sidecar-proxy").unwrap());
        for node in [None, Some(node)] {
            let target = ProxyTarget::Registered { node: node.clone(), proxy: proxy.clone() };
            let before = Before { node, proxy: proxy.clone() };
            assert_eq!(read(&before), Ok(target.clone()), "an older proxy is understood");
            assert_eq!(
                rmp_serde::to_vec_named(&target).unwrap(),
                rmp_serde::to_vec_named(&before).unwrap(),
                "an older agent understands"
            );
        }
    }

    #[test]
    fn a_target_is_named_or_described_and_never_both() {
        let target = ProxyTarget::Described(Arc::new(described()));
        assert_eq!(read(&target), Ok(target.clone()));
        let proxy = || Some(InstanceId::parse("db-proxy").unwrap());
        for (proxy, described) in [(None, None), (proxy(), Some(Box::new(described())))] {
            let wrong = read(&TargetWire { node: None, proxy, described });
            assert!(wrong.unwrap_err().contains("neither or both"));
        }
        // For an agent of the earlier version, a description names no proxy, so it is refused.
        let bytes = rmp_serde::to_vec_named(&target).unwrap();
        assert!(rmp_serde::from_slice::<Before>(&bytes).is_err());
    }

    #[test]
    fn an_attach_says_what_the_proxy_understands_and_passes_over_what_is_newer() {
        #[derive(Serialize)]
        struct Newer {
            proxy: ProxyTarget,
            understands: Vec<&'static str>,
            leaf: &'static str,
            speaks: &'static str,
        }
        let proxy = ProxyTarget::registered(InstanceId::parse("web-proxy").unwrap());
        let leaf = "agent";
        let newer = Newer { proxy: proxy.clone(), understands: vec!["roots", "quic"], leaf, speaks: "more" };
        let bytes = rmp_serde::to_vec_named(&newer).unwrap();
        let understands = Understood::of([Feature::Roots]);
        let expected = Attach {
            understands,
            leaf: LeafFrom::Agent,
            ..Attach::new(proxy.clone(), Understood::default())
        };
        assert_eq!(rmp_serde::from_slice::<Attach>(&bytes).unwrap(), expected);
        // A proxy of the earlier version does not send this field.
        #[derive(Serialize)]
        struct Older {
            proxy: ProxyTarget,
        }
        let bytes = rmp_serde::to_vec_named(&Older { proxy: proxy.clone() }).unwrap();
        let expected = Attach::new(proxy, Understood::default());
        assert_eq!(rmp_serde::from_slice::<Attach>(&bytes).unwrap(), expected);
    }

    #[test]
    fn a_stream_that_does_not_begin_at_the_beginning_is_refused() {
        let gone =
            SectionUpdate { version: 1, more: false, body: SectionBody::ListenerGone(ListenerId::Inbound) };
        let refused = Received::default().take(SnapshotEvent::Section(gone)).unwrap_err();
        assert_eq!(refused.to_string(), "internal error: a section came before the first snapshot");
    }
}
