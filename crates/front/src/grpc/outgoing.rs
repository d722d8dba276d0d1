//! The messages of an answer that lasts, each in memory of its own, which is freed when it has been sent.
//!
//! The gRPC library would keep a buffer for each stream, as large as the largest message that the stream ever sent. An
//! Envoy is sent all of its configuration once, and little afterwards.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes};
use concord_envoy_proto::Message;
use concord_rpc::grpc::MESSAGE_BYTES_MAX;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::metadata::GRPC_CONTENT_TYPE;

use super::messages::PREFIX_BYTES;

/// A message as it goes on the wire, uncompressed.
pub(super) fn framed(message: &impl Message) -> Result<Bytes, Status> {
    let length = message.encoded_len();
    let told = u32::try_from(length).ok().filter(|_| length <= MESSAGE_BYTES_MAX);
    let told = told.ok_or_else(|| {
        Status::out_of_range(format!(
            "a message of {length} bytes cannot be sent: the limit is {MESSAGE_BYTES_MAX}"
        ))
    })?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + length);
    bytes.put_u8(0);
    bytes.put_u32(told);
    message.encode_raw(&mut bytes);
    Ok(bytes.into())
}

/// The end of an answer with this status.
pub(super) fn end<D>(status: &Status) -> Result<Frame<D>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
}

/// The body of an answer: messages that are framed, until an error or the end of the queue.
pub(super) struct Outgoing {
    messages: mpsc::Receiver<Result<Bytes, Status>>,
    has_ended: bool,
}

impl Outgoing {
    pub(super) fn new(messages: mpsc::Receiver<Result<Bytes, Status>>) -> Self {
        Self { messages, has_ended: false }
    }

    /// The answer with this body.
    pub(super) fn into_response(self) -> Response<tonic::body::Body> {
        let mut response = Response::new(tonic::body::Body::new(self));
        response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        response
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.messages.poll_recv(cx)) {
            Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.has_ended = true;
        Poll::Ready(Some(end(&status)))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

#[cfg(test)]
mod tests {
    use concord_envoy_proto::envoy::service::discovery::v3::DeltaDiscoveryResponse;
    use http_body_util::BodyExt as _;

    use super::*;

    fn named(type_url: &str) -> DeltaDiscoveryResponse {
        DeltaDiscoveryResponse { type_url: type_url.to_owned(), ..DeltaDiscoveryResponse::default() }
    }

    /// What is sent of these, and the status at the end.
    async fn sent(messages: Vec<Result<Bytes, Status>>) -> (Vec<Bytes>, Option<String>) {
        let (queue, waiting) = mpsc::channel(messages.len().max(1));
        for message in messages {
            queue.send(message).await.unwrap();
        }
        drop(queue);
        let mut body = Outgoing::new(waiting);
        let (mut found, mut status) = (Vec::new(), None);
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => found.push(data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    status = Some(trailers["grpc-status"].to_str().unwrap().to_owned());
                }
            }
        }
        assert!(body.is_end_stream());
        (found, status)
    }

    #[tokio::test]
    async fn each_message_has_its_length_before_it() {
        let message = framed(&named("abc")).unwrap();
        assert_eq!(message, &b"\0\0\0\0\x05\x22\x03abc"[..]);
        let two = vec![Ok(message.clone()), Ok(message.clone())];
        assert_eq!(sent(two).await, (vec![message.clone(), message], Some("0".to_owned())));
    }

    #[tokio::test]
    async fn an_error_is_the_end() {
        let message = framed(&named("abc")).unwrap();
        let messages = vec![Err(Status::permission_denied("no")), Ok(message)];
        assert_eq!(sent(messages).await, (vec![], Some("7".to_owned())));
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        let status = framed(&named(&"x".repeat(MESSAGE_BYTES_MAX))).unwrap_err();
        assert_eq!(status.code(), tonic::Code::OutOfRange);
        assert!(status.message().contains(&MESSAGE_BYTES_MAX.to_string()), "{status}");
    }
}
