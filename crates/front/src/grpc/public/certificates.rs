//! The certificate authority: roots, and leaves for keys made elsewhere.

use concord_model::Timestamp;
use concord_model::ca::{CaRoot, CaRoots};
use concord_public_proto::connectca::{
    Root, SignRequest, SignResponse, WatchRootsRequest, WatchRootsResponse,
};
use concord_rpc::request::{ReadCaRoots, Request, SignLeaf};
use concord_rpc::{RpcError, ServerApiExt as _, Watching};
use futures::StreamExt;
use futures::stream;
use tonic::Status;

use super::call::{Answers, Call, refusal};
use super::servers::Servers;

/// A leaf. The right is that of every signature: to write the service in the request.
pub(super) async fn sign(call: Call, asked: SignRequest) -> Result<SignResponse, Status> {
    if asked.csr.is_empty() {
        return Err(Status::invalid_argument("CSR is required"));
    }
    let signed = call.servers.call(call.head, SignLeaf { csr: asked.csr }).await;
    let leaf = signed.map_err(|error| without_authority(&error))?.value;
    Ok(SignResponse { cert_pem: leaf.cert_pem })
}

/// Roots are public, but a stream is for those who have a token: it ends with the token.
struct Roots {
    token: Servers,
    roots: Box<dyn Watching>,
    last: Option<CaRoots>,
}

/// All roots, first at once and then at each change.
pub(super) async fn watch_roots(
    call: Call,
    _: WatchRootsRequest,
) -> Result<Answers<WatchRootsResponse>, Status> {
    let mut token = Servers::of(&call);
    token.next().await?;
    let roots = std::sync::Arc::clone(&call.servers).watch_any(call.head.clone(), ReadCaRoots {}.into_any());
    let mut watch = Roots { token, roots, last: None };
    let first = watch.next().await?;
    let later = stream::unfold(Some(watch), |state| async move {
        let mut watch = state?;
        match watch.next().await {
            Ok(roots) => Some((Ok(roots), Some(watch))),
            Err(status) => Some((Err(status), None)),
        }
    });
    Ok(stream::iter([Ok(first)]).chain(later).boxed())
}

impl Roots {
    async fn next(&mut self) -> Result<WatchRootsResponse, Status> {
        loop {
            let answer = tokio::select! {
                biased;
                token = self.token.next() => {
                    token?;
                    continue;
                }
                answer = self.roots.next() => answer,
            };
            let roots = answer.and_then(|answer| ReadCaRoots::reply_from_any(answer.value));
            let roots = roots.map_err(|error| without_authority(&error))?;
            if self.last.as_ref() != Some(&roots) {
                let told = shown(&roots);
                self.last = Some(roots);
                return Ok(told);
            }
        }
    }
}

/// Without an authority nothing else helps: not another server, and not another request.
fn without_authority(error: &RpcError) -> Status {
    match error {
        RpcError::CaNotReady(_) => Status::failed_precondition("Connect CA is not yet initialized"),
        RpcError::Invalid(text) if text.starts_with("Connect must be enabled") => {
            Status::failed_precondition(text.clone())
        }
        error => refusal(error),
    }
}

fn shown(roots: &CaRoots) -> WatchRootsResponse {
    WatchRootsResponse {
        active_root_id: roots.active_root_id.clone(),
        trust_domain: roots.trust_domain.to_string(),
        roots: roots.roots.iter().map(root).collect(),
    }
}

fn root(own: &CaRoot) -> Root {
    Root {
        id: own.id.clone(),
        name: own.name.clone(),
        serial_number: own.serial,
        signing_key_id: own.signing_key_id.clone(),
        root_cert: own.root_cert.clone(),
        intermediate_certs: own.intermediate_certs.clone(),
        active: own.active,
        rotated_out_at: own.rotated_out_at.map(timestamp),
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = at.nanos();
    let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    prost_types::Timestamp { seconds, nanos: i32::try_from(rest).unwrap_or_default() }
}
