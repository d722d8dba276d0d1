//! The answer of an endpoint, before it is encoded.

use std::time::Duration;

use bytes::Bytes;
pub use concord_api::encode::Layout;
use concord_api::encode::json_into;
use concord_rpc::{Answer, Consistency};
use futures::stream::BoxStream;
use http::header::{AGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::error::HttpError;

/// A body that is produced in pieces.
pub type Pieces = BoxStream<'static, Bytes>;

/// Appends a value as JSON.
pub type WriteJson = dyn FnOnce(&mut Vec<u8>, Layout) -> Result<(), serde_json::Error> + Send;

/// The body of a reply.
pub enum Body {
    /// Nothing.
    Empty,
    /// A value; appended as JSON, in the layout that the request asks for.
    Json(Box<WriteJson>),
    /// Bytes with their media type.
    Bytes(&'static str, Bytes),
    /// Pieces with their media type. Each piece is sent at once.
    Stream(&'static str, Pieces),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never print the content: it may be a key.
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json(..)",
            Self::Bytes(..) => "Bytes(..)",
            Self::Stream(..) => "Stream(..)",
        })
    }
}

/// A successful answer.
pub struct Reply {
    /// Status code; 200 unless the endpoint says otherwise.
    pub status: StatusCode,
    /// Headers about the answer.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
const KNOWN_LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
const LAST_CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
const EFFECTIVE: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
const FILTERED: HeaderName = HeaderName::from_static("x-consul-results-filtered-by-acls");
const BACKEND: HeaderName = HeaderName::from_static("x-consul-query-backend");
const CACHE: HeaderName = HeaderName::from_static("x-cache");
const REASON: HeaderName = HeaderName::from_static("x-consul-reason");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-consul-contenthash");

impl Reply {
    /// An empty 200.
    pub fn empty() -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// A value as JSON.
    pub fn json<T: Serialize + Send + 'static>(value: T) -> Self {
        let body = Body::Json(Box::new(move |out, layout| json_into(out, &value, layout)));
        Self { body, ..Self::empty() }
    }

    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { body: Body::Bytes("text/plain; charset=utf-8", text.into().into()), ..Self::empty() }
    }

    /// Bytes with their media type.
    pub fn bytes(media: &'static str, bytes: impl Into<Bytes>) -> Self {
        Self { body: Body::Bytes(media, bytes.into()), ..Self::empty() }
    }

    /// Pieces with their media type, sent as they come.
    pub fn stream(media: &'static str, pieces: Pieces) -> Self {
        Self { body: Body::Stream(media, pieces), ..Self::empty() }
    }

    /// The same reply with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same reply with its metadata in headers.
    #[must_use]
    pub fn with_meta(mut self, meta: &Meta) -> Self {
        self.headers.insert(INDEX, HeaderValue::from(meta.index.max(1)));
        self.headers
            .insert(KNOWN_LEADER, HeaderValue::from_static(if meta.known_leader { "true" } else { "false" }));
        let contact = u64::try_from(meta.last_contact.as_millis()).unwrap_or(u64::MAX);
        self.headers.insert(LAST_CONTACT, HeaderValue::from(contact));
        if let Some(consistency) = meta.consistency {
            self.headers.insert(EFFECTIVE, HeaderValue::from_static(consistency.effective()));
        }
        self.headers.insert(BACKEND, HeaderValue::from_static("blocking-query"));
        if meta.filtered {
            self.headers.insert(FILTERED, HeaderValue::from_static("true"));
        }
        self
    }

    /// The same reply. If `filtered`, a header says that the caller's rights hid something.
    #[must_use]
    pub fn with_filtered(mut self, filtered: bool) -> Self {
        if filtered {
            self.headers.insert(FILTERED, HeaderValue::from_static("true"));
        }
        self
    }

    /// The same reply with a reason phrase. Characters that a header cannot carry are left out.
    #[must_use]
    pub fn with_reason(mut self, reason: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(reason) {
            self.headers.insert(REASON, value);
        }
        self
    }

    /// The same reply with only its index in a header.
    #[must_use]
    pub fn with_index(mut self, index: u64) -> Self {
        self.headers.insert(INDEX, HeaderValue::from(index.max(1)));
        self
    }

    /// The same reply with headers about the cache: whether it had the answer, and the answer's age.
    #[must_use]
    pub fn with_cache(mut self, hit: bool, age: Duration) -> Self {
        self.headers.insert(CACHE, HeaderValue::from_static(if hit { "HIT" } else { "MISS" }));
        if hit {
            self.headers.insert(AGE, HeaderValue::from(age.as_secs()));
        }
        self
    }

    /// The same reply with the hash of its content, for hash-based blocking.
    #[must_use]
    pub fn with_content_hash(mut self, hash: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(hash) {
            self.headers.insert(CONTENT_HASH, value);
        }
        self
    }

    /// The parts to send. A body of pieces has no bytes here. `expected`: the probable size in bytes; another size
    /// only costs time.
    pub fn into_parts(
        self,
        layout: Layout,
        expected: usize,
    ) -> Result<(StatusCode, HeaderMap, Bytes, Option<Pieces>), HttpError> {
        let Self { status, mut headers, body } = self;
        let mut pieces = None;
        let (media, bytes) = match body {
            // An empty body has this content type in Consul.
            Body::Empty => ("application/json", Bytes::new()),
            Body::Bytes(media, bytes) => (media, bytes),
            Body::Stream(media, more) => {
                pieces = Some(more);
                (media, Bytes::new())
            }
            Body::Json(write) => {
                let mut bytes = Vec::with_capacity(expected);
                write(&mut bytes, layout).map_err(|error| {
                    HttpError::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        format!("cannot encode the answer: {error}"),
                    )
                })?;
                // The bytes may wait for a slow client, so free the unused capacity.
                bytes.shrink_to_fit();
                ("application/json", bytes.into())
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        Ok((status, headers, bytes, pieces))
    }
}

/// Metadata of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Index of the last change to the data that the answer was built from.
    pub index: u64,
    /// Whether the server that answered knew a leader.
    pub known_leader: bool,
    /// Time since that server heard from the leader.
    pub last_contact: Duration,
    /// Whether the caller's rights hid something. Anonymous callers are never told.
    pub filtered: bool,
    /// The consistency of the read. `None` where Consul does not send it.
    pub consistency: Option<Consistency>,
}

impl Meta {
    /// Splits an answer of the servers into its value and its metadata.
    pub fn of<T>(answer: Answer<T>) -> (T, Self) {
        let Answer { value, index, known_leader, last_contact, filtered, consistency } = answer;
        (value, Self { index, known_leader, last_contact, filtered, consistency: Some(consistency) })
    }
}
