//! Pretended Envoys: each asks on a stream of its own connection as Envoy does, acknowledges whatever it is sent, and
//! tells what it was sent.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::core::v3::Node;
use concord_envoy_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use concord_envoy_proto::envoy::config::route::v3::RouteConfiguration;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::Secret;
use concord_envoy_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use concord_envoy_proto::{Message, Name, Struct, Value, value};
use futures::StreamExt as _;
use futures::stream;
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

use super::mesh::{UPSTREAMS, node, proxy_id};

/// The method of incremental discovery.
pub(super) const DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// Streams that begin at the same time.
const BEGINNING: usize = 50;
/// Connections from one address, fewer than the port takes.
const OF_AN_ADDRESS: usize = 500;
/// Longest time without an answer that is waited for.
const HANG: Duration = Duration::from_secs(120);
/// Time without an answer after which everything has arrived.
const QUIET: Duration = Duration::from_millis(500);
/// Types of which Envoy asks for all resources.
const WHOLE: [fn() -> String; 2] = [Cluster::type_url, Listener::type_url];

/// What a stream was sent, and when it had acknowledged it.
pub(super) struct News {
    pub(super) at: Instant,
    response: DeltaDiscoveryResponse,
}

impl News {
    /// Bytes of the response.
    pub(super) fn bytes(&self) -> usize {
        self.response.encoded_len()
    }

    /// Whether it tells of an instance with this port.
    pub(super) fn has_port(&self, port: u32) -> bool {
        use concord_envoy_proto::envoy::config::core::v3::{address, socket_address};
        use concord_envoy_proto::envoy::config::endpoint::v3::lb_endpoint;
        let has = |endpoint: &lb_endpoint::HostIdentifier| match endpoint {
            lb_endpoint::HostIdentifier::Endpoint(endpoint) => {
                let Some(address::Address::SocketAddress(socket)) =
                    endpoint.address.as_ref().and_then(|own| own.address.as_ref())
                else {
                    return false;
                };
                socket.port_specifier == Some(socket_address::PortSpecifier::PortValue(port))
            }
            #[allow(unreachable_patterns, reason = "whether there are others depends on the messages")]
            _ => false,
        };
        self.resources::<ClusterLoadAssignment>().any(|own| {
            let all = own.endpoints.iter().flat_map(|one| &one.lb_endpoints);
            all.filter_map(|one| one.host_identifier.as_ref()).any(has)
        })
    }

    /// Whether it tells of a cluster with this time limit.
    pub(super) fn has_timeout(&self, seconds: i64) -> bool {
        self.resources::<Cluster>().any(|own| own.connect_timeout.is_some_and(|own| own.seconds == seconds))
    }

    fn resources<M: Message + Name + Default>(&self) -> impl Iterator<Item = M> {
        resources(&self.response)
    }
}

fn resources<M: Message + Name + Default>(response: &DeltaDiscoveryResponse) -> impl Iterator<Item = M> {
    let is_of_type = response.type_url == M::type_url();
    let all = response.resources.iter().filter(move |_| is_of_type);
    all.filter_map(|own| M::decode(own.resource.as_ref()?.value.as_slice()).ok())
}

/// All streams.
pub(super) struct Fleet {
    streams: usize,
    news: mpsc::UnboundedReceiver<News>,
    ended: Arc<AtomicUsize>,
}

