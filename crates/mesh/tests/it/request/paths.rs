//! Paths: the spellings by which a rule might be stepped around.

use super::*;

/// Every spelling of `/admin` that a backend might take for it.
const SPELLINGS: [&[u8]; 27] = [
    b"/admin",
    b"//admin",
    b"/./admin",
    b"/x/../admin",
    b"/../admin",
    b"/%61dmin",
    b"/%2e/admin",
    b"/x/%2E%2e/admin",
    b"/admin?x",
    b"/admin;x",
    b"/admin;x=y/",
    b"/;x/admin",
    b"/x/..;/admin",
    b"/admin#f",
    b"/\\admin",
    b"\\admin",
    b"/x\\..\\admin",
    b"/%2fadmin",
    b"/x%2f..%2fadmin",
    b"/x%5c..%5cadmin",
    b"/%5Cadmin",
    b"/.%2fadmin",
    b"/admin%00",
    b"/%c0%af../admin",
    b"http://api.virtual/admin",
    b"HTTP://API.virtual//admin",
    b"/x%2f..;y%2Fadmin",
];

fn every_normalization() -> Vec<RequestNormalization> {
    let mut all = Vec::new();
    for insecure_disable_path_normalization in [false, true] {
        for merge_slashes in [false, true] {
            for path_with_escaped_slashes_action in [
                EscapedSlashes::Unset,
                EscapedSlashes::Keep,
                EscapedSlashes::Reject,
                EscapedSlashes::Redirect,
                EscapedSlashes::Forward,
            ] {
                all.push(RequestNormalization {
                    insecure_disable_path_normalization,
                    merge_slashes,
                    path_with_escaped_slashes_action,
                    headers_with_underscores_action: Underscores::Unset,
                });
            }
        }
    }
    all
}

#[test]
fn n_80_no_spelling_of_a_denied_path_passes() {
    for wanted in [
        PathMatch::Prefix("/admin".into()),
        PathMatch::Regex("/admin(/.*)?".into()),
        PathMatch::Prefix("/%61dmin".into()),
        PathMatch::Regex("/+[a]dmin/?".into()),
    ] {
        let policy = policy(vec![on_path(Action::Deny, wanted.clone())]);
        for settings in every_normalization() {
            for target in SPELLINGS {
                let verdict = decide_by(&policy, get(target, &[]), &settings, ALLOW);
                let target = String::from_utf8_lossy(target);
                assert!(!verdict.allowed, "{target} passes {wanted:?} under {settings:?}");
            }
            assert!(decide_by(&policy, get(b"/public", &[]), &settings, ALLOW).allowed);
        }
    }
}

#[test]
fn a_path_is_named_as_it_is_sent_whatever_the_mesh_does_to_it() {
    for settings in every_normalization() {
        for target in
            ["/a//b", "//a", "/a%2Fb", "/a%2fb//c", "/a%5Cb", "/a\\b", "/%61", "/a/./b", "/a/x/..", "/é"]
        {
            if canonical(target.as_bytes(), &settings).is_err() {
                continue;
            }
            // Dots at the end of a beginning may belong to a name, so they are not resolved there.
            let prefix = Some(PathMatch::Prefix(target.into())).filter(|_| !target.contains("/."));
            for wanted in [PathMatch::Exact(target.into())].into_iter().chain(prefix) {
                let policy = policy(vec![on_path(Action::Allow, wanted.clone())]);
                let allows =
                    |path: &str| decide_by(&policy, get(path.as_bytes(), &[]), &settings, DENY).allowed;
                assert!(allows(target), "{target} by {wanted:?} under {settings:?}");
                assert!(!allows("/other"), "{wanted:?}");
            }
        }
    }
    // Another path is not allowed because of what the mesh would do to this one in another case.
    let policy = policy(vec![on_path(Action::Allow, PathMatch::Exact("/a//b".into()))]);
    let merging = RequestNormalization { merge_slashes: true, ..RequestNormalization::default() };
    for (settings, expected) in [(merging, true), (RequestNormalization::default(), false)] {
        assert_eq!(decide_by(&policy, get(b"/a/b", &[]), &settings, DENY).allowed, expected);
    }
}

#[test]
fn n_80_what_is_denied_exactly_never_reaches_the_backend_under_that_path() {
    let policy = policy(vec![on_path(Action::Deny, PathMatch::Exact("/admin".into()))]);
    for settings in every_normalization() {
        for target in
            SPELLINGS.into_iter().chain([&b"/admin/"[..], b"/ADMIN", b"/admin%2f", b"/admin%5c", b"*"])
        {
            let verdict = decide_by(&policy, get(target, &[]), &settings, ALLOW);
            if verdict.allowed {
                let sent = canonical(target, &settings).unwrap();
                assert_ne!(sent, "/admin");
                assert!(
                    ["/admin/", "/ADMIN", "/admin%2F", "/admin%5C", "/admin%2f", "/admin%5c", "/admin;x=y/"]
                        .contains(&&*sent),
                    "{sent}"
                );
            }
        }
    }
}

