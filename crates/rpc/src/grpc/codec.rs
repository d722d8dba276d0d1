//! MessagePack with named fields as a gRPC codec.

use std::marker::PhantomData;

use bytes::{Buf, BufMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// Encodes `E`, decodes `D`.
pub(crate) struct Named<E, D>(PhantomData<fn(E) -> D>);

impl<E, D> Named<E, D> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E: Serialize + Send + 'static, D: DeserializeOwned + Send + 'static> Codec for Named<E, D> {
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

/// One direction of [`Named`].
pub(crate) struct Half<T>(PhantomData<fn() -> T>);

impl<T: Serialize> Encoder for Half<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let bytes = rmp_serde::to_vec_named(&item)
            .map_err(|error| Status::internal(format!("cannot encode a message: {error}")))?;
        buffer.put_slice(&bytes);
        Ok(())
    }
}

impl<T: DeserializeOwned> Decoder for Half<T> {
    type Item = T;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<T>, Status> {
        // tonic passes exactly one message, whose size it has already checked.
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        rmp_serde::from_slice(&bytes).map(Some).map_err(|error| {
            Status::invalid_argument(format!(
                "cannot decode a message: {error}; is the other side of another version?"
            ))
        })
    }
}
