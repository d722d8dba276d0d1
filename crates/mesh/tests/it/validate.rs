//! Tests of the validation of entries.

use concord_mesh::entry::{
    EntryFault, HEADERS_MAX, META_PAIRS_MAX, META_VALUE_BYTES_MAX, PATTERN_BYTES_MAX, PATTERNS_MAX,
    PERMISSIONS_MAX, validate_patterns,
};
use concord_model::entry::Entry;
use concord_model::intention::{
    Action, DESCRIPTION_BYTES_MAX, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission,
    JwtRequirement, LegacyFields, PathMatch, Permission, ServiceIntentions, Source,
};
use concord_model::{Namespace, Partition, Pattern, PeerName, ServiceName, Timestamp, Uuid};

use crate::random::{entry, intention, requirement};

fn validate(entry: &ServiceIntentions) -> Result<(), Vec<EntryFault>> {
    concord_mesh::entry::validate(&Entry::ServiceIntentions(entry.clone()))
}

fn source(name: &str) -> Source {
    Source {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        peer: None,
        name: Pattern::parse(name).unwrap(),
    }
}

fn destination(name: &str) -> Destination {
    Destination {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        name: Pattern::<ServiceName>::parse(name).unwrap(),
    }
}

/// A valid entry, to be changed by the tests.
fn sound() -> ServiceIntentions {
    entry(
        destination("api"),
        vec![
            intention(source("web"), Decision::Connection(Action::Allow)),
            intention(source("*"), Decision::Connection(Action::Deny)),
        ],
    )
}

fn of_permission(permission: Permission) -> ServiceIntentions {
    entry(destination("api"), vec![intention(source("web"), Decision::Requests(vec![permission]))])
}

fn http(http: HttpPermission) -> Permission {
    Permission { action: Action::Allow, http: Some(http), jwt: None }
}

fn path(path: PathMatch) -> HttpPermission {
    HttpPermission { path: Some(path), ..HttpPermission::default() }
}

fn header(name: &str, value: HeaderValueMatch, ignore_case: bool) -> HttpPermission {
    let header = HeaderMatch { name: name.to_owned(), value, ignore_case, invert: false };
    HttpPermission { headers: vec![header], ..HttpPermission::default() }
}

fn methods(methods: &[&str]) -> HttpPermission {
    HttpPermission { methods: methods.iter().map(|m| (*m).to_owned()).collect(), ..HttpPermission::default() }
}

#[track_caller]
fn accepted(entry: &ServiceIntentions) {
    assert_eq!(validate(entry), Ok(()));
}

#[track_caller]
fn refused(entry: &ServiceIntentions, begins: &str) {
    let faults = validate(entry).expect_err("must be refused");
    assert_eq!(faults.len(), 1, "{faults:?}");
    let text = faults[0].to_string();
    assert!(text.starts_with(begins), "{text}");
}

#[test]
fn a_sound_entry_is_accepted() {
    accepted(&sound());
    let everybody = Destination { namespace: Pattern::Any, name: Pattern::Any, ..destination("x") };
    accepted(&ServiceIntentions { destination: everybody, ..sound() });
}

#[test]
fn an_entry_without_sources_is_refused() {
    refused(&ServiceIntentions { sources: vec![], ..sound() }, "Sources must hold at least one source");
}

#[test]
fn a_long_description_is_refused() {
    let mut entry = sound();
    entry.sources[1].description = "x".repeat(DESCRIPTION_BYTES_MAX);
    accepted(&entry);
    entry.sources[1].description.push('x');
    refused(&entry, "Sources[1].Description exceeds maximum length 512");
}

#[test]
fn a_repeated_source_is_refused() {
    let mut entry = sound();
    entry.sources.push(intention(source("web"), Decision::Connection(Action::Deny)));
    refused(&entry, "Sources[2] defines \"web\" more than once");
    entry.sources[2].source.peer = Some(PeerName::parse("east").unwrap());
    accepted(&entry);
}

#[test]
fn an_exact_name_in_all_namespaces_is_refused() {
    let mut entry = sound();
    entry.sources[0].source.namespace = Pattern::Any;
    refused(&entry, "Sources[0].Name: exact value cannot follow wildcard namespace");
    let mut entry = sound();
    entry.destination.namespace = Pattern::Any;
    refused(&entry, "Name: exact value cannot follow wildcard namespace");
}

#[test]
fn a_peer_s_partition_is_not_ours_to_name() {
    let mut entry = sound();
    entry.sources[0].source.peer = Some(PeerName::parse("east").unwrap());
    accepted(&entry);
    entry.sources[0].source.partition = Partition::parse("eu").unwrap();
    refused(&entry, "Sources[0].Peer: cannot set Peer and Partition at the same time");
}