#[test]
fn n_80_no_spelling_of_another_path_is_allowed() {
    let policy = policy(vec![on_path(Action::Allow, PathMatch::Prefix("/public".into()))]);
    for settings in every_normalization() {
        let check = |target: &[u8], allowed| {
            let verdict = decide_by(&policy, get(target, &[]), &settings, DENY);
            assert_eq!(verdict.allowed, allowed, "{} {settings:?}", String::from_utf8_lossy(target));
        };
        for target in [
            &b"/public/../admin"[..],
            b"/public/%2e%2e/admin",
            b"/public/..;/admin",
            b"/public\\..\\admin",
            b"/public%2f..%2f../admin",
            b"/public;%2F..%2fadmin",
            b"/public/x%5c..%5c..%5cadmin",
            b"/public#",
            b"/public\0",
            b"*",
            b"/PUBLIC",
        ] {
            check(target, false);
        }
        for target in
            [&b"/public"[..], b"/public/a;b=c", b"/public/a%20b?/../admin", b"/publicly", b"/public/"]
        {
            check(target, true);
        }
    }
}

#[test]
fn n_80_what_cannot_be_made_canonical_is_refused_before_any_rule() {
    let refused = |target: &[u8], settings: &RequestNormalization, expected: Refusal| {
        let allow = Policy::compile(
            &service("api"),
            &[entry(destination("api"), vec![intention(source("web"), Decision::Connection(Action::Allow))])],
        );
        let verdict = decide_by(&allow, get(target, &[]), settings, ALLOW);
        let because = RequestBecause::Refused(expected);
        assert_eq!(
            verdict,
            RequestVerdict { allowed: false, because },
            "{}",
            String::from_utf8_lossy(target)
        );
    };
    for settings in every_normalization() {
        for (target, expected) in [
            (&b"/a#b"[..], Refusal::Fragment),
            (b"/a%00", Refusal::Control),
            (b"/a%0d", Refusal::Control),
            (b"/a\0", Refusal::Control),
            (b"/a b", Refusal::Control),
            (b"/a%", Refusal::Escape),
            (b"/a%4", Refusal::Escape),
            (b"/a%zz", Refusal::Escape),
            (b"/a%+1", Refusal::Escape),
            (b"/\xc0\xaf", Refusal::NotUtf8),
            (b"/%c0%af", Refusal::NotUtf8),
            (b"/%ff", Refusal::NotUtf8),
            (b"/%ed%a0%80", Refusal::NotUtf8),
            (b"", Refusal::NotAPath),
            (b"*", Refusal::NotAPath),
            (b"admin", Refusal::NotAPath),
            (b"\\admin", Refusal::NotAPath),
            (b"file:///admin", Refusal::NotAPath),
            (b"http://other.virtual/a", Refusal::TwoAuthorities),
            (b"http://user@api.virtual/a", Refusal::Authority),
            (b"http:///a", Refusal::Authority),
        ] {
            refused(target, &settings, expected);
        }
    }
    let by = |path_with_escaped_slashes_action| RequestNormalization {
        path_with_escaped_slashes_action,
        ..RequestNormalization::default()
    };
    refused(b"/a%2fb", &by(EscapedSlashes::Reject), Refusal::EscapedSlash);
    refused(b"/a%5Cb", &by(EscapedSlashes::Reject), Refusal::EscapedSlash);
    let to = |to: &str| Refusal::Redirect { to: to.to_owned() };
    refused(b"/a%2fb/%2e%2e?q=%2f", &by(EscapedSlashes::Redirect), to("/a/?q=%2f"));
    refused(b"/%2fevil.example/", &by(EscapedSlashes::Redirect), to("/evil.example/"));
}

#[test]
fn n_80_the_backend_is_sent_one_canonical_path() {
    let by_default = RequestNormalization::default();
    let merging = RequestNormalization { merge_slashes: true, ..by_default };
    let forwarding =
        RequestNormalization { path_with_escaped_slashes_action: EscapedSlashes::Forward, ..by_default };
    let raw = RequestNormalization { insecure_disable_path_normalization: true, ..by_default };
    for (target, settings, expected) in [
        ("/a/b", &by_default, "/a/b"),
        ("/%7Ea/%e2%82%ac", &by_default, "/~a/%E2%82%AC"),
        ("/€/<>", &by_default, "/%E2%82%AC/%3C%3E"),
        ("/a/./b/../c/..", &by_default, "/a/"),
        ("/..", &by_default, "/"),
        ("/a//../b", &by_default, "/a/b"),
        ("//a", &by_default, "//a"),
        ("//a///b", &merging, "/a/b"),
        ("/a\\b", &by_default, "/a/b"),
        ("/a%2fb%5c", &by_default, "/a%2Fb%5C"),
        ("/a%2f%2e%2e%5cb", &forwarding, "/b"),
        ("/a/../%61%2f\\", &raw, "/a/../%61%2f\\"),
        ("/%2561", &by_default, "/%2561"),
        ("http://API.virtual:80", &by_default, "/"),
        ("https://api.virtual?q", &by_default, "/"),
        ("/.hidden/..x", &by_default, "/.hidden/..x"),
    ] {
        let sent = canonical(target.as_bytes(), settings).unwrap();
        assert_eq!(sent, expected, "{target}");
        assert_eq!(canonical(sent.as_bytes(), settings).unwrap(), expected, "{target} twice");
    }
    let everything = Received { method: "OPTIONS", ..get(b"*", &[]) };
    assert_eq!(Request::read(everything, &by_default).unwrap().path(), "*");
    let tunnel = Received { method: "CONNECT", ..get(b"api.virtual:443", &[]) };
    assert_eq!(Request::read(tunnel, &by_default).unwrap().path(), "");
}
