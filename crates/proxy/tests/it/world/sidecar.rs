//! A running proxy, and what it tells of itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_ca::OsKeys;
use concord_model::InstanceId;
use concord_proxy::{Options, Proxy, ProxyStatus};
use concord_proxycfg::LocalTarget;
use concord_rpc::{ProxyTarget, SnapshotSource};
use concord_runtime::Budget;
use concord_runtime::limits::BUDGET_BYTES;
use tokio::sync::watch;

use super::script::{Parts, UpstreamPart};
use super::{Mesh, Script, eventually, within};

pub(crate) struct Sidecar {
    pub(crate) proxy: Proxy,
    pub(crate) script: Arc<Script>,
    pub(crate) status: watch::Receiver<ProxyStatus>,
}

pub(crate) fn options() -> Options {
    Options {
        target: ProxyTarget::registered(InstanceId::parse("proxy").unwrap()),
        token: None,
        cut_denied: true,
        rotation_jitter: Duration::ZERO,
        budget: Budget::new(BUDGET_BYTES, 10_000),
    }
}

impl Sidecar {
    /// The proxy of a service whose script is there, by whatever way to the script.
    pub(crate) fn start_on(
        mesh: &Mesh,
        script: Arc<Script>,
        source: Arc<dyn SnapshotSource>,
        options: Options,
    ) -> Self {
        let scope = mesh.scope.child(&format!("sidecar-{}", mesh.number()));
        let (control, traffic) = (scope.child("control"), scope.child("traffic"));
        let proxy = Proxy::start(options, source, Arc::new(OsKeys), mesh.world(), control, traffic).unwrap();
        let status = proxy.status();
        Self { proxy, script, status }
    }

    pub(crate) fn start(mesh: &Mesh, script: Arc<Script>) -> Self {
        Self::start_on(mesh, Arc::clone(&script), script, options())
    }

    /// The sidecar of a called service, ready.
    pub(crate) async fn before(
        mesh: &Arc<Mesh>,
        of: &str,
        local: SocketAddr,
        parts: impl FnOnce(&mut Parts),
    ) -> Self {
        let local = LocalTarget::Tcp { host: local.ip().to_string(), port: local.port() };
        let script = Script::new(mesh, of, Some(local));
        script.change(parts);
        let own = Self::start(mesh, script);
        own.ready().await;
        own
    }

    /// The sidecar of a calling service, ready.
    pub(crate) async fn calling(
        mesh: &Arc<Mesh>,
        of: &str,
        upstreams: impl IntoIterator<Item = UpstreamPart>,
    ) -> Self {
        let script = Script::new(mesh, of, None);
        script.change(|parts| {
            parts.upstreams.extend(upstreams.into_iter().map(|section| (section.id.clone(), section)));
        });
        let own = Self::start(mesh, script);
        own.ready().await;
        own
    }

    pub(crate) async fn ready(&self) {
        self.until(ProxyStatus::is_ready).await;
    }

    #[track_caller]
    pub(crate) fn until(&self, holds: impl FnMut(&ProxyStatus) -> bool) -> impl Future<Output = ()> {
        let mut status = self.status.clone();
        within(async move {
            status.wait_for(holds).await.expect("the proxy runs");
        })
    }

    /// Lets time go by until something holds.
    #[track_caller]
    pub(crate) fn in_time(
        &self,
        mesh: &Mesh,
        step: Duration,
        mut holds: impl FnMut(&ProxyStatus) -> bool,
    ) -> impl Future<Output = ()> {
        let (status, clock) = (self.status.clone(), Arc::clone(&mesh.clock));
        eventually(move || {
            let done = holds(&status.borrow());
            if !done {
                clock.advance(step);
            }
            done
        })
    }

    /// Changes the snapshot and waits until the proxy goes by it.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Parts)) {
        let version = self.script.change(change);
        self.until(|status| status.version >= version).await;
    }

    pub(crate) fn public(&self) -> SocketAddr {
        self.status.borrow().public.as_ref().expect("it listens").parse().unwrap()
    }

    pub(crate) fn upstream(&self, to: &str) -> SocketAddr {
        self.status.borrow().upstreams.get(to).expect("it listens").parse().unwrap()
    }
}
