//! The sockets of the listeners. They are bound before anything is written, so that an address in use is found first.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use concord_config::address::{ListenHost, Port};
use concord_config::section::{Config, DnsSection, UnixSocketSection};
use concord_front::Socket;
use concord_runtime::{Access, listen, socket_file};
use tokio::net::UnixListener;
use tracing::warn;

use crate::cli::Failure;

/// The bound sockets of the listeners.
pub(super) struct Bound {
    pub(super) http: Vec<Socket>,
    pub(super) https: Vec<Socket>,
    pub(super) grpc: Vec<Socket>,
    pub(super) grpc_tls: Vec<Socket>,
}

impl Bound {
    pub(super) fn bind(config: &Config) -> Result<Self, Failure> {
        let access = access(&config.unix_sockets)?;
        let Config { http, https, grpc, grpc_tls, .. } = config;
        Ok(Self {
            http: bind("HTTP", &http.addresses, http.port, access)?,
            https: bind("HTTPS", &https.addresses, https.port, access)?,
            grpc: if_asked_for(
                grpc.asked_for,
                "ports.grpc",
                bind("gRPC", &grpc.addresses, grpc.port, access),
            )?,
            grpc_tls: if_asked_for(
                grpc_tls.asked_for,
                "ports.grpc_tls",
                bind("gRPC over TLS", &grpc_tls.addresses, grpc_tls.port, access),
            )?,
        })
    }
}

/// If the operator did not ask for a listener, its failure does not prevent the start.
fn if_asked_for(
    asked_for: bool,
    key: &str,
    bound: Result<Vec<Socket>, Failure>,
) -> Result<Vec<Socket>, Failure> {
    match bound {
        Err(failure) if !asked_for => {
            warn!(
                reason = failure.cause(),
                "nothing listens for proxies at the usual port; set {key} to another port, or to -1"
            );
            Ok(Vec::new())
        }
        bound => bound,
    }
}

/// As with gRPC, a port that nobody asked for does not prevent the start.
pub(super) fn bind_dns(dns: &DnsSection) -> Result<Vec<concord_dns::Bound>, Failure> {
    let Some(port) = dns.port.to_bind() else { return Ok(Vec::new()) };
    let mut bound = Vec::new();
    for address in &dns.addresses {
        let at = SocketAddr::new(*address, port);
        match concord_dns::Bound::bind(at) {
            Ok(socket) => bound.push(socket),
            Err(error) if !dns.asked_for => {
                warn!(address = %at, %error, "nothing listens for DNS there; set ports.dns to another port, or to -1");
            }
            Err(error) => return Err(Failure::system(format!("listen at {at} for DNS"), error)),
        }
    }
    Ok(bound)
}

fn bind(what: &str, places: &[ListenHost], port: Port, access: Access) -> Result<Vec<Socket>, Failure> {
    let Some(port) = port.to_bind() else { return Ok(Vec::new()) };
    let mut bound = Vec::new();
    for place in places {
        let socket = match place {
            ListenHost::Ip(address) => {
                let at = SocketAddr::new(*address, port);
                listen(at)
                    .map(Socket::Tcp)
                    .map_err(|error| Failure::system(format!("listen at {at} for {what}"), error))
            }
            ListenHost::Unix(path) => socket_file::listen(Path::new(path), access)
                .and_then(|(listener, file)| Ok(Socket::Unix(UnixListener::from_std(listener)?, file)))
                .map_err(|error| Failure::system(format!("listen at unix://{path} for {what}"), error)),
        };
        bound.push(socket?);
    }
    Ok(bound)
}

/// The addresses of sockets, as printed.
pub(super) fn told(sockets: &[Socket]) -> Vec<String> {
    sockets.iter().map(ToString::to_string).collect()
}

/// The port of the first socket that has one.
pub(super) fn port_of(sockets: &[Socket]) -> Option<u16> {
    sockets.iter().find_map(|socket| match socket {
        Socket::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
        Socket::Unix(..) => None,
    })
}

fn access(section: &UnixSocketSection) -> Result<Access, Failure> {
    let UnixSocketSection { user, group, mode } = section;
    let user = user.as_deref().map(|name| id("unix_sockets.user", name, "/etc/passwd")).transpose()?;
    let group = group.as_deref().map(|name| id("unix_sockets.group", name, "/etc/group")).transpose()?;
    Ok(Access { user, group, mode: *mode })
}

/// The number of a user or group, given by name or number.
fn id(key: &str, name: &str, file: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::system(format!("look up {key} {name:?} in {file}; write its number"), error)
    })?;
    number_in(&text, name).ok_or_else(|| {
        Failure::input(format!("{key}: {file} has no {name:?}; write its number if it is known elsewhere"))
    })
}

/// The third field of the line whose first field is `name` (passwd(5), group(5)).
fn number_in(text: &str, name: &str) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':'));
    let mut fields = lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    fields.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use concord_config::{AgentFlags, Host};

    use super::*;

    #[tokio::test]
    async fn a_port_for_proxies_that_nobody_asked_for_keeps_nothing_from_starting() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let bind = |tls: bool, asked_for| {
            let flags = AgentFlags { dev: true, http_port: Some(-1), ..AgentFlags::default() };
            let host = Host { hostname: "n1".to_owned(), ..Host::default() };
            let mut config = concord_config::load(&[], &flags, &host).expect("it can be started with").config;
            (config.grpc.port, config.grpc_tls.port) = (Port::Off, Port::Off);
            if tls {
                (config.grpc_tls.port, config.grpc_tls.asked_for) = (Port::At(port), asked_for);
            } else {
                (config.grpc.port, config.grpc.asked_for) = (Port::At(port), asked_for);
            }
            let counted = |bound: Bound| bound.grpc.len() + bound.grpc_tls.len();
            Bound::bind(&config).map(counted).map_err(|failure| failure.cause())
        };
        for (tls, what) in [(false, "gRPC"), (true, "gRPC over TLS")] {
            assert_eq!(bind(tls, false), Ok(0));
            let refused = bind(tls, true).expect_err("it was asked for");
            assert!(refused.contains(&format!("listen at 127.0.0.1:{port} for {what}: ")), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_port_of_dns_that_nobody_asked_for_keeps_nothing_from_starting() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = Port::At(taken.local_addr().expect("an address").port());
        let bind = |asked_for| {
            let addresses = vec![std::net::Ipv4Addr::LOCALHOST.into()];
            let dns = DnsSection { addresses, port, asked_for, ..DnsSection::default() };
            bind_dns(&dns).map(|bound| bound.len()).map_err(|failure| failure.cause())
        };
        assert_eq!(bind(false), Ok(0));
        let refused = bind(true).expect_err("it was asked for");
        assert!(refused.contains(&format!("listen at 127.0.0.1:{port} for DNS: ")), "{refused}");
    }

    #[test]
    fn users_and_groups_are_found_by_name_or_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n# consul:x:1\nconsul:x:998:997::/:/bin/false\nbad:x:y:1\n";
        assert_eq!((number_in(passwd, "root"), number_in(passwd, "consul")), (Some(0), Some(998)));
        assert_eq!((number_in(passwd, "bad"), number_in(passwd, "nobody")), (None, None));
        assert_eq!(id("unix_sockets.user", "1234", "/nowhere").expect("a number"), 1234);
        for file in ["/nowhere", "/dev/null"] {
            let refused = id("unix_sockets.user", "nobody-of-that-name", file).expect_err("no such user");
            assert!(format!("{refused:?}").contains("write its number"), "{refused:?}");
        }
    }
}
