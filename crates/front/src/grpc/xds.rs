//! Envoy's aggregated discovery, in its incremental form: configuration for the Envoys of proxies that are registered
//! here, at a server also for those in the catalog.
//!
//! ```text
//! token known? ─► first request: which proxy, which Envoy ─► its snapshots ─► resources ─► xds::delta ─► responses
//!                                                             │                                ▲
//!                                             rights, checked again at each change             └── requests
//! ```
//!
//! Over one stream go all types of resources. What Envoy refuses is logged and counted, and the stream goes on.

mod follow;
mod node;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use concord_envoy_proto::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use concord_model::Secret;
use concord_proxycfg::{LeafFrom, Understood};
use concord_rpc::grpc::{TOKEN_METADATA, status_of};
use concord_rpc::{Attach, ProxyTarget, SnapshotSource};
use concord_runtime::{Clock, Scope, timeout};
use concord_xds::bootstrap::version::{Support, Version};
use concord_xds::{Pool, UNDERSTANDS};
use http::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::StdError;

use self::follow::Follow;
use self::node::EnvoyNode;
use super::incoming::Incoming;
use super::limits::{REQUEST_TIMEOUT, XDS_REQUEST_BYTES_MAX, XDS_RESPONSES};
use super::outgoing::Outgoing;
use crate::ledger::{Ledger, ProxyKind};

/// Path of the incremental method.
pub(super) const DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// Path of the method that tells the whole state each time.
const WHOLE: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
/// What the paths of Envoy's discovery begin with.
const SERVICE: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";

/// Whether a path is that of Envoy's aggregated discovery.
pub(super) fn serves(path: &str) -> bool {
    path.starts_with(SERVICE)
}

/// Serves Envoy's discovery from a source of snapshots.
#[derive(Clone)]
pub(super) struct Discovery {
    source: Arc<dyn SnapshotSource>,
    clock: Arc<dyn Clock>,
    scope: Scope,
    ledger: Ledger,
    /// The untested versions of Envoy of which the operator was warned.
    warned: Arc<Mutex<BTreeSet<Version>>>,
    /// The resources of all Envoys.
    pool: Arc<Mutex<Pool>>,
}

impl Discovery {
    pub(super) fn new(
        source: Arc<dyn SnapshotSource>,
        clock: Arc<dyn Clock>,
        scope: Scope,
        ledger: Ledger,
    ) -> Self {
        Self { source, clock, scope, ledger, warned: Arc::default(), pool: Arc::default() }
    }

    /// Answers one request of the service.
    pub(super) async fn call<B>(&self, request: Request<B>) -> Result<Response<Body>, Infallible>
    where
        B: tonic::codegen::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError> + Send + 'static,
    {
        match request.uri().path() {
            DELTA => {}
            WHOLE => return Ok(whole_state().into_http()),
            _ => return Ok(Status::unimplemented("no such method").into_http()),
        }
        let token = match token(request.headers()) {
            Ok(token) => token,
            Err(status) => return Ok(status.into_http()),
        };
        // Check the token before the body: nothing that an unknown caller sends is read.
        if let Err(error) = self.source.admit(token.clone()).await {
            return Ok(status_of(&error).into_http());
        }
        if is_compressed(request.headers()) {
            return Ok(Status::unimplemented("compressed requests are not read").into_http());
        }
        let requests = Incoming::new(Body::new(request.into_body()), XDS_REQUEST_BYTES_MAX);
        Ok(match self.begin(requests, token).await {
            Ok(responses) => responses.into_response(),
            Err(status) => status.into_http(),
        })
    }

    /// Begins a stream: the first request says who asks.
    async fn begin(
        &self,
        mut requests: Incoming<DeltaDiscoveryRequest>,
        token: Option<Secret>,
    ) -> Result<Outgoing, Status> {
        let late = |_| Status::deadline_exceeded("the first request took too long to arrive");
        let first = timeout(&*self.clock, REQUEST_TIMEOUT, requests.next()).await.map_err(late)??;
        let first =
            first.ok_or_else(|| Status::invalid_argument("the stream ended before its first request"))?;
        let node = EnvoyNode::read(first.node.as_ref())?;
        node.version.into_iter().for_each(|version| self.warn_of_untested(version));
        let proxy = ProxyTarget::Registered { node: node.node_name, proxy: node.proxy.clone() };
        let understands = Understood::of(UNDERSTANDS);
        let attach = Attach::new(proxy, understands);
        let attach = Attach { leaf: LeafFrom::Agent, tells_basis: true, tells_whole: true, ..attach };
        let snapshots = self.source.attach(attach, token).await.map_err(|error| status_of(&error))?;
        let (responses, sent) = mpsc::channel(XDS_RESPONSES);
        let seat = self.ledger.begin(node.proxy.to_string(), ProxyKind::Envoy(node.version));
        let (scope, pool) = (self.scope.clone(), Arc::clone(&self.pool));
        let follow = Follow::new(node.proxy, node.version, responses, scope, pool, seat);
        self.scope.spawn("follow an Envoy", follow.run(first, requests, snapshots));
        Ok(Outgoing::new(sent))
    }

    fn warn_of_untested(&self, version: Version) {
        if version.support() == Support::Untested && self.warned.lock().insert(version) {
            tracing::warn!(%version, "concord is not tested with this version of Envoy");
        }
    }
}

fn whole_state() -> Status {
    Status::unimplemented(
        "not available: StreamAggregatedResources (state of the world); set api_type DELTA_GRPC in ads_config",
    )
}

/// Whether the messages of a request may be compressed, as its headers say.
fn is_compressed(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_some_and(|encoding| encoding != "identity")
}

/// The caller's token. One that cannot be read is no token at all, and not that of nobody.
fn token(headers: &HeaderMap) -> Result<Option<Secret>, Status> {
    let Some(value) = headers.get(TOKEN_METADATA) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Status::unauthenticated("ACL not found"))?;
    Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
}