#[test]
fn permissions_need_one_destination() {
    let mut entry = of_permission(http(methods(&["GET"])));
    accepted(&entry);
    entry.destination = destination("*");
    refused(&entry, "Sources[0].Permissions cannot be specified on intentions with wildcarded destinations");
}

#[test]
fn a_permission_needs_a_condition() {
    let nothing = Permission { action: Action::Allow, http: None, jwt: None };
    refused(&of_permission(nothing.clone()), "Sources[0].Permissions[0].HTTP is required");
    accepted(&of_permission(Permission { jwt: Some(requirement()), ..nothing.clone() }));
    let empty = Permission { http: Some(HttpPermission::default()), ..nothing };
    refused(&of_permission(empty.clone()), "Sources[0].Permissions[0].HTTP should not be empty");
    accepted(&of_permission(Permission { jwt: Some(requirement()), ..empty }));
    let mut entry = sound();
    entry.sources[0].decision = Decision::Requests(vec![]);
    refused(&entry, "Sources[0].Action must be set to 'allow' or 'deny'");
}

#[test]
fn a_path_begins_with_a_slash() {
    accepted(&of_permission(http(path(PathMatch::Exact("/admin".into())))));
    refused(
        &of_permission(http(path(PathMatch::Exact("admin".into())))),
        "Sources[0].Permissions[0].HTTP.PathExact doesn't start with '/': \"admin\"",
    );
    refused(
        &of_permission(http(path(PathMatch::Prefix(String::new())))),
        "Sources[0].Permissions[0].HTTP.PathPrefix doesn't start with '/'",
    );
}

#[test]
fn n_64_a_long_pattern_is_refused() {
    accepted(&of_permission(http(path(PathMatch::Regex("a".repeat(PATTERN_BYTES_MAX))))));
    refused(
        &of_permission(http(path(PathMatch::Regex("a".repeat(1 << 20))))),
        "Sources[0].Permissions[0].HTTP.PathRegex exceeds maximum length",
    );
    refused(
        &of_permission(http(path(PathMatch::Regex(String::new())))),
        "Sources[0].Permissions[0].HTTP.PathRegex is required",
    );
    refused(
        &of_permission(http(header("x", HeaderValueMatch::Regex("a".repeat(1 << 20)), false))),
        "Sources[0].Permissions[0].HTTP.Header[0] exceeds maximum length",
    );
}

#[test]
fn a_header_condition_compares_something() {
    accepted(&of_permission(http(header("x", HeaderValueMatch::Present, false))));
    accepted(&of_permission(http(header("x", HeaderValueMatch::Contains("y".into()), true))));
    let at = "Sources[0].Permissions[0].HTTP.Header[0]";
    refused(
        &of_permission(http(header("", HeaderValueMatch::Present, false))),
        &format!("{at}.Name is required"),
    );
    refused(
        &of_permission(http(header("x", HeaderValueMatch::Exact(String::new()), false))),
        &format!("{at} should only contain one of"),
    );
    refused(
        &of_permission(http(header("x", HeaderValueMatch::Present, true))),
        &format!("{at} should set one of"),
    );
    let one = header("x", HeaderValueMatch::Present, false).headers[0].clone();
    let many = HttpPermission { headers: vec![one; HEADERS_MAX + 1], ..HttpPermission::default() };
    refused(
        &of_permission(http(many)),
        "Sources[0].Permissions[0].HTTP.Header exceeds maximum element count",
    );
}

#[test]
fn methods_are_known_and_named_once() {
    let at = "Sources[0].Permissions[0].HTTP.Methods contains";
    refused(&of_permission(http(methods(&["get"]))), &format!("{at} an invalid method \"get\""));
    refused(&of_permission(http(methods(&["GET", "GET"]))), &format!("{at} \"GET\" more than once"));
}

#[test]
fn a_token_requirement_names_providers() {
    let mut entry = sound();
    entry.jwt = Some(requirement());
    accepted(&entry);
    entry.jwt = Some(JwtRequirement { providers: vec![] });
    refused(&entry, "JWT.Providers must hold at least one provider");
    let mut nameless = requirement();
    nameless.providers[0].name.clear();
    entry.jwt = Some(nameless);
    refused(&entry, "JWT.Providers[0].Name is required");
    let mut pathless = requirement();
    pathless.providers[0].verify_claims.push((vec![], "admin".into()));
    entry.jwt = Some(pathless);
    refused(&entry, "JWT.Providers[0].VerifyClaims[0].Path is required");
}

#[test]
fn metadata_is_bounded() {
    let mut entry = sound();
    entry.meta = (0..=META_PAIRS_MAX).map(|i| (format!("k{i}"), String::new())).collect();
    refused(&entry, "Meta exceeds maximum element count 64");
    entry.meta = [("k".to_owned(), "v".repeat(META_VALUE_BYTES_MAX + 1))].into();
    refused(&entry, "Meta value for key \"k\" exceeds maximum length 512");
}

