//! Tests of the decision about requests, case by case.

mod paths;
mod tokens;

use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy};
use concord_mesh::request::{
    Condition, Fit, Header, Received, Refusal, Request, RequestBecause, RequestVerdict, Token, Tried,
};
use concord_model::entry::{EscapedSlashes, RequestNormalization, Underscores};
use concord_model::intention::{
    Action, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission, PathMatch, Permission,
    ServiceIntentions, Source,
};
use concord_model::{Namespace, Partition, Pattern, ServiceName, ServiceRef};

use crate::random::{entry, intention};

const ALLOW: DefaultPolicy = DefaultPolicy { action: Action::Allow, source: DefaultSource::AclDefault };
const DENY: DefaultPolicy = DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault };

pub(crate) fn service(name: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(name).unwrap())
}

pub(crate) fn source(name: &str) -> Source {
    let namespace = Pattern::Exact(Namespace::default());
    Source { partition: Partition::default(), namespace, peer: None, name: Pattern::parse(name).unwrap() }
}

pub(crate) fn destination(name: &str) -> Destination {
    let namespace = Pattern::Exact(Namespace::default());
    Destination { partition: Partition::default(), namespace, name: Pattern::parse(name).unwrap() }
}

/// `web => api` with these permissions.
fn permitted(permissions: Vec<Permission>) -> ServiceIntentions {
    entry(destination("api"), vec![intention(source("web"), Decision::Requests(permissions))])
}

fn permission(action: Action, http: HttpPermission) -> Permission {
    Permission { action, http: Some(http), jwt: None }
}

fn on_path(action: Action, path: PathMatch) -> Permission {
    permission(action, HttpPermission { path: Some(path), ..HttpPermission::default() })
}

fn on_header(action: Action, name: &str, value: HeaderValueMatch, invert: bool) -> Permission {
    let header = HeaderMatch { name: name.to_owned(), value, ignore_case: false, invert };
    permission(action, HttpPermission { headers: vec![header], ..HttpPermission::default() })
}

fn get<'a>(target: &'a [u8], headers: &'a [Header<'a>]) -> Received<'a> {
    Received { method: "GET", target, authority: Some("api.virtual"), headers, tokens: &[] }
}

fn policy(permissions: Vec<Permission>) -> Policy {
    Policy::compile(&service("api"), &[permitted(permissions)])
}

fn decide_by(
    policy: &Policy,
    received: Received<'_>,
    settings: &RequestNormalization,
    default: DefaultPolicy,
) -> RequestVerdict {
    match Request::read(received, settings) {
        Ok(request) => {
            let verdict = policy.decide_request(&service("web"), &request, default);
            // What was tried says the same as the verdict.
            let tried = policy.tried(&service("web"), &request);
            match &verdict.because {
                RequestBecause::Permission { tried: deciding, .. } => {
                    assert_eq!(tried.last(), Some(deciding))
                }
                _ => assert!(!tried.iter().any(Tried::applies)),
            }
            verdict
        }
        Err(refusal) => refusal.into(),
    }
}

#[track_caller]
fn decide(permissions: Vec<Permission>, received: Received<'_>, default: DefaultPolicy) -> RequestVerdict {
    decide_by(&policy(permissions), received, &RequestNormalization::default(), default)
}

/// The path that the backend is sent, or why there is none.
fn canonical(target: &[u8], settings: &RequestNormalization) -> Result<String, Refusal> {
    Request::read(get(target, &[]), settings).map(|request| request.path().to_owned())
}

fn lines<'a>(of: &[(&'a str, &'a [u8])]) -> Vec<Header<'a>> {
    of.iter().map(|(name, value)| Header { name, value }).collect()
}

#[track_caller]
fn header(wanted: (HeaderValueMatch, bool), sent: &[(&str, &[u8])], denies: bool, allows: bool) {
    let (value, invert) = wanted;
    let sent = lines(sent);
    let deny =
        decide(vec![on_header(Action::Deny, "x-role", value.clone(), invert)], get(b"/", &sent), ALLOW);
    assert_eq!(!deny.allowed, denies, "deny {value:?} {invert}");
    let allow =
        decide(vec![on_header(Action::Allow, "x-role", value.clone(), invert)], get(b"/", &sent), DENY);
    assert_eq!(allow.allowed, allows, "allow {value:?} {invert}");
}

