//! The channel to the agent's gRPC port: TCP or a unix socket, with or without TLS.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use concord_client::tls::Tls;
use concord_client::{Address, Stream, TlsFiles, dial};
use concord_runtime::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use crate::cli::{Failure, Invocation};
use crate::run::mesh_trust::MeshTrust;

/// Time limit for connecting, including TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two keep-alive pings, and time to answer one.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// The protocol inside TLS (RFC 9113 §3.2).
const PROTOCOL: &[u8] = b"h2";

/// The TLS files: those for HTTP, except that authorities for gRPC win if they are given. If none is given, and the mesh
/// signed the agent's certificate, its authority is trusted. The servers' name is demanded wherever the mesh signed it.
pub(super) fn files(call: &Invocation<'_>, http: TlsFiles, mesh: Option<MeshTrust>) -> TlsFiles {
    let path = |name: &str| call.values.optional(name).filter(|value| !value.is_empty()).map(Into::into);
    let (ca_file, ca_path) = (path("grpc-ca-file"), path("grpc-ca-path"));
    let mut files =
        if ca_file.is_none() && ca_path.is_none() { http } else { TlsFiles { ca_file, ca_path, ..http } };
    if let Some(MeshTrust { authorities, name }) = mesh {
        if files.ca_file.is_none() && files.ca_path.is_none() {
            files.authorities = authorities;
        }
        files.server_name.get_or_insert(name);
    }
    files
}

/// A channel that connects on first use. Only `https://` addresses use TLS. They name a host, so a unix socket never
/// uses TLS.
pub(super) fn open(text: &str, files: &TlsFiles) -> Result<Channel, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::input(format!("gRPC address {text:?}: {error}"));
    let address = Address::parse(text).map_err(|error| wrong(&error))?;
    let (authority, tls) = match &address {
        Address::Http { host, port } => (authority(host, *port), None),
        Address::Https { host, port } => {
            let tls = Tls::prepare(files, host, Some(PROTOCOL)).map_err(|error| wrong(&error))?;
            (authority(host, *port), Some(tls))
        }
        Address::Unix(_) => ("localhost".to_owned(), None),
    };
    // The connector performs the TLS handshake; for the library it is a plain stream.
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|error| wrong(&error))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .keep_alive_while_idle(true);
    Ok(endpoint.connect_with_connector_lazy(Dial(Arc::new(Target { address, tls }))))
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[derive(Debug)]
struct Target {
    address: Address,
    tls: Option<Tls>,
}

#[derive(Clone, Debug)]
struct Dial(Arc<Target>);

impl Service<Uri> for Dial {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let target = Arc::clone(&self.0);
        Box::pin(async move { dial(&target.address, target.tls.as_ref()).await.map(TokioIo::new) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_cannot_be_opened_says_why() {
        let files = TlsFiles { ca_file: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
        for (address, cause) in [
            ("https://127.0.0.1:8503", "cannot read /nowhere/ca.pem"),
            ("ftp://a:1", "is not http, https or unix"),
            ("127.0.0.1:x", "expected host:port"),
        ] {
            let refused = open(address, &files).expect_err("it cannot be used");
            assert!(format!("{refused:?}").contains(cause), "{refused:?}");
        }
    }
}
