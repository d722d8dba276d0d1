//! An answer that arrives piece by piece for as long as the agent sends: its log.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use crate::address::Address;
use crate::error::Error;

/// The pieces. They have their own connection, which ends with them.
#[derive(Debug)]
pub struct Pieces {
    body: Incoming,
    address: Address,
    _sender: SendRequest<Full<Bytes>>,
}

impl Pieces {
    pub(crate) fn new(body: Incoming, address: Address, sender: SendRequest<Full<Bytes>>) -> Self {
        Self { body, address, _sender: sender }
    }

    /// The next piece; `None` when the agent has ended the answer. There is no time limit.
    ///
    /// # Errors
    /// [`Error::Broken`] when the connection breaks.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|source| Error::Broken { address: self.address.clone(), source })?;
            if let Ok(piece) = frame.into_data() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}
