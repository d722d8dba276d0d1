//! Who may call: refused before the service sees anything, cut when the rules change.

use std::sync::Arc;

use concord_model::intention::{Action, JwtProviderRequirement, JwtRequirement, ServiceIntentions};
use concord_rpc::SnapshotSource;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::world::{
    Local, Mesh, Peer, Script, Sidecar, UpstreamParts, allow, app_is_refused, closed_without_a_byte, deny,
    entry, eventually, exchange, is_refused, logged, options, pause, within,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_79_without_an_intention_the_service_sees_nothing() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api = Sidecar::before(&mesh, "api79", local.address, |_| {}).await;
    let web = Sidecar::calling(&mesh, "web", [UpstreamParts::of("api79", &[api.public()])]).await;
    assert!(app_is_refused(web.upstream("api79")).await);
    assert!(is_refused(api.public(), Peer::client(&mesh, "web", "api79")).await);
    assert_eq!((local.connections(), local.bytes()), (0, 0));
    eventually(|| logged(&["connection decided", "destination=api79", "verdict=\"deny\"", "ACLs"])).await;
    api.change(|parts| parts.entries = vec![allow("web", "api79")]).await;
    let mut app = TcpStream::connect(web.upstream("api79")).await.unwrap();
    exchange(&mut app, "now").await.unwrap();
    assert!(is_refused(api.public(), Peer::client(&mesh, "other", "api79")).await, "only web is allowed");
    assert_eq!(local.connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_82b_names_are_compared_not_matched() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let rules = [("web.v1", Action::Allow), ("a+b", Action::Allow)];
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![entry("api", &rules)])
            .await;
    for caller in ["webxv1", "web", "aab", "ab"] {
        assert!(is_refused(api.public(), Peer::client(&mesh, caller, "api")).await, "{caller}");
    }
    assert_eq!(local.connections(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_88_a_flip_to_deny_cuts_what_it_denies_and_nothing_else() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let both = entry("api", &[("web", Action::Allow), ("db", Action::Allow)]);
    let api = Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![both]).await;
    let web = Sidecar::calling(&mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    let mut db = Peer::dial(api.public(), Peer::client(&mesh, "db", "api")).await.unwrap();
    exchange(&mut app, "one").await.unwrap();
    exchange(&mut db, "two").await.unwrap();
    let flipped = entry("api", &[("web", Action::Deny), ("db", Action::Allow)]);
    api.change(|parts| parts.entries = vec![flipped]).await;
    assert!(closed_without_a_byte(&mut app).await);
    exchange(&mut db, "still here").await.unwrap();
    let seen = local.connections();
    assert!(is_refused(api.public(), Peer::client(&mesh, "web", "api")).await);
    assert_eq!(local.connections(), seen);
    assert_eq!(api.proxy.inbound_connections(), 1);
    eventually(|| {
        logged(&["connection ended", "src=\"default/default//web\"", "cut: an intention denies it now"])
            || logged(&["connection ended", "web", "cut: an intention denies it now"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_88_the_switch_leaves_live_connections_and_refuses_new_ones() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let target =
        concord_proxycfg::LocalTarget::Tcp { host: "127.0.0.1".to_owned(), port: local.address.port() };
    let script = Script::new(&mesh, "api", Some(target));
    script.change(|parts| parts.entries = vec![allow("web", "api")]);
    let options = concord_proxy::Options { cut_denied: false, ..options() };
    let api = Sidecar::start_on(&mesh, Arc::clone(&script), script as Arc<dyn SnapshotSource>, options);
    api.ready().await;
    let mut live = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut live, "before").await.unwrap();
    api.change(|parts| parts.entries = vec![deny("web", "api")]).await;
    exchange(&mut live, "after").await.unwrap();
    assert!(is_refused(api.public(), Peer::client(&mesh, "web", "api")).await);
    assert_eq!(local.connections(), 1);
}

/// A connection that is being decided while the rule changes is refused or cut, never left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_88_no_connection_slips_through_a_flip() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api = Sidecar::before(&mesh, "api", local.address, |_| {}).await;
    let (address, config) = (api.public(), Peer::client(&mesh, "web", "api"));
    for round in 0..60 {
        api.change(|parts| parts.entries = vec![allow("web", "api")]).await;
        let dials: Vec<_> = (0..6)
            .map(|_| {
                let config = config.clone();
                mesh.scope.spawn("dial", async move {
                    let mut stream = Peer::dial(address, config).await.ok()?;
                    // Held until it ends by itself.
                    let mut heard = [0; 1];
                    Some(matches!(within(stream.read(&mut heard)).await, Ok(1)))
                })
            })
            .collect();
        for _ in 0..round % 6 {
            pause().await;
        }
        api.change(|parts| parts.entries = vec![deny("web", "api")]).await;
        for dial in dials {
            assert_ne!(dial.join().await, Ok(Some(true)));
        }
        eventually(|| api.proxy.inbound_connections() == 0).await;
    }
    assert_eq!(local.bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_247_where_a_token_is_demanded_no_connection_passes() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let all = entry("*", &[("*", Action::Allow)]);
    let own = entry("api", &[("web", Action::Allow)]);
    let open = vec![own.clone(), all.clone()];
    let api = Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = open).await;
    let mut web = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut web, "one").await.unwrap();
    let provider = JwtProviderRequirement { name: "okta".to_owned(), verify_claims: Vec::new() };
    let demanding = ServiceIntentions { jwt: Some(JwtRequirement { providers: vec![provider] }), ..own };
    api.change(|parts| parts.entries = vec![demanding, all]).await;
    // Neither whom the entry names, nor whom only a less exact one allows.
    for caller in ["web", "db"] {
        assert!(is_refused(api.public(), Peer::client(&mesh, caller, "api")).await, "{caller}");
    }
    eventually(|| api.proxy.inbound_connections() == 0).await;
    assert_eq!(local.connections(), 1, "the service sees nothing of it");
}
