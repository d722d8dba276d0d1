//! Envoy's discovery at the gRPC port: who may ask, what comes, and when it ends.

use std::time::Duration;

use concord_envoy_proto::Message;
use concord_envoy_proto::envoy::config::core::v3::node::UserAgentVersionType;
use concord_envoy_proto::envoy::config::core::v3::{BuildVersion, Node};
use concord_envoy_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use concord_envoy_proto::envoy::r#type::v3::SemanticVersion;
use concord_envoy_proto::google::rpc::Status as Refusal;
use concord_xds::ResourceType;
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status, Streaming};

use crate::world::{ROOT, Setup, World};

pub(crate) const DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const WHOLE: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
/// Within this time a change of rights ends a stream.
const RECHECKED: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Protobuf;

impl Codec for Protobuf {
    type Encode = DeltaDiscoveryRequest;
    type Decode = DeltaDiscoveryResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Protobuf {
    type Item = DeltaDiscoveryRequest;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Protobuf {
    type Item = DeltaDiscoveryResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        DeltaDiscoveryResponse::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// A stream as Envoy opens it.
pub(crate) struct Envoy {
    pub(crate) requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

pub(crate) fn node(id: &str, minor_number: u32) -> Node {
    let version = Some(SemanticVersion { major_number: 1, minor_number, patch: 0 });
    let build = BuildVersion { version, ..BuildVersion::default() };
    Node {
        id: id.to_owned(),
        user_agent_name: "envoy".to_owned(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentBuildVersion(build)),
        ..Node::default()
    }
}

pub(crate) fn asks(kind: ResourceType, node: Option<Node>) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { node, type_url: kind.url(), ..DeltaDiscoveryRequest::default() }
}

impl Envoy {
    pub(crate) async fn open(
        world: &World,
        path: &'static str,
        node: Node,
        token: &str,
    ) -> Result<Self, Status> {
        let address = format!("http://{}", world.grpc);
        let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.unwrap();
        let (requests, stream) = mpsc::channel(8);
        requests.send(asks(ResourceType::Cluster, Some(node))).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(stream));
        if !token.is_empty() {
            request.metadata_mut().insert("x-consul-token", token.parse().unwrap());
        }
        let path = PathAndQuery::from_static(path);
        let responses = world.guard(grpc.streaming(request, path, Protobuf)).await?.into_inner();
        Ok(Self { requests, responses })
    }

    pub(crate) async fn hears(&mut self, world: &World) -> DeltaDiscoveryResponse {
        world.guard(self.responses.message()).await.unwrap().expect("a response")
    }

    pub(crate) async fn answers(&self, response: &DeltaDiscoveryResponse) {
        let (type_url, response_nonce) = (response.type_url.clone(), response.nonce.clone());
        let answer = DeltaDiscoveryRequest { type_url, response_nonce, ..DeltaDiscoveryRequest::default() };
        self.requests.send(answer).await.unwrap();
    }

    pub(crate) async fn refuses(&self, response: &DeltaDiscoveryResponse, words: &str) {
        let (type_url, response_nonce) = (response.type_url.clone(), response.nonce.clone());
        let error_detail = Some(Refusal { message: words.to_owned(), ..Refusal::default() });
        let answer = DeltaDiscoveryRequest {
            type_url,
            response_nonce,
            error_detail,
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(answer).await.unwrap();
    }
}

/// Registers `web` with a sidecar.
pub(crate) async fn registered(world: &World) {
    let body = r#"{"Name": "web", "Port": 8080, "Connect": {"SidecarService": {"Port": 21000}}}"#;
    let answer = world.put("/v1/agent/service/register", body).token(ROOT).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A token with these rules, and the id of its policy.
pub(crate) async fn token(world: &World, rules: &str) -> (String, String) {
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let body = serde_json::json!({ "Name": "rules", "Rules": rules }).to_string();
    let policy = world.put("/v1/acl/policy", body).token(ROOT).send().await;
    let policy = json(&policy.body)["ID"].as_str().unwrap().to_owned();
    let body = serde_json::json!({ "Policies": [{ "ID": policy }] }).to_string();
    let token = world.put("/v1/acl/token", body).token(ROOT).send().await;
    (json(&token.body)["SecretID"].as_str().unwrap().to_owned(), policy)
}

#[track_caller]
fn check(opened: Result<Envoy, Status>, code: Code, words: &str) {
    let Err(status) = opened else { panic!("the stream is open") };
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(words), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_may_write_the_service_is_its_envoy() {
    let world = Setup::guarded().start().await;
    registered(&world).await;
    let open = |id: &'static str, token: &'static str| Envoy::open(&world, DELTA, node(id, 40), token);
    check(open("web-sidecar-proxy", "").await, Code::PermissionDenied, "Permission denied");
    let unknown = "00000000-1111-2222-3333-444444444444";
    check(open("web-sidecar-proxy", unknown).await, Code::Unauthenticated, "ACL not found");
    check(open("nobody", ROOT).await, Code::NotFound, "unknown service ID: nobody");
    check(open("web", ROOT).await, Code::InvalidArgument, "is not a sidecar");

    let (other, _) = token(&world, r#"service "web" { policy = "read" }"#).await;
    let opened = Envoy::open(&world, DELTA, node("web-sidecar-proxy", 40), &other).await;
    check(opened, Code::PermissionDenied, "service:write");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n_268_a_stream_ends_with_the_right_to_it() {
    let world = Setup::guarded().start().await;
    registered(&world).await;
    let (own, policy) = token(&world, r#"service "web" { policy = "write" }"#).await;
    let mut envoy = Envoy::open(&world, DELTA, node("web-sidecar-proxy", 40), &own).await.unwrap();
    let clusters = envoy.hears(&world).await;
    assert_eq!(clusters.resources.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["local_app"]);
    envoy.answers(&clusters).await;
    let body = r#"{"Name": "rules", "Rules": "service \"web\" { policy = \"read\" }"}"#;
    let changed = world.put(&format!("/v1/acl/policy/{policy}"), body).token(ROOT).send().await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let ended = concord_runtime::timeout(&*world.ports.clock, RECHECKED, envoy.responses.message()).await;
    let status = ended.expect("it ends in time").expect_err("it ends with the reason");
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_brings_clusters_secrets_and_then_listeners() {
    let world = Setup::default().start().await;
    registered(&world).await;
    let mut envoy = Envoy::open(&world, DELTA, node("web-sidecar-proxy", 40), "").await.unwrap();
    let clusters = envoy.hears(&world).await;
    assert_eq!(clusters.type_url, ResourceType::Cluster.url());
    envoy.requests.send(asks(ResourceType::Listener, None)).await.unwrap();
    envoy.answers(&clusters).await;
    let listeners = envoy.hears(&world).await;
    assert_eq!(listeners.type_url, ResourceType::Listener.url());
    assert_eq!(listeners.resources[0].name, "public_listener:0.0.0.0:21000");
    let names = vec!["leaf".to_owned(), "roots".to_owned()];
    let secrets =
        DeltaDiscoveryRequest { resource_names_subscribe: names, ..asks(ResourceType::Secret, None) };
    envoy.requests.send(secrets).await.unwrap();
    let secrets = envoy.hears(&world).await;
    let leaf = secrets.resources[0].resource.as_ref().unwrap();
    let text = String::from_utf8_lossy(&leaf.value);
    assert!(text.contains("BEGIN CERTIFICATE") && text.contains("PRIVATE KEY"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_spoken_is_refused_by_name() {
    let world = Setup::default().start().await;
    registered(&world).await;
    let open =
        |path: &'static str, minor: u32| Envoy::open(&world, path, node("web-sidecar-proxy", minor), "");
    check(open(WHOLE, 40).await, Code::Unimplemented, "DELTA_GRPC");
    check(open(DELTA, 27).await, Code::InvalidArgument, "Envoy 1.27.0 is too old");
    let mut setting = r#"{"Name": "web", "Port": 8080, "Connect": {"SidecarService": {"Port": 21000,
        "Proxy": {"Config": {"protocol": "http", "local_request_timeout_ms": "soon"}}}}}"#
        .to_owned();
    setting.retain(|one| one != '\n');
    assert_eq!(world.put("/v1/agent/service/register", setting).send().await.status, 200);
    let mut envoy = open(DELTA, 40).await.unwrap();
    let status = world.guard(envoy.responses.message()).await.expect_err("the stream ends");
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("local_request_timeout_ms"), "{status}");
    world.stop().await;
}
