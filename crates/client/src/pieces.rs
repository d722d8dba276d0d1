//! An answer that comes piece by piece, for as long as the agent has something to say: its log.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use crate::address::Address;
use crate::error::Error;

/// What comes. Its connection is its own and ends with it.
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

    /// The next piece; `None` when the agent has ended it. However long that takes.
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