#[test]
fn n_81_each_value_of_a_header_is_judged_alone() {
    use HeaderValueMatch::{Contains, Exact, Prefix, Present, Regex, Suffix};
    let exact = || (Exact("good".into()), false);
    let yes = (true, true);
    let unclear = (true, false);
    let no = (false, false);
    let check = |wanted: (HeaderValueMatch, bool), sent: &[(&str, &[u8])], (denies, allows): (bool, bool)| {
        header(wanted, sent, denies, allows);
    };
    check(exact(), &[("x-role", b"good")], yes);
    check(exact(), &[("X-Role", b" good\t")], yes);
    check(exact(), &[("x-role", b"evil")], no);
    check(exact(), &[("x-role", b"Good")], no);
    check(exact(), &[("x-role", b"")], no);
    check(exact(), &[], no);
    check(exact(), &[("x-role", b"good"), ("x-role", b"good")], yes);
    check(exact(), &[("x-role", b"good"), ("x-role", b"evil")], unclear);
    check(exact(), &[("x-role", b"evil"), ("X-ROLE", b"good")], unclear);
    check(exact(), &[("x-role", b"good, evil")], unclear);
    check(exact(), &[("x-role", b"evil ,good")], unclear);
    check(exact(), &[("x-role", b"good,")], unclear);
    check(exact(), &[("x_role", b"good")], unclear);
    check(exact(), &[("x-role", b"good"), ("x_role", b"evil")], unclear);
    check(exact(), &[("x-role", b"good"), ("x_role", b"good")], yes);
    check((Exact("a,b".into()), false), &[("x-role", b"a,b")], yes);
    check((Exact("a,b".into()), false), &[("x-role", b"a"), ("x-role", b"b")], unclear);
    check((Prefix("go".into()), false), &[("x-role", b"good, gold")], yes);
    check((Prefix("go".into()), false), &[("x-role", b"good, evil")], unclear);
    check((Suffix("od".into()), false), &[("x-role", b"good"), ("x-role", b"evil")], unclear);
    check((Contains("oo".into()), false), &[("x-role", b"good")], yes);
    check((Contains("oo".into()), false), &[("x-role", b"evil, goods")], unclear);
    check((Regex("go+d".into()), false), &[("x-role", b"good")], yes);
    check((Regex("go+".into()), false), &[("x-role", b"good")], no);
    check((Regex("go+d|gold".into()), false), &[("x-role", b"gold, evil")], unclear);
    check((Regex(".*".into()), false), &[("x-role", b"\xff")], unclear);
    check((Regex("(".into()), false), &[("x-role", b"good")], unclear);
    check((Present, false), &[("x-role", b"")], yes);
    check((Present, false), &[("x_role", b"good")], unclear);
    check((Present, false), &[("x-rol", b"good")], no);

    let not = |value: &str| (Exact(value.into()), true);
    check(not("evil"), &[("x-role", b"good")], yes);
    check(not("evil"), &[("x-role", b"evil")], no);
    check(not("evil"), &[("x-role", b"good"), ("x-role", b"evil")], unclear);
    check(not("evil"), &[("x-role", b"good,evil")], unclear);
    check(not("evil"), &[("x_role", b"evil"), ("x-role", b"good")], unclear);
    check(not("evil"), &[], unclear);
    check((Regex("(".into()), true), &[("x-role", b"good")], unclear);
    check((Present, true), &[], yes);
    check((Present, true), &[("x-role", b"")], no);
    check((Present, true), &[("x_role", b"")], unclear);
}

#[test]
fn n_81_underscores_are_treated_as_the_mesh_says() {
    let by = |headers_with_underscores_action| RequestNormalization {
        headers_with_underscores_action,
        ..RequestNormalization::default()
    };
    let good = HeaderValueMatch::Exact("good".into());
    let policy = policy(vec![on_header(Action::Allow, "x-role", good, false)]);
    let sent = lines(&[("x-role", b"good"), ("x_role", b"evil")]);
    let decide = |settings| decide_by(&policy, get(b"/", &sent), &settings, DENY);
    assert!(!decide(by(Underscores::Unset)).allowed);
    assert!(!decide(by(Underscores::Allow)).allowed);
    assert!(decide(by(Underscores::Drop)).allowed);
    let because = RequestBecause::Refused(Refusal::Underscore { name: "x_role".to_owned() });
    assert_eq!(decide(by(Underscores::Reject)).because, because);
}

#[test]
fn n_81_headers_that_a_backend_may_split_are_refused() {
    for (name, value, expected) in [
        ("", &b"a"[..], Refusal::HeaderName),
        ("x role", b"a", Refusal::HeaderName),
        ("x-role:", b"a", Refusal::HeaderName),
        (":path", b"/admin", Refusal::HeaderName),
        ("x\0", b"a", Refusal::HeaderName),
        ("x-role", b"a\0b", Refusal::HeaderValue { name: "x-role".to_owned() }),
        ("x-role", b"a\r\nb: c", Refusal::HeaderValue { name: "x-role".to_owned() }),
    ] {
        let verdict = decide(vec![], get(b"/", &[Header { name, value }]), ALLOW);
        assert_eq!(verdict.because, RequestBecause::Refused(expected));
    }
}

