//! The proxy that the command line names or describes. All flags are checked before any request is sent, so that a
//! mistake costs no attempt.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use concord_model::{InstanceId, ServiceName};
use concord_proxycfg::{DescribedInbound, DescribedProxy, DescribedUpstream, DescriptionFault, LocalTarget};

use crate::cli::{Failure, Invocation};

/// Flags that describe a proxy. They are refused for a registered proxy, whose registration has these values.
const DESCRIBING: [&str; 5] = ["service-addr", "listen", "upstream", "register", "register-id"];

/// Which proxy the command runs.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// The sidecar that is registered for an instance.
    SidecarFor(String),
    /// The proxy that is registered under this id.
    Registered(InstanceId),
    /// A proxy that is registered while the command runs.
    Register(ProxyRegistration),
    /// A proxy that is not registered.
    Described(DescribedProxy),
}

/// A proxy to register.
#[derive(Clone, Debug)]
pub(super) struct ProxyRegistration {
    /// The service that it serves.
    pub(super) service: String,
    /// The suffix of its id.
    pub(super) suffix: String,
    /// The address at which it listens.
    pub(super) listen: HostPort,
    /// The address at which its service listens.
    pub(super) local: HostPort,
    /// The upstreams of its service.
    pub(super) upstreams: Vec<Upstream>,
}

/// An address as written, which may be empty, and a port, which is not 0.
#[derive(Clone, Debug)]
pub(super) struct HostPort {
    pub(super) host: String,
    pub(super) port: u16,
}

/// An upstream as written.
#[derive(Clone, Debug)]
pub(super) struct Upstream {
    pub(super) name: String,
    /// Whether the name is that of a prepared query.
    pub(super) query: bool,
    pub(super) bind: HostPort,
}

/// Parses the flags.
pub(super) fn read(call: &Invocation<'_>) -> Result<Said, Failure> {
    let values = &call.values;
    let (sidecar_for, proxy_id, service) =
        (values.text("sidecar-for"), values.text("proxy-id"), values.text("service"));
    match (sidecar_for, proxy_id, service) {
        ("", "", "") => Err(call.usage("one of -sidecar-for, -proxy-id and -service is needed")),
        ("", "", service) if values.switch("register") => registration(call, service).map(Said::Register),
        ("", "", service) => described(call, service).map(Said::Described),
        ("", id, "") => {
            alone("proxy-id", call)?;
            let id = InstanceId::parse(id).map_err(|error| Failure::input(format!("-proxy-id: {error}")))?;
            Ok(Said::Registered(id))
        }
        (service, "", "") => {
            alone("sidecar-for", call)?;
            Ok(Said::SidecarFor(service.to_owned()))
        }
        _ => Err(call.usage("only one of -sidecar-for, -proxy-id and -service can be given")),
    }
}

/// Refuses flags that describe a proxy, beside a flag that names one.
fn alone(naming: &str, call: &Invocation<'_>) -> Result<(), Failure> {
    match DESCRIBING.iter().find(|flag| call.values.origin(flag).is_some()) {
        None => Ok(()),
        Some(flag) => Err(call.usage(format!(
            "-{flag} describes a proxy of -service; the one that -{naming} names has a registration, which says \
             all of it: leave -{flag} out, and change the registration"
        ))),
    }
}

fn registration(call: &Invocation<'_>, service: &str) -> Result<ProxyRegistration, Failure> {
    let values = &call.values;
    let needs = |flag: &str, why: &str| call.usage(format!("-register needs -{flag}: {why}"));
    if values.text("listen").is_empty() {
        return Err(needs("listen", "others find the proxy there"));
    }
    if values.text("service-addr").is_empty() {
        return Err(needs("service-addr", "connections of the mesh go there"));
    }
    Ok(ProxyRegistration {
        service: service.to_owned(),
        suffix: values.text("register-id").to_owned(),
        listen: place("listen", values.text("listen"), call)?,
        local: place("service-addr", values.text("service-addr"), call)?,
        upstreams: upstreams(call)?,
    })
}

