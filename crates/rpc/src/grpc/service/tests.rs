//! What is read of a request, by its token and its length.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use concord_model::InstanceId;
use concord_proxycfg::Understood;
use futures::FutureExt as _;
use http_body::Frame;

use super::super::{PREFIX_BYTES, REQUEST_BYTES_MAX};
use super::*;
use crate::snapshot::{ProxyTarget, SnapshotStream};

/// Knows one token, and gives nobody anything.
#[derive(Debug)]
struct Nobody;

impl SnapshotSource for Nobody {
    fn admit(&self, token: Option<Secret>) -> BoxFuture<'_, Result<(), RpcError>> {
        let known = token.is_some_and(|token| token.matches("known"));
        async move { if known { Ok(()) } else { Err(RpcError::TokenNotFound) } }.boxed()
    }

    fn attach(&self, _: Attach, _: Option<Secret>) -> BoxFuture<'_, Result<SnapshotStream, RpcError>> {
        async { Err(RpcError::ShuttingDown) }.boxed()
    }

    fn sign_leaf(
        &self,
        _: ProxyTarget,
        _: Option<Secret>,
        _: String,
    ) -> BoxFuture<'_, Result<LeafCertificate, RpcError>> {
        async { Err(RpcError::ShuttingDown) }.boxed()
    }
}

/// The length of a flood. It ends, so that a test whose limit is broken fails instead of reading for ever.
const FLOOD_BYTES: usize = 4 * (REQUEST_BYTES_MAX + PREFIX_BYTES);

/// One piece again and again, until far more was read than any request may have; counts what was read.
struct Flood {
    piece: Bytes,
    read: Arc<AtomicUsize>,
}

impl tonic::codegen::Body for Flood {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let before = self.read.fetch_add(self.piece.len(), Ordering::Relaxed);
        let more = before <= FLOOD_BYTES;
        Poll::Ready(more.then(|| Ok(Frame::data(self.piece.clone()))))
    }
}

/// A message with its prefix, which says it has so many bytes.
fn message(says: usize, bytes: &[u8]) -> Bytes {
    let says = u32::try_from(says).unwrap().to_be_bytes();
    [&[0][..], &says, bytes].concat().into()
}

/// The gRPC code of the answer to a request that sends a piece for ever, and the bytes read of it.
async fn ask(path: &str, token: &str, piece: Bytes) -> (String, usize) {
    let read = Arc::new(AtomicUsize::new(0));
    let request = http::Request::post(path).header(TOKEN_METADATA, token);
    let request = request.body(Flood { piece, read: Arc::clone(&read) }).unwrap();
    let answer = SnapshotService::new(Arc::new(Nobody)).call(request).await.unwrap();
    (answer.headers()["grpc-status"].to_str().unwrap().to_owned(), read.load(Ordering::Relaxed))
}

const RESOURCE_EXHAUSTED: &str = "8";
const OUT_OF_RANGE: &str = "11";
const UNAUTHENTICATED: &str = "16";

#[tokio::test]
async fn n_37_nothing_is_read_of_a_request_whose_token_is_unknown() {
    for path in [ATTACH, SIGN_LEAF, "/none"] {
        assert_eq!(ask(path, "x", message(10, &[0; 10])).await, (UNAUTHENTICATED.to_owned(), 0), "{path}");
    }
}

#[tokio::test]
async fn n_37_a_request_over_its_limit_is_refused_by_what_it_says() {
    for path in [ATTACH, SIGN_LEAF] {
        for says in [REQUEST_BYTES_MAX + 1, 50 << 20] {
            let (code, read) = ask(path, "known", message(says, &[0; 1024])).await;
            assert_eq!(code, OUT_OF_RANGE, "{path}");
            assert!(read <= 2 * 1024, "{path}: {read}");
        }
    }
}

#[tokio::test]
async fn n_37_a_request_over_its_limit_is_refused_by_what_comes() {
    // A good message, and after it another, and another.
    let proxy = ProxyTarget::registered(InstanceId::parse("web").unwrap());
    let attach = Attach::new(proxy, Understood::default());
    let bytes = rmp_serde::to_vec_named(&attach).unwrap();
    let piece = message(bytes.len(), &bytes);
    let (code, read) = ask(ATTACH, "known", piece.clone()).await;
    assert_eq!(code, RESOURCE_EXHAUSTED);
    assert!(read <= REQUEST_BYTES_MAX + PREFIX_BYTES + piece.len(), "{read}");
}

#[tokio::test]
async fn a_key_that_the_agent_makes_does_not_go_to_another_process() {
    let proxy = ProxyTarget::registered(InstanceId::parse("web").unwrap());
    for (leaf, expected) in [(LeafFrom::Proxy, "14"), (LeafFrom::Agent, "12")] {
        let attach = Attach { leaf, ..Attach::new(proxy.clone(), Understood::default()) };
        let bytes = rmp_serde::to_vec_named(&attach).unwrap();
        let body = http_body_util::Full::new(message(bytes.len(), &bytes));
        let request = http::Request::post(ATTACH).header(TOKEN_METADATA, "known").body(body).unwrap();
        let answer = SnapshotService::new(Arc::new(Nobody)).call(request).await.unwrap();
        assert_eq!(answer.headers()["grpc-status"], expected, "{leaf:?}");
    }
}
