//! Protobuf as a gRPC codec.

use std::marker::PhantomData;

use concord_envoy_proto::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

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
        Half(PhantomData)
    }

    fn decoder(&mut self) -> Half<D> {
        Half(PhantomData)
    }
}

/// One direction of [`Protobuf`].
pub(super) struct Half<T>(PhantomData<fn() -> T>);

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

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        let message = T::decode(buffer);
        message
            .map(Some)
            .map_err(|error| Status::invalid_argument(format!("cannot decode a message: {error}")))
    }
}