fn described(call: &Invocation<'_>, service: &str) -> Result<DescribedProxy, Failure> {
    if call.values.origin("register-id").is_some() {
        return Err(call.usage("-register-id names a registration: add -register, or leave it out"));
    }
    let service =
        ServiceName::parse(service).map_err(|error| Failure::input(format!("-service: {error}")))?;
    let inbound = inbound(call)?;
    let upstreams = upstreams(call)?;
    let upstreams: Result<Vec<_>, _> = upstreams.iter().map(|one| described_upstream(one, call)).collect();
    DescribedProxy::try_new(service, inbound, upstreams?).map_err(|fault| match fault {
        DescriptionFault::NothingToDo => call.usage(
            "-service alone leaves the proxy nothing to do: add -upstream to connect the service to another \
             one, or -listen and -service-addr to take connections for it",
        ),
        DescriptionFault::NoPort(_) => call.usage(format!("-listen: {fault}")),
        DescriptionFault::NoLocal => call.usage(format!("-service-addr: {fault}")),
        DescriptionFault::NoUpstreamPort(_)
        | DescriptionFault::TooManyUpstreams(_)
        | DescriptionFault::RepeatedUpstream(_)
        | DescriptionFault::BindTaken { .. } => call.usage(format!("-upstream: {fault}")),
    })
}

/// The addresses at which mesh connections arrive and to which they go: both or neither.
fn inbound(call: &Invocation<'_>) -> Result<Option<DescribedInbound>, Failure> {
    let (listen, local) = match (call.values.text("listen"), call.values.text("service-addr")) {
        ("", "") => return Ok(None),
        ("", _) => {
            return Err(call.usage(
                "-service-addr is where connections of the mesh go, and without -listen none come: add -listen, \
                 or leave -service-addr out",
            ));
        }
        (_, "") => {
            return Err(
                call.usage("-listen needs -service-addr, the address of the service the connections are for")
            );
        }
        (listen, local) => (place("listen", listen, call)?, place("service-addr", local, call)?),
    };
    let bind = listen.socket(IpAddr::V4(Ipv4Addr::UNSPECIFIED), "listen", call)?;
    let host = if local.host.is_empty() { Ipv4Addr::LOCALHOST.to_string() } else { local.host };
    Ok(Some(DescribedInbound { bind, local: LocalTarget::Tcp { host, port: local.port } }))
}

fn described_upstream(upstream: &Upstream, call: &Invocation<'_>) -> Result<DescribedUpstream, Failure> {
    let Upstream { name, query, bind } = upstream;
    if *query {
        return Err(Failure::not_available(format!(
            "prepared-query upstreams (-upstream {name}.query:…); name a service"
        )));
    }
    let service = ServiceName::parse(name).map_err(|error| Failure::input(format!("-upstream: {error}")))?;
    Ok(DescribedUpstream { service, bind: bind.socket(IpAddr::V4(Ipv4Addr::LOCALHOST), "upstream", call)? })
}

fn upstreams(call: &Invocation<'_>) -> Result<Vec<Upstream>, Failure> {
    call.values.list("upstream").iter().map(|text| upstream(text, call)).collect()
}

/// `name:port` or `name:address:port`. `name.query:…` is a prepared query; `name.service:…` is a service, as without
/// a type.
fn upstream(text: &str, call: &Invocation<'_>) -> Result<Upstream, Failure> {
    let wrong = || call.usage(format!("-upstream: expected name:[address:]port, found {text:?}"));
    let (name, rest) = text.split_once(':').ok_or_else(wrong)?;
    let (host, port) = rest.rsplit_once(':').unwrap_or(("", rest));
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    let (name, kind) = name.split_once('.').unwrap_or((name, ""));
    let query = match kind {
        "" | "service" => false,
        "query" => true,
        other => {
            return Err(
                call.usage(format!("-upstream: {text:?}: the type {other:?} is neither service nor query"))
            );
        }
    };
    if name.is_empty() {
        return Err(wrong());
    }
    Ok(Upstream { name: name.to_owned(), query, bind: HostPort { host: bare(host), port } })
}

/// `host:port`, or `:port`.
fn place(flag: &str, text: &str, call: &Invocation<'_>) -> Result<HostPort, Failure> {
    let wrong = || {
        call.usage(format!(
            "-{flag}: expected address:port with a port from 1 to 65535, such as 127.0.0.1:8443, found {text:?}"
        ))
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    Ok(HostPort { host: bare(host), port })
}

/// A host without the brackets of IPv6 addresses.
fn bare(host: &str) -> String {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).to_owned()
}

impl HostPort {
    /// The address as a socket address; `usual` if no address was written.
    fn socket(&self, usual: IpAddr, flag: &str, call: &Invocation<'_>) -> Result<SocketAddr, Failure> {
        let ip = match self.host.as_str() {
            "" => usual,
            host => host.parse().map_err(|_| {
                call.usage(format!("-{flag}: {host:?} is no IP address; a proxy listens at an IP address"))
            })?,
        };
        Ok(SocketAddr::new(ip, self.port))
    }
}
