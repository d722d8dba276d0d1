//! Where Envoy gets its configuration, and whom it trusts there.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use concord_api::agent::AgentSelf;
use concord_client::tls;
use concord_client::{Address, Client, QueryOptions, TlsFiles};
use concord_runtime::system_authorities;
use concord_xds::bootstrap::{AgentAddress, AgentTrust};

use super::forms::{pem, resolved};
use crate::cli::{Failure, Invocation, Io};
use crate::run::mesh_trust::MeshTrust;
use crate::run::proxy::{Told, grpc_address};

/// Time to connect for a try.
const TRY: Duration = Duration::from_secs(3);

/// The address of the agent's gRPC port, and how Envoy trusts it.
pub(super) async fn of_agent(
    call: &Invocation<'_>,
    client: &Client,
    http: &TlsFiles,
    io: &mut Io,
) -> Result<(AgentAddress, Option<AgentTrust>), Failure> {
    let given = call.values.optional("grpc-addr").filter(|address| !address.is_empty());
    let parse =
        |text: &str| Address::parse(text).map_err(|error| Failure::input(format!("-grpc-addr: {error}")));
    let (address, about) = match given.map(parse).transpose()? {
        // What the agent says matters only under TLS.
        Some(address @ (Address::Http { .. } | Address::Unix(_))) => (address, None),
        Some(address) => (address, about(client).await?),
        None => {
            let about = about(client).await?;
            if about.is_none() {
                io.remark(
                    "Warning: the token may not ask the agent for its gRPC port (agent:read), so the usual one, 8502, is taken; \
                     name another with -grpc-addr",
                )?;
            }
            (parse(&grpc_address(about.as_ref().map(Told::of), client.address())?)?, about)
        }
    };
    let mesh = match (&address, &about) {
        (Address::Https { .. }, Some(about)) => MeshTrust::of(about, client).await?,
        _ => None,
    };
    let at = |host: &str, port: u16| {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        resolved(call, "grpc-addr", &format!("{host}:{port}")).map(AgentAddress::Socket)
    };
    Ok(match &address {
        Address::Http { host, port } => (at(host, *port)?, None),
        Address::Https { host, port } => (at(host, *port)?, Some(trust(call, http, host, mesh)?)),
        Address::Unix(path) => {
            let path = path.to_str().ok_or_else(|| Failure::input("-grpc-addr: the path is no UTF-8"))?;
            // As in Consul, a socket is under TLS where an authority is named for it.
            let tls = names_authorities(call).then(|| trust(call, http, "", None)).transpose()?;
            (AgentAddress::Pipe(path.to_owned()), tls)
        }
    })
}

/// What the agent says of itself; `None`: the token may not ask.
async fn about(client: &Client) -> Result<Option<AgentSelf>, Failure> {
    match client.agent_self(&QueryOptions::default()).await {
        Ok(answer) => Ok(Some(answer.value)),
        Err(error) if error.status() == Some(403) && !error.is_unknown_token() => Ok(None),
        Err(error) => Err(Failure::api("ask the agent about itself")(error)),
    }
}

fn names_authorities(call: &Invocation<'_>) -> bool {
    ["grpc-ca-file", "grpc-ca-path"].iter().any(|flag| !call.values.text(flag).is_empty())
}

/// The authorities that are named, or else the mesh's if they signed the agent's certificate, or else those of the machine.
/// With the last the certificate must have the host's name, because they sign for anybody; with the mesh's it must have
/// the servers' name, because they sign for services.
fn trust(
    call: &Invocation<'_>,
    http: &TlsFiles,
    host: &str,
    mesh: Option<MeshTrust>,
) -> Result<AgentTrust, Failure> {
    let path = |flag: &str| Some(call.values.text(flag)).filter(|path| !path.is_empty()).map(Into::into);
    let (mut file, mut directory) = (path("grpc-ca-file"), path("grpc-ca-path"));
    if file.is_none() && directory.is_none() {
        (file, directory) = (http.ca_file.clone(), http.ca_path.clone());
    }
    let named = file.is_some() || directory.is_some();
    let usual = match mesh {
        Some(MeshTrust { authorities, name }) if !named => {
            let name = http.server_name.clone().or(Some(name));
            return Ok(AgentTrust { authorities: pem(&authorities), name });
        }
        Some(MeshTrust { name, .. }) => Some(name),
        None => (!named).then(|| host.to_owned()),
    };
    if !named {
        file = system_authorities();
    }
    let found = match (file, directory) {
        (Some(file), _) => tls::certificates(&file),
        (None, Some(directory)) => tls::directory_certificates(&directory),
        (None, None) => Ok(Vec::new()),
    };
    let found = found.map_err(|error| Failure::input(format!("the authorities for gRPC: {error}")))?;
    if found.is_empty() {
        return Err(Failure::input(
            "gRPC is under TLS, and no certificate authority was found: name the one that signed the agent's certificate \
             with -grpc-ca-file",
        ));
    }
    Ok(AgentTrust { authorities: pem(&found), name: http.server_name.clone().or(usual) })
}

/// Connects once, and says so if that fails: Envoy would only repeat its attempts.
pub(super) fn try_it(agent: &AgentAddress, io: &mut Io) -> Result<(), Failure> {
    let connected = match agent {
        AgentAddress::Socket(address) => TcpStream::connect_timeout(address, TRY).map(drop),
        AgentAddress::Pipe(path) => UnixStream::connect(path).map(drop),
    };
    match connected {
        Ok(()) => Ok(()),
        Err(error) => io.remark(format_args!(
            "Warning: nothing answers where Envoy gets its configuration, {agent:?}: {error}"
        )),
    }
}