#[test]
fn case_is_ignored_where_the_condition_says_so() {
    let of = |value, ignore_case| {
        let headers = vec![HeaderMatch { name: "x".to_owned(), value, ignore_case, invert: false }];
        vec![permission(Action::Allow, HttpPermission { headers, ..HttpPermission::default() })]
    };
    for value in [
        HeaderValueMatch::Exact("Good".into()),
        HeaderValueMatch::Prefix("GO".into()),
        HeaderValueMatch::Suffix("OD".into()),
        HeaderValueMatch::Contains("OO".into()),
    ] {
        let sent = lines(&[("X", b"gooD")]);
        assert!(decide(of(value.clone(), true), get(b"/", &sent), DENY).allowed, "{value:?}");
        assert!(!decide(of(value.clone(), false), get(b"/", &sent), DENY).allowed, "{value:?}");
    }
}

#[test]
fn n_82_a_request_has_one_authority() {
    let read = |authority, hosts: &[&str]| {
        let headers: Vec<_> =
            hosts.iter().map(|host| Header { name: "Host", value: host.as_bytes() }).collect();
        let received = Received { authority, ..get(b"/", &headers) };
        let settings = RequestNormalization::default();
        Request::read(received, &settings).map(|request| request.authority().map(str::to_owned))
    };
    let one = |text: &str| Ok(Some(text.to_owned()));
    for spelling in ["a.com", "A.com", "a.COM.", "a.com:443", "a.com:80", "A.com.:443", " a.com", "a.com:"] {
        assert_eq!(read(Some(spelling), &[]), one("a.com"), "{spelling}");
        assert_eq!(read(None, &[spelling]), one("a.com"), "{spelling}");
        assert_eq!(read(Some("a.com"), &[spelling]), one("a.com"), "{spelling}");
    }
    assert_eq!(read(Some("a.com:8443"), &[]), one("a.com:8443"));
    assert_eq!(read(Some("[::1]:8443"), &[]), one("[::1]:8443"));
    assert_eq!(read(None, &[]), Ok(None));
    for (authority, hosts) in [
        (Some("a.com"), &["b.com"][..]),
        (Some("a.com"), &["a.com:8443"]),
        (None, &["a.com", "b.com"]),
        (None, &["a.com", "a.com"]),
    ] {
        assert_eq!(read(authority, hosts), Err(Refusal::TwoAuthorities), "{authority:?} {hosts:?}");
    }
    for bad in [
        "",
        ".",
        "a.com:x",
        "a.com:123456",
        "u@a.com",
        "a.com/b",
        "a com",
        "a,b",
        "a.com\\b",
        "[::1",
        "[]",
        "[::1]x",
        "a\0",
    ] {
        assert_eq!(read(Some(bad), &[]), Err(Refusal::Authority), "{bad}");
    }
}

#[test]
fn n_82_rules_see_the_canonical_authority() {
    for name in ["host", "Host", ":authority"] {
        let rule = |action, value: &str| {
            policy(vec![on_header(action, name, HeaderValueMatch::Exact(value.into()), false)])
        };
        let check = |value: &str, sent: &str, denies: bool, allows: bool| {
            let received = Received { authority: Some(sent), ..get(b"/", &[]) };
            let settings = RequestNormalization::default();
            let denied = !decide_by(&rule(Action::Deny, value), received, &settings, ALLOW).allowed;
            assert_eq!(denied, denies, "deny {value} of {sent}");
            let allowed = decide_by(&rule(Action::Allow, value), received, &settings, DENY).allowed;
            assert_eq!(allowed, allows, "allow {value} of {sent}");
        };
        for sent in ["a.com", "A.com", "a.com.", "a.com:443"] {
            check("a.com", sent, true, true);
            check("A.com.:443", sent, true, true);
            check("b.com", sent, false, false);
        }
        check("a.com", "a.com:8443", true, false);
        check("a.com:8443", "A.com:8443", true, true);
        check("a.com:8443", "a.com", false, false);
    }
    let missing = Received { authority: None, ..get(b"/", &[]) };
    let not = |action| vec![on_header(action, "host", HeaderValueMatch::Exact("a.com".into()), true)];
    assert!(!decide(not(Action::Deny), missing, ALLOW).allowed);
    assert!(!decide(not(Action::Allow), missing, DENY).allowed);
}

