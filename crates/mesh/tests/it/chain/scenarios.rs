//! Scenarios: the entries, and the chain of `web`.

use super::language::{World, show};

/// Each case is a title, the entries, and the chain or the beginning of the error.
#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (title, entries, expected) in cases {
        let told = match World::of(entries).chain("web") {
            Ok(chain) => show(&chain),
            Err(fault) => format!("! {fault}"),
        };
        let fits = match expected.strip_prefix("! ") {
            Some(_) => told.starts_with(expected),
            None => told == *expected,
        };
        if !fits {
            wrong.push(format!("{title}\n  found    {told}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn chains_of_one_service() {
    check(&[
        ("nothing is said", "", "tcp web default; resolver web; web"),
        ("a protocol", "D web http", "http web default; resolver web; web"),
        ("the protocol of all", "P grpc", "grpc web default; resolver web; web"),
        ("the own protocol wins", "P grpc\nD web http2", "http2 web default; resolver web; web"),
        (
            "defaults without a protocol",
            "P http\nD web gw=none",
            "tcp web default; resolver web; web gw=none",
        ),
        ("a resolver that says nothing", "V web", "tcp web default; resolver web; web"),
        ("a time-out", "V web t=9", "tcp web; resolver web t=9; web"),
        ("another gateway", "D web gw=local\nP gw=remote", "tcp web default; resolver web; web gw=local"),
        ("the gateway of all", "P gw=remote", "tcp web default; resolver web; web gw=remote"),
        ("dialed directly", "D web direct", "tcp web default; resolver web; web direct"),
        ("all are dialed directly", "P direct", "tcp web default; resolver web; web direct"),
        (
            "outside of the mesh",
            "D web sni=x.example gw=local",
            "tcp web default; resolver web; web sni=x.example",
        ),
        ("a default subset", "V web sub=v1 default=v1", "tcp v1.web; resolver v1.web; v1.web filtered"),
        ("a subset that nobody asks for", "V web sub=v1", "tcp web; resolver web; web"),
        ("a load balancer", "V web lb=maglev", "tcp web; resolver web lb=maglev; web"),
    ]);
}

#[test]
fn redirects_and_failovers() {
    check(&[
        ("a redirect", "V web to=api", "tcp api; resolver api; api"),
        ("a redirect that follows another", "V web to=api\nV api to=db", "tcp db; resolver db; db"),
        ("to a subset", "V web to=api/v1\nV api sub=v1", "tcp v1.api; resolver v1.api; v1.api filtered"),
        (
            "to a default subset",
            "V web to=api\nV api sub=v1 default=v1",
            "tcp v1.api; resolver v1.api; v1.api filtered",
        ),
        ("to a datacenter", "V web to=@dc2", "tcp web.dc2; resolver web.dc2; web.dc2"),
        ("to a service in a datacenter", "V web to=api@dc2", "tcp api.dc2; resolver api.dc2; api.dc2"),
        ("the datacenter stays", "V web to=api@dc2\nV api to=db", "tcp db.dc2; resolver db.dc2; db.dc2"),
        (
            "to a peer",
            "V web to=api%east",
            "tcp api.external.east; resolver api.external.east; api.external.east",
        ),
        ("the time-out of where it ends", "V web to=api t=9\nV api t=3", "tcp api; resolver api t=3; api"),
        ("its own router is not met", "P http\nV web to=api\nR api a>db", "http api; resolver api; api"),
        ("its own splitter is not met", "P http\nV web to=api\nS api 100:db", "http api; resolver api; api"),
        ("a missing subset", "V web to=api/v9", r#"! service "api" does not have a subset named "v9""#),
        (
            "a circle",
            "V web to=api\nV api to=web",
            "! detected circular resolver redirect: [web.default.default.dc1 -> api.default.default.dc1 -> web.default.default.dc1]",
        ),
        ("to itself", "V web to=web", "tcp web; resolver web; web"),
        (
            "other datacenters",
            "V web dcs=*:dc2,dc3",
            "tcp web; resolver web fail=web.dc2,web.dc3; web; web.dc2; web.dc3",
        ),
        (
            "the own datacenter is no failover",
            "V web dcs=*:dc1,dc2",
            "tcp web; resolver web fail=web.dc2; web; web.dc2",
        ),
        ("no failover is left", "V web dcs=*:dc1", "tcp web; resolver web; web"),
        ("another service", "V web fail=*:api", "tcp web; resolver web fail=api; api; web"),
        (
            "a subset of another service",
            "V web fail=*:api/v1\nV api sub=v1",
            "tcp web; resolver web fail=v1.api; v1.api filtered; web",
        ),
        (
            "targets",
            "V web targets=*:api@dc2+%east+@dc3",
            "tcp web; resolver web fail=api.dc2,web.external.east,web.dc3; api.dc2; web; web.dc3; web.external.east",
        ),
        (
            "a failover of a failover is not followed",
            "V web fail=*:api\nV api fail=*:db",
            "tcp web; resolver web fail=api; api; web",
        ),
        (
            "a redirect of a failover is",
            "V web fail=*:api\nV api to=db",
            "tcp web; resolver web fail=db; db; web",
        ),
        (
            "a default subset of a failover is",
            "V web fail=*:api\nV api sub=a default=a",
            "tcp web; resolver web fail=a.api; a.api filtered; web",
        ),
        (
            "the failover of the subset",
            "V web sub=a sub=b default=a fail=a:/b dcs=*:dc2",
            "tcp a.web; resolver a.web fail=b.web; a.web filtered; b.web filtered",
        ),
        (
            "the failover of all others",
            "V web sub=a sub=b default=b fail=a:/b dcs=*:dc2",
            "tcp b.web; resolver b.web fail=b.web.dc2; b.web filtered; b.web.dc2 filtered",
        ),
        (
            "a missing subset of a failover",
            "V web fail=*:api/v9",
            r#"! service "api" does not have a subset named "v9""#,
        ),
        (
            "a circle of failovers is none",
            "V web fail=*:api\nV api fail=*:web",
            "tcp web; resolver web fail=api; api; web",
        ),
        (
            "another protocol",
            "D api http\nV web fail=*:api",
            r#"! discovery chain "web" uses inconsistent protocols; service "api" has "http" which is not "tcp""#,
        ),
        (
            "the protocol of a peer is not looked at",
            "D api http\nV web targets=*:api%east",
            "tcp web; resolver web fail=api.external.east; api.external.east; web",
        ),
        ("a redirect of what is outside", "D web sni=x\nV web to=api", "tcp api; resolver api; api"),
        (
            "a redirect to itself of what is outside",
            "D web sni=x\nV web to=web",
            r#"! service "web" has an external SNI set; cannot define redirects"#,
        ),
        (
            "subsets of what is outside",
            "D web sni=x\nV web sub=a",
            r#"! service "web" has an external SNI set; cannot define subsets"#,
        ),
        (
            "a failover of what is outside",
            "D web sni=x\nV web dcs=*:dc2",
            r#"! service "web" has an external SNI set; cannot define failover"#,
        ),
    ]);
}

#[test]
fn routers_and_splitters() {
    check(&[
        ("a router without routes", "P http\nR web", "http R:web; resolver web; router web />web; web"),
        (
            "routes",
            "P http\nR web a>api b>",
            "http R:web; resolver api; resolver web; router web /a>api /b>web />web; api; web",
        ),
        (
            "a route to a subset",
            "P http\nR web a>/v1\nV web sub=v1",
            "http R:web; resolver v1.web; resolver web; router web /a>v1.web />web; v1.web filtered; web",
        ),
        (
            "a route to a missing subset",
            "P http\nR web a>/v1",
            r#"! service "web" does not have a subset named "v1""#,
        ),
        (
            "a route to a redirect",
            "P http\nR web a>api\nV api to=db",
            "http R:web; resolver db; resolver web; router web /a>db />web; db; web",
        ),
        (
            "routers of other services do not count",
            "P http\nR web a>api\nR api b>db",
            "http R:web; resolver api; resolver web; router web /a>api />web; api; web",
        ),
        (
            "a router of bytes",
            "R web a>api",
            r#"! discovery chain "web" uses a protocol "tcp" that does not permit advanced routing or splitting"#,
        ),
        (
            "a splitter of bytes",
            "S web 100:api",
            r#"! discovery chain "web" uses a protocol "tcp" that does not permit"#,
        ),
        (
            "a splitter",
            "P http\nS web 90:web 10:api",
            "http S:web; resolver api; resolver web; splitter web 90>web 10>api; api; web",
        ),
        (
            "of subsets",
            "P http\nS web 50:/a 50:/b\nV web sub=a sub=b",
            "http S:web; resolver a.web; resolver b.web; splitter web 50>a.web 50>b.web; a.web filtered; b.web filtered",
        ),
        (
            "below a router",
            "P http\nR web a>api\nS web 100:db",
            "http R:web; resolver api; resolver db; router web /a>api />S:web; splitter web 100>db; api; db",
        ),
        (
            "of another service, below a router",
            "P http\nR web a>api\nS api 100:db",
            "http R:web; resolver db; resolver web; router web /a>S:api />web; splitter api 100>db; db; web",
        ),
        (
            "a route to a subset meets no splitter",
            "P http\nR web a>api/v1\nS api 100:db\nV api sub=v1",
            "http R:web; resolver v1.api; resolver web; router web /a>v1.api />web; v1.api filtered; web",
        ),
        (
            "of a splitter",
            "P http\nS web 50:web 50:api\nS api 50:api 50:db",
            "http S:web; resolver api; resolver db; resolver web; splitter web 50>web 25>api 25>db; api; db; web",
        ),
        (
            "of a splitter of a splitter",
            "P http\nS web 50:web 50:a\nS a 50:a 50:b\nS b 50:b 50:c",
            "http S:web; resolver a; resolver b; resolver c; resolver web; splitter web 50>web 25>a 12.5>b 12.5>c; a; b; c; web",
        ),
        (
            "rounded",
            "P http\nS web 33.33:web 66.67:a\nS a 33.33:a 66.67:b",
            "http S:web; resolver a; resolver b; resolver web; splitter web 33.33>web 22.22>a 44.45>b; a; b; web",
        ),
        (
            "without weight",
            "P http\nS web 100:web 0:a",
            "http S:web; resolver a; resolver web; splitter web 100>web 0>a; a; web",
        ),
        (
            "a subset meets no splitter",
            "P http\nS web 50:web 50:api/v1\nS api 100:db\nV api sub=v1",
            "http S:web; resolver v1.api; resolver web; splitter web 50>web 50>v1.api; v1.api filtered; web",
        ),
        (
            "a circle",
            "P http\nS web 50:web 50:api\nS api 50:api 50:web",
            "! detected circular reference: [splitter:web.default.default -> splitter:api.default.default -> splitter:web.default.default]",
        ),
        (
            "a longer circle",
            "P http\nR web x>a\nS a 50:a 50:b\nS b 50:b 50:c\nS c 50:c 50:b",
            "! detected circular reference: [router:web.default.default -> splitter:a.default.default -> splitter:b.default.default -> splitter:c.default.default -> splitter:b.default.default]",
        ),
        (
            "two ways to one splitter",
            "P http\nS web 50:a 50:b\nS a 100:c\nS b 100:c\nS c 50:c 50:d",
            "http S:web; resolver c; resolver d; splitter web 25>c 25>d 25>c 25>d; c; d",
        ),
        (
            "the first hash counts",
            "P http\nS web 50:a 50:b\nV a lb=random\nV b lb=ring_hash",
            "http S:web; resolver a lb=random; resolver b lb=ring_hash; splitter web 50>a 50>b lb=ring_hash; a; b",
        ),
        (
            "another protocol below a splitter",
            "P http\nD api grpc\nS web 50:web 50:api",
            r#"! discovery chain "web" uses inconsistent protocols; service "api" has "grpc" which is not "http""#,
        ),
        (
            "the protocol of a splitter's own service is not met",
            "D web tcp\nD api http\nS web 100:api",
            "http S:web; resolver api; splitter web 100>api; api",
        ),
        (
            "the protocol of a router's own service is",
            "D web tcp\nD api http\nR web a>api",
            r#"! discovery chain "web" uses inconsistent protocols; service "api" has "http" which is not "tcp""#,
        ),
        (
            "failover below a splitter",
            "P http\nS web 50:web 50:api\nV api dcs=*:dc2",
            "http S:web; resolver api fail=api.dc2; resolver web; splitter web 50>web 50>api; api; api.dc2; web",
        ),
        (
            "a name with dots is no subset",
            "P http\nS web 50:v1.api 50:api/v1\nV api sub=v1",
            "http S:web; resolver v1%2Eapi; resolver v1.api; splitter web 50>v1%2Eapi 50>v1.api; v1%2Eapi; v1.api filtered",
        ),
    ]);
}

#[test]
fn overrides_of_whoever_asks() {
    check(&[
        ("what is so already changes nothing", "O tcp t=5\nV web t=5", "tcp web; resolver web; web"),
        ("a time-out", "O t=9", "tcp web default customized; resolver web t=9; web"),
        ("the same time-out", "O t=9\nV web t=9", "tcp web; resolver web t=9; web"),
        ("a gateway", "O gw=local", "tcp web default customized; resolver web; web gw=local"),
        ("the same gateway", "O gw=local\nP gw=local", "tcp web default; resolver web; web gw=local"),
        ("no gateway leads outside", "O gw=local\nD web sni=x", "tcp web default; resolver web; web sni=x"),
        ("another protocol", "O http", "http web default customized; resolver web; web"),
        (
            "bytes turn a router off",
            "O tcp\nP http\nR web a>api",
            "tcp web default customized; resolver web; web",
        ),
        (
            "bytes turn a splitter off",
            "O tcp\nP http\nS web 100:api",
            "tcp web default customized; resolver web; web",
        ),
        (
            "bytes turn both off, and redirects stay",
            "O tcp\nP http\nR web a>api\nS web 100:api\nV web to=db",
            "tcp db customized; resolver db; db",
        ),
        (
            "requests do not turn a router on",
            "O http\nR web a>api",
            "! discovery chain \"web\" uses a protocol \"tcp\"",
        ),
        (
            "another protocol like HTTP",
            "O grpc\nP http\nS web 100:api",
            "grpc S:web customized; resolver api; splitter web 100>api; api",
        ),
    ]);
}