impl Fleet {
    /// Begins all streams, and waits until each has everything.
    pub(super) async fn start(server: SocketAddr, streams: usize) -> Result<Self> {
        let (tell, news) = mpsc::unbounded_channel();
        let (whole, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let begun = stream::iter(0..streams).map(|at| begin(server, at)).buffer_unordered(BEGINNING);
        let mut begun = std::pin::pin!(begun);
        while let Some(envoy) = begun.next().await {
            let (envoy, tell, whole, ended) = (envoy?, tell.clone(), whole.clone(), ended.clone());
            // It ends with its stream, or with the runtime.
            tokio::spawn(async move {
                let result = envoy.run(&tell, &whole).await;
                if ended.fetch_add(1, Ordering::Relaxed) < 3 {
                    eprintln!(
                        "streams: a stream has ended: {:#}",
                        result.expect_err("it ends with an error")
                    );
                }
            });
        }
        let (mut last, mut moved) = (0, Instant::now());
        while last < streams {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = whole.load(Ordering::Relaxed);
            if now > last {
                (last, moved) = (now, Instant::now());
            }
            ensure!(ended.load(Ordering::Relaxed) == 0, "streams have ended");
            ensure!(moved.elapsed() < HANG, "{last} of {streams} streams have everything, and no more come");
        }
        Ok(Self { streams, news, ended })
    }

    pub(super) fn len(&self) -> usize {
        self.streams
    }

    /// The streams that have ended.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until no stream is told anything.
    pub(super) fn settle(&mut self) {
        let mut quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            std::thread::sleep(Duration::from_millis(5));
            while self.news.try_recv().is_ok() {
                quiet = Instant::now();
            }
        }
    }

    /// Waits until this number of streams were told something.
    pub(super) fn await_news(&mut self, count: usize, is_it: impl Fn(&News) -> bool) -> Result<Vec<News>> {
        let (mut found, began) = (Vec::new(), Instant::now());
        while found.len() < count {
            match self.news.try_recv() {
                Ok(news) if is_it(&news) => found.push(news),
                Ok(_) => {}
                Err(mpsc::error::TryRecvError::Empty) => std::thread::sleep(Duration::from_micros(200)),
                Err(error) => bail!("no stream is left: {error}"),
            }
            ensure!(began.elapsed() < HANG, "{} of {count} streams were told", found.len());
        }
        Ok(found)
    }
}

/// One pretended Envoy.
struct Envoy {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
    /// The routes that it has asked for and not been told.
    routes: BTreeSet<String>,
    /// The clusters whose instances it has asked for and not been told.
    endpoints: BTreeSet<String>,
    /// What it has been told.
    clusters: usize,
    listeners: usize,
    secrets: usize,
    whole: bool,
}

/// Opens a connection and a stream, and asks for clusters and listeners. The server answers with headers only when it
/// has the first request.
async fn begin(server: SocketAddr, at: usize) -> Result<Envoy> {
    let third = u8::try_from(1 + at / OF_AN_ADDRESS)?;
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, third, 1));
    let (requests, receiver) = mpsc::channel(16);
    for (number, url) in WHOLE.iter().enumerate() {
        let node = (number == 0).then(|| itself(at));
        let request = DeltaDiscoveryRequest { node, type_url: url(), ..DeltaDiscoveryRequest::default() };
        requests.send(request).await?;
    }
    let responses = open(server, source, receiver).await?;
    Ok(Envoy {
        requests,
        responses,
        routes: BTreeSet::new(),
        clusters: 0,
        endpoints: BTreeSet::new(),
        listeners: 0,
        secrets: 0,
        whole: false,
    })
}

/// Opens a stream of incremental discovery.
pub(super) async fn open(
    server: SocketAddr,
    source: IpAddr,
    requests: mpsc::Receiver<DeltaDiscoveryRequest>,
) -> Result<Streaming<DeltaDiscoveryResponse>> {
    let endpoint = Endpoint::from_shared(format!("http://{server}"))?.local_address(Some(source));
    let channel = endpoint.connect().await.context("connecting")?;
    let mut grpc = Grpc::new(channel).max_decoding_message_size(64 << 20);
    grpc.ready().await.context("a ready connection")?;
    let codec = ProstCodec::<DeltaDiscoveryRequest, DeltaDiscoveryResponse>::default();
    let path = PathAndQuery::from_static(DELTA);
    let request = tonic::Request::new(ReceiverStream::new(requests));
    Ok(grpc.streaming(request, path, codec).await.context("opening a stream")?.into_inner())
}