#[test]
fn methods_are_exact_and_another_case_is_unclear() {
    let of = |action| {
        let methods = vec!["GET".to_owned(), "PUT".to_owned()];
        vec![permission(action, HttpPermission { methods, ..HttpPermission::default() })]
    };
    for (method, denies, allows) in [
        ("GET", true, true),
        ("PUT", true, true),
        ("POST", false, false),
        ("get", true, false),
        ("BREW", false, false),
    ] {
        let received = Received { method, ..get(b"/", &[]) };
        assert_eq!(!decide(of(Action::Deny), received, ALLOW).allowed, denies, "{method}");
        assert_eq!(decide(of(Action::Allow), received, DENY).allowed, allows, "{method}");
    }
}

#[test]
fn the_first_permission_that_applies_decides_and_else_the_default() {
    let permissions = vec![
        on_path(Action::Deny, PathMatch::Exact("/a".into())),
        on_path(Action::Allow, PathMatch::Prefix("/a".into())),
        on_path(Action::Deny, PathMatch::Prefix("/".into())),
    ];
    for (target, allowed, at) in [(&b"/a"[..], false, 0), (b"/ab", true, 1), (b"/b", false, 2)] {
        let verdict = decide(permissions.clone(), get(target, &[]), ALLOW);
        let RequestBecause::Permission { tried, .. } = verdict.because else { panic!("{verdict:?}") };
        assert_eq!((verdict.allowed, tried.permission), (allowed, at));
    }
    for (default, allowed) in [(ALLOW, true), (DENY, false)] {
        let verdict = decide(permissions[..2].to_vec(), get(b"/b", &[]), default);
        assert_eq!(verdict.allowed, allowed);
        assert!(matches!(verdict.because, RequestBecause::Default { rule: Some(_), .. }));
        let stranger = policy(permissions.clone());
        let request = Request::read(get(b"/b", &[]), &RequestNormalization::default()).unwrap();
        let verdict = stranger.decide_request(&service("db"), &request, default);
        assert!(matches!(verdict.because, RequestBecause::Default { rule: None, .. }));
        assert_eq!(verdict.allowed, allowed);
    }
}

#[test]
fn a_verdict_says_what_was_tried_and_what_failed() {
    let role = HeaderMatch {
        name: "x-role".to_owned(),
        value: HeaderValueMatch::Exact("good".into()),
        ignore_case: false,
        invert: false,
    };
    let permissions = vec![
        permission(
            Action::Allow,
            HttpPermission {
                path: Some(PathMatch::Prefix("/a".into())),
                headers: vec![role],
                methods: vec!["GET".to_owned()],
            },
        ),
        on_path(Action::Allow, PathMatch::Exact("/b".into())),
        on_path(Action::Deny, PathMatch::Exact("/a/b".into())),
    ];
    let policy = policy(permissions);
    let sent = lines(&[("x-role", b"good, evil")]);
    let request = Request::read(get(b"/a%2Fb", &sent), &RequestNormalization::default()).unwrap();
    assert!(request.is_ambiguous());
    let tried = policy.tried(&service("web"), &request);
    let expected = [
        (Action::Allow, Fit::Unclear, Some(Condition::Header(0))),
        (Action::Allow, Fit::No, Some(Condition::Path)),
        (Action::Deny, Fit::Unclear, Some(Condition::Path)),
    ];
    let seen: Vec<_> = tried.iter().map(|tried| (tried.action, tried.fit, tried.condition)).collect();
    assert_eq!(seen, expected);
    let verdict = policy.decide_request(&service("web"), &request, ALLOW);
    assert_eq!(
        verdict.reason(),
        "Matched L7 intention: default/web => default/api (Precedence: 9, Permissions: 3), Permissions[2] (deny)"
    );
    let text = serde_json::to_string(&verdict).unwrap();
    assert_eq!(serde_json::from_str::<RequestVerdict>(&text).unwrap(), verdict);
}

#[test]
fn an_expression_matches_whole_paths_and_a_broken_one_helps_nobody() {
    let check = |expression: &str, target: &[u8], denies: bool, allows: bool| {
        let of = |action| vec![on_path(action, PathMatch::Regex(expression.to_owned()))];
        assert_eq!(!decide(of(Action::Deny), get(target, &[]), ALLOW).allowed, denies, "{expression}");
        assert_eq!(decide(of(Action::Allow), get(target, &[]), DENY).allowed, allows, "{expression}");
    };
    check("/a|/ab", b"/ab", true, true);
    check("/a", b"/ab", false, false);
    check("a", b"/a", false, false);
    check("/a$", b"/a", true, true);
    check("/a)(b", b"/ab", true, false);
    check("(a{1000}){1000}", b"/x", true, false);
    check("/[^/]{1,255}", b"/x", true, true);
    check("/a{1001}", b"/x", true, false);
}
