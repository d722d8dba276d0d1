//! Discovery chains, as they are asked for.

use concord_mesh::chain::{CompiledChain, Overrides};
use concord_model::entry::{Entry, GatewayMode};
use concord_model::{Datacenter, Timeout};
use concord_rpc::RpcError;
use concord_rpc::request::{ApplyEntry, ReadChain, SetServiceAddresses};

use crate::world::{Host, ROOT, Setup, target};

fn question(of: &str) -> ReadChain {
    ReadChain { service: target(of), datacenter: None, overrides: Overrides::default() }
}

pub(crate) async fn write(host: &Host, kind: &str, name: &str, said: &str) {
    let scope = format!(r#"{{"namespace": "default", "name": "{name}"}}"#);
    let text = format!(r#"{{"{kind}": {{"scope": {scope}, "said": {{{said}}}}}}}"#);
    let entry: Entry = serde_json::from_str(&text).unwrap();
    assert!(host.ask_as(ROOT, ApplyEntry { entry, cas: None }).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_chain_is_compiled_for_whoever_asks() {
    let host = Setup::open().start().await.with_ca().await;
    write(&host, "service-resolver", "web", r#""failover": {"*": {"datacenters": ["dc1", "dc7"]}}"#).await;
    let chain = host.ask(question("web")).await.unwrap().value;
    let domain = host.roots().await.trust_domain;
    let ids: Vec<_> = chain.targets.keys().map(String::as_str).collect();
    assert_eq!(ids, ["web.default.default.dc1", "web.default.default.dc7"]);
    let sni = format!("web.default.dc1.internal.{domain}");
    assert_eq!(chain.targets["web.default.default.dc1"].sni, sni);
    let elsewhere = ReadChain { datacenter: Some(Datacenter::parse("dc7").unwrap()), ..question("web") };
    let chain = host.ask(elsewhere).await.unwrap().value;
    assert_eq!(
        (chain.datacenter.as_str(), chain.start.key.as_str()),
        ("dc7", "resolver:web.default.default.dc7")
    );
    let overrides = Overrides {
        mesh_gateway: GatewayMode::Local,
        connect_timeout: Timeout::from_nanos(7),
        ..Overrides::default()
    };
    let chain = host.ask(ReadChain { overrides, ..question("web") }).await.unwrap().value;
    assert_eq!(chain.targets["web.default.default.dc1"].mesh_gateway, GatewayMode::Local);
    assert_eq!(chain.customization_hash.len(), 8);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_changes_with_the_entries_that_it_reads_and_no_others() {
    let host = Setup::open().start().await.with_ca().await;
    write(&host, "service-resolver", "web", r#""failover": {"*": {"service": "api"}}"#).await;
    let mut index = host.ask(question("web")).await.unwrap().index;
    let beside = [
        ("service-resolver", "other", r#""connect_timeout": 1"#),
        ("service-defaults", "other", ""),
        ("mesh", "mesh", ""),
    ];
    write(&host, "service-defaults", "api", r#""protocol": "tcp""#).await;
    let now = host.ask(question("web")).await.unwrap().index;
    assert!(now > index, "it reads the defaults of what it leads to");
    index = now;
    for (kind, name, said) in beside {
        write(&host, kind, name, said).await;
        assert_eq!(host.ask(question("web")).await.unwrap().index, index, "{kind} {name}");
    }
    for (kind, name, said) in
        [("service-resolver", "api", r#""connect_timeout": 1"#), ("proxy-defaults", "global", "")]
    {
        write(&host, kind, name, said).await;
        let now = host.ask(question("web")).await.unwrap().index;
        assert!(now > index, "{kind} {name}");
        index = now;
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_tells_the_virtual_addresses_of_its_service() {
    let host = Setup::open().start().await.with_ca().await;
    let addresses =
        |chain: &CompiledChain| (chain.auto_virtual_ips.clone(), chain.manual_virtual_ips.clone());
    let before = host.ask(question("web")).await.unwrap();
    assert_eq!(addresses(&before.value), (vec![], vec![]));
    write(&host, "service-defaults", "other", "").await;
    assert_eq!(host.ask(question("web")).await.unwrap().index, before.index, "another service has one");
    write(&host, "service-defaults", "web", "").await;
    let assigned = host.ask(question("web")).await.unwrap();
    assert_eq!(addresses(&assigned.value), (vec!["240.0.0.2".to_owned()], vec![]));
    let given = ["192.0.2.9", "192.0.2.1"].map(|text| text.parse().unwrap()).to_vec();
    host.ask(SetServiceAddresses { service: target("web"), addresses: given }).await.unwrap();
    let given = host.ask(question("web")).await.unwrap();
    assert!(given.index > assigned.index, "who waits is woken");
    let manual = ["192.0.2.1", "192.0.2.9"].map(str::to_owned).to_vec();
    assert_eq!(addresses(&given.value), (vec!["240.0.0.2".to_owned()], manual));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_188_a_chain_is_for_whoever_may_read_the_service() {
    let host = Setup::guarded().start().await.with_ca().await;
    let own = host.token("own", r#"service "web" { policy = "read" }"#).await;
    let other = host.token("other", r#"service "api" { policy = "write" } mesh = "write""#).await;
    assert!(host.ask_as(own.secret.as_str(), question("web")).await.is_ok());
    let denied = host.ask_as(other.secret.as_str(), question("web")).await;
    assert!(matches!(denied, Err(RpcError::Denied(_))), "{denied:?}");
    host.stop().await;
}
