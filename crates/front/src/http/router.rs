//! Finds the endpoint for a request and checks its right before it runs.
//!
//! An endpoint is a type, and the right it needs is part of that type. An endpoint without a right does not compile.
//! No request reaches an endpoint except through [`Router::dispatch`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use concord_model::Secret;
use concord_rpc::Request;
use http::{Method, StatusCode};

use super::call::Call;
use super::error::HttpError;
use super::observed::Observed;
use super::reply::Reply;

/// Where the caller of an endpoint is authorised.
pub enum Right<C> {
    /// Nowhere: the answer is public by design. The text is the reason.
    Open(&'static str),
    /// Here, before the endpoint runs. The request alone decides which right is needed.
    Here(fn(&Call, &C) -> Result<concord_acl::Right<'static>, HttpError>),
    /// By the server or cache that answers these requests; each request type declares its right. See
    /// [`Right::asked`].
    Asked(&'static [&'static str]),
    /// By the agent, which has the record: the registered service or check decides which right is needed.
    Agent,
    /// By the agent, which lists its own records and leaves out those that the caller may not read.
    Filtered,
}

impl<C> std::fmt::Debug for Right<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(why) => write!(f, "open: {why}"),
            Self::Here(_) => f.write_str("checked before it runs"),
            Self::Asked(requests) => write!(f, "by {}", requests.join(", ")),
            Self::Agent => f.write_str("by the agent, from what is registered"),
            Self::Filtered => f.write_str("each record shown to who may read it"),
        }
    }
}

/// The requests that an endpoint sends.
pub trait Asks {
    /// Their names.
    const NAMES: &'static [&'static str];
}

impl<A: Request> Asks for (A,) {
    const NAMES: &'static [&'static str] = &[A::NAME];
}

impl<A: Request, B: Request> Asks for (A, B) {
    const NAMES: &'static [&'static str] = &[A::NAME, B::NAME];
}

impl<C> Right<C> {
    /// The right of an endpoint that sends the requests `R`.
    pub const fn asked<R: Asks>() -> Self {
        Self::Asked(R::NAMES)
    }
}

/// One endpoint.
pub trait Endpoint<C>: Send + Sync + 'static {
    /// Its method.
    const METHOD: Method;
    /// The endpoint's path. It consists of literal segments; `:name` takes one segment or, at the end, the non-empty
    /// rest of the path; `*name` takes the rest, which may be empty.
    const PATH: &'static str;
    /// Where the caller is authorised.
    const RIGHT: Right<C>;
    /// The largest body in bytes.
    const BODY_BYTES: usize = super::limits::BODY_BYTES;

    /// Answers a request.
    fn answer(context: Arc<C>, call: Call) -> impl Future<Output = Result<Reply, HttpError>> + Send;
}

/// Checks a caller's rights. Implemented by the context of the endpoints.
pub trait Authorise: Send + Sync + 'static {
    /// Succeeds if the token has the right.
    fn authorise(
        &self,
        token: Option<Secret>,
        right: concord_acl::Right<'static>,
    ) -> impl Future<Output = Result<(), HttpError>> + Send;

    /// Whether the token identifies its caller: it is valid, ACLs are enforced, and it is not the anonymous token.
    fn knows(&self, token: &Secret) -> impl Future<Output = bool> + Send;
}

type Answering = Pin<Box<dyn Future<Output = Result<Reply, HttpError>> + Send>>;

struct Route<C> {
    method: Method,
    pattern: &'static str,
    /// The pattern up to its first name. Each path that fits begins with it.
    prefix: &'static str,
    segments: Vec<Segment>,
    right: Right<C>,
    body_bytes: usize,
    /// Size of the last answer in bytes.
    last_bytes: AtomicUsize,
    observed: Observed,
    answer: fn(Arc<C>, Call) -> Answering,
}

enum Segment {
    Literal(&'static str),
    One,
    Rest,
}

/// The pattern of an endpoint, and the status and text for a path that lacks the name at its end.
pub type Nameless = (&'static str, StatusCode, &'static str);

/// The table of endpoints.
pub struct Router<C> {
    routes: Vec<Route<C>>,
    unbuilt: Vec<(Vec<Segment>, &'static str)>,
    nameless: &'static [Nameless],
}

impl<C> std::fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Router({} routes)", self.routes.len())
    }
}

