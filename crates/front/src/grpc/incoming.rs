//! The messages of a request that lasts, read one by one. What a message took is freed when it has been read.
//!
//! The gRPC library would keep a buffer for each stream, as large as the largest message that ever came. An Envoy asks
//! for all of its resources once, and says little afterwards.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut as _, BytesMut};
use concord_envoy_proto::Message;
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;

use super::messages::PREFIX_BYTES;

/// The messages of a request.
pub(super) struct Incoming<M> {
    body: Body,
    /// What has arrived and was not read.
    bytes: BytesMut,
    /// Bytes of one message.
    max: usize,
    of: PhantomData<fn() -> M>,
}

impl<M: Default + Message> Incoming<M> {
    /// The messages in a body, of at most so many bytes each.
    pub(super) fn new(body: Body, max: usize) -> Self {
        Self { body, bytes: BytesMut::new(), max, of: PhantomData }
    }

    /// The next message; `None` at the end of the request. Nothing is lost if this is dropped before it completes.
    ///
    /// # Errors
    /// What has arrived is no message, or too large, or the request cannot be read. None follows.
    pub(super) async fn next(&mut self) -> Result<Option<M>, Status> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
            }
            match self.body.frame().await.transpose()? {
                Some(frame) => frame.into_data().into_iter().for_each(|data| self.bytes.put(data)),
                None if self.bytes.is_empty() => return Ok(None),
                None => return Err(Status::internal("the request ended within a message")),
            }
        }
    }

    /// The first message, if it has arrived as a whole.
    fn whole(&mut self) -> Result<Option<M>, Status> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let [compressed, length @ ..] = *head;
        if compressed != 0 {
            return Err(Status::unimplemented("compressed requests are not read"));
        }
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > self.max {
            let text = format!("a message of {length} bytes is too large: the limit is {}", self.max);
            return Err(Status::out_of_range(text));
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        let message = M::decode(message)
            .map_err(|error| Status::invalid_argument(format!("cannot decode a message: {error}")))?;
        self.bytes.advance(PREFIX_BYTES + length);
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use concord_envoy_proto::envoy::service::discovery::v3::DeltaDiscoveryRequest;
    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tonic::Code;

    use super::super::outgoing::framed;
    use super::*;

    const MAX: usize = 64;

    fn named(type_url: &str) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest { type_url: type_url.to_owned(), ..DeltaDiscoveryRequest::default() }
    }

    fn of(parts: impl IntoIterator<Item = Vec<u8>>) -> Incoming<DeltaDiscoveryRequest> {
        let frame = |part: Vec<u8>| Ok::<_, Infallible>(Frame::data(Bytes::from(part)));
        let parts: Vec<_> = parts.into_iter().map(frame).collect();
        Incoming::new(Body::new(StreamBody::new(stream::iter(parts))), MAX)
    }

    #[tokio::test]
    async fn messages_are_read_however_they_arrive_and_leave_nothing_behind() {
        let sent = ["", "a", "abc"].map(named);
        let all: Vec<u8> = sent.iter().flat_map(|one| framed(one).unwrap().to_vec()).collect();
        for step in 1..=all.len() {
            let mut incoming = of(all.chunks(step).map(<[u8]>::to_vec));
            for message in &sent {
                assert_eq!(incoming.next().await.unwrap().as_ref(), Some(message));
            }
            assert_eq!(incoming.next().await.unwrap(), None);
            assert_eq!(incoming.bytes.capacity(), 0);
        }
    }

    #[tokio::test]
    async fn what_is_no_message_ends_the_request() {
        let cases: [(&[u8], Code); 4] = [
            (&[1, 0, 0, 0, 0], Code::Unimplemented),
            (&[0, 0, 0, 0, MAX as u8 + 1], Code::OutOfRange),
            (&[0, 0, 0, 0, 1, 0xff], Code::InvalidArgument),
            (&[0, 0, 0, 0, 2, 0x08], Code::Internal),
        ];
        for (bytes, code) in cases {
            let refused = of([bytes.to_vec()]).next().await.unwrap_err();
            assert_eq!(refused.code(), code, "{bytes:?}: {refused}");
        }
    }
}
