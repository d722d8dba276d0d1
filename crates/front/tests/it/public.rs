//! Consul's public gRPC services, asked by a real client.

use concord_ca::{Certificate, Csr, KeyMaker as _, OsKeys};
use concord_model::SpiffeId;
use concord_model::ca::KeyKind;
use concord_public_proto::{acl, connectca, dataplane, serverdiscovery};
use futures::StreamExt as _;
use http::uri::PathAndQuery;
use serde_json::json;
use tonic::client::Grpc;
use tonic::codec::Streaming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::acl::token;
use crate::world::{ROOT, Setup, World};

/// A client with a token.
struct Client {
    grpc: Grpc<Channel>,
    token: String,
}

impl Client {
    async fn of(world: &World, token: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{}", world.grpc)).unwrap();
        Self { grpc: Grpc::new(endpoint.connect().await.unwrap()), token: token.to_owned() }
    }

    fn request<A>(&self, message: A) -> Request<A> {
        let mut request = Request::new(message);
        if !self.token.is_empty() {
            request.metadata_mut().insert("x-consul-token", self.token.parse().unwrap());
        }
        request
    }

    async fn ask<A, T>(&mut self, path: &'static str, message: A) -> Result<T, Status>
    where
        A: prost::Message + Send + Sync + 'static,
        T: prost::Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await.unwrap();
        let request = self.request(message);
        let path = PathAndQuery::from_static(path);
        self.grpc.unary(request, path, ProstCodec::<A, T>::default()).await.map(tonic::Response::into_inner)
    }

