//! What the command line of `connect envoy` asks for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use concord_client::tls;
use concord_config::interfaces::Interfaces;
use concord_xds::bootstrap::{Authorities, Prometheus, PrometheusTls};

use super::forms::{pem, resolved};
use super::launch::Launch;
use crate::cli::{Failure, Invocation};
use crate::run::interfaces;

/// The port of gateways whose registration names none.
const GATEWAY_PORT: u16 = 8443;

/// How the proxy is named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Which {
    Id(String),
    SidecarFor(String),
    /// The only gateway of this kind.
    Gateway(&'static str),
}

/// A gateway to register.
#[derive(Clone, Debug)]
pub(super) struct Gateway {
    pub(super) kind: &'static str,
    pub(super) service: String,
    pub(super) lan: Place,
    pub(super) wan: Place,
    pub(super) binds: Vec<(String, Place)>,
    pub(super) deregister_after: String,
    /// The machine can bind both of its addresses.
    pub(super) bindable: bool,
}

/// An address with a port; the address may be empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) address: String,
    pub(super) port: u16,
}

/// All that the command line says.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) which: Which,
    pub(super) node_name: Option<String>,
    pub(super) register: Option<Gateway>,
    pub(super) print: bool,
    pub(super) no_central_config: bool,
    pub(super) omit_deprecated_tags: bool,
    pub(super) admin: SocketAddr,
    pub(super) log_path: String,
    pub(super) ready: Option<SocketAddr>,
    /// Where a gateway is reached by its agent's check.
    pub(super) own_address: SocketAddr,
    pub(super) prometheus: Prometheus,
    pub(super) launch: Launch,
}

impl Asked {
    /// What the user should know about the flags.
    pub(super) fn remarks(&self, call: &Invocation<'_>) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if call.values.origin("envoy-version").is_some() {
            remarks.push("Warning: -envoy-version has no effect: the program itself says its version");
        }
        if call.values.origin("admin-access-log-path").is_some() {
            remarks
                .push("Warning: -admin-access-log-path is deprecated: write access logs in proxy-defaults");
        }
        remarks
    }
}

