//! Accepts connections and serves their requests, within limits.
//!
//! A connection passes three checks before an endpoint sees a request: the number of connections (in total and per
//! client), the time and size of the headers, and the time and size of the body. A refused request gets a status if
//! the protocol still allows one.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use concord_config::section::HttpSection;
use concord_model::Secret;
use concord_model::intention::Action;
use concord_runtime::{Budget, Clock, Counted, Door, Full, Guest, Held, Scope, timeout};
use http::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::{debug, warn};

use super::browser::{self, Names};
use super::call::{self, Call, parse_query, unescape};
use super::error::HttpError;
use super::gate::{Gate, Patience};
use super::limits;
use super::reply::Layout;
use super::router::{Authorise, Missing, RouteId, Router};
use super::sent::Sent;
use super::{compression, target};
use crate::socket::{Io, Socket, source};
use crate::tls::Tls;

/// Settings of the operator (Consul's `http_config` and `limits`).
#[derive(Clone, Debug)]
pub struct Settings {
    /// The section of the configuration.
    pub section: HttpSection,
    /// From a request's first byte to the end of its headers.
    pub header_timeout: Duration,
    /// Between two requests on a connection.
    pub idle_timeout: Duration,
    /// From the end of the headers to the end of the body.
    pub body_timeout: Duration,
    /// Time in which a client must take part of an answer.
    pub answer_timeout: Duration,
    /// The agent's own names, which protect against DNS rebinding.
    pub names: Names,
    /// The headers of the section, parsed.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Indent all JSON, as `-dev` does.
    pub pretty: bool,
    /// Sent in `X-Consul-Default-ACL-Policy`.
    pub default_policy: Action,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            section: HttpSection::default(),
            header_timeout: limits::HEADER_TIMEOUT,
            idle_timeout: limits::IDLE_TIMEOUT,
            body_timeout: limits::BODY_TIMEOUT,
            answer_timeout: limits::ANSWER_TIMEOUT,
            names: Names::default(),
            headers: Vec::new(),
            pretty: false,
            default_policy: Action::Allow,
        }
    }
}

/// Serves a router on sockets.
pub struct Http<C> {
    router: Router<C>,
    context: Arc<C>,
    settings: Settings,
    clock: Arc<dyn Clock>,
    door: Door,
    /// The largest size that is expected of an answer, in bytes.
    expected_max: usize,
}

impl<C> std::fmt::Debug for Http<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("router", &self.router).finish_non_exhaustive()
    }
}

/// The client of a connection.
#[derive(Clone, Debug)]
struct Client {
    /// `None` for a unix socket.
    address: Option<IpAddr>,
    /// Whether the client connected to a loopback address of this machine.
    on_loopback: bool,
    guest: Arc<Guest>,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    /// The endpoint.
    route: Option<RouteId>,
    /// Whether there is an endpoint with this path.
    known: bool,
}

/// Answer to a client that has too many connections, in Consul's words.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\nContent-Length: 80\r\n\
    Connection: close\r\n\r\n\
    Your IP is issuing too many concurrent connections, please rate limit your calls";

/// Answer to a client when the budget of all clients is used up, and this client has used its share.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 81\r\n\
    Connection: close\r\n\r\n\
    as much is held for clients as may be, and its part for this one; try again later";

/// Sends the reason why a connection is closed, without waiting. What does not fit into the socket's empty buffer is
/// not sent.
fn refuse(io: &Io, full: Full) {
    let text = match full {
        Full::Source => TOO_MANY,
        Full::Process => NO_ROOM,
    };
    let said = io.try_write(text).map(|_| io.try_read(&mut [0; limits::REFUSED_READ_BYTES]));
    debug!(%full, said = said.is_ok(), "connection refused");
}

impl<C: Authorise> Http<C> {
    /// Prepares to serve under the process's budget. Does not listen yet.
    pub fn new(
        router: Router<C>,
        context: Arc<C>,
        settings: Settings,
        clock: Arc<dyn Clock>,
        budget: &Arc<Budget>,
    ) -> Arc<Self> {
        let door = budget.door(settings.section.connections_per_client_max);
        let expected_max = budget.bytes() / limits::EXPECTED_SHARE;
        Arc::new(Self { router, context, settings, clock, door, expected_max })
    }

    /// Changes the limit of connections per client address. Open connections beyond it stay.
    pub fn limit_connections_per_client(&self, most: usize) {
        self.door.limit(most);
    }