/// An endpoint of a table.
#[derive(Clone, Copy, Debug)]
pub struct RouteId(usize);

/// The endpoint that a path leads to.
#[derive(Debug)]
pub struct FoundRoute {
    route: RouteId,
    captures: Vec<String>,
}

/// Why no endpoint answers a path.
#[derive(Debug, Eq, PartialEq)]
pub enum Missing {
    /// No endpoint has this path.
    Path,
    /// The path lacks the name at the end of this pattern.
    Name(&'static str),
    /// The path exists, but not with this method. These are its methods.
    Method(Vec<Method>),
}

impl FoundRoute {
    /// The endpoint.
    pub fn id(&self) -> RouteId {
        self.route
    }
}

impl<C: Authorise> Router<C> {
    /// An empty table.
    pub fn new() -> Self {
        Self { routes: Vec::new(), unbuilt: Vec::new(), nameless: &[] }
    }

    /// Adds an endpoint. If two patterns fit a path, the more literal one answers.
    #[must_use]
    pub fn with<E: Endpoint<C>>(mut self) -> Self {
        self.routes.push(Route {
            method: E::METHOD,
            pattern: E::PATH,
            prefix: E::PATH.split([':', '*']).next().unwrap_or_default(),
            segments: segments(E::PATH),
            right: E::RIGHT,
            body_bytes: E::BODY_BYTES,
            last_bytes: AtomicUsize::new(0),
            observed: Observed::new(&E::METHOD, E::PATH),
            answer: |context, call| Box::pin(E::answer(context, call)),
        });
        self
    }

    /// Adds the Consul paths that are not built yet, with a description of each.
    #[must_use]
    pub fn with_unbuilt(mut self, table: &[(&'static str, &'static str)]) -> Self {
        self.unbuilt.extend(table.iter().map(|(path, what)| (segments(path), *what)));
        self
    }

    /// Adds the answers to paths that lack the name at their end.
    #[must_use]
    pub fn with_nameless(mut self, table: &'static [Nameless]) -> Self {
        self.nameless = table;
        self
    }

    /// The answer to an unknown path: 501 if Consul has it, else 404.
    pub fn missing(&self, raw_path: &str, path: &str) -> HttpError {
        let unbuilt = self
            .unbuilt
            .iter()
            .find(|(segments, _)| fit(segments, raw_path).is_some_and(|fit| fit.has_names));
        if let Some((_, what)) = unbuilt {
            return HttpError::not_available(what);
        }
        // The text does not repeat the path: it is exactly Consul's.
        HttpError::not_found(match path.contains("/v1/") {
            true => "Invalid URL path: not a recognized HTTP API endpoint\n",
            false => {
                "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
            }
        })
    }

    /// The answer to a path that lacks the name at its end, if Consul has a special one.
    pub fn missing_name(&self, pattern: &str) -> Option<HttpError> {
        let (_, status, text) = self.nameless.iter().find(|(path, ..)| *path == pattern)?;
        Some(HttpError::new(*status, *text))
    }

    /// Finds the endpoint for a method and a raw, still escaped path.
    ///
    /// The most literal pattern that fits gets the path, whatever the method, as in Consul. Between two equally
    /// literal patterns the one with more segments wins; otherwise the last name of the shorter one would take them
    /// all.
    pub fn find(&self, method: &Method, raw_path: &str) -> Result<Result<FoundRoute, Missing>, HttpError> {
        let mut best = (0, 0);
        let mut fitting: Vec<(usize, Fit<'_>)> = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            // Most routes end here: a comparison of bytes is cheaper than `fit`.
            if !raw_path.starts_with(route.prefix) {
                continue;
            }
            let Some(fit) = fit(&route.segments, raw_path) else { continue };
            let rank = (fit.literals, route.segments.len());
            if rank > best {
                best = rank;
                fitting.clear();
            }
            if rank == best {
                fitting.push((at, fit));
            }
        }
        let Some((at, fit)) = fitting.iter().find(|(at, _)| self.routes[*at].method == *method) else {
            let methods: Vec<_> = fitting.iter().map(|(at, _)| self.routes[*at].method.clone()).collect();
            return Ok(Err(if methods.is_empty() { Missing::Path } else { Missing::Method(methods) }));
        };
        if !fit.has_names {
            return Ok(Err(Missing::Name(self.routes[*at].pattern)));
        }
        let captures = fit.captures.iter().map(|text| super::call::unescape(text, false));
        Ok(Ok(FoundRoute { route: RouteId(*at), captures: captures.collect::<Result<_, _>>()? }))
    }

