//! Protobuf as a gRPC codec.

use std::marker::PhantomData;

use concord_envoy_proto::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Bytes with which the buffer of a request begins, and by which it grows. A stream keeps it until its end.
const REQUEST_BUFFER_BYTES: usize = 1024;

/// Encodes `E`, decodes `D`.
pub(super) struct Protobuf<E, D>(PhantomData<fn(E) -> D>);

impl<E, D> Protobuf<E, D> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: Message + 'static, D: Default + Message + 'static> Codec for Protobuf<E, D> {
    type Encode = E;
    type Decode = D;
    type Encoder = Half<E>;
    type Decoder = Half<D>;

    fn encoder(&mut self) -> Half<E> {
        Half::default()
    }

    fn decoder(&mut self) -> Half<D> {
        Half::default()
    }
}

/// One direction of [`Protobuf`].
pub(super) struct Half<T>(PhantomData<fn() -> T>);

impl<T> Default for Half<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message> Encoder for Half<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(format!("cannot encode a message: {error}")))
    }
}

impl<T: Default + Message> Decoder for Half<T> {
    type Item = T;
    type Error = Status;

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(REQUEST_BUFFER_BYTES, REQUEST_BUFFER_BYTES)
    }

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let message = T::decode(buffer);
        message
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("cannot decode a message: {error}")))
    }
}
