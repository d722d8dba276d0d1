//! Handshakes in memory: which peers are accepted, which are refused, and that no session is resumed.

use std::time::Duration;

use concord_model::TrustDomain;
use rustls::{ClientConnection, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};

use super::*;
use crate::testing::{World, matrix};
use crate::verify::TrustBundle;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

#[derive(Debug)]
struct At(std::sync::atomic::AtomicI64);

impl TimeSource for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

fn at(now: Timestamp) -> Arc<At> {
    Arc::new(At(now.secs().into()))
}

struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    fn new(client: ClientConfig, server: ServerConfig) -> Self {
        let name = ServerName::try_from("api.default.dc1.internal.consul").unwrap();
        Self {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
        }
    }

    /// Passes bytes between both sides until both have finished or one has failed.
    fn shake(&mut self) -> Result<(), Error> {
        for _ in 0..10 {
            let mut wire = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                self.server.read_tls(&mut rest).unwrap();
                self.server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut wire).unwrap();
            }
            let mut rest = &wire[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).unwrap();
                self.client.process_new_packets()?;
            }
        }
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        Ok(())
    }
}

/// A slot that holds a leaf of a service.
fn slot(world: &World, name: &str, time: &Arc<At>) -> Arc<LeafSlot> {
    let leaf = world.leaf(&world.service(name), &world.root);
    let slot = LeafSlot::new(Arc::clone(time) as Arc<dyn TimeSource>);
    slot.publish(Presented::try_new(&leaf.pem(), &world.leaf_key.private_key().unwrap()).unwrap());
    Arc::new(slot)
}

fn service(world: &World, name: &str) -> ServiceIdentity {
    world.service(name).service().unwrap().clone()
}

fn configs(world: &World, time: &Arc<At>, expected: &[ServiceIdentity]) -> (ClientConfig, ServerConfig) {
    let bundles = || Arc::clone(&world.bundle) as Arc<dyn Bundles>;
    let time = || Arc::clone(time) as Arc<dyn TimeSource>;
    let at_now = at(NOW);
    let client = client_config(
        time(),
        MeshVerifier::of_servers(bundles(), expected.iter().cloned()),
        slot(world, "web", &at_now),
    );
    let server = server_config(time(), MeshVerifier::of_clients(bundles()), slot(world, "api", &at_now));
    (client.unwrap(), server.unwrap())
}

