//! Certificates and roots that change under traffic.

use std::time::Duration;

use tokio::net::TcpStream;

use crate::world::{
    Local, Mesh, Mood, Peer, Sidecar, UpstreamParts, allow, closed_without_a_byte, eventually, exchange,
    is_refused, logged, service, within,
};

async fn pair(mesh: &std::sync::Arc<Mesh>, local: &Local) -> (Sidecar, Sidecar) {
    let api =
        Sidecar::before(mesh, "api", local.address, |parts| parts.entries = vec![allow("web", "api")]).await;
    let web = Sidecar::calling(mesh, "web", [UpstreamParts::of("api", &[api.public()])]).await;
    (web, api)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_is_rotated_under_traffic_and_the_old_one_ends() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let before = Peer::client(&mesh, "web", "api");
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    let mut peer = Peer::dial(api.public(), before.clone()).await.unwrap();
    exchange(&mut app, "before").await.unwrap();
    exchange(&mut peer, "before").await.unwrap();
    mesh.rotate();
    let roots = mesh.roots();
    let key = roots.active().unwrap().signing_key_id.clone();
    // Both roots are trusted before anybody presents a leaf of the new one; connections all the time.
    for sidecar in [&web, &api] {
        sidecar.change(|parts| parts.roots = roots.clone()).await;
        let mut during = TcpStream::connect(web.upstream("api")).await.unwrap();
        exchange(&mut during, "during").await.unwrap();
    }
    for sidecar in [&web, &api] {
        sidecar.until(|status| status.leaf_authority.as_ref() == Some(&key)).await;
    }
    let mut during = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut during, "during").await.unwrap();
    eventually(|| logged(&["upstream reached", &key])).await;
    // While the old root is trusted, its leaves are good.
    let mut old = Peer::dial(
        api.public(),
        Peer::shameless_client(
            &mesh,
            "api",
            &[mesh.trust.leaf(&mesh.trust.service("web"), &mesh.trust.root).der().clone()],
            &*mesh.trust.leaf_key,
        ),
    )
    .await
    .unwrap();
    exchange(&mut old, "old").await.unwrap();
    mesh.prune();
    for sidecar in [&web, &api] {
        sidecar.change(|parts| parts.roots = mesh.roots()).await;
    }
    let old_leaf = mesh.trust.leaf(&mesh.trust.service("web"), &mesh.trust.root).der().clone();
    let refused = Peer::shameless_client(&mesh, "api", &[old_leaf], &*mesh.trust.leaf_key);
    assert!(is_refused(api.public(), refused).await, "n_86: an old root's leaf has had its day");
    for stream in [&mut app, &mut during] {
        exchange(stream, "nobody was reset").await.unwrap();
    }
    exchange(&mut peer, "nobody was reset").await.unwrap();
    exchange(&mut old, "nobody was reset").await.unwrap();
    let mut after = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut after, "after").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_is_renewed_before_it_expires() {
    let mesh = Mesh::new();
    *mesh.leaf_life.lock() = Duration::from_secs(3600);
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "before").await.unwrap();
    for _ in 0..4 {
        // Nine tenths of its life are over for each, none has expired.
        mesh.clock.advance(Duration::from_secs(3300));
        for sidecar in [&web, &api] {
            let now = mesh.now();
            sidecar
                .until(|status| {
                    status.leaf_until.expect("never without") > now.plus(Duration::from_secs(3300))
                })
                .await;
        }
        let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
        exchange(&mut app, "still valid").await.unwrap();
    }
    let mut new = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut new, "renewed").await.unwrap();
    exchange(&mut app, "renewed").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_serves_until_the_leaf_expires_and_no_longer() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "before").await.unwrap();
    web.script.mood(Mood::Revoked);
    web.until(|status| !status.attached).await;
    eventually(|| logged(&["ERROR", "the agent refuses this proxy's token", "ACL not found"])).await;
    let mut more = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut more, "the last configuration stands").await.unwrap();
    // Only the leaf of `web` may not be renewed; the other side goes on.
    mesh.clock.advance(Duration::from_secs(73 * 3600));
    web.until(|status| status.leaf_authority.is_none()).await;
    api.in_time(&mesh, Duration::from_secs(1), |status| status.leaf_authority.is_some()).await;
    eventually(|| logged(&["degraded", "leaf_expired"])).await;
    let mut late = TcpStream::connect(web.upstream("api")).await.unwrap();
    assert!(closed_without_a_byte(&mut late).await);
    let remote = format!("remote={}", late.local_addr().unwrap());
    eventually(|| logged(&["connection refused", "no_leaf", &remote])).await;
    exchange(&mut app, "what is open stays open").await.unwrap();
    // The token comes back, and with it everything.
    web.script.mood(Mood::Well);
    web.in_time(&mesh, Duration::from_secs(10), |status| status.attached && status.leaf_authority.is_some())
        .await;
    let mut again = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut again, "again").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_142_a_proxy_whose_clock_is_set_back_presents_another_leaf() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (web, api) = pair(&mesh, &local).await;
    let until = mesh.now().plus(Duration::from_secs(72 * 3600 - 1200));
    mesh.clock.set_wall_back(Duration::from_secs(1800));
    eventually(|| logged(&["degraded", "leaf_not_yet_valid", "the clock of this machine was set back"]))
        .await;
    for sidecar in [&web, &api] {
        sidecar.until(|status| status.leaf_until.is_some_and(|own| own < until)).await;
    }
    let mut app = TcpStream::connect(web.upstream("api")).await.unwrap();
    exchange(&mut app, "by the clock of now").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_leaf_is_not_presented_though_nobody_withdrew_it() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let (_web, api) = pair(&mesh, &local).await;
    api.script.signs(false);
    let config = Peer::client(&mesh, "web", "api");
    mesh.clock.advance(Duration::from_secs(73 * 3600));
    let seen = local.connections();
    assert!(is_refused(api.public(), config).await);
    assert_eq!(local.connections(), seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_becomes_another_service_presents_nothing_until_it_can_prove_it() {
    let mesh = Mesh::new();
    let local = Local::echo(&mesh).await;
    let api =
        Sidecar::before(&mesh, "api", local.address, |parts| parts.entries = vec![allow("*", "api")]).await;
    let mut live = Peer::dial(api.public(), Peer::client(&mesh, "web", "api")).await.unwrap();
    exchange(&mut live, "as api").await.unwrap();
    api.script.signs(false);
    api.change(|parts| {
        parts.proxy.service = service("billing");
        parts.entries = vec![allow("*", "billing")];
    })
    .await;
    for name in ["api", "billing"] {
        assert!(Peer::dial(api.public(), Peer::client(&mesh, "web", name)).await.is_err(), "{name}");
    }
    api.script.signs(true);
    // The request that hangs is given up after its time.
    api.in_time(&mesh, Duration::from_secs(10), concord_proxy::ProxyStatus::is_ready).await;
    let mut stream = Peer::dial(api.public(), Peer::client(&mesh, "web", "billing")).await.unwrap();
    exchange(&mut stream, "as billing").await.unwrap();
    assert!(within(Peer::dial(api.public(), Peer::client(&mesh, "web", "api"))).await.is_err());
}
