//! What the token of DNS may not see is not there.

use concord_model::Secret;
use concord_model::catalog::Registration;
use hickory_proto::rr::RecordType::{self, A, AAAA, ANY, MX, NS, PTR, SRV, TXT};

use crate::teller::told;
use crate::world::{ROOT, Setup, World, node, on, service};

const READS: &str = "node_prefix \"\" { policy = \"read\" } service_prefix \"\" { policy = \"read\" }";

async fn guarded() -> World {
    let world = Setup::default().start_with(READS).await;
    world.register(on(node("n2", "10.0.0.2"), service("web", "web", "10.1.0.2", 80))).await;
    world.register(on(node("n3", "10.0.0.3"), service("hidden", "hidden", "10.1.0.3", 81))).await;
    world.register(on(node("n3", "10.0.0.3"), service("Shouted", "shouted", "10.1.0.4", 82))).await;
    world.register(Registration::of(node("n4", "10.0.0.4"))).await;
    world
}

/// An answer with the name in it replaced, so that answers about two names can be compared.
async fn masked(world: &World, name: &str, kind: RecordType) -> String {
    told(&world.ask(name, kind).await).replace(name, "NAME")
}

#[tokio::test]
async fn n_25_what_may_not_be_read_is_as_what_is_absent() {
    let world = guarded().await;
    world.use_token("some", "node \"n2\" { policy = \"read\" } service \"web\" { policy = \"read\" }").await;
    world.until("n3.node.consul.", A, "NXDOMAIN").await;
    world.check("web.service.consul.", A, "NOERROR aa\nweb.service.consul. 0 A 10.1.0.2").await;
    let pairs = [
        ("hidden.service.consul.", "absent.service.consul."),
        ("shouted.service.consul.", "absent.service.consul."),
        ("Shouted.service.consul.", "absent.service.consul."),
        ("x.hidden.service.consul.", "x.absent.service.consul."),
        ("_hidden._tcp.service.consul.", "_absent._tcp.service.consul."),
        ("hidden.connect.consul.", "absent.connect.consul."),
        ("hidden.ingress.consul.", "absent.ingress.consul."),
        ("hidden.virtual.consul.", "absent.virtual.consul."),
        ("n3.node.consul.", "absent.node.consul."),
        ("n4.node.consul.", "absent.node.consul."),
        ("4.0.0.10.in-addr.arpa.", "9.0.0.10.in-addr.arpa."),
        ("3.0.1.10.in-addr.arpa.", "9.0.0.10.in-addr.arpa."),
    ];
    for (hidden, absent) in pairs {
        for kind in [A, AAAA, ANY, MX, NS, PTR, SRV, TXT] {
            assert_eq!(
                masked(&world, hidden, kind).await,
                masked(&world, absent, kind).await,
                "{hidden} {kind}"
            );
        }
    }
    // As of a service that may be read and has none: a refusal would tell the two apart.
    world.check("hidden.virtual.consul.", A, "NOERROR aa").await;
    // The node without the service, and the service without the node, are not enough.
    world.use_token("half", "service_prefix \"\" { policy = \"read\" }").await;
    world.until("web.service.consul.", A, "NXDOMAIN").await;
    world.stop().await;
}

#[tokio::test]
async fn the_token_of_a_question_counts_before_our_own() {
    let world = guarded().await;
    *world.token.lock() = None;
    world.until("web.service.consul.", A, "NXDOMAIN").await;
    let asked = crate::world::question("web.service.consul.", A).to_vec().unwrap();
    let root = Some(Secret::new(ROOT.to_owned()));
    let answer = world.answerer.answer(&asked, concord_dns::Transport::Udp, root).await.unwrap();
    assert_eq!(answer[3] & 0x0f, 0);
    // A token that nobody knows is no token without rights: the answer says that something is wrong.
    *world.token.lock() = Some(Secret::new("5d9e0b3c-0000-4000-8000-000000000001".to_owned()));
    world.check("web.service.consul.", A, "SERVFAIL aa").await;
    world.check("absent.service.consul.", A, "SERVFAIL aa").await;
    world.check("2.0.0.10.in-addr.arpa.", PTR, "SERVFAIL aa").await;
    world.stop().await;
}