fn itself(at: usize) -> Node {
    let text = |text: &str| Value { kind: Some(value::Kind::StringValue(text.to_owned())) };
    let metadata = [("node_name".to_owned(), text(&node(at)))].into_iter().collect();
    Node {
        id: proxy_id(at),
        metadata: Some(Struct { fields: metadata }),
        user_agent_name: "envoy".to_owned(),
        ..Node::default()
    }
}

impl Envoy {
    async fn run(mut self, tell: &mpsc::UnboundedSender<News>, whole: &AtomicUsize) -> Result<()> {
        loop {
            let response = self.responses.message().await?.context("the server has ended the stream")?;
            let (type_url, nonce) = (response.type_url.clone(), response.nonce.clone());
            let ack =
                DeltaDiscoveryRequest { type_url, response_nonce: nonce, ..DeltaDiscoveryRequest::default() };
            self.requests.send(ack).await?;
            self.follow(&response).await?;
            if !self.whole && self.has_everything() {
                self.whole = true;
                whole.fetch_add(1, Ordering::Relaxed);
            }
            // The run may be over.
            let _ = tell.send(News { at: Instant::now(), response });
        }
    }

    /// Asks for what a response names.
    async fn follow(&mut self, response: &DeltaDiscoveryResponse) -> Result<()> {
        let clusters: Vec<Cluster> = resources(response).collect();
        let listeners: Vec<Listener> = resources(response).collect();
        for name in resources::<ClusterLoadAssignment>(response).map(|own| own.cluster_name) {
            self.endpoints.remove(&name);
        }
        self.secrets += resources::<Secret>(response).count();
        for own in resources::<RouteConfiguration>(response) {
            self.routes.remove(&own.name);
        }
        let named: BTreeSet<String> = clusters
            .iter()
            .filter(|own| own.eds_cluster_config.is_some())
            .map(|own| own.name.clone())
            .collect();
        let first = self.listeners == 0 && !listeners.is_empty();
        self.clusters += clusters.len();
        self.listeners += listeners.len();
        if !named.is_empty() {
            self.endpoints.extend(named.iter().cloned());
            self.ask(ClusterLoadAssignment::type_url(), named).await?;
        }
        let routes: BTreeSet<String> = listeners.iter().filter_map(route_of).collect();
        if !routes.is_empty() {
            self.routes.extend(routes.iter().cloned());
            self.ask(RouteConfiguration::type_url(), routes).await?;
        }
        if first {
            let secrets = ["leaf", "roots"].map(str::to_owned);
            self.ask(Secret::type_url(), BTreeSet::from(secrets)).await?;
        }
        Ok(())
    }

    async fn ask(&self, type_url: String, names: BTreeSet<String>) -> Result<()> {
        let resource_names_subscribe = names.into_iter().collect();
        let request =
            DeltaDiscoveryRequest { type_url, resource_names_subscribe, ..DeltaDiscoveryRequest::default() };
        Ok(self.requests.send(request).await?)
    }

    fn has_everything(&self) -> bool {
        let is_known = self.clusters > UPSTREAMS && self.listeners > UPSTREAMS && self.secrets >= 2;
        is_known && self.endpoints.is_empty() && self.routes.is_empty()
    }
}

/// The name of the routes that a listener asks for.
fn route_of(listener: &Listener) -> Option<String> {
    use concord_envoy_proto::envoy::config::listener::v3::filter::ConfigType;
    use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
    let filters = listener.filter_chains.iter().flat_map(|chain| &chain.filters);
    let mut managers = filters.filter_map(|filter| match filter.config_type.as_ref()? {
        ConfigType::TypedConfig(any) if any.type_url == hcm::HttpConnectionManager::type_url() => {
            hcm::HttpConnectionManager::decode(any.value.as_slice()).ok()
        }
        _ => None,
    });
    match managers.next()?.route_specifier? {
        hcm::http_connection_manager::RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
        #[allow(unreachable_patterns, reason = "whether there are others depends on the messages")]
        _ => None,
    }
}
