//! Limits the body of a request with one message to the largest size of that message.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use tonic::Status;
use tonic::codegen::StdError;

use super::PREFIX_BYTES;

/// A body of at most one message.
///
/// The codec limits each message, but continues to read after the first one for as long as bytes arrive.
pub(crate) struct OneMessage<B> {
    body: Pin<Box<B>>,
    most: usize,
    left: usize,
}

impl<B> OneMessage<B> {
    /// A body with at most this many bytes of message.
    pub(crate) fn new(body: B, most: usize) -> Self {
        Self { body: Box::pin(body), most, left: most + PREFIX_BYTES }
    }
}

impl<B> Body for OneMessage<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let polled = self.body.as_mut().poll_frame(cx);
        let Poll::Ready(Some(Ok(frame))) = &polled else {
            return polled.map_err(Into::into);
        };
        let bytes = frame.data_ref().map_or(0, bytes::Buf::remaining);
        let Some(left) = self.left.checked_sub(bytes) else {
            let text = format!("a request of this method has at most {} bytes", self.most);
            return Poll::Ready(Some(Err(Status::resource_exhausted(text).into())));
        };
        self.left = left;
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
