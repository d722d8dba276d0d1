//! Finds the endpoint for a request and checks its right before it runs.
//!
//! An endpoint is a type; the right it needs is part of that type. One without a right does not
//! compile, and no request reaches an endpoint past [`Router::dispatch`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use concord_model::Secret;
use http::Method;

use super::call::Call;
use super::error::HttpError;
use super::reply::Reply;

/// Where an endpoint's caller is authorised.
pub enum Right<C> {
    /// Nowhere: the answer is public by design. The text says why.
    Open(&'static str),
    /// Here, before the endpoint runs: the right follows from the request.
    Here(fn(&Call, &C) -> Result<concord_acl::Right<'static>, HttpError>),
    /// By whoever answers the named requests, as their types declare.
    Asked(&'static [&'static str]),
    /// Where the agent reads its own records: each is shown to who may read it.
    Filtered,
}

impl<C> std::fmt::Debug for Right<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open(why) => write!(f, "open: {why}"),
            Self::Here(_) => f.write_str("checked before it runs"),
            Self::Asked(requests) => write!(f, "by {}", requests.join(", ")),
            Self::Filtered => f.write_str("each record shown to who may read it"),
        }
    }
}

/// One endpoint.
pub trait Endpoint<C>: Send + Sync + 'static {
    /// Its method.
    const METHOD: Method;
    /// Its path: literal segments, `:name` for one segment, `*name` for all that follows.
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
}

type Answering = Pin<Box<dyn Future<Output = Result<Reply, HttpError>> + Send>>;

struct Route<C> {
    method: Method,
    pattern: &'static str,
    segments: Vec<Segment>,
    right: Right<C>,
    body_bytes: usize,
    answer: fn(Arc<C>, Call) -> Answering,
}

enum Segment {
    Literal(&'static str),
    One,
    Rest,
}

/// The table of endpoints.
pub struct Router<C> {
    routes: Vec<Route<C>>,
    unbuilt: Vec<(Vec<Segment>, &'static str)>,
}

impl<C> std::fmt::Debug for Router<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Router({} routes)", self.routes.len())
    }
}

/// What a path leads to.
#[derive(Debug)]
pub struct Found {
    route: usize,
    captures: Vec<String>,
}

/// Why a path leads nowhere.
#[derive(Debug, Eq, PartialEq)]
pub enum Missing {
    /// No endpoint has this path.
    Path,
    /// The path is known, the method is not; these are.
    Method(Vec<Method>),
}

impl<C: Authorise> Router<C> {
    /// An empty table.
    pub fn new() -> Self {
        Self { routes: Vec::new(), unbuilt: Vec::new() }
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

    /// The answer to a path that leads nowhere: 501 if Consul has it, else 404.
    pub fn missing(&self, raw_path: &str, path: &str) -> HttpError {
        let unbuilt = self.unbuilt.iter().find(|(segments, _)| fit(segments, raw_path).is_some());
        if let Some((_, what)) = unbuilt {
            return HttpError::not_available(what);
        }
        let text = if path.starts_with("/v1/") || path == "/v1" {
            format!("Invalid URL path: not a recognized HTTP API endpoint: {path:?}")
        } else {
            "Not found: the HTTP API is below /v1/".to_owned()
        };
        HttpError::not_found(text)
    }

    /// Finds the endpoint for a method and a raw, still escaped path.
    pub fn find(&self, method: &Method, raw_path: &str) -> Result<Result<Found, Missing>, HttpError> {
        let mut best: Option<(usize, Found)> = None;
        let mut methods = Vec::new();
        for (at, route) in self.routes.iter().enumerate() {
            let Some((literals, raw)) = fit(&route.segments, raw_path) else { continue };
            if route.method != *method {
                methods.push(route.method.clone());
            } else if best.as_ref().is_none_or(|(most, _)| literals > *most) {
                let captures = raw.iter().map(|text| super::call::unescape(text, false));
                best = Some((literals, Found { route: at, captures: captures.collect::<Result<_, _>>()? }));
            }
        }
        methods.dedup();
        Ok(match best {
            Some((_, found)) => Ok(found),
            None if methods.is_empty() => Err(Missing::Path),
            None => Err(Missing::Method(methods)),
        })
    }

    /// The pattern of an endpoint, for metrics and logs: it has no names of users in it.
    pub fn pattern(&self, found: &Found) -> &'static str {
        self.routes[found.route].pattern
    }

    /// Bytes the body of a request to an endpoint may have.
    pub fn body_bytes(&self, found: &Found) -> usize {
        self.routes[found.route].body_bytes
    }

    /// Checks the endpoint's right, then lets it answer.
    pub async fn dispatch(&self, context: &Arc<C>, found: Found, mut call: Call) -> Result<Reply, HttpError> {
        let route = &self.routes[found.route];
        call.captures = found.captures;
        match &route.right {
            Right::Here(right) => {
                let right = right(&call, context)?;
                context.authorise(call.token(), right).await?;
            }
            Right::Open(_) | Right::Asked(_) | Right::Filtered => {}
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

/// How many literal segments fit, and what the others take; `None` if the path does not fit.
fn fit<'p>(segments: &[Segment], raw_path: &'p str) -> Option<(usize, Vec<&'p str>)> {
    let mut rest = raw_path.strip_prefix('/')?;
    let (mut literals, mut captures) = (0, Vec::new());
    for (at, segment) in segments.iter().enumerate() {
        if let Segment::Rest = segment {
            captures.push(rest);
            return Some((literals, captures));
        }
        let last = at + 1 == segments.len();
        let (own, tail) = match rest.split_once('/') {
            Some(_) if last => return None,
            Some((own, tail)) => (own, tail),
            None if last => (rest, ""),
            None => return None,
        };
        match segment {
            Segment::Literal(text) if *text == own => literals += 1,
            Segment::Literal(_) => return None,
            Segment::One if own.is_empty() => return None,
            Segment::One => captures.push(own),
            Segment::Rest => return None,
        }
        rest = tail;
    }
    Some((literals, captures))
}

#[cfg(test)]
mod tests;
