//! One request: built step by step, sent once; the answer is read as a whole, within limits.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Client;
use crate::error::Error;
use crate::limits;
use crate::pieces::Pieces;
use crate::pool::Opened;
use crate::query::{Answer, QueryMeta, QueryOptions};

/// A request being built.
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    parameters: Vec<(String, String)>,
    options: QueryOptions,
    body: Result<Option<Bytes>, String>,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// Method and path, for messages.
    what: String,
    /// HTTP status, 2xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Client {
    /// Begins a request. Each of `segments` is escaped separately and may contain any character.
    pub fn call(&self, method: Method, segments: &[&str]) -> Call<'_> {
        let mut path = String::from("/v1");
        for segment in segments {
            path.push('/');
            escape(segment, &mut path);
        }
        Call {
            client: self,
            method,
            path,
            parameters: Vec::new(),
            options: QueryOptions::default(),
            body: Ok(None),
        }
    }

    pub(crate) fn get(&self, segments: &[&str], options: &QueryOptions) -> Call<'_> {
        self.call(Method::GET, segments).options(options)
    }

    pub(crate) fn put(&self, segments: &[&str], options: &QueryOptions) -> Call<'_> {
        self.call(Method::PUT, segments).options(options)
    }

    pub(crate) fn delete(&self, segments: &[&str], options: &QueryOptions) -> Call<'_> {
        self.call(Method::DELETE, segments).options(options)
    }
}

impl Call<'_> {
    /// Sets the options.
    pub fn options(mut self, options: &QueryOptions) -> Self {
        self.options = options.clone();
        self
    }

    /// Adds a parameter.
    pub fn parameter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.body =
            serde_json::to_vec(body).map(|bytes| Some(bytes.into())).map_err(|error| error.to_string());
        self
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// Any [`Error`], including a status that is not 2xx.
    pub async fn send(self) -> Result<HttpReply, Error> {
        let what = format!("{} {}", self.method, self.path);
        let config = self.client.config();
        let deadline = self.options.deadline(config);
        let request = self.request()?;
        let (head, body) = self.client.pool().exchange(request, deadline, config.response_bytes_max).await?;
        if !head.status.is_success() {
            return Err(Error::Status { status: head.status.as_u16(), message: message(&body) });
        }
        Ok(HttpReply { what, status: head.status, headers: head.headers, body })
    }

    /// Sends it and returns the answer piece by piece. Only the beginning of the answer has a time limit.
    ///
    /// # Errors
    /// Any [`Error`], including a status that is not 2xx.
    pub async fn follow(self) -> Result<Pieces, Error> {
        let deadline = self.options.deadline(self.client.config());
        let request = self.request()?;
        match self.client.pool().open(request, deadline).await? {
            Opened::Pieces(pieces) => Ok(pieces),
            Opened::Refused(status, body) => {
                Err(Error::Status { status: status.as_u16(), message: message(&body) })
            }
        }
    }

    /// Sends it and decodes the answer.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<Answer<T>, Error> {
        self.send().await?.decode()
    }

    /// Sends it and ignores the body of a successful answer.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn done(self) -> Result<(), Error> {
        self.send().await.map(|_| ())
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Error> {
        let config = self.client.config();
        let body = self.body.clone().map_err(|reason| Error::Request { reason })?;
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.target())
            .header(HOST, config.address.authority())
            .header(USER_AGENT, concat!("concord/", env!("CARGO_PKG_VERSION")));
        if let Some(token) =
            self.options.token.as_ref().or(config.token.as_ref()).filter(|token| !token.is_empty())
        {
            request = request.header("x-consul-token", sensitive(token.expose().to_owned(), "the token")?);
        }
        if let Some(auth) = &config.basic_auth {
            let pair = STANDARD.encode(format!("{}:{}", auth.user, auth.password.expose()));
            request =
                request.header(AUTHORIZATION, sensitive(format!("Basic {pair}"), "the user and password")?);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|error| Error::Request { reason: error.to_string() })
    }

    fn target(&self) -> String {
        let mut target = self.path.clone();
        let own = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let general = self.options.parameters(self.client.config());
        let all = own.chain(general.iter().map(|(name, value)| (*name, value.as_str())));
        for (position, (name, value)) in all.enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            escape(name, &mut target);
            target.push('=');
            escape(value, &mut target);
        }
        target
    }
}

impl HttpReply {
    /// Decodes the body as JSON.
    ///
    /// # Errors
    /// [`Error::Decode`] when it is not what `T` expects.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Answer<T>, Error> {
        let value = serde_json::from_slice(&self.body)
            .map_err(|source| Error::Decode { what: self.what.clone(), source })?;
        Ok(Answer { value, meta: self.meta() })
    }

    /// The metadata in the headers.
    pub fn meta(&self) -> QueryMeta {
        QueryMeta::from_headers(&self.headers)
    }
}

fn sensitive(text: String, what: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(&text).map_err(|_| Error::Request {
        reason: format!("{what} contains characters a header cannot carry"),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn message(body: &[u8]) -> String {
    let kept = &body[..body.len().min(limits::ERROR_BYTES_MAX)];
    String::from_utf8_lossy(kept).trim_end().to_owned()
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn escape(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_unreserved_characters_is_escaped() {
        let mut out = String::new();
        escape("a-b_c.d~e/f g%&=?#\u{e9}*", &mut out);
        assert_eq!(out, "a-b_c.d~e%2Ff%20g%25%26%3D%3F%23%C3%A9%2A");
    }

    #[test]
    fn a_message_is_bounded_and_trimmed() {
        assert_eq!(message(b"no leader\n"), "no leader");
        assert_eq!(message(&vec![b'x'; limits::ERROR_BYTES_MAX * 2]).len(), limits::ERROR_BYTES_MAX);
    }
}
