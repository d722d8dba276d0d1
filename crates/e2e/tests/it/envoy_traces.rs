//! Traces: what real Envoys send to collectors of Zipkin and of OpenTelemetry.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use concord_e2e::{Agent, EnvoyProcess, Feed, Mesh, Teller, World, all_answer, ask, eventually, pick_port};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::envoy_routes::write;
use crate::envoy_sidecar::{DRAIN, envoys_by_feeds, refused_nothing};

const TRACERS: &str = "type.googleapis.com/envoy.config.trace.v3";
const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3";
/// The trace that a caller begins.
const TRACE: &str = "463ac35c9f6413ad48485a3953bb6124";

/// A collector: it keeps the bodies that it gets.
struct Collector {
    addr: SocketAddr,
    got: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// One that speaks HTTP/1.1, or gRPC.
    fn new(grpc: bool) -> Self {
        let got = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (tell, told) = mpsc::channel();
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let kept = Arc::clone(&got);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
                tell.send(listener.local_addr().expect("a bound address")).expect("the test waits");
                loop {
                    let stream = tokio::select! {
                        accepted = listener.accept() => accepted.expect("a connection").0,
                        _ = &mut stopped => return,
                    };
                    let kept = Arc::clone(&kept);
                    // The task ends with its connection, at the latest with the runtime.
                    tokio::spawn(async move {
                        if grpc { calls(stream, &kept).await } else { posts(stream, &kept).await }
                    });
                }
            });
        });
        let addr = told.recv().expect("it listens");
        Self { addr, got, stop: Some(stop), thread: Some(thread) }
    }

    /// A static cluster of Envoy that leads here.
    fn cluster(&self, name: &str, http2: bool) -> String {
        let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": self.addr.port() } });
        let endpoint = json!({ "endpoint": { "address": address } });
        let mut cluster = json!({ "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] } });
        if http2 {
            cluster["http2_protocol_options"] = json!({});
        }
        cluster.to_string()
    }

    fn bodies(&self) -> Vec<Vec<u8>> {
        self.got.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A body with a length, if it is whole.
fn counted(head: &str, rest: &[u8]) -> Option<Vec<u8>> {
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    rest.get(..length).map(<[u8]>::to_vec)
}

/// A body in chunks, if it is whole.
fn joined(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|part| part == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        let chunk = rest.get(end + 2..end + 2 + length)?;
        rest = rest.get(end + 2 + length + 2..)?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk);
    }
}

/// Takes requests over HTTP/1.1.
async fn posts(mut stream: TcpStream, kept: &Mutex<Vec<Vec<u8>>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let rest = &bytes[end + 4..];
        let body =
            if head.contains("transfer-encoding: chunked") { joined(rest) } else { counted(&head, rest) };
        let Some(body) = body else { continue };
        bytes.clear();
        if head.starts_with("post /api/v2/spans ") {
            kept.lock().expect("nobody panicked").push(body);
        }
        if stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}

/// Takes calls of gRPC, and answers them with an empty message.
async fn calls(stream: TcpStream, kept: &Mutex<Vec<Vec<u8>>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let exports = request.uri().path() == "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let mut body = request.into_body();
        let mut bytes = Vec::new();
        while let Some(Ok(part)) = body.data().await {
            let _ = body.flow_control().release_capacity(part.len());
            bytes.extend_from_slice(&part);
        }
        if exports {
            kept.lock().expect("nobody panicked").push(bytes);
        }
        let head = http::Response::builder().header("content-type", "application/grpc").body(());
        let Ok(mut sender) = respond.send_response(head.expect("an answer"), false) else { return };
        let _ = sender.send_data(Bytes::from_static(&[0; 5]), false);
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let _ = sender.send_trailers(trailers);
    }
}

/// `web` calls `api`; their sidecars trace.
struct Traced {
    upstream: SocketAddr,
    _services: Vec<Teller>,
    envoys: Vec<EnvoyProcess>,
}

impl Traced {
    /// `config` is what the sidecar of a service is told.
    fn start(world: &World, agent: &Agent, envoy: &Path, feed: Feed, config: impl Fn(&str) -> Value) -> Self {
        proxies(agent, json!({}));
        let port = pick_port();
        let (mut services, mut envoys) = (Vec::new(), Vec::new());
        for name in ["web", "api"] {
            let service = Teller::new(name);
            let upstreams = match name {
                "web" => json!([{ "DestinationName": "api", "LocalBindPort": port }]),
                _ => json!([]),
            };
            let mut body = Mesh::service(name, service.addr(), upstreams);
            body["Connect"]["SidecarService"]["Proxy"]["Config"] = config(name);
            feed.register(&agent.http(), &body);
            envoys.push(feed.start(world, agent, envoy, name, &DRAIN));
            services.push(service);
        }
        envoys.iter_mut().for_each(EnvoyProcess::await_ready);
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        let own = Self { upstream, _services: services, envoys };
        eventually("a request goes through", || (own.status(&[])? == 200).then_some(()));
        own
    }

    fn status(&self, headers: &[(&str, &str)]) -> Option<u16> {
        ask(self.upstream, "GET", "/traced", headers).ok().map(|told| told.status)
    }
}

/// Writes the settings of all proxies.
fn proxies(agent: &Agent, mut config: Value) {
    config["protocol"] = json!("http");
    write(agent, &json!({ "Kind": "proxy-defaults", "Name": "global", "Config": config }));
}