    async fn watch<A, T>(&mut self, path: &'static str, message: A) -> Result<Streaming<T>, Status>
    where
        A: prost::Message + Send + Sync + 'static,
        T: prost::Message + Default + Send + Sync + 'static,
    {
        self.grpc.ready().await.unwrap();
        let request = self.request(message);
        let path = PathAndQuery::from_static(path);
        let answer = self.grpc.server_streaming(request, path, ProstCodec::<A, T>::default()).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn servers(&mut self) -> Result<Streaming<serverdiscovery::WatchServersResponse>, Status> {
        self.watch(serverdiscovery::WATCH_SERVERS, serverdiscovery::WatchServersRequest { wan: false }).await
    }

    async fn roots(&mut self) -> Result<Streaming<connectca::WatchRootsResponse>, Status> {
        self.watch(connectca::WATCH_ROOTS, connectca::WatchRootsRequest {}).await
    }

    async fn params(&mut self, asked: dataplane::ParamsRequest) -> Result<dataplane::ParamsResponse, Status> {
        self.ask(dataplane::PARAMS, asked).await
    }
}

fn code<T>(result: Result<T, Status>) -> Code {
    result.err().expect("a refusal").code()
}

#[tokio::test]
async fn the_servers_are_told_at_once_and_without_a_port() {
    let world = Setup::default().start().await;
    let mut client = Client::of(&world, "").await;
    let mut stream = world.guard(client.servers()).await.unwrap();
    let told = world.guard(stream.next()).await.unwrap().unwrap();
    let [server] = told.servers.as_slice() else { panic!("{told:?}") };
    assert_eq!(server.address, "127.0.0.1");
    assert_eq!(server.id, "11111111-0000-4000-8000-000000000001");
    world.stop().await;
}

/// Where there are ACLs, nobody without a valid token is answered.
#[tokio::test]
async fn n_272_public_services_answer_nobody_without_a_valid_token() {
    let world = Setup::guarded().start().await;
    for token in ["", "anonymous", "11111111-2222-4000-8000-000000000001"] {
        let mut client = Client::of(&world, token).await;
        assert_eq!(code(client.servers().await), Code::Unauthenticated, "{token}");
        assert_eq!(code(client.roots().await), Code::Unauthenticated, "{token}");
        let features =
            client.ask::<_, dataplane::FeaturesResponse>(dataplane::FEATURES, dataplane::FeaturesRequest {});
        assert_eq!(code(features.await), Code::Unauthenticated, "{token}");
    }
    // A token that may do nothing else.
    let (_, secret) = token(&world, "").await;
    let mut client = Client::of(&world, &secret).await;
    let told = world.guard(client.servers().await.unwrap().next()).await.unwrap().unwrap();
    assert_eq!(told.servers.len(), 1);
    let features: dataplane::FeaturesResponse =
        client.ask(dataplane::FEATURES, dataplane::FeaturesRequest {}).await.unwrap();
    let features: Vec<_> =
        features.supported_dataplane_features.iter().map(|own| (own.feature_name, own.supported)).collect();
    assert_eq!(features, [(1, true), (2, true), (3, true), (4, false)]);
    world.stop().await;
}

#[tokio::test]
async fn n_273_streams_end_when_their_token_is_deleted() {
    let world = Setup::guarded().start().await;
    let (accessor, secret) = token(&world, "").await;
    let mut client = Client::of(&world, &secret).await;
    let mut servers = client.servers().await.unwrap();
    let mut roots = client.roots().await.unwrap();
    assert!(world.guard(servers.next()).await.unwrap().is_ok());
    assert!(world.guard(roots.next()).await.unwrap().is_ok());
    world.delete(&format!("/v1/acl/token/{accessor}")).token(ROOT).ok().await;
    assert_eq!(code(world.guard(servers.next()).await.unwrap()), Code::Unauthenticated);
    assert_eq!(code(world.guard(roots.next()).await.unwrap()), Code::Unauthenticated);
    assert!(world.guard(servers.next()).await.is_none());
    world.stop().await;
}

#[tokio::test]
async fn roots_are_told_at_once_and_when_they_change() {
    let world = Setup::default().start().await;
    let mut client = Client::of(&world, "").await;
    let mut stream = client.roots().await.unwrap();
    let first = world.guard(stream.next()).await.unwrap().unwrap();
    let [root] = first.roots.as_slice() else { panic!("{first:?}") };
    assert!(root.active && root.root_cert.starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!((&root.id, root.rotated_out_at), (&first.active_root_id, None));
    let body = json!({ "Provider": "consul", "Config": { "PrivateKeyType": "ec", "PrivateKeyBits": 384 } });
    world.put("/v1/connect/ca/configuration", body.to_string()).ok().await;
    let second = loop {
        let told = world.guard(stream.next()).await.unwrap().unwrap();
        if told.active_root_id != first.active_root_id {
            break told;
        }
    };
    let old = second.roots.iter().find(|root| root.id == first.active_root_id).expect("it stays");
    assert!(!old.active && old.rotated_out_at.is_some());
    world.stop().await;
}

#[tokio::test]
async fn n_274_a_leaf_is_signed_for_whoever_may_write_its_service() {
    let world = Setup::guarded().start().await;
    let mut root = Client::of(&world, ROOT).await;
    let roots = world.guard(root.roots().await.unwrap().next()).await.unwrap().unwrap();
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let uri = format!("spiffe://{}/ns/default/dc/dc1/svc/web", roots.trust_domain);
    let csr = Csr::build(&*key, &SpiffeId::parse(&uri).unwrap()).unwrap();
    let sign = connectca::SignRequest { csr };
    let (_, secret) = token(&world, r#"service "web" { policy = "write" }"#).await;
    let mut client = Client::of(&world, &secret).await;
    let leaf: connectca::SignResponse = client.ask(connectca::SIGN, sign.clone()).await.unwrap();
    let leaf = Certificate::parse_pem(&leaf.cert_pem).unwrap();
    assert_eq!(leaf.uris().collect::<Vec<_>>(), [uri.as_str()]);

    let (_, other) = token(&world, r#"service "web" { policy = "read" }"#).await;
    let mut client = Client::of(&world, &other).await;
    let refused = client.ask::<_, connectca::SignResponse>(connectca::SIGN, sign.clone()).await;
    assert_eq!(code(refused), Code::PermissionDenied);
    let mut client = Client::of(&world, "").await;
    let refused = client.ask::<_, connectca::SignResponse>(connectca::SIGN, sign).await;
    assert_eq!(code(refused), Code::PermissionDenied);
    for csr in ["", "no request"] {
        let empty = connectca::SignRequest { csr: csr.to_owned() };
        assert_eq!(
            code(root.ask::<_, connectca::SignResponse>(connectca::SIGN, empty).await),
            Code::InvalidArgument
        );
    }
    world.stop().await;
}

/// A proxy in the catalog, as something other than an agent registers it.
async fn register(world: &World) {
    let body = json!({
        "Node": "synthetic", "ID": "22222222-0000-4000-8000-000000000002", "Address": "10.0.0.9",
        "Service": {
            "Kind": "connect-proxy", "ID": "web-sidecar-proxy", "Service": "web-sidecar-proxy", "Port": 21000,
            "Proxy": { "DestinationServiceName": "web", "Config": { "envoy_stats_tags": ["team=a"] } },
        },
    });
    world.put("/v1/catalog/register", body.to_string()).token(ROOT).ok().await;
    let entry = json!({
        "Kind": "proxy-defaults", "Name": "global", "Config": { "protocol": "http" },
        "AccessLogs": { "Enabled": true, "Type": "file", "Path": "/log" },
    });
    world.put("/v1/config", entry.to_string()).token(ROOT).ok().await;
}

#[tokio::test]
async fn the_bootstrap_of_a_proxy_is_told_with_what_entries_say() {
    let world = Setup::guarded().start().await;
    register(&world).await;
    let (_, secret) = token(&world, r#"service "web-sidecar-proxy" { policy = "read" }"#).await;
    let mut client = Client::of(&world, &secret).await;
    let by_name = dataplane::ParamsRequest {
        node_name: "synthetic".to_owned(),
        proxy_id: "web-sidecar-proxy".to_owned(),
        ..dataplane::ParamsRequest::default()
    };
    let told = client.params(by_name.clone()).await.unwrap();
    assert_eq!(
        (told.identity.as_str(), told.service.as_str(), told.node_name.as_str()),
        ("web", "web", "synthetic")
    );
    assert_eq!(
        (told.datacenter.as_str(), told.namespace.as_str(), told.partition.as_str()),
        ("dc1", "default", "default")
    );
    let config = told.config.clone().unwrap();
    assert_eq!(config.fields.keys().collect::<Vec<_>>(), ["envoy_stats_tags", "protocol"]);
    assert!(told.access_logs[0].contains(r#""path":"/log""#), "{:?}", told.access_logs);
    let by_id = dataplane::ParamsRequest {
        node_id: "22222222-0000-4000-8000-000000000002".to_owned(),
        node_name: String::new(),
        ..by_name.clone()
    };
    assert_eq!(client.params(by_id).await.unwrap(), told);
    let nobody = dataplane::ParamsRequest { proxy_id: "other".to_owned(), ..by_name.clone() };
    assert_eq!(code(client.params(nobody).await), Code::NotFound);
    let nowhere = dataplane::ParamsRequest { node_name: "other".to_owned(), ..by_name };
    assert_eq!(code(client.params(nowhere).await), Code::NotFound);
    world.stop().await;
}

#[tokio::test]
async fn n_275_the_bootstrap_of_a_proxy_is_told_only_to_who_may_read_its_service() {
    let world = Setup::guarded().start().await;
    register(&world).await;
    let asked = dataplane::ParamsRequest {
        node_name: "synthetic".to_owned(),
        proxy_id: "web-sidecar-proxy".to_owned(),
        ..dataplane::ParamsRequest::default()
    };
    let (_, other) =
        token(&world, r#"service "web" { policy = "write" } node_prefix "" { policy = "read" }"#).await;
    for secret in [other.as_str(), ""] {
        let mut client = Client::of(&world, secret).await;
        assert_eq!(code(client.params(asked.clone()).await), Code::PermissionDenied, "{secret}");
    }
    let mut client = Client::of(&world, "11111111-2222-4000-8000-000000000001").await;
    assert_eq!(code(client.params(asked).await), Code::Unauthenticated);
    world.stop().await;
}

#[tokio::test]
async fn what_is_not_built_says_so_by_its_name() {
    let world = Setup::default().start().await;
    let mut client = Client::of(&world, "").await;
    let login = client.ask::<_, connectca::SignResponse>(acl::LOGIN, acl::LoginRequest::default()).await;
    let login = login.expect_err("it is not built");
    assert_eq!((login.code(), login.message()), (Code::Unimplemented, "ACL auth methods are not built"));
    let path = "/hashicorp.consul.dns.DNSService/Query";
    let dns = client.ask::<_, connectca::SignResponse>(path, connectca::WatchRootsRequest {}).await;
    let dns = dns.expect_err("it is not built");
    assert_eq!(
        (dns.code(), dns.message()),
        (Code::Unimplemented, "/hashicorp.consul.dns.DNSService/Query is not built")
    );
    world.stop().await;
}
