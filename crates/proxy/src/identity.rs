//! The proxy's identity and the roots it trusts: leaf and trust bundle, which are replaced while handshakes go on.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use concord_ca::TrustBundle;
use concord_ca::tls::{self, LeafSlot, MeshVerifier, Presented, TimeSource};
use concord_ca::verify::{Bundles, Refusal};
use concord_model::{ServiceIdentity, SpiffeId, Timestamp, TrustDomain};
use concord_proxycfg::TargetParts;
use concord_runtime::Clock;
use parking_lot::Mutex;
use rustls::{ClientConfig, ServerConfig};

/// The proxy's clock as the TLS layer reads it.
#[derive(Debug)]
struct WallClock(Arc<dyn Clock>);

impl TimeSource for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.wall_nanos())
    }
}

/// Why a handshake failed: the fixed name of the reason, and the details. For a refused certificate, the details are
/// its own reason instead of the TLS library's text.
pub(crate) fn failed_handshake(error: &io::Error) -> (&'static str, String) {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls.and_then(Refusal::in_tls_error) {
        Some(refusal) => ("certificate", refusal.to_string()),
        None => ("handshake", error.to_string()),
    }
}

/// Client configurations kept: one per upstream, and a proxy has few upstreams.
const CONFIGS_MAX: usize = 1_024;

/// Leaf, bundle, and the TLS configurations that read them at each handshake.
#[derive(Debug)]
pub(crate) struct Identity {
    time: Arc<dyn TimeSource>,
    leaf: Arc<LeafSlot>,
    /// The identity that the leaf must have. Locked while the leaf is replaced.
    bearer: Mutex<Option<ServiceIdentity>>,
    bundle: Arc<ArcSwap<TrustBundle>>,
    server: Arc<ServerConfig>,
    clients: Mutex<Vec<(ServiceIdentity, Arc<ClientConfig>)>>,
}

impl Identity {
    /// An identity without leaf and without trusted roots.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Result<Self, rustls::Error> {
        let time: Arc<dyn TimeSource> = Arc::new(WallClock(clock));
        let leaf = Arc::new(LeafSlot::new(Arc::clone(&time)));
        let bundle = Arc::new(ArcSwap::from_pointee(TrustBundle::default()));
        let verifier = MeshVerifier::of_clients(Arc::clone(&bundle) as Arc<dyn Bundles>);
        let server = Arc::new(tls::server_config(Arc::clone(&time), verifier, Arc::clone(&leaf))?);
        Ok(Self { time, leaf, bearer: Mutex::default(), bundle, server, clients: Mutex::default() })
    }

    /// Sets the service's identity. If it changes, nothing is presented until a leaf for the new identity arrives.
    pub(crate) fn speak_for(&self, identity: ServiceIdentity) {
        let mut bearer = self.bearer.lock();
        if bearer.as_ref() != Some(&identity) {
            self.leaf.clear();
            *bearer = Some(identity);
        }
    }

    /// Presents a leaf from now on. Returns false and does nothing if the leaf has another identity.
    pub(crate) fn present(&self, leaf: Presented) -> bool {
        let bearer = self.bearer.lock();
        let fits =
            matches!((leaf.identity(), &*bearer), (SpiffeId::Service(one), Some(other)) if one == other);
        if fits {
            self.leaf.publish(leaf);
        }
        fits
    }

    /// Presents nothing from now on.
    pub(crate) fn withdraw(&self) {
        let _bearer = self.bearer.lock();
        self.leaf.clear();
    }

    /// Trusts these roots from now on. Open connections are not touched.
    pub(crate) fn trust(&self, bundle: TrustBundle) {
        self.bundle.store(Arc::new(bundle));
    }

    /// Whether there is a certificate to present.
    pub(crate) fn can_present(&self) -> bool {
        self.leaf.current().is_some()
    }

    /// The configuration for handshakes in which the proxy is called.
    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The configuration for handshakes in which the proxy calls: it accepts only the expected service.
    pub(crate) fn client_config(
        &self,
        trust_domain: &TrustDomain,
        target: &TargetParts,
    ) -> Result<Arc<ClientConfig>, String> {
        let TargetParts { service, datacenter, subset: _ } = target;
        let expected = ServiceIdentity::try_new(
            trust_domain.clone(),
            service.partition.clone(),
            service.namespace.clone(),
            datacenter.clone(),
            service.name.clone(),
        );
        let expected = expected.map_err(|error| format!("{service} can have no certificate: {error}"))?;
        let mut clients = self.clients.lock();
        if let Some((_, config)) = clients.iter().find(|(known, _)| *known == expected) {
            return Ok(Arc::clone(config));
        }
        let verifier =
            MeshVerifier::of_servers(Arc::clone(&self.bundle) as Arc<dyn Bundles>, [expected.clone()]);
        let config = tls::client_config(Arc::clone(&self.time), verifier, Arc::clone(&self.leaf));
        let config = Arc::new(config.map_err(|error| error.to_string())?);
        if clients.len() >= CONFIGS_MAX {
            clients.clear();
        }
        clients.push((expected, Arc::clone(&config)));
        Ok(config)
    }
}
