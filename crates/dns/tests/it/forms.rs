//! Each form of names, and what it answers.

use std::time::Duration;

use concord_config::section::{DnsSection, SoaSection};
use concord_model::catalog::{CheckStatus, Registration};
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_model::{ServiceName, catalog::ServiceInstance};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType::{A, AAAA, ANY, MX, NS, PTR, SOA, SRV, TXT};

use crate::teller::told;
use crate::world::{Setup, World, in_state, node, on, question, service, tagged, weighing, with_address};

/// No such name, with what says for how long that holds.
const NO_NAME: &str = "NXDOMAIN aa\nauthority consul. 0 SOA ns.consul. hostmaster.consul. 3600 600 86400 0";
/// The name has no records of this type.
const NO_DATA: &str = "NOERROR aa\nauthority consul. 0 SOA ns.consul. hostmaster.consul. 3600 600 86400 0";

async fn stocked(setup: Setup) -> World {
    let world = setup.start().await;
    let mut n2 = node("n2", "10.0.0.2");
    n2.meta = [("zone", "a"), ("rfc1035-plain", "b=c")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let mut n3 = node("N3.example", "2001:db8::3");
    n3.tagged_addresses = [("lan_ipv4".to_owned(), "10.0.0.3".to_owned())].into();
    for registration in [
        Registration::of(n2.clone()),
        on(n2.clone(), tagged(&["v1", "Blue"], service("web", "web-1", "", 80))),
        on(n3.clone(), weighing(7, 3, tagged(&["v2"], service("web", "web-2", "10.1.0.2", 81)))),
        in_state(CheckStatus::Critical, on(n2.clone(), service("web", "web-3", "10.1.0.3", 82))),
        in_state(
            CheckStatus::Warning,
            on(n2.clone(), weighing(7, 3, service("warned", "warned", "10.1.0.4", 83))),
        ),
        in_state(CheckStatus::Critical, on(n2.clone(), service("dead", "dead", "10.1.0.5", 84))),
        on(n2.clone(), service("six", "six", "2001:db8::6", 85)),
        on(
            n2.clone(),
            with_address(
                "lan_ipv6",
                "2001:db8::7",
                with_address("lan_ipv4", "10.1.0.7", service("both", "both", "10.1.0.8", 86)),
            ),
        ),
        on(n2.clone(), service("Mixed", "mixed", "10.1.0.9", 87)),
        on(n2.clone(), service("alias", "alias", "web.service.consul", 88)),
        on(n2.clone(), service("loop", "loop", "loop.service.consul.", 89)),
        on(n2.clone(), service("ring-a", "ring-a", "ring-b.service.consul", 90)),
        on(n2.clone(), service("ring-b", "ring-b", "ring-a.service.consul", 91)),
        on(n2.clone(), service("far", "far", "db.example.com", 92)),
        on(n3.clone(), proxy("web-proxy", "web", 20_000)),
        Registration::of(node("aliased", "n2.node.consul")),
    ] {
        world.register(registration).await;
    }
    world
}

fn proxy(name: &str, of: &str, port: u16) -> ServiceInstance {
    let proxy =
        ProxyConfig { destination_service: Some(ServiceName::parse(of).unwrap()), ..ProxyConfig::default() };
    ServiceInstance { kind: ServiceKind::ConnectProxy, proxy: Some(proxy), ..service(name, name, "", port) }
}

#[tokio::test]
async fn services_answer_with_their_healthy_instances() {
    let world = stocked(Setup::default()).await;
    let both = "NOERROR aa\nweb.service.consul. 0 A 10.0.0.2\nweb.service.consul. 0 A 10.1.0.2";
    world.check("web.service.consul.", A, both).await;
    world.check("web.service.consul.", ANY, both).await;
    // As in Consul, whoever asks for texts is told the addresses.
    world.check("web.service.consul.", TXT, both).await;
    world.check("web.service.consul.", AAAA, NO_DATA).await;
    world.check("web.service.consul.", MX, NO_DATA).await;
    let dc = "NOERROR aa\nweb.service.dc1.consul. 0 A 10.0.0.2\nweb.service.dc1.consul. 0 A 10.1.0.2";
    world.check("web.service.dc1.consul.", A, dc).await;
    world.check("web.service.dc1.dc.consul.", A, &dc.replace("dc1.consul", "dc1.dc.consul")).await;
    for name in [
        "web.service.dc2.consul.",
        "web.service.p.peer.consul.",
        "web.service.a.b.c.consul.",
        "nope.service.consul.",
        "dead.service.consul.",
        "consul.",
        "web.consul.",
        "q.query.consul.",
    ] {
        world.check(name, A, NO_NAME).await;
    }
    world.check("warned.service.consul.", A, "NOERROR aa\nwarned.service.consul. 0 A 10.1.0.4").await;
    world.check("six.service.consul.", A, NO_DATA).await;
    world.check("six.service.consul.", AAAA, "NOERROR aa\nsix.service.consul. 0 AAAA 2001:db8::6").await;
    world.check("both.service.consul.", A, "NOERROR aa\nboth.service.consul. 0 A 10.1.0.7").await;
    world.check("both.service.consul.", AAAA, "NOERROR aa\nboth.service.consul. 0 AAAA 2001:db8::7").await;
    world.stop().await;
}

#[tokio::test]
async fn tags_choose_instances() {
    let world = stocked(Setup::default()).await;
    world.check("v1.web.service.consul.", A, "NOERROR aa\nv1.web.service.consul. 0 A 10.0.0.2").await;
    world.check("blue.web.service.consul.", A, "NOERROR aa\nblue.web.service.consul. 0 A 10.0.0.2").await;
    world.check("v3.web.service.consul.", A, NO_NAME).await;
    world.check("v1.v2.web.service.consul.", A, NO_NAME).await;
    let srv = |name: &str| {
        format!(
            "NOERROR aa\n{name} 0 SRV 1 7 81 0a010002.addr.dc1.consul.
            more 0a010002.addr.dc1.consul. 0 A 10.1.0.2"
        )
    };
    world.check("_web._v2.service.consul.", SRV, &srv("_web._v2.service.consul.")).await;
    world.check("_web._v2.consul.", SRV, &srv("_web._v2.consul.")).await;
    world.check("_web._v2.consul.", A, NO_NAME).await;
    world.stop().await;
}

#[tokio::test]
async fn srv_names_ports_weights_and_targets() {
    let world = stocked(Setup::default()).await;
    world
        .check(
            "_web._tcp.service.consul.",
            SRV,
            "NOERROR aa
            _web._tcp.service.consul. 0 SRV 1 1 80 n2.node.dc1.consul.
            _web._tcp.service.consul. 0 SRV 1 7 81 0a010002.addr.dc1.consul.
            more 0a010002.addr.dc1.consul. 0 A 10.1.0.2
            more n2.node.dc1.consul. 0 A 10.0.0.2
            more n2.node.dc1.consul. 0 TXT b=c
            more n2.node.dc1.consul. 0 TXT zone=a",
        )
        .await;
    world
        .check(
            "warned.service.consul.",
            SRV,
            "NOERROR aa
            warned.service.consul. 0 SRV 1 3 83 0a010004.addr.dc1.consul.
            more 0a010004.addr.dc1.consul. 0 A 10.1.0.4
            more n2.node.dc1.consul. 0 TXT b=c
            more n2.node.dc1.consul. 0 TXT zone=a",
        )
        .await;
    let plain = Setup {
        section: DnsSection { node_meta_txt: false, only_passing: true, ..DnsSection::default() },
        ..Setup::default()
    };
    let other = stocked(plain).await;
    other
        .check(
            "web.service.consul.",
            SRV,
            "NOERROR aa
            web.service.consul. 0 SRV 1 1 80 n2.node.dc1.consul.
            web.service.consul. 0 SRV 1 7 81 0a010002.addr.dc1.consul.
            more 0a010002.addr.dc1.consul. 0 A 10.1.0.2
            more n2.node.dc1.consul. 0 A 10.0.0.2",
        )
        .await;
    other.check("warned.service.consul.", A, NO_NAME).await;
    other.check("n2.node.consul.", A, "NOERROR aa\nn2.node.consul. 0 A 10.0.0.2").await;
    other.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn mesh_gateways_and_virtual_addresses_are_answered() {
    let world = stocked(Setup::default()).await;
    world.check("web.connect.consul.", A, "NOERROR aa\nweb.connect.consul. 0 A 10.0.0.3").await;
    world
        .check(
            "web.connect.consul.",
            SRV,
            "NOERROR aa
        web.connect.consul. 0 SRV 1 1 20000 0a000003.addr.dc1.consul.
        more 0a000003.addr.dc1.consul. 0 A 10.0.0.3",
        )
        .await;
    world.check("six.connect.consul.", A, NO_NAME).await;
    world.check("web.connect.p.peer.consul.", A, NO_NAME).await;
    world.check("web.ingress.consul.", A, NO_NAME).await;
    let told = told(&world.ask("Web.virtual.Consul.", A).await);
    assert!(told.starts_with("NOERROR aa\nweb.virtual.Consul. 0 A 240."), "{told}");
    world.check("nope.virtual.consul.", A, "NOERROR aa").await;
    world.check("web.virtual.p.consul.", A, "NOERROR aa").await;
    world.stop().await;
}

#[tokio::test]
async fn nodes_answer_with_address_and_metadata() {
    let world = stocked(Setup::default()).await;
    let meta = "n2.node.consul. 0 TXT b=c\nn2.node.consul. 0 TXT zone=a";
    world.check("n2.node.consul.", ANY, &format!("NOERROR aa\nn2.node.consul. 0 A 10.0.0.2\n{meta}")).await;
    world.check("n2.node.consul.", TXT, &format!("NOERROR aa\n{meta}")).await;
    world.check("n2.node.consul.", A, "NOERROR aa\nn2.node.consul. 0 A 10.0.0.2\nmore n2.node.consul. 0 TXT b=c\nmore n2.node.consul. 0 TXT zone=a").await;
    world
        .check(
            "n2.node.dc1.consul.",
            AAAA,
            "NOERROR aa\nmore n2.node.dc1.consul. 0 TXT b=c\nmore n2.node.dc1.consul. 0 TXT zone=a",
        )
        .await;
    world
        .check("n3.example.node.consul.", AAAA, "NOERROR aa\nn3.example.node.consul. 0 AAAA 2001:db8::3")
        .await;
    world.check("n3.example.node.consul.", A, "NOERROR aa\nn3.example.node.consul. 0 A 10.0.0.3").await;
    // As in Consul, such questions have an empty answer, whether or not there is the node.
    world.check("n2.node.consul.", SRV, "NOERROR aa").await;
    world.check("nope.node.consul.", MX, "NOERROR aa").await;
    for name in ["nope.node.consul.", "n2.node.dc2.consul.", "n2.node.p.peer.consul.", "node.consul."] {
        world.check(name, A, NO_NAME).await;
    }
    // Over UDP there is room for three of them.
    let aliased = told(&world.ask_on_tcp(&question("aliased.node.consul.", A)).await);
    assert_eq!(
        aliased,
        "NOERROR aa\naliased.node.consul. 0 CNAME n2.node.consul.\nn2.node.consul. 0 A 10.0.0.2\n\
         n2.node.consul. 0 TXT b=c\nn2.node.consul. 0 TXT zone=a"
    );
    world.stop().await;
}

#[tokio::test]
async fn addresses_are_read_from_their_names_and_back() {
    let world = stocked(Setup::default()).await;
    world.check("0A000001.addr.dc1.consul.", A, "NOERROR aa\n0a000001.addr.dc1.consul. 0 A 10.0.0.1").await;
    world.check("0a000001.addr.consul.", AAAA, "NOERROR aa\nmore 0a000001.addr.consul. 0 A 10.0.0.1").await;
    let six = "20010db8000000000000000000000001.addr.consul.";
    world.check(six, ANY, &format!("NOERROR aa\n{six} 0 AAAA 2001:db8::1")).await;
    world.check("0a00000.addr.consul.", A, NO_NAME).await;
    world
        .check("2.0.0.10.in-addr.arpa.", PTR, "NOERROR aa\n2.0.0.10.in-addr.arpa. 0 PTR n2.node.dc1.consul.")
        .await;
    world
        .check(
            "2.0.1.10.in-addr.arpa.",
            PTR,
            "NOERROR aa\n2.0.1.10.in-addr.arpa. 0 PTR web.service.dc1.consul.",
        )
        .await;
    let six = format!("6.{}8.b.d.0.1.0.0.2.ip6.arpa.", "0.".repeat(23));
    world.check(&six, PTR, &format!("NOERROR aa\n{six} 0 PTR six.service.dc1.consul.")).await;
    for name in ["9.9.9.9.in-addr.arpa.", "arpa.", "x.in-addr.arpa."] {
        world.check(name, PTR, NO_NAME).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn the_domain_says_who_is_responsible() {
    let soa = SoaSection { refresh: 1, retry: 2, expire: 3, min_ttl: 4 };
    let section = DnsSection { soa, node_ttl: Duration::from_secs(9), ..DnsSection::default() };
    let world = stocked(Setup { section, alt_domain: Some("mesh.example"), ..Setup::default() }).await;
    let servers = "NOERROR aa\nconsul. 9 NS n1.node.dc1.consul.\nmore n1.node.dc1.consul. 9 A 127.0.0.1";
    world.check("consul.", NS, servers).await;
    world.check("whatever.consul.", NS, servers).await;
    world
        .check(
            "consul.",
            SOA,
            "NOERROR aa
        consul. 4 SOA ns.consul. hostmaster.consul. 1 2 3 4
        authority consul. 9 NS n1.node.dc1.consul.
        more n1.node.dc1.consul. 9 A 127.0.0.1",
        )
        .await;
    world
        .check(
            "web.service.Mesh.Example.",
            A,
            "NOERROR aa
        web.service.Mesh.Example. 0 A 10.0.0.2
        web.service.Mesh.Example. 0 A 10.1.0.2",
        )
        .await;
    world
        .check(
            "nope.service.mesh.example.",
            A,
            "NXDOMAIN aa
        authority mesh.example. 4 SOA ns.mesh.example. hostmaster.mesh.example. 1 2 3 4",
        )
        .await;
    world
        .check(
            "n2.node.consul.",
            AAAA,
            "NOERROR aa\nmore n2.node.consul. 9 TXT b=c\nmore n2.node.consul. 9 TXT zone=a",
        )
        .await;
    for name in ["www.example.", "example.", ".", "consul.example."] {
        world.check(name, A, "REFUSED").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn case_makes_no_difference() {
    let world = stocked(Setup::default()).await;
    for name in [
        "mixed.service.dc1.consul.",
        "mixed.service.consul.",
        "Mixed.service.consul.",
        "mIXED.sERVICE.cONSUL.",
    ] {
        world.check(name, A, &format!("NOERROR aa\n{name} 0 A 10.1.0.9")).await;
    }
    let upper = "WEB.SERVICE.CONSUL.";
    world.check(upper, A, &format!("NOERROR aa\n{upper} 0 A 10.0.0.2\n{upper} 0 A 10.1.0.2")).await;
    world.check("V1.Web.Service.Consul.", A, "NOERROR aa\nV1.Web.Service.Consul. 0 A 10.0.0.2").await;
    world.stop().await;
}

#[tokio::test]
async fn addresses_that_are_names_are_followed_and_loops_end() {
    let world = stocked(Setup::default()).await;
    world
        .check(
            "alias.service.consul.",
            A,
            "NOERROR aa
        alias.service.consul. 0 CNAME web.service.consul.
        web.service.consul. 0 A 10.0.0.2
        web.service.consul. 0 A 10.1.0.2",
        )
        .await;
    world
        .check(
            "alias.service.consul.",
            SRV,
            "NOERROR aa
        alias.service.consul. 0 SRV 1 1 88 web.service.consul.
        more n2.node.dc1.consul. 0 TXT b=c
        more n2.node.dc1.consul. 0 TXT zone=a
        more web.service.consul. 0 A 10.0.0.2
        more web.service.consul. 0 A 10.1.0.2",
        )
        .await;
    // A service whose address is its own name has that of its node.
    world.check("loop.service.consul.", A, "NOERROR aa\nloop.service.consul. 0 A 10.0.0.2").await;
    let ring = told(&world.ask("ring-a.service.consul.", A).await);
    assert!(
        ring.starts_with("NOERROR aa\nring-a.service.consul. 0 CNAME ring-b.service.consul.\n"),
        "{ring}"
    );
    assert!(ring.lines().count() < 8, "{ring}");
    // Nobody is there to ask.
    world.check("far.service.consul.", A, "NOERROR aa\nfar.service.consul. 0 CNAME db.example.com.").await;
    world.stop().await;
}

#[tokio::test]
async fn times_to_live_are_those_of_the_configuration() {
    let ttls = [("web", 5), ("*", 1)];
    let service_ttl = ttls.map(|(name, seconds)| (name.to_owned(), Duration::from_secs(seconds))).into();
    let section = DnsSection { service_ttl, ..DnsSection::default() };
    let world = stocked(Setup { section, ..Setup::default() }).await;
    world
        .check(
            "web.service.consul.",
            A,
            "NOERROR aa\nweb.service.consul. 5 A 10.0.0.2\nweb.service.consul. 5 A 10.1.0.2",
        )
        .await;
    world
        .check(
            "alias.service.consul.",
            A,
            "NOERROR aa
        alias.service.consul. 1 CNAME web.service.consul.
        web.service.consul. 1 A 10.0.0.2
        web.service.consul. 1 A 10.1.0.2",
        )
        .await;
    world
        .check(
            "six.service.consul.",
            SRV,
            "NOERROR aa
        six.service.consul. 1 SRV 1 1 85 20010db8000000000000000000000006.addr.dc1.consul.
        more 20010db8000000000000000000000006.addr.dc1.consul. 1 AAAA 2001:db8::6
        more n2.node.dc1.consul. 1 TXT b=c
        more n2.node.dc1.consul. 1 TXT zone=a",
        )
        .await;
    // Another configuration holds from the next question on.
    let other = concord_dns::Settings::new(
        DnsSection::default(),
        world.answerer.settings().datacenter.clone(),
        "consul.",
        None,
    );
    world.answerer.configure(other);
    world
        .check(
            "web.service.consul.",
            A,
            "NOERROR aa\nweb.service.consul. 0 A 10.0.0.2\nweb.service.consul. 0 A 10.1.0.2",
        )
        .await;
    world.stop().await;
}

#[tokio::test]
async fn flags_of_the_question_are_repeated() {
    let world = stocked(Setup::default()).await;
    let mut asked = question("web.service.consul.", A);
    for (desired, disabled) in [(false, false), (true, false), (false, true)] {
        asked.metadata.recursion_desired = desired;
        asked.metadata.checking_disabled = disabled;
        let Message { metadata, queries, .. } = world.ask_with(&asked).await;
        assert_eq!((metadata.recursion_desired, metadata.checking_disabled), (desired, disabled));
        assert_eq!((metadata.id, queries), (4711, asked.queries.clone()));
    }
    world.stop().await;
}
