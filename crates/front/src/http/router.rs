//! Finds the endpoint for a request and checks its right before it runs.
//!
//! An endpoint is a type; the right it needs is part of that type. One without a right does not
//! compile, and no request reaches an endpoint past [`Router::dispatch`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use concord_model::Secret;
use concord_rpc::Request;
use http::{Method, StatusCode};

use super::call::Call;
use super::error::HttpError;
use super::reply::Reply;

/// Where an endpoint's caller is authorised.
pub enum Right<C> {
    /// Nowhere: the answer is public by design. The text says why.
    Open(&'static str),
    /// Here, before the endpoint runs: the right follows from the request.
    Here(fn(&Call, &C) -> Result<concord_acl::Right<'static>, HttpError>),
    /// By whoever answers these requests, as their types declare; see [`Right::asked`].
    Asked(&'static [&'static str]),
    /// By the agent, where it holds the record: the right follows from what is registered.
    Agent,
    /// Where the agent reads its own records: each is shown to who may read it.
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

/// Requests that an endpoint asks.
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
    /// By whoever answers these requests.
    pub const fn asked<R: Asks>() -> Self {
        Self::Asked(R::NAMES)
    }
}

/// One endpoint.
pub trait Endpoint<C>: Send + Sync + 'static {
    /// Its method.
    const METHOD: Method;
    /// Its path: literal segments, `:name` for one segment or, at the end, for all that follows but nothing,
    /// `*name` for all that follows.
    const PATH: &'static str;
    /// Where its caller is authorised.
    const RIGHT: Right<C>;
    /// Bytes its body may have.
    const BODY_BYTES: usize = super::limits::BODY_BYTES;

    /// Answers a request.
    fn answer(context: Arc<C>, call: Call) -> impl Future<Output = Result<Reply, HttpError>> + Send;
}

/// Checks a right of a caller; implemented by what endpoints run on.
pub trait Authorise: Send + Sync + 'static {
    /// Succeeds if the token has the right.
    fn authorise(
        &self,
        token: Option<Secret>,
        right: concord_acl::Right<'static>,
    ) -> impl Future<Output = Result<(), HttpError>> + Send;

    /// Whether a token says who its caller is: a valid one, where tokens count, and not everybody's.
    fn knows(&self, token: &Secret) -> impl Future<Output = bool> + Send;
}

type Answering = Pin<Box<dyn Future<Output = Result<Reply, HttpError>> + Send>>;

struct Route<C> {
    method: Method,
    pattern: &'static str,
    segments: Vec<Segment>,
    right: Right<C>,
    body_bytes: usize,
    /// Bytes of the last answer.
    last_bytes: AtomicUsize,
    answer: fn(Arc<C>, Call) -> Answering,
}

enum Segment {
    Literal(&'static str),
    One,
    Rest,
}

/// The pattern of an endpoint, and the status and text its path is refused with when the name at its end is
/// left out.
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

/// What a path leads to.
#[derive(Debug)]
pub struct FoundRoute {
    route: usize,
    captures: Vec<String>,
}

/// Why a path leads nowhere.
#[derive(Debug, Eq, PartialEq)]
pub enum Missing {
    /// No endpoint has this path.
    Path,
    /// The path of the endpoint with this pattern, without the name at its end.
    Name(&'static str),
    /// The path is known, the method is not; these are.
    Method(Vec<Method>),
}

impl<C: Authorise> Router<C> {
    /// An empty table.
    pub fn new() -> Self {
        Self { routes: Vec::new(), unbuilt: Vec::new(), nameless: &[] }
    }

    /// The same table with one more endpoint. Of two that fit a path the more literal one answers.
    #[must_use]
    pub fn with<E: Endpoint<C>>(mut self) -> Self {
        self.routes.push(Route {
            method: E::METHOD,
            pattern: E::PATH,
            segments: segments(E::PATH),
            right: E::RIGHT,
            body_bytes: E::BODY_BYTES,
            last_bytes: AtomicUsize::new(0),
            answer: |context, call| Box::pin(E::answer(context, call)),
        });
        self
    }

    /// The same table, knowing also which paths of Consul are not built yet, and what they are.
    #[must_use]
    pub fn with_unbuilt(mut self, table: &[(&'static str, &'static str)]) -> Self {
        self.unbuilt.extend(table.iter().map(|(path, what)| (segments(path), *what)));
        self
    }

    /// The same table, knowing also how paths without the name at their end are refused.
    #[must_use]
    pub fn with_nameless(mut self, table: &'static [Nameless]) -> Self {
        self.nameless = table;
        self
    }

    /// The answer to a path that leads nowhere: 501 if Consul has it, else 404.
    pub fn missing(&self, raw_path: &str, path: &str) -> HttpError {
        let unbuilt = self
            .unbuilt
            .iter()
            .find(|(segments, _)| fit(segments, raw_path).is_some_and(|fit| fit.has_names));
        if let Some((_, what)) = unbuilt {
            return HttpError::not_available(what);
        }
        // The path is not repeated: these texts are Consul's to the letter.
        HttpError::not_found(match path.contains("/v1/") {
            true => "Invalid URL path: not a recognized HTTP API endpoint\n",
            false => {
                "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n"
            }
        })
    }

    /// The answer to the path of an endpoint without the name at its end, if Consul has one of its own.
    pub fn missing_name(&self, pattern: &str) -> Option<HttpError> {
        let (_, status, text) = self.nameless.iter().find(|(path, ..)| *path == pattern)?;
        Some(HttpError::new(*status, *text))
    }

    /// Finds the endpoint for a method and a raw, still escaped path.
    ///
    /// The most literal pattern that fits has the path, whatever the method, as in Consul; of two that are
    /// equally literal the one with more segments, so that the other's last name does not swallow them.
    pub fn find(&self, method: &Method, raw_path: &str) -> Result<Result<FoundRoute, Missing>, HttpError> {
        let mut best = (0, 0);
        let mut fitting: Vec<(usize, Fit<'_>)> = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
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
        Ok(Ok(FoundRoute { route: *at, captures: captures.collect::<Result<_, _>>()? }))
    }

    /// The pattern of an endpoint, for metrics and logs: it has no names of users in it.
    pub fn pattern(&self, found: &FoundRoute) -> &'static str {
        self.routes[found.route].pattern
    }

    /// Bytes the body of a request to an endpoint may have.
    pub fn body_bytes(&self, found: &FoundRoute) -> usize {
        self.routes[found.route].body_bytes
    }

    /// Bytes of an endpoint's last answer: the next one is expected to be as large.
    pub fn last_bytes(&self, found: &FoundRoute) -> &AtomicUsize {
        &self.routes[found.route].last_bytes
    }

    /// Checks the endpoint's right, then lets it answer.
    pub async fn dispatch(
        &self,
        context: &Arc<C>,
        found: FoundRoute,
        mut call: Call,
    ) -> Result<Reply, HttpError> {
        let route = &self.routes[found.route];
        call.captures = found.captures;
        // In front of everything else, whatever the endpoint reads.
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

/// How a path fits a pattern.
struct Fit<'p> {
    /// How many segments are literally those of the pattern.
    literals: usize,
    /// What the others take.
    captures: Vec<&'p str>,
    /// Whether the last of them takes something.
    has_names: bool,
}

/// `None` if the path does not fit. A name in the middle may not be empty; one at the end takes the rest of the
/// path, for ids may have slashes in them and clients do not escape those.
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