    /// Accepts connections from a socket until the scope ends. With `tls`, every connection uses TLS.
    pub fn serve(self: &Arc<Self>, socket: Socket, tls: Option<Arc<Tls>>, scope: &Scope) {
        let (http, inner) = (Arc::clone(self), scope.clone());
        scope.spawn("http listener", async move {
            tokio::select! {
                biased;
                () = inner.cancelled() => {}
                () = http.accept(&socket, tls.as_ref(), &inner) => {}
            }
        });
    }

    async fn accept(self: &Arc<Self>, socket: &Socket, tls: Option<&Arc<Tls>>, scope: &Scope) {
        loop {
            match socket.accept().await {
                Ok((io, address)) => match self.door.enter(source(address), limits::CONNECTION_BYTES) {
                    Ok(guest) => self.start(io, address, guest, tls.cloned(), scope),
                    // A readable refusal would need a TLS handshake first.
                    Err(full) if tls.is_some() => debug!(%full, "connection refused"),
                    Err(full) => refuse(&io, full),
                },
                Err(error) => {
                    warn!(%error, "cannot accept a connection; is the limit of open files reached?");
                    self.clock.sleep(limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(
        self: &Arc<Self>,
        io: Io,
        address: Option<IpAddr>,
        guest: Arc<Guest>,
        tls: Option<Arc<Tls>>,
        scope: &Scope,
    ) {
        let (http, inner) = (Arc::clone(self), scope.clone());
        scope.spawn("http connection", async move {
            let client = Client { address, on_loopback: io.is_on_loopback(), guest: Arc::clone(&guest) };
            let served = async {
                match tls {
                    None => http.in_clear(io, client, &inner).await,
                    Some(tls) => http.in_tls(io, client, &tls, &inner).await,
                }
            };
            tokio::select! {
                biased;
                () = guest.evicted() => debug!("connection closed: other clients need its memory"),
                () = served => {}
            }
        });
    }

    async fn in_clear(self: &Arc<Self>, io: Io, client: Client, scope: &Scope) {
        // Do not give a client any buffers of the HTTP library before it has sent its first byte.
        let spoken = timeout(&*self.clock, self.settings.header_timeout, io.is_spoken_to());
        tokio::select! {
            biased;
            () = scope.cancelled() => return,
            spoken = spoken => if !matches!(spoken, Ok(true)) { return },
        }
        client.guest.settled(&*self.clock).await;
        let Ok(held) = client.guest.hold(limits::REQUEST_BYTES) else { return refuse(&io, Full::Process) };
        Box::pin(self.connection(io, client, held, scope)).await;
    }

    async fn in_tls(self: &Arc<Self>, io: Io, client: Client, tls: &Tls, scope: &Scope) {
        let stream = tokio::select! {
            biased;
            () = scope.cancelled() => return,
            stream = tls.accept(io, &client.guest, &*self.clock) => stream,
        };
        let Some(stream) = stream else { return };
        let Ok(held) = client.guest.hold(limits::REQUEST_BYTES) else { return };
        Box::pin(self.connection(stream, client, held, scope)).await;
    }

    async fn connection(
        self: &Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        client: Client,
        held: Held,
        scope: &Scope,
    ) {
        let Settings { header_timeout, idle_timeout, answer_timeout, .. } = self.settings;
        let patience = Patience { head: header_timeout, idle: idle_timeout, answer: answer_timeout };
        let gate = Gate::new(stream, Arc::clone(&self.clock), patience, held);
        let busy = gate.busy();
        let service = service_fn(|request| {
            let (http, client, busy) = (Arc::clone(self), client.clone(), Counted::enter(Arc::clone(&busy)));
            async move {
                let mut response = http.respond(request, &client).await;
                response.body_mut().keep(busy);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            // The gate has its own time limit, which tells an idle connection from a slow request.
            .header_read_timeout(None)
            // Go writes headers in this case, and scripts search for `X-Consul-Index`.
            .title_case_headers(true)
            .max_buf_size(self.settings.section.header_bytes_max.max(8 * 1024))
            .serve_connection(TokioIo::new(gate), service);
        tokio::pin!(connection);
        let served = tokio::select! {
            biased;
            served = &mut connection => served,
            () = scope.cancelled() => {
                connection.as_mut().graceful_shutdown();
                timeout(&*self.clock, limits::DRAIN, connection).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = served {
            debug!(%error, "http connection ended");
        }
    }

    /// Answers one request.
    async fn respond(&self, request: Request<Incoming>, client: &Client) -> Response<Sent> {
        let began = self.clock.now();
        let method = request.method().clone();
        // The gate does not parse chunks, so a chunked request must be the last one.
        let mut last = request.headers().contains_key(TRANSFER_ENCODING);
        let mut passed = Passed::default();
        let plain = target::check_host(request.version(), request.headers());
        let answer = match plain.and_then(|()| target::check_form(request.uri(), request.headers())) {
            Ok(()) => self.answer(request, client, &mut passed).await,
            Err(refused) => {
                last = true;
                Err(refused)
            }
        };
        let status = answer.as_ref().map_or_else(|error| error.status, Response::status);
        let Passed { route, known } = passed;
        self.router.observe(route, &method, status, self.clock.now() - began);
        let pattern = route.map_or("", |route| self.router.pattern(route));
        debug!(method = %method, pattern, status = status.as_u16(), "request");
        let mut response = answer.unwrap_or_else(|error| refusal(&error));
        let headers = response.headers_mut();
        // Only known endpoints send this header, as in Consul.
        if known {
            let policy = HeaderValue::from_static(self.settings.default_policy.as_str());
            headers.insert("x-consul-default-acl-policy", policy);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        for (name, value) in &self.settings.headers {
            headers.insert(name.clone(), value.clone());
        }
        response
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        client: &Client,
        passed: &mut Passed,
    ) -> Result<Response<Sent>, HttpError> {
        let (head, body) = request.into_parts();
        let (raw_path, raw_query) = (head.uri.path(), head.uri.query());
        let query = raw_query.unwrap_or("");
        if raw_path.len() + query.len() > limits::TARGET_BYTES {
            return Err(HttpError::new(StatusCode::URI_TOO_LONG, "the URL is longer than 16 KiB"));
        }
        // The library reads large pieces, so it stops somewhere between one and two times the limit.
        let header_bytes: usize =
            head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if header_bytes + raw_path.len() + query.len() > self.settings.section.header_bytes_max {
            let text =
                format!("the headers are longer than {} bytes", self.settings.section.header_bytes_max);
            return Err(HttpError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text));
        }
        let path = unescape(raw_path, false)?;
        if path.chars().any(|c| c.is_control() || c == '\u{fffd}') {
            return Err(HttpError::bad_request("the URL path contains a character that is not printable"));
        }
        self.screen(&head.method, &path, &head.headers, client.address)?;
        if let Some(location) = target::clean_target(raw_path, raw_query) {
            return redirect(&location);
        }
        if path == "/" && matches!(head.method, Method::GET | Method::HEAD) {
            return Ok(plain(StatusCode::OK, INDEX_PAGE));
        }
        let found = self.router.find(&head.method, raw_path)?;
        passed.known = !matches!(found, Err(Missing::Path));
        let found = match found {
            Ok(found) => found,
            Err(Missing::Path) => return Err(self.router.missing(raw_path, &path)),
            Err(Missing::Name(pattern)) => {
                let own = self.router.missing_name(pattern);
                return Err(own.unwrap_or_else(|| self.router.missing(raw_path, &path)));
            }
            Err(Missing::Method(allowed)) => return method_response(&head.method, &allowed),
        };
        passed.route = Some(found.id());
        let pattern = self.router.pattern(found.id());
        let query = parse_query(query)?;
        let token = call::own_token(&query, &head.headers);
        self.settings.names.check(
            &self.settings.section.allowed_hosts,
            &head.headers,
            client.on_loopback,
            token.is_some(),
        )?;
        // Check the token before the endpoint runs. Otherwise the client of a blocking query would count as
        // unauthenticated while the query waits.
        if let Some(token) = token
            && !client.guest.has_proved()
            && self.context.knows(&Secret::new(token.to_owned())).await
        {
            client.guest.prove();
        }
        let may_compress = compression::is_allowed(pattern) && compression::accepts_gzip(&head.headers);
        let (body, _held) = self.read_body(body, self.router.body_bytes(&found), client).await?;
        let call = Call {
            method: head.method,
            path,
            captures: Vec::new(),
            query,
            headers: head.headers,
            body,
            client: client.address,
        };
        let layout = if self.settings.pretty || call.pretty() { Layout::Pretty } else { Layout::Compact };
        // Reserve room for an answer as large as the last one. Without room none is built: that would be in vain, and
        // would cost other clients their share.
        let last_bytes = self.router.last_bytes(&found);
        let last = last_bytes.load(Ordering::Relaxed).min(self.expected_max);
        let expected = last.max(limits::ANSWER_BYTES);
        // Before a large answer, wait until the memory taken from evicted clients has been freed.
        if expected > limits::ANSWER_BYTES {
            client.guest.settled(&*self.clock).await;
        }
        let mut held = client.guest.hold(expected).map_err(no_room)?;
        let reply = self.router.dispatch(&self.context, found, call).await?;
        let (status, mut headers, mut bytes, pieces) = reply.into_parts(layout, last)?;
        if let Some(pieces) = pieces {
            held.grow(limits::STREAM_BYTES.saturating_sub(held.bytes())).map_err(no_room)?;
            let mut response = Response::new(Sent::stream(pieces, held));
            (*response.status_mut(), *response.headers_mut()) = (status, headers);
            return Ok(response);
        }
        last_bytes.store(bytes.len(), Ordering::Relaxed);
        held.shrink_to(bytes.len());
        held.grow(bytes.len() - held.bytes()).map_err(no_room)?;
        if may_compress && let Some(packed) = compression::gzip(&bytes).await {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            bytes = packed;
        }
        held.shrink_to(bytes.len());
        let mut response = Response::new(Sent::new(bytes, Some(held)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// Applies the block list, the write restriction and the check for foreign web pages (N-40).
    fn screen(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        client: Option<IpAddr>,
    ) -> Result<(), HttpError> {
        let HttpSection { block_endpoints, allow_write_from: writers, allow_origins, .. } =
            &self.settings.section;
        if block_endpoints.iter().any(|prefix| path.starts_with(prefix.as_str())) {
            return Err(HttpError::forbidden("Endpoint is blocked by agent configuration"));
        }
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let from_allowed = |ip: IpAddr| writers.iter().any(|network| network.contains(ip));
        if !writers.is_empty() && !client.is_some_and(from_allowed) {
            return Err(HttpError::forbidden("Access is restricted"));
        }
        if browser::is_foreign(headers, allow_origins) {
            return Err(HttpError::forbidden(
                "refused: a web page of another origin may not write here (http_config.allow_origins names those that may)",
            ));
        }
        Ok(())
    }

    /// The request's body, and the budget held for it.
    async fn read_body(
        &self,
        mut body: Incoming,
        limit: usize,
        client: &Client,
    ) -> Result<(Bytes, Held), HttpError> {
        let too_large = || {
            HttpError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("Request body is larger than {limit} bytes"),
            )
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let read = async {
            // Allocate the announced length at once: growing would copy, and keep both copies for a moment. Bytes
            // that never come cost no memory.
            let length = usize::try_from(body.size_hint().upper().unwrap_or(0)).unwrap_or(limit).min(limit);
            let (mut bytes, mut held) =
                (BytesMut::with_capacity(length), client.guest.hold(0).map_err(no_room)?);
            while let Some(frame) = body.frame().await {
                let frame = frame
                    .map_err(|error| HttpError::bad_request(format!("cannot read the body: {error}")))?;
                if let Ok(data) = frame.into_data() {
                    if bytes.len() + data.len() > limit {
                        return Err(too_large());
                    }
                    held.grow(data.len()).map_err(no_room)?;
                    bytes.extend_from_slice(&data);
                }
            }
            Ok((bytes.freeze(), held))
        };
        timeout(&*self.clock, self.settings.body_timeout, read).await.unwrap_or_else(|_| {
            Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, "the body took too long to arrive"))
        })
    }
}

/// The page at `/`, for users who check whether the agent answers.
const INDEX_PAGE: &str = "concord agent: there is no web interface here; the HTTP API is below /v1/.\n";

fn no_room(full: Full) -> HttpError {
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, format!("{full}; try again later"))
}

fn method_response(method: &Method, allowed: &[Method]) -> Result<Response<Sent>, HttpError> {
    let mut names = vec!["OPTIONS"];
    names.extend(allowed.iter().map(Method::as_str));
    let mut response = if *method == Method::OPTIONS {
        let mut response = Response::new(Sent::default());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    } else {
        plain(StatusCode::METHOD_NOT_ALLOWED, format!("method {method} not allowed"))
    };
    if let Ok(value) = HeaderValue::from_str(&names.join(",")) {
        response.headers_mut().insert(ALLOW, value);
    }
    Ok(response)
}

/// Redirects to another location. A client repeats the method and the body after a 307.
fn redirect(location: &str) -> Result<Response<Sent>, HttpError> {
    let location = HeaderValue::from_str(location)
        .map_err(|_| HttpError::bad_request("the URL contains a character that is not printable"))?;
    let mut response = plain(StatusCode::TEMPORARY_REDIRECT, "Temporary Redirect\n");
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn plain(status: StatusCode, text: impl Into<Sent>) -> Response<Sent> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn refusal(error: &HttpError) -> Response<Sent> {
    plain(error.status, error.text.clone())
}