pub(super) fn read(call: &Invocation<'_>) -> Result<Asked, Failure> {
    let values = &call.values;
    let given = |name: &str| values.optional(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let machine = interfaces::of_machine();
    let place = |flag: &str| place(call, flag, values.text(flag), &machine);
    let kind = kind(call)?;
    let lan = place("address")?;
    let register = if values.switch("register") {
        Some(gateway(call, kind, lan.clone(), place("wan-address")?, &machine)?)
    } else {
        only_with_register(call)?;
        None
    };
    let node_name = given("node-name");
    if node_name.is_some() && given("proxy-id").is_none() {
        return Err(call.usage("-node-name needs -proxy-id"));
    }
    if node_name.is_some() && register.is_some() {
        return Err(
            call.usage("-register and -node-name exclude each other: an agent registers at its own node")
        );
    }
    let log_path = given("admin-access-log-path").unwrap_or_else(|| "/dev/null".to_owned());
    let own = if lan.address.is_empty() { Ipv4Addr::LOCALHOST.to_string() } else { lan.address };
    Ok(Asked {
        which: which(call, kind, register.as_ref())?,
        node_name,
        register,
        print: values.switch("bootstrap"),
        no_central_config: values.switch("no-central-config"),
        omit_deprecated_tags: values.switch("omit-deprecated-tags"),
        admin: resolved(call, "admin-bind", values.text("admin-bind"))?,
        log_path,
        ready: ready(call)?,
        own_address: SocketAddr::new(
            own.parse().map_err(|_| call.usage("-address: expected ip[:port]"))?,
            lan.port,
        ),
        prometheus: prometheus(call)?,
        launch: Launch {
            binary: given("envoy-binary").map(PathBuf::from),
            any_version: values.switch("ignore-envoy-compatibility"),
            arguments: values.arguments.clone(),
        },
    })
}

fn kind(call: &Invocation<'_>) -> Result<Option<&'static str>, Failure> {
    let word = call.values.text("gateway");
    if call.values.switch("mesh-gateway") {
        return match word {
            "" => Ok(Some("mesh-gateway")),
            _ => Err(call
                .usage("-mesh-gateway is the older form of -gateway=mesh and cannot stand beside -gateway")),
        };
    }
    Ok(match word {
        "api" => Some("api-gateway"),
        "ingress" => Some("ingress-gateway"),
        "mesh" => Some("mesh-gateway"),
        "terminating" => Some("terminating-gateway"),
        _ => None,
    })
}

fn which(
    call: &Invocation<'_>,
    kind: Option<&'static str>,
    register: Option<&Gateway>,
) -> Result<Which, Failure> {
    let given = |name: &str| Some(call.values.text(name).to_owned()).filter(|value| !value.is_empty());
    let own = given("proxy-id").map(Which::Id).or_else(|| given("sidecar-for").map(Which::SidecarFor));
    let own = own.or_else(|| register.map(|gateway| Which::Id(gateway.service.clone())));
    let own = own.or_else(|| kind.map(Which::Gateway));
    own.ok_or_else(|| call.usage("which proxy? Name it with -sidecar-for, -proxy-id or -gateway"))
}

/// Flags that describe a registration, and stand without one.
fn only_with_register(call: &Invocation<'_>) -> Result<(), Failure> {
    let lost = ["service", "wan-address", "bind-address", "deregister-after-critical"];
    match lost.into_iter().find(|flag| call.values.origin(flag).is_some()) {
        Some(flag) => Err(call.usage(format!("-{flag} describes a registration and needs -register"))),
        None => Ok(()),
    }
}

fn gateway(
    call: &Invocation<'_>,
    kind: Option<&'static str>,
    lan: Place,
    wan: Place,
    machine: &Interfaces,
) -> Result<Gateway, Failure> {
    let kind = kind.ok_or_else(|| call.usage("-register registers gateways alone and needs -gateway"))?;
    let binds = call.values.list("bind-address").iter().map(|text| {
        let (name, text) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| call.usage(format!("-bind-address: {text:?} is not name=ip:port")))?;
        Ok((name.to_owned(), place(call, "bind-address", text, machine)?))
    });
    let binds: Vec<_> = binds.collect::<Result<_, Failure>>()?;
    let here = |place: &Place| machine.addresses.iter().any(|own| place.address == own.address.to_string());
    if binds.is_empty() && !lan.address.is_empty() && !here(&lan) {
        return Err(Failure::input(format!(
            "-address: this machine has no address {}; say where the gateway listens with -bind-address",
            lan.address
        )));
    }
    let service = Some(call.values.text("service")).filter(|name| !name.is_empty()).unwrap_or(kind);
    Ok(Gateway {
        kind,
        service: service.to_owned(),
        bindable: here(&lan) && here(&wan),
        lan,
        wan,
        binds,
        deregister_after: call.values.text("deregister-after-critical").to_owned(),
    })
}

/// `ip[:port]`, in which templates are replaced.
fn place(call: &Invocation<'_>, flag: &str, text: &str, machine: &Interfaces) -> Result<Place, Failure> {
    if text.is_empty() {
        return Ok(Place { address: String::new(), port: GATEWAY_PORT });
    }
    let text = concord_config::rendered(text, machine)
        .map_err(|wrong| Failure::input(format!("-{flag}: {text}: {wrong}")))?;
    let plain = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if let Ok(ip) = plain {
        return Ok(Place { address: ip.to_string(), port: GATEWAY_PORT });
    }
    let place: SocketAddr =
        text.parse().map_err(|_| call.usage(format!("-{flag}: {text:?} is not ip[:port]")))?;
    Ok(Place { address: place.ip().to_string(), port: place.port() })
}

fn ready(call: &Invocation<'_>) -> Result<Option<SocketAddr>, Failure> {
    let address = call.values.text("envoy-ready-bind-address");
    match (address, call.values.unsigned("envoy-ready-bind-port").unwrap_or(0)) {
        ("", 0) => Ok(None),
        ("", _) => Err(call.usage("-envoy-ready-bind-port needs -envoy-ready-bind-address")),
        (_, 0) => Err(call.usage("-envoy-ready-bind-address needs -envoy-ready-bind-port")),
        (address, port) => {
            let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            resolved(call, "envoy-ready-bind-address", &format!("{address}:{port}")).map(Some)
        }
    }
}

fn prometheus(call: &Invocation<'_>) -> Result<Prometheus, Failure> {
    let given = |name: &str| Some(call.values.text(name).to_owned()).filter(|value| !value.is_empty());
    let port = call.values.unsigned("prometheus-backend-port").map(u16::try_from);
    let port =
        port.transpose().map_err(|_| call.usage("-prometheus-backend-port: expected a port, 1 to 65535"))?;
    let authorities = match (given("prometheus-ca-file"), given("prometheus-ca-path")) {
        (Some(file), _) => Some(Authorities::File(file)),
        (None, Some(directory)) => {
            let found = tls::directory_certificates(directory.as_ref());
            let found = found.map_err(|error| Failure::input(format!("-prometheus-ca-path: {error}")))?;
            if found.is_empty() {
                return Err(Failure::input(format!("-prometheus-ca-path: {directory} holds no certificate")));
            }
            Some(Authorities::Inline(pem(&found)))
        }
        (None, None) => None,
    };
    let tls = match (authorities, given("prometheus-cert-file"), given("prometheus-key-file")) {
        (None, None, None) => None,
        (Some(authorities), Some(cert_file), Some(key_file)) => {
            Some(PrometheusTls { authorities, cert_file, key_file })
        }
        _ => {
            return Err(call.usage(
                "scraping under TLS needs -prometheus-ca-file or -prometheus-ca-path, -prometheus-cert-file and \
                 -prometheus-key-file together",
            ));
        }
    };
    Ok(Prometheus {
        backend_port: port,
        scrape_path: call.values.text("prometheus-scrape-path").to_owned(),
        tls,
    })
}
