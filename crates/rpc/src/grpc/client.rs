//! The client side: a remote agent as a [`SnapshotSource`].

use concord_model::Secret;
use concord_model::ca::LeafCertificate;
use futures::future::BoxFuture;
use futures::stream::StreamExt;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::codec::Named;
use super::{ATTACH, MESSAGE_BYTES_MAX, SIGN_LEAF, SignLeaf, TOKEN_METADATA, error_of};
use crate::error::RpcError;
use crate::snapshot::{Attach, ProxyTarget, SnapshotEvent, SnapshotSource, SnapshotStream};

/// Gets snapshots from an agent over a gRPC channel.
#[derive(Clone, Debug)]
pub struct SnapshotClient {
    channel: Channel,
}

impl SnapshotClient {
    /// A client over an open channel, or one that opens on first use.
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    async fn ready(&self) -> Result<Grpc<Channel>, RpcError> {
        let mut grpc = Grpc::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        grpc.ready().await.map_err(|error| error_of(&Status::unavailable(error.to_string())))?;
        Ok(grpc)
    }
}

fn with_token<T>(message: T, token: Option<&Secret>) -> Result<Request<T>, RpcError> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = token.expose().parse().map_err(|_| {
            RpcError::Invalid("the token contains characters that cannot be sent in a header".to_owned())
        })?;
        request.metadata_mut().insert(TOKEN_METADATA, value);
    }
    Ok(request)
}

impl SnapshotSource for SnapshotClient {
    /// The agent checks the token of each request itself.
    fn admit(&self, _: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        Box::pin(async { Ok(()) })
    }

    fn attach(
        &self,
        proxy: Attach,
        token: Option<Secret>,
    ) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        Box::pin(async move {
            let mut grpc = self.ready().await?;
            let request = with_token(proxy, token.as_ref())?;
            let codec = Named::<Attach, SnapshotEvent>::new();
            let answer = grpc.server_streaming(request, PathAndQuery::from_static(ATTACH), codec).await;
            let stream = answer.map_err(|status| error_of(&status))?.into_inner();
            Ok(stream.map(|event| event.map_err(|status| error_of(&status))).boxed())
        })
    }

    fn sign_leaf(
        &self,
        proxy: ProxyTarget,
        token: Option<Secret>,
        csr_pem: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>> {
        Box::pin(async move {
            let mut grpc = self.ready().await?;
            let request = with_token(SignLeaf { proxy, csr_pem }, token.as_ref())?;
            let codec = Named::<SignLeaf, LeafCertificate>::new();
            let answer = grpc.unary(request, PathAndQuery::from_static(SIGN_LEAF), codec).await;
            Ok(answer.map_err(|status| error_of(&status))?.into_inner())
        })
    }
}
