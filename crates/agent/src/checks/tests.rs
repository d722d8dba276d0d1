//! Tests of every kind of check against real targets on loopback, in real time: their clocks are not virtual. The
//! tests assert what a run finds, never how long it took.

mod http;
mod http2;
mod program;
mod tcp_udp;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::CheckStatus::{self, Critical, Passing, Warning};
use concord_model::registration::{Every, Probe};
use concord_model::{Datacenter, NodeName};
use concord_runtime::{Scope, SeededEntropy, TokioClock};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::AgentConfig;
use crate::local::Source;

/// Long enough for everything that ends, on a busy machine.
const PATIENT: Duration = Duration::from_secs(60);
/// For runs that do not end.
const BRIEF: Duration = Duration::from_millis(300);
const KEEP: usize = 4096;

fn every(timeout: Duration) -> Every {
    Every { interval: Duration::from_secs(10), timeout }
}

fn config() -> AgentConfig {
    let mut config = AgentConfig::new(
        NodeName::parse("n1").unwrap(),
        Datacenter::parse("dc1").unwrap(),
        "127.0.0.1".to_owned(),
    );
    config.check_settings.script_checks = true;
    config
}

fn maker() -> Maker {
    Maker::new(&config(), Arc::new(TokioClock::new()))
}

fn plan(probe: Probe) -> Plan {
    Plan { probe, source: Source::Api, output_bytes_max: KEEP, via: None }
}

/// The result of one run.
async fn run(maker: &Maker, probe: Probe) -> (CheckStatus, String) {
    let report = maker.run(&plan(probe)).await.expect("it is made from here");
    (report.status, report.output)
}

/// Serves each connection on a loopback port, until the scope is dropped.
async fn serve<F, S>(scope: &Scope, with: F) -> SocketAddr
where
    F: Fn(TcpStream) -> S + Send + 'static,
    S: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = scope.clone();
    scope.spawn("listen", async move {
        while let Ok((stream, _)) = listener.accept().await {
            own.spawn("connection", with(stream));
        }
    });
    address
}

fn scope() -> Scope {
    Scope::new("targets", Arc::new(TokioClock::new()))
}

/// A port at which nobody listens.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[test]
fn a_check_begins_at_random_within_its_interval_and_is_made_every_second_at_most() {
    let pace = |millis| Pace::new(Every { interval: Duration::from_millis(millis), timeout: BRIEF }, false);
    assert_eq!(pace(10).interval, Duration::from_secs(1));
    assert_eq!(pace(60_000).interval, Duration::from_secs(60));
    let entropy = SeededEntropy::new(3);
    let firsts: Vec<Duration> = (0..1000).map(|_| pace(60_000).first(&entropy)).collect();
    assert!(firsts.iter().all(|first| *first <= Duration::from_secs(60)));
    for sixth in 0..6 {
        let within = |first: &&Duration| first.as_secs() / 10 == sixth;
        assert!(firsts.iter().filter(within).count() > 100, "they come spread out");
    }
    let dev = Pace::new(Every { interval: Duration::from_secs(60), timeout: BRIEF }, true);
    assert!(dev.first(&entropy) <= DEV_JITTER_MAX && dev.interval == Duration::from_secs(60));
}

#[test]
fn what_is_told_or_taken_over_has_no_task_here() {
    for probe in [Probe::Ttl(BRIEF), Probe::Maintenance, Probe::Alias { node: None, service: None }] {
        assert!(!needs_runner(&plan(probe)));
    }
    let node = NodeName::parse("n2").ok();
    assert!(needs_runner(&plan(Probe::Alias { node, service: None })));
    assert!(needs_runner(&plan(Probe::Udp { address: "a:1".to_owned(), every: every(BRIEF) })));
}

#[tokio::test]
async fn so_many_runs_at_a_time_and_the_others_wait() {
    let scope = scope();
    let maker = Arc::new(maker());
    // It accepts connections and sends nothing; the handshake waits for it.
    let silent = serve(&scope, |stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let tls = Some(concord_model::registration::CheckTls { server_name: String::new(), skip_verify: true });
    let probe = |timeout| Probe::Tcp { address: silent.to_string(), tls: tls.clone(), every: every(timeout) };
    let under_way: Vec<_> = (0..crate::limits::CHECK_RUNS_AT_ONCE)
        .map(|_| {
            let (maker, plan) = (Arc::clone(&maker), plan(probe(PATIENT)));
            scope.spawn("run", async move { maker.run(&plan).await }).abort_on_drop()
        })
        .collect();
    while maker.free_runs() > 0 {
        tokio::task::yield_now().await;
    }
    let mut next = Box::pin(run(&maker, probe(BRIEF)));
    let late = concord_runtime::timeout(&TokioClock::new(), 2 * BRIEF, &mut next).await;
    assert!(late.is_err(), "it waits for its turn");
    drop(under_way);
    let (status, output) = next.await;
    assert_eq!((status, output), (Critical, format!("dial tcp {silent}: i/o timeout")));
}