/// Traces every request, whoever sends it.
fn always() -> Value {
    let tracing = json!({ "@type": format!("{ROUTER}.HttpConnectionManager.Tracing"),
        "random_sampling": { "value": 100.0 } });
    json!({ "envoy_listener_tracing_json": tracing.to_string() })
}

/// The traces of which both services have told a span.
fn of_both(bodies: &[Vec<u8>]) -> Vec<String> {
    let lists = bodies.iter().filter_map(|body| serde_json::from_slice::<Vec<Value>>(body).ok());
    let spans: Vec<Value> = lists.flatten().collect();
    let traces = |service: &str| {
        let own = spans.iter().filter(|span| span["localEndpoint"]["serviceName"] == service);
        own.filter_map(|span| span["traceId"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let api = traces("api");
    traces("web").into_iter().filter(|trace| api.contains(trace)).collect()
}

#[test]
fn a_request_through_two_sidecars_is_one_trace_of_zipkin() {
    for (envoy, feed) in envoys_by_feeds("a_request_through_two_sidecars_is_one_trace_of_zipkin") {
        let world = World::new();
        let mut agent = world.dev_agent("n1");
        let collector = Collector::new(false);
        let tracer = json!({ "http": { "name": "envoy.tracers.zipkin", "typed_config": {
            "@type": format!("{TRACERS}.ZipkinConfig"), "collector_cluster": "zipkin",
            "collector_endpoint": "/api/v2/spans", "collector_endpoint_version": "HTTP_JSON" } } });
        let config = json!({
            "envoy_tracing_json": tracer.to_string(),
            "envoy_extra_static_clusters_json": collector.cluster("zipkin", false),
        });
        let traced = Traced::start(&world, &agent, &envoy, feed, |_| config.clone());
        let begun = [("x-b3-traceid", TRACE), ("x-b3-spanid", "a2fb4a1d1a96d312"), ("x-b3-sampled", "1")];
        eventually("the trace that a caller begins is told", || {
            traced.status(&begun);
            of_both(&collector.bodies()).contains(&TRACE.to_owned()).then_some(())
        });
        let others = of_both(&collector.bodies());
        assert!(others.iter().all(|trace| trace == TRACE), "nothing else is traced: {others:?}");

        proxies(&agent, always());
        eventually("every request is traced", || {
            traced.status(&[]);
            of_both(&collector.bodies()).iter().any(|trace| trace != TRACE).then_some(())
        });
        proxies(&agent, json!({ "envoy_listener_tracing_json": "{}" }));
        eventually("what is no tracing is told", || agent_tells(&mut agent));
        all_answer("and requests go through", Some(200), || traced.status(&[]));
        refused_nothing(&agent, &traced.envoys);
    }
}

fn agent_tells(agent: &mut Agent) -> Option<()> {
    agent.process().log().contains("envoy_listener_tracing_json").then_some(())
}

/// The names of services in the resources of spans: the attribute `service.name` with a text.
fn services(bodies: &[Vec<u8>]) -> Vec<String> {
    let key = b"service.name";
    let mut found = Vec::new();
    for body in bodies {
        for at in (0..body.len()).filter(|at| body[*at..].starts_with(key)) {
            // The value (2) is a message with a text (1): two tags, each with its length.
            let Some([0x12, _, 0x0a, length, text @ ..]) = body.get(at + key.len()..) else { continue };
            found.extend(
                text.get(..usize::from(*length)).map(|text| String::from_utf8_lossy(text).into_owned()),
            );
        }
    }
    found
}

#[test]
fn a_request_through_two_sidecars_is_told_to_opentelemetry() {
    for (envoy, feed) in envoys_by_feeds("a_request_through_two_sidecars_is_told_to_opentelemetry") {
        let world = World::new();
        let agent = world.dev_agent("n1");
        let collector = Collector::new(true);
        let config = |service: &str| {
            let tracer = json!({ "http": { "name": "envoy.tracers.opentelemetry", "typed_config": {
                "@type": format!("{TRACERS}.OpenTelemetryConfig"), "service_name": service,
                "grpc_service": { "envoy_grpc": { "cluster_name": "otel" }, "timeout": "1s" } } } });
            json!({
                "envoy_tracing_json": tracer.to_string(),
                "envoy_extra_static_clusters_json": collector.cluster("otel", true),
            })
        };
        let traced = Traced::start(&world, &agent, &envoy, feed, config);
        proxies(&agent, always());
        eventually("both services tell spans", || {
            traced.status(&[]);
            let services = services(&collector.bodies());
            ["web", "api"].iter().all(|name| services.iter().any(|own| own == name)).then_some(())
        });
        let trace = hex(TRACE);
        let parent = format!("00-{TRACE}-a2fb4a1d1a96d312-01");
        eventually("both tell of the trace that a caller begins", || {
            traced.status(&[("traceparent", &parent)]);
            let bodies = collector.bodies();
            let own: Vec<_> =
                bodies.into_iter().filter(|body| body.windows(16).any(|part| part == trace)).collect();
            let services = services(&own);
            ["web", "api"].iter().all(|name| services.iter().any(|own| own == name)).then_some(())
        });
        refused_nothing(&agent, &traced.envoys);
    }
}

fn hex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    pairs.map(|byte| byte.expect("two digits")).collect()
}
