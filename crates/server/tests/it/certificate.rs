//! The certificate that a server keeps for itself.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use concord_ca::der::{self, primitive};
use concord_ca::x509::GeneralName;
use concord_ca::{Certificate, TrustBundle, Usage, verify_chain};
use concord_model::SpiffeId;
use concord_model::ca::CaRoots;
use concord_rpc::RpcError;
use concord_rpc::request::SignLeaf;
use concord_server::{CaStart, Names, Presented};
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use crate::csr::{naming, uri_name};
use crate::world::{HOUR, Host, ROOT, SECOND, Setup};

type Kept = watch::Receiver<Option<Arc<Presented>>>;

fn keep(host: &Host) -> Kept {
    let addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    host.server.certificate(Names { dns: vec!["localhost".to_owned()], addresses })
}

async fn first(kept: &mut Kept) -> Arc<Presented> {
    kept.wait_for(Option::is_some).await.unwrap().clone().unwrap()
}

fn chain(presented: &Presented) -> Vec<Certificate> {
    Certificate::parse_pem_chain(&presented.chain_pem).unwrap()
}

/// Verifies the chain against the roots, as a client does, and returns the identity in it.
fn verified(host: &Host, presented: &Presented, roots: &CaRoots) -> SpiffeId {
    let chain = chain(presented);
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|one| one.der().clone()).collect();
    let bundle = TrustBundle::from_roots(roots).unwrap();
    verify_chain(&chain, &bundle, host.now(), Usage::Server).unwrap().id
}

#[tokio::test(start_paused = true)]
async fn a_server_has_a_certificate_of_its_mesh_with_its_names() {
    let host = Setup::guarded().start().await;
    let mut kept = keep(&host);
    let presented = first(&mut kept).await;
    let roots = host.roots().await;
    let domain = roots.trust_domain.clone();
    let id = verified(&host, &presented, &roots);
    assert_eq!(id.to_string(), format!("spiffe://{domain}/agent/server/dc/dc1"));
    let leaf = chain(&presented).remove(0);
    let names = leaf.extensions().alternative_names.clone().unwrap().names;
    let plain: Vec<String> = names
        .iter()
        .map(|name| match name {
            GeneralName::Dns(name) | GeneralName::Uri(name) => String::from_utf8(name.clone()).unwrap(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(plain.len(), 4, "{plain:?}");
    assert_eq!(plain[1..3], [format!("server.dc1.peering.{domain}"), "localhost".to_owned()]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_servers_certificate_is_renewed_before_it_ends() {
    let settings = serde_json::from_str(r#"{"LeafCertTTL": "2h"}"#).unwrap();
    let ca = CaStart { settings, ..CaStart::default() };
    let host = Setup { ca, ..Setup::guarded() }.start().await;
    let mut kept = keep(&host);
    first(&mut kept).await;
    let mut serials = BTreeSet::new();
    for _ in 0..60 {
        tokio::time::sleep(HOUR / 10).await;
        let presented = kept.borrow().clone().unwrap();
        verified(&host, &presented, &host.roots().await);
        serials.insert(chain(&presented)[0].serial_text());
    }
    assert!((3..=8).contains(&serials.len()), "{serials:?}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_servers_certificate_follows_the_root() {
    let host = Setup::guarded().start().await;
    let mut kept = keep(&host);
    let old = first(&mut kept).await;
    let before = host.roots().await;
    kept.mark_unchanged();
    host.configure(r#"{"PrivateKeyBits": 384}"#).await.unwrap();
    kept.changed().await.unwrap();
    let new = kept.borrow().clone().unwrap();
    let after = host.roots().await;
    assert_ne!(before.active_root_id, after.active_root_id);
    let only_new = CaRoots {
        roots: after.roots.iter().filter(|root| root.id == after.active_root_id).cloned().collect(),
        ..after.clone()
    };
    verified(&host, &new, &only_new);
    // Clients that know only the old root verify it by the cross-signed one.
    verified(&host, &new, &before);
    assert_ne!(old.key.expose(), new.key.expose());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_an_authority_there_is_no_certificate() {
    let ca = CaStart { enabled: false, ..CaStart::default() };
    let host = Setup { ca, ..Setup::guarded() }.start().await;
    let mut kept = keep(&host);
    assert!(kept.changed().await.is_err(), "nobody keeps one");
    assert!(kept.borrow().is_none());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_340_no_request_gets_the_identity_or_the_name_of_a_server() {
    let host = Setup::guarded().start().await.with_ca().await;
    let domain = host.roots().await.trust_domain;
    // The token may do everything.
    let submit = async |csr: String| host.ask_as(ROOT, SignLeaf { csr }).await;
    let server = uri_name(&format!("spiffe://{domain}/agent/server/dc/dc1"));
    match submit(naming(&[server])).await {
        Err(RpcError::Denied(text)) => assert!(text.contains("identities of kind \"server\""), "{text}"),
        other => panic!("{other:?}"),
    }
    let service = uri_name(&format!("spiffe://{domain}/ns/default/dc/dc1/svc/server"));
    let name = der::value(primitive(2), format!("server.dc1.peering.{domain}").as_bytes());
    match submit(naming(&[service.clone(), name])).await {
        Err(RpcError::Invalid(text)) => assert!(text.contains("DNS name"), "{text}"),
        other => panic!("{other:?}"),
    }
    // A service gets its identity, and no name for hosts with it.
    let leaf = submit(naming(&[service])).await.unwrap();
    let leaf = Certificate::parse_pem_chain(&leaf.cert_pem).unwrap().remove(0);
    let names = leaf.extensions().alternative_names.clone().unwrap().names;
    assert!(matches!(names.as_slice(), [GeneralName::Uri(_)]), "{names:?}");
    tokio::time::sleep(SECOND).await;
    host.stop().await;
}