    /// The pattern of an endpoint, for metrics and logs. It contains no names that users chose.
    pub fn pattern(&self, route: RouteId) -> &'static str {
        self.routes[route.0].pattern
    }

    /// The largest body, in bytes, of a request to this endpoint.
    pub fn body_bytes(&self, found: &FoundRoute) -> usize {
        self.routes[found.route.0].body_bytes
    }

    /// Size of the endpoint's last answer in bytes. The next one is expected to be as large.
    pub fn last_bytes(&self, found: &FoundRoute) -> &AtomicUsize {
        &self.routes[found.route.0].last_bytes
    }

    /// Records the metrics of one request. `None`: no endpoint answered it.
    pub(super) fn observe(
        &self,
        route: Option<RouteId>,
        method: &Method,
        status: StatusCode,
        took: Duration,
    ) {
        match route {
            Some(route) => self.routes[route.0].observed.record(status, took),
            None => Observed::new(method, "").record(status, took),
        }
    }

    /// Checks the endpoint's right, then calls the endpoint.
    pub async fn dispatch(
        &self,
        context: &Arc<C>,
        found: FoundRoute,
        mut call: Call,
    ) -> Result<Reply, HttpError> {
        let route = &self.routes[found.route.0];
        call.captures = found.captures;
        // This check comes first, whatever the endpoint reads.
        call.require_default_tenancy()?;
        match &route.right {
            Right::Here(right) => {
                let right = right(&call, context)?;
                context.authorise(call.token(), right).await?;
            }
            Right::Open(_) | Right::Asked(_) | Right::Agent | Right::Filtered => {}
        }
        (route.answer)(Arc::clone(context), call).await
    }

    /// All endpoints: method, path, and where the caller is authorised. For documentation and tests.
    pub fn table(&self) -> Vec<(Method, &'static str, String)> {
        self.routes
            .iter()
            .map(|route| (route.method.clone(), route.pattern, format!("{:?}", route.right)))
            .collect()
    }
}

impl<C: Authorise> Default for Router<C> {
    fn default() -> Self {
        Self::new()
    }
}

fn segments(path: &'static str) -> Vec<Segment> {
    let segment = |text: &'static str| match text.as_bytes().first() {
        Some(b':') => Segment::One,
        Some(b'*') => Segment::Rest,
        _ => Segment::Literal(text),
    };
    path.split('/').skip(1).map(segment).collect()
}

/// How a path matches a pattern.
struct Fit<'p> {
    /// How many segments match literally.
    literals: usize,
    /// The captured segments.
    captures: Vec<&'p str>,
    /// Whether the last segment captures something.
    has_names: bool,
}

/// Matches a path; `None` if it does not fit. A name in the middle must not be empty. A name at the end takes the
/// rest of the path, because ids may contain slashes that clients do not escape.
fn fit<'p>(segments: &[Segment], raw_path: &'p str) -> Option<Fit<'p>> {
    let mut rest = raw_path.strip_prefix('/')?;
    let mut found = Fit { literals: 0, captures: Vec::new(), has_names: true };
    for (at, segment) in segments.iter().enumerate() {
        if let Segment::Rest = segment {
            found.captures.push(rest);
            return Some(found);
        }
        let last = at + 1 == segments.len();
        let (own, tail) = match rest.split_once('/') {
            _ if last => (rest, ""),
            Some((own, tail)) => (own, tail),
            None => return None,
        };
        match segment {
            Segment::Literal(text) if *text == own => found.literals += 1,
            Segment::Literal(_) => return None,
            Segment::One if own.is_empty() && !last => return None,
            Segment::One => {
                found.has_names &= !own.is_empty();
                found.captures.push(own);
            }
            Segment::Rest => return None,
        }
        rest = tail;
    }
    Some(found)
}

#[cfg(test)]
mod tests;