#[test]
fn permissions_are_bounded() {
    let mut entry = of_permission(http(methods(&["GET"])));
    entry.sources[0].decision = Decision::Requests(vec![http(methods(&["GET"])); PERMISSIONS_MAX + 1]);
    refused(&entry, "Sources[0].Permissions exceeds maximum element count");
}

#[test]
fn the_older_api_knows_no_peers() {
    let mut entry = sound();
    entry.sources[0].legacy = Some(LegacyFields {
        id: Uuid::parse("8f246b77-f3e1-ff88-5b48-8ec93abf3e05").unwrap(),
        meta: [].into(),
        create_time: Timestamp::EPOCH,
        update_time: Timestamp::EPOCH,
    });
    accepted(&entry);
    entry.sources[0].source.peer = Some(PeerName::parse("east").unwrap());
    refused(&entry, "Sources[0].Peer cannot be set by legacy intentions");
}

#[test]
fn all_faults_are_told_at_once() {
    let mut entry = sound();
    entry.sources[0].description = "x".repeat(DESCRIPTION_BYTES_MAX + 1);
    entry.sources[1].decision = Decision::Requests(vec![]);
    assert_eq!(validate(&entry).expect_err("must be refused").len(), 2);
}

/// An entry in which each of so many permissions has so many expressions, all different and none valid.
fn with_patterns(permissions: usize, each: usize) -> ServiceIntentions {
    let one = |j: usize| {
        let headers = (0..each).map(|k| HeaderMatch {
            name: "x".into(),
            value: HeaderValueMatch::Regex(format!("({j}x{k}")),
            ignore_case: false,
            invert: false,
        });
        http(HttpPermission { headers: headers.collect(), ..HttpPermission::default() })
    };
    let decision = Decision::Requests((0..permissions).map(one).collect());
    entry(destination("api"), vec![intention(source("web"), decision)])
}

#[test]
fn n_255_what_is_compiled_has_been_counted() {
    // Each expression that was compiled would be a fault.
    refused(
        &with_patterns(PERMISSIONS_MAX + 1, 3),
        "Sources[0].Permissions exceeds maximum element count 256",
    );
    let text = "Sources[].Permissions[].HTTP exceeds maximum count 512 of different regular expressions; the entry has 513";
    refused(&with_patterns(27, 19), text);
    assert!(
        validate_patterns(0, &with_patterns(27, 19).sources[0]).unwrap_err()[0].to_string().starts_with(text)
    );
    assert_eq!(validate(&with_patterns(128, 4)).unwrap_err().len(), PATTERNS_MAX);
    // The same one counts once.
    let mut same = with_patterns(27, 19);
    let Decision::Requests(permissions) = &mut same.sources[0].decision else { panic!("not by request") };
    for header in permissions.iter_mut().flat_map(|own| &mut own.http.as_mut().unwrap().headers) {
        header.value = HeaderValueMatch::Regex("a+".into());
    }
    accepted(&same);
}

#[test]
fn n_245_a_broken_expression_is_refused_by_its_field() {
    let of = |pattern: &str| {
        let text = pattern.to_owned();
        let by_path = of_permission(http(path(PathMatch::Regex(text.clone()))));
        (by_path, of_permission(http(header("x", HeaderValueMatch::Regex(text), false))))
    };
    for broken in ["(", "*", "a)|(b", "[z-a]", r"\1", "(?=a)"] {
        let (by_path, by_header) = of(broken);
        let text = "is not a regular expression that proxies can use: ";
        refused(&by_path, &format!("Sources[0].Permissions[0].HTTP.PathRegex {text}"));
        refused(&by_header, &format!("Sources[0].Permissions[0].HTTP.Header[0].Regex {text}"));
        let one = &by_path.sources[0];
        assert!(
            validate_patterns(3, one).unwrap_err()[0].to_string().starts_with("Sources[3].Permissions[0]")
        );
    }
    // What is too large, in its counts or compiled.
    for large in ["a{1001}", r"\pL{1000}"] {
        refused(
            &of(large).0,
            "Sources[0].Permissions[0].HTTP.PathRegex is not a regular expression that proxies can use: ",
        );
    }
    // What Envoy's engine takes.
    for sound in [
        r"/v[0-9]+/.*",
        r"\Q/a.b\E",
        r"[[:alpha:]]+",
        r"(?i)admin",
        r"\pL+",
        r"\x{41}",
        r"\101",
        "[^/]{1,255}",
        r"(?P<a>x)",
        r"a|b",
        r"\d+\.\d*?",
        "(?U)a+",
        r"\Aa\z",
    ] {
        let (by_path, by_header) = of(sound);
        accepted(&by_path);
        accepted(&by_header);
    }
}