#[test]
fn services_of_the_mesh_shake_hands() {
    let world = World::at(NOW);
    let (client, server) = configs(&world, &at(NOW), &[service(&world, "api")]);
    let mut pair = Pair::new(client, server);
    pair.shake().unwrap();
    assert_eq!(pair.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = pair.client.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    let seen = read_verified_leaf(&pair.server.peer_certificates().unwrap()[0]).unwrap();
    assert_eq!(seen.id, world.service("web"));
}

#[test]
fn tls_1_2_is_spoken_too() {
    let world = World::at(NOW);
    let time = at(NOW);
    let (_, server) = configs(&world, &time, &[]);
    let verifier =
        MeshVerifier::of_servers(Arc::clone(&world.bundle) as Arc<dyn Bundles>, [service(&world, "api")]);
    let old = ClientConfig::builder_with_details(
        provider(),
        Arc::new(TlsTime(Arc::clone(&time) as Arc<dyn TimeSource>)),
    )
    .with_protocol_versions(&[&rustls::version::TLS12])
    .unwrap()
    .dangerous()
    .with_custom_certificate_verifier(Arc::new(verifier))
    .with_client_cert_resolver(slot(&world, "web", &time));
    let mut pair = Pair::new(old, server);
    pair.shake().unwrap();
    assert_eq!(pair.server.protocol_version(), Some(ProtocolVersion::TLSv1_2));
}

#[track_caller]
fn refusal(outcome: Result<(), Error>) -> Refusal {
    Refusal::in_tls_error(&outcome.expect_err("must be refused")).expect("a reason of ours").clone()
}

#[test]
fn n_85_the_server_asked_for_is_pinned() {
    let world = World::at(NOW);
    let mut others = vec![service(&world, "api"); 5];
    others[0].service = concord_model::ServiceName::parse("ap").unwrap();
    others[1].namespace = concord_model::Namespace::parse("blue").unwrap();
    others[2].partition = concord_model::Partition::parse("team").unwrap();
    others[3].datacenter = concord_model::Datacenter::parse("dc2").unwrap();
    others[4].trust_domain = TrustDomain::parse("other.consul").unwrap();
    for expected in others.iter().map(std::slice::from_ref).chain([&[][..]]) {
        let (client, server) = configs(&world, &at(NOW), expected);
        let refused = refusal(Pair::new(client, server).shake());
        let presented = Box::new(service(&world, "api"));
        assert_eq!(refused, Refusal::WrongService { expected: expected.into(), presented });
    }
}

/// Presents any certificate, without a check.
#[derive(Debug)]
struct Shameless(Arc<CertifiedKey>);

impl ResolvesClientCert for Shameless {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn n_85_the_matrix_is_refused_in_handshakes() {
    let world = World::at(NOW);
    for case in matrix(&world) {
        let pem = case.key.private_key().unwrap();
        let document = pem::decode_one(pem::EC_KEY, pem.expose()).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&PrivateKeyDer::Sec1(document.into()))
            .unwrap();
        let (mut client, server) = configs(&world, &at(NOW), &[service(&world, "api")]);
        client.client_auth_cert_resolver =
            Arc::new(Shameless(Arc::new(CertifiedKey::new(case.chain.clone(), key))));
        let outcome = Pair::new(client, server).shake();
        assert_eq!(refusal(outcome), case.expected, "{}", case.name);
    }
}

#[test]
fn n_85_a_client_without_certificate_is_refused() {
    let world = World::at(NOW);
    let (mut client, server) = configs(&world, &at(NOW), &[service(&world, "api")]);
    client.client_auth_cert_resolver = Arc::new(LeafSlot::new(at(NOW)));
    assert_eq!(Pair::new(client, server).shake(), Err(Error::NoCertificatesPresented));
}

#[test]
fn n_86_nothing_is_resumed() {
    let world = World::at(NOW);
    let (client, server) = configs(&world, &at(NOW), &[service(&world, "api")]);
    let (client, server) = (Arc::new(client), Arc::new(server));
    let name = || ServerName::try_from("api.default.dc1.internal.consul").unwrap();
    for _ in 0..3 {
        let mut pair = Pair {
            client: ClientConnection::new(Arc::clone(&client), name()).unwrap(),
            server: ServerConnection::new(Arc::clone(&server)).unwrap(),
        };
        pair.shake().unwrap();
        assert_eq!(pair.client.tls13_tickets_received(), 0);
        assert_eq!(pair.server.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn n_86_a_removed_root_ends_trust_at_the_next_handshake() {
    let world = World::at(NOW);
    let swap = Arc::new(arc_swap::ArcSwap::new(Arc::clone(&world.bundle)));
    let time = at(NOW);
    let verifier = MeshVerifier::of_clients(Arc::clone(&swap) as Arc<dyn Bundles>);
    let server = Arc::new(
        server_config(Arc::clone(&time) as Arc<dyn TimeSource>, verifier, slot(&world, "api", &time))
            .unwrap(),
    );
    let shake = || {
        let (client, _) = configs(&world, &time, &[service(&world, "api")]);
        let name = ServerName::try_from("api").unwrap();
        let client = ClientConnection::new(Arc::new(client), name).unwrap();
        Pair { client, server: ServerConnection::new(Arc::clone(&server)).unwrap() }.shake()
    };
    shake().unwrap();
    swap.store(Arc::new(TrustBundle::default()));
    assert_eq!(refusal(shake()), Refusal::UnknownTrustDomain(world.trust_domain.clone()));
}

#[test]
fn n_87_early_data_is_neither_sent_nor_taken() {
    let world = World::at(NOW);
    let (client, server) = configs(&world, &at(NOW), &[service(&world, "api")]);
    assert!(!client.enable_early_data);
    assert_eq!((server.max_early_data_size, server.send_tls13_tickets), (0, 0));
    assert!(Pair::new(client, server).client.early_data().is_none());
}

#[test]
fn an_expired_leaf_is_never_presented() {
    let world = World::at(NOW);
    let time = at(NOW);
    let slot = slot(&world, "web", &time);
    let end = slot.current().unwrap().leaf().not_after;
    time.0.store(end.secs(), std::sync::atomic::Ordering::Relaxed);
    assert!(slot.current().is_some());
    time.0.store(end.plus(Duration::from_secs(1)).secs(), std::sync::atomic::Ordering::Relaxed);
    assert!(slot.current().is_none() && !slot.has_certs());
}

#[test]
fn a_key_that_is_not_the_leafs_is_not_presented() {
    let world = World::at(NOW);
    let leaf = world.leaf(&world.service("web"), &world.root);
    let other = world.key().private_key().unwrap();
    assert_eq!(Presented::try_new(&leaf.pem(), &other).err(), Some(PresentError::Key));
}
