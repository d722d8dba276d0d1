//! One Envoy on its stream: what it asks for, what its snapshots say, and what it is sent.

use std::sync::Arc;

use bytes::Bytes;
use concord_envoy_proto::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use concord_model::InstanceId;
use concord_proxycfg::ProxySnapshot;
use concord_rpc::grpc::status_of;
use concord_rpc::{RpcError, SnapshotEvent, SnapshotStream};
use concord_runtime::Scope;
use concord_xds::bootstrap::version::Version;
use concord_xds::delta::{Effect, Event};
use concord_xds::{Pool, ResourceSet, Unserved, Unsupported, sidecar};
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tonic::Status;

use crate::grpc::incoming::Incoming;
use crate::grpc::outgoing::framed;
use crate::ledger::Seat;

type Responses = mpsc::Sender<Result<Bytes, Status>>;

/// One Envoy.
pub(super) struct Follow {
    proxy: InstanceId,
    version: Option<Version>,
    responses: Responses,
    scope: Scope,
    /// What Envoys share.
    pool: Arc<Mutex<Pool>>,
    /// The state of the stream, which readers of the ledger see.
    seat: Seat,
}

impl Follow {
    pub(super) fn new(
        proxy: InstanceId,
        version: Option<Version>,
        responses: Responses,
        scope: Scope,
        pool: Arc<Mutex<Pool>>,
        seat: Seat,
    ) -> Self {
        Self { proxy, version, responses, scope, pool, seat }
    }

    /// Runs until Envoy disconnects, loses its rights, or the agent stops.
    pub(super) async fn run(
        mut self,
        first: DeltaDiscoveryRequest,
        requests: Incoming<DeltaDiscoveryRequest>,
        snapshots: SnapshotStream,
    ) {
        if let Err(status) = self.serve(first, requests, snapshots).await {
            tracing::info!(proxy = %self.proxy, error = status.message(), "closing the stream of an Envoy");
            self.seat.ends(status.message());
            let _ = self.responses.send(Err(status)).await;
        }
    }

    async fn serve(
        &mut self,
        first: DeltaDiscoveryRequest,
        mut requests: Incoming<DeltaDiscoveryRequest>,
        mut snapshots: SnapshotStream,
    ) -> Result<(), Status> {
        self.take(Event::Asked(Box::new(first))).await?;
        let responses = self.responses.clone();
        loop {
            let event = tokio::select! {
                // The order of the branches: the end, what Envoy should have, what it asks for.
                biased;
                () = self.scope.cancelled() => return Err(status_of(&RpcError::ShuttingDown)),
                () = responses.closed() => return Ok(()),
                event = snapshots.next() => self.snapshot(event)?,
                request = requests.next() => match request {
                    Ok(Some(request)) => Some(Event::Asked(Box::new(request))),
                    // Envoy has closed its side, or is gone.
                    Ok(None) | Err(_) => return Ok(()),
                },
            };
            if let Some(event) = event {
                self.take(event).await?;
            }
        }
    }

    /// Takes a part of a snapshot. Returns what Envoy should have if the snapshot is complete.
    fn snapshot(&mut self, event: Option<Result<SnapshotEvent, RpcError>>) -> Result<Option<Event>, Status> {
        let event = event.ok_or_else(|| Status::aborted("the source of the configuration has ended"))?;
        let event = event.map_err(|error| status_of(&error))?;
        let version = self.version;
        let mut account = self.seat.account();
        let complete = account.take(event, self.seat.now()).map_err(|error| status_of(&error))?;
        let mut built = complete.map(|snapshot| build(snapshot, version)).transpose()?.flatten();
        if let Some((resources, _)) = &mut built {
            self.pool.lock().share(resources);
        }
        let wanted = built.and_then(|(resources, unserved)| account.want(resources, unserved));
        drop(account);
        self.seat.changed();
        let Some((resources, unserved)) = wanted else { return Ok(None) };
        for one in unserved {
            tracing::warn!(proxy = %self.proxy, "Envoy is not configured with all of its registration: {one}");
        }
        Ok(Some(Event::Wanted(resources)))
    }

    async fn take(&mut self, event: Event) -> Result<(), Status> {
        let effects = self.seat.account().on(event, self.seat.now());
        self.seat.changed();
        for effect in effects {
            match effect {
                Effect::Send(response) => {
                    // If it cannot be sent, the next turn of the loop sees that Envoy is gone.
                    let _ = self.responses.send(Ok(framed(&*response)?)).await;
                }
                Effect::Refused { kind, names, words } => {
                    let (refused, kind) = (kind, kind.as_str());
                    metrics::counter!("concord_xds_rejected_total", "type" => kind).increment(1);
                    let from = self.seat.account().told_causes(self.proxy.as_str(), &names, refused);
                    tracing::error!(proxy = %self.proxy, kind, ?names, words, from, "Envoy refuses its configuration and keeps what it has");
                }
                Effect::Settled => tracing::debug!(proxy = %self.proxy, "Envoy has its whole configuration"),
                Effect::End(error) => return Err(Status::resource_exhausted(error.to_string())),
            }
        }
        Ok(())
    }
}

/// The resources of a snapshot; `None` while only some of its sections are here.
fn build(
    snapshot: &ProxySnapshot,
    version: Option<Version>,
) -> Result<Option<(ResourceSet, Vec<Unserved>)>, Status> {
    match sidecar(snapshot, version) {
        Ok(built) => Ok(Some((built.resources, built.unserved))),
        Err(Unsupported::Mixed(_)) => Ok(None),
        Err(error @ Unsupported::Milliseconds { .. }) => Err(Status::failed_precondition(error.to_string())),
        Err(error @ (Unsupported::NoLeaf | Unsupported::Identity(_))) => {
            Err(Status::internal(error.to_string()))
        }
    }
}
