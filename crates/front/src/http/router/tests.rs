//! Tests that paths lead to their endpoints, and that no endpoint runs before its right is checked.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::*;

struct World {
    allowed: bool,
}

impl Authorise for World {
    async fn authorise(&self, _: Option<Secret>, _: concord_acl::Right<'static>) -> Result<(), HttpError> {
        if self.allowed { Ok(()) } else { Err(HttpError::forbidden("Permission denied")) }
    }

    async fn knows(&self, _: &Secret) -> bool {
        false
    }
}

struct Guarded;
impl Endpoint<World> for Guarded {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/agent/service/:id";
    const RIGHT: Right<World> = Right::Here(|_, _| {
        Ok(concord_acl::Right::whole(concord_acl::Scalar::Operator, concord_acl::Level::Read))
    });
    async fn answer(_: Arc<World>, call: Call) -> Result<Reply, HttpError> {
        Ok(Reply::text(call.capture(0)))
    }
}

struct Exact;
impl Endpoint<World> for Exact {
    const METHOD: Method = Method::PUT;
    const PATH: &'static str = "/v1/agent/service/register";
    const RIGHT: Right<World> = Right::Open("a test");
    async fn answer(_: Arc<World>, _: Call) -> Result<Reply, HttpError> {
        Ok(Reply::empty())
    }
}

struct Tail;
impl Endpoint<World> for Tail {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/v1/kv/*key";
    const RIGHT: Right<World> = Right::Open("a test");
    async fn answer(_: Arc<World>, call: Call) -> Result<Reply, HttpError> {
        Ok(Reply::text(call.capture(0)))
    }
}

macro_rules! open {
    ($($name:ident $path:literal)*) => {
        $(
            struct $name;

            impl Endpoint<World> for $name {
                const METHOD: Method = Method::GET;
                const PATH: &'static str = $path;
                const RIGHT: Right<World> = Right::Open("a test");

                async fn answer(_: Arc<World>, _: Call) -> Result<Reply, HttpError> {
                    Ok(Reply::empty())
                }
            }
        )*
    };
}
open! { Within "/v1/agent/service/:id/checks" Kind "/v1/entry/:kind" Named "/v1/entry/:kind/:name" }

fn router() -> Router<World> {
    let router = Router::new().with::<Guarded>().with::<Exact>().with::<Tail>();
    router.with::<Within>().with::<Kind>().with::<Named>()
}

#[track_caller]
fn check(method: Method, path: &str, expected: Result<(&str, &[&str]), Missing>) {
    let router = router();
    let found = router.find(&method, path).expect("well-formed").map(|found| {
        let pattern = router.pattern(found.id());
        (pattern, found.captures)
    });
    let expected =
        expected.map(|(pattern, captures)| (pattern, captures.iter().map(ToString::to_string).collect()));
    assert_eq!(found, expected, "{path}");
}

#[test]
fn paths_lead_to_their_endpoints() {
    check(Method::GET, "/v1/agent/service/web", Ok((Guarded::PATH, &["web"])));
    check(Method::GET, "/v1/agent/service/a%2Fb", Ok((Guarded::PATH, &["a/b"])));
    check(Method::PUT, "/v1/agent/service/register", Ok((Exact::PATH, &[])));
    check(Method::GET, "/v1/kv/a/b//c/", Ok((Tail::PATH, &["a/b//c/"])));
}

#[test]
fn a_name_at_the_end_takes_the_rest_of_the_path() {
    check(Method::GET, "/v1/agent/service/a/b", Ok((Guarded::PATH, &["a/b"])));
    check(Method::GET, "/v1/agent/service/a/", Ok((Guarded::PATH, &["a/"])));
    check(Method::GET, "/v1/agent/service/a%2Fb/c", Ok((Guarded::PATH, &["a/b/c"])));
    check(Method::GET, "/v1/agent/service/register/x", Ok((Guarded::PATH, &["register/x"])));
    check(Method::GET, "/v1/agent/service/a/b/checks", Ok((Guarded::PATH, &["a/b/checks"])));
    check(Method::GET, "/v1/agent/service/a/checks", Ok((Within::PATH, &["a"])));
    // Both patterns are equally literal, but the last name of the shorter one would take both segments.
    check(Method::GET, "/v1/entry/kind/a/b", Ok((Named::PATH, &["kind", "a/b"])));
    check(Method::GET, "/v1/entry/kind", Ok((Kind::PATH, &["kind"])));
}

#[test]
fn other_paths_and_methods_lead_nowhere() {
    check(Method::GET, "/v1/agent/service", Err(Missing::Path));
    check(Method::GET, "/v1/agent//web", Err(Missing::Path));
    check(Method::GET, "/v1/agent/services/web", Err(Missing::Path));
    check(Method::GET, "/v2/agent/service/web", Err(Missing::Path));
    // A literal segment is never taken as a name.
    check(Method::GET, "/v1/agent/service/register", Err(Missing::Method(vec![Method::PUT])));
    check(Method::POST, "/v1/agent/service/web", Err(Missing::Method(vec![Method::GET])));
}

#[test]
fn a_path_without_its_name_leads_to_no_endpoint() {
    check(Method::GET, "/v1/agent/service/", Err(Missing::Name(Guarded::PATH)));
    check(Method::PUT, "/v1/agent/service/", Err(Missing::Method(vec![Method::GET])));
    let router = router().with_nameless(&[(Guarded::PATH, StatusCode::BAD_REQUEST, "no id")]);
    assert_eq!(router.missing_name(Guarded::PATH), Some(HttpError::bad_request("no id")));
    assert_eq!(router.missing_name(Tail::PATH), None);
}

#[tokio::test]
async fn another_tenancy_is_refused_before_anything_else() {
    let router = router();
    for (query, expected) in
        [("ns=team", 400), ("partition=p", 400), ("ns=*", 400), ("ns=default", 200), ("ns=", 200)]
    {
        for path in ["/v1/agent/service/web", "/v1/agent/service/register", "/v1/kv/a"] {
            let method = if path.ends_with("register") { Method::PUT } else { Method::GET };
            let found = router.find(&method, path).unwrap().unwrap();
            let call = Call { query: crate::http::call::parse_query(query).unwrap(), ..call(method) };
            let answer = router.dispatch(&Arc::new(World { allowed: true }), found, call).await;
            let status = answer.map_or_else(|error| error.status, |reply| reply.status);
            assert_eq!(status.as_u16(), expected, "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_runs_only_for_who_has_its_right() {
    let router = router();
    for (allowed, status) in [(true, None), (false, Some(StatusCode::FORBIDDEN))] {
        let found = router.find(&Method::GET, "/v1/agent/service/web").unwrap().unwrap();
        let answer = router.dispatch(&Arc::new(World { allowed }), found, call(Method::GET)).await;
        assert_eq!(answer.err().map(|error| error.status), status);
    }
}

fn call(method: Method) -> Call {
    Call {
        method,
        path: String::new(),
        captures: Vec::new(),
        query: Vec::new(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        client: None,
    }
}
