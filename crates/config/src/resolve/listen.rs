//! Addresses and ports, and the sections of the listeners.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Resolver;
use crate::address::{ListenHost, Network, Port};
use crate::flags::AgentFlags;
use crate::raw::{Raw, UnixSockets};
use crate::section::{
    CONNECTIONS_PER_CLIENT, ClientSection, Config, GrpcSection, HttpSection, TlsListenerSection, TlsSections,
    UnixSocketSection,
};
use crate::template;

/// How many characters of a template a message repeats.
const TEXT_CHARS_MAX: usize = 200;

/// Default time limit of a client's handshake, as in Consul.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// The port at which Consul's agents accept proxies without TLS.
const GRPC_PORT: i64 = 8502;
/// Consul's port of gRPC over TLS.
const GRPC_TLS_PORT: i64 = 8503;
/// What clients may make a process hold. With less a server serves nobody, and with more the agent's own limit of
/// proxies, which is not fair, would be reached first.
const CLIENT_MEMORY_MIB: RangeInclusive<u64> = 16..=1536;
/// The permission bits of a file's mode.
const MODE_MAX: u32 = 0o7777;

impl Resolver<'_> {
    pub(super) fn bind(&mut self, raw: &Raw) -> IpAddr {
        const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let Some(text) = raw.bind_addr.as_deref() else {
            return ANY;
        };
        let Some(text) = self.expanded("bind_addr", text) else {
            return ANY;
        };
        if text.trim().is_empty() {
            self.fail("bind_addr", "bind_addr cannot be empty; leave it out for all addresses");
            return ANY;
        }
        match self.addresses("bind_addr", &text).as_slice() {
            [one] => *one,
            [] => ANY,
            [..] => {
                let text =
                    "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.";
                self.fail("bind_addr", text);
                ANY
            }
        }
    }

    /// The address that others are told: as written, or the bound address if it is a specific one.
    pub(super) fn advertise(&mut self, raw: &Raw, bind: IpAddr) -> Option<IpAddr> {
        let key = "advertise_addr";
        let written = raw.advertise_addr.as_deref().and_then(|text| self.expanded(key, text));
        let Some(text) = written.filter(|text| !text.trim().is_empty()) else {
            return Some(bind).filter(|address| !address.is_unspecified());
        };
        let all = self.addresses(key, &text);
        let first = all.first().copied()?;
        if all.len() > 1 {
            self.fail(key, format!("multiple addresses found: {}; advertise_addr is one", text.trim()));
        }
        if first.is_unspecified() {
            self.fail(key, "Advertise address cannot be 0.0.0.0, :: or [::]; name one that reaches us");
            return None;
        }
        Some(first)
    }

    pub(super) fn client_addresses(&mut self, written: Option<&str>) -> Vec<IpAddr> {
        let key = "client_addr";
        let Some(text) = written else {
            return vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
        };
        let Some(text) = self.expanded(key, text) else {
            return Vec::new();
        };
        if text.trim().is_empty() {
            self.warn(key, "client_addr is empty: nothing listens for clients, but what addresses.* name");
        }
        self.addresses(key, &text)
    }

    /// A text with its templates replaced. `None`: a template is wrong or gives nothing.
    fn expanded(&mut self, key: &str, text: &str) -> Option<String> {
        if !template::is_in(text) {
            return Some(text.to_owned());
        }
        let wrong = match template::render(text, self.interfaces) {
            Ok(given) if given.trim().is_empty() => "it gives no address".to_owned(),
            Ok(given) => return Some(given),
            Err(wrong) => wrong.to_string(),
        };
        self.fail(key, format!("{key}: the template {:?}: {wrong}; {}", shortened(text), self.interfaces));
        None
    }

    /// The addresses of a listener for clients: as written, or `client_addr`.
    pub(super) fn places(&mut self, key: &str, written: Option<&str>, clients: &[IpAddr]) -> Vec<ListenHost> {
        match written.map(|text| self.expanded(key, text)) {
            Some(None) => Vec::new(),
            Some(Some(text)) if !text.trim().is_empty() => self.each_place(key, &text),
            Some(Some(_)) | None => clients.iter().copied().map(ListenHost::Ip).collect(),
        }
    }

    /// IP addresses separated by blanks.
    fn addresses(&mut self, key: &str, text: &str) -> Vec<IpAddr> {
        let mut own = Vec::new();
        for place in self.each_place(key, text) {
            match place {
                ListenHost::Ip(address) => own.push(address),
                ListenHost::Unix(_) => {
                    self.fail(
                        key,
                        format!(
                            "{key} cannot be a unix socket; name it in addresses.http or another of addresses"
                        ),
                    );
                }
            }
        }
        own
    }

    /// IP addresses and unix sockets, separated by blanks.
    fn each_place(&mut self, key: &str, text: &str) -> Vec<ListenHost> {
        let mut own = Vec::new();
        for part in text.split_whitespace() {
            match ListenHost::parse(part) {
                Some(place) => own.push(place),
                None if part.starts_with("unix:") => {
                    self.fail(
                        key,
                        format!("{key}: {part:?} names no file; write it as unix:///run/concord.sock"),
                    );
                }
                None => self.fail(key, format!("{key}: {part:?} is not an IP address")),
            }
        }
        own
    }

    pub(super) fn unix_sockets(&mut self, raw: &Raw) -> UnixSocketSection {
        const KEY: &str = "unix_sockets.mode";
        let UnixSockets { plain, mode } = &raw.unix_sockets;
        let mode = mode.as_deref().filter(|text| !text.is_empty()).and_then(|text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= MODE_MAX);
            if mode.is_none() {
                self.fail(KEY, format!("{KEY}: invalid mode: {text}; write it in octal, such as \"0660\""));
            }
            mode
        });
        UnixSocketSection { mode, ..UnixSocketSection::plain(plain) }
    }

    pub(super) fn port(&mut self, key: &str, written: Option<i64>, default: i64, flags: &AgentFlags) -> Port {
        let number = written.unwrap_or(default);
        let port = Port::try_new(number).unwrap_or_else(|| {
            self.fail(key, format!("{key}: {number} is not a port; use 1 to 65535, or -1 to turn it off"));
            Port::Off
        });
        // Keep a port that the operator configured, because clients expect it there.
        if flags.ephemeral_ports && !self.origins.states(key) { port.ephemeral() } else { port }
    }

    pub(super) fn http(&mut self, raw: &Raw, clients: &[IpAddr], flags: &AgentFlags) -> HttpSection {
        let http = &raw.http_config;
        let allow_write_from =
            http.allow_write_http_from.iter().filter_map(|text| self.network(text)).collect();
        let allow_origins = http.allow_origins.iter().filter_map(|text| self.origin(text)).collect();
        let allowed_hosts = http.allowed_hosts.iter().filter_map(|text| self.host(text)).collect();
        HttpSection {
            addresses: self.places("addresses.http", raw.addresses.api.http.as_deref(), clients),
            port: self.port("ports.http", raw.ports.http, 8500, flags),
            allow_write_from,
            allow_origins,
            allowed_hosts,
            connections_per_client_max: self.connections(raw.limits.http_max_conns_per_client),
            ..HttpSection::plain(&http.plain)
        }
    }

    /// By default a server with a mesh accepts proxies at the usual port without TLS, on this machine only. If a
    /// certificate for gRPC is configured, gRPC is served over TLS instead.
    pub(super) fn grpc(
        &mut self,
        raw: &Raw,
        clients: &[IpAddr],
        flags: &AgentFlags,
        tls: &TlsSections,
    ) -> GrpcSection {
        let mesh = raw.server == Some(true) && raw.connect.plain.enabled != Some(false);
        let usual = mesh && raw.ports.grpc.is_none() && tls.grpc.cert_file.is_none();
        let here = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let clients = if usual { here.as_slice() } else { clients };
        GrpcSection {
            addresses: self.places("addresses.grpc", raw.addresses.api.grpc.as_deref(), clients),
            port: self.port("ports.grpc", raw.ports.grpc, if usual { GRPC_PORT } else { -1 }, flags),
            asked_for: !usual,
        }
    }

    pub(super) fn https(&mut self, raw: &Raw, clients: &[IpAddr], flags: &AgentFlags) -> TlsListenerSection {
        TlsListenerSection {
            addresses: self.places("addresses.https", raw.addresses.api.https.as_deref(), clients),
            port: self.port("ports.https", raw.ports.https, -1, flags),
            asked_for: true,
            handshake_timeout: raw
                .limits
                .https_handshake_timeout
                .filter(|time| !time.is_zero())
                .unwrap_or(HANDSHAKE_TIMEOUT),
        }
    }

    /// A server serves gRPC over TLS at Consul's port: with the certificate that is configured, or with one that its mesh
    /// signs for it.
    pub(super) fn grpc_tls(
        &mut self,
        raw: &Raw,
        clients: &[IpAddr],
        flags: &AgentFlags,
        tls: &TlsSections,
    ) -> TlsListenerSection {
        let configured = tls.grpc.certificate().is_some();
        let usual = raw.server == Some(true) && (configured || raw.connect.plain.enabled != Some(false));
        TlsListenerSection {
            addresses: self.places("addresses.grpc_tls", raw.addresses.api.grpc_tls.as_deref(), clients),
            port: self.port(
                "ports.grpc_tls",
                raw.ports.grpc_tls,
                if usual { GRPC_TLS_PORT } else { -1 },
                flags,
            ),
            asked_for: configured || raw.ports.grpc_tls.is_some(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }

    fn network(&mut self, text: &str) -> Option<Network> {
        let network = Network::parse(text);
        if network.is_none() {
            let text =
                format!("http_config.allow_write_http_from: invalid cidr: {text}; write it as 10.0.0.0/8");
            self.fail("http_config.allow_write_http_from", text);
        }
        network
    }

    /// An origin as browsers write it (RFC 6454 §6.2), because it is compared as text.
    fn origin(&mut self, text: &str) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/\\?#@\",".contains(&byte);
        let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        let usual = text.ends_with(":443") && text.starts_with("https:")
            || text.ends_with(":80") && text.starts_with("http:");
        if host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain)) && is_lower && !usual {
            return Some(text.to_owned());
        }
        self.fail(
            "http_config.allow_origins",
            format!(
                "http_config.allow_origins: {text:?} is no origin; write it as browsers do, in lower case and \
                 without a path or the usual port: https://ops.example"
            ),
        );
        None
    }

    /// A host name without a port.
    fn host(&mut self, text: &str) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !text.trim_matches('.').is_empty() && text.bytes().all(plain) {
            return Some(text.to_owned());
        }
        self.fail(
            "http_config.allowed_hosts",
            format!(
                "http_config.allowed_hosts: {text:?} is no name of a host; write it without port and wildcard: \
                 consul.example.com"
            ),
        );
        None
    }

    /// How much all clients may make the process hold.
    pub(super) fn clients(&mut self, raw: &Raw) -> ClientSection {
        let clients = ClientSection::plain(&raw.limits.plain);
        if !CLIENT_MEMORY_MIB.contains(&clients.memory_mib) {
            let (least, most) = (CLIENT_MEMORY_MIB.start(), CLIENT_MEMORY_MIB.end());
            let key = "limits.client_memory_mib";
            self.fail(
                key,
                format!("{key} cannot be {}. Must be between {least} and {most}", clients.memory_mib),
            );
        }
        clients
    }

    /// The limit of connections per client. Consul's value for "no limit" becomes the default limit here, with a
    /// warning.
    fn connections(&mut self, written: Option<i64>) -> usize {
        let key = "limits.http_max_conns_per_client";
        match written.map(|number| usize::try_from(number).unwrap_or(0)) {
            None => CONNECTIONS_PER_CLIENT,
            Some(0) => {
                self.warn(key, format!("{key}: there is always a limit, and {CONNECTIONS_PER_CLIENT} holds; name a larger one"));
                CONNECTIONS_PER_CLIENT
            }
            Some(number) => number,
        }
    }

    /// If the operator configured another listener at the address of a default gRPC listener, disables the default one.
    pub(super) fn yield_grpc(&mut self, config: &mut Config) {
        const CLEAR: &str = "ports.grpc";
        const TLS: &str = "ports.grpc_tls";
        let agent = [ListenHost::Ip(config.agent.bind)];
        for (own, what) in [(CLEAR, "proxies"), (TLS, "proxies under TLS")] {
            let (clear, tls) = (&config.grpc, &config.grpc_tls);
            let (places, port, asked_for) = match own {
                CLEAR => (&clear.addresses, clear.port, clear.asked_for),
                _ => (&tls.addresses, tls.port, tls.asked_for),
            };
            if port == Port::Off || asked_for {
                continue;
            }
            let stated = [
                ("ports.server", agent.as_slice(), config.server.port),
                ("ports.http", config.http.addresses.as_slice(), config.http.port),
                ("ports.https", config.https.addresses.as_slice(), config.https.port),
                (CLEAR, clear.addresses.as_slice(), if clear.asked_for { clear.port } else { Port::Off }),
                (TLS, tls.addresses.as_slice(), if tls.asked_for { tls.port } else { Port::Off }),
            ];
            let mut others = stated.iter().filter(|(key, _, port)| *key != own && *port != Port::Off);
            let Some((key, ..)) = others.find(|(_, others, at)| is_taken(places, port, others, *at)) else {
                continue;
            };
            let text = format!(
                "nothing listens for {what}: their usual place is taken by {key}; set {own} to another port, or to -1"
            );
            self.warn(key, text);
            match own {
                CLEAR => config.grpc.port = Port::Off,
                _ => config.grpc_tls.port = Port::Off,
            }
        }
    }

    /// Reports two listeners at the same address and port.
    pub(super) fn check_ports(&mut self, config: &Config) {
        let agent = [ListenHost::Ip(config.agent.bind)];
        let all = [
            ("ports.server", agent.as_slice(), config.server.port),
            ("ports.http", config.http.addresses.as_slice(), config.http.port),
            ("ports.https", config.https.addresses.as_slice(), config.https.port),
            ("ports.grpc", config.grpc.addresses.as_slice(), config.grpc.port),
            ("ports.grpc_tls", config.grpc_tls.addresses.as_slice(), config.grpc_tls.port),
        ];
        for (at, (key, places, port)) in all.iter().enumerate() {
            for (other, others, taken) in &all[..at] {
                if *port == Port::Off || *taken == Port::Off {
                    continue;
                }
                let mut met =
                    places.iter().filter(|one| others.iter().any(|two| one.overlaps(two))).peekable();
                let text = match (met.peek(), port, taken) {
                    (Some(ListenHost::Unix(path)), _, _) => {
                        format!("{key}: the socket {path} is already taken by {other}; choose another one")
                    }
                    (Some(ListenHost::Ip(_)), Port::At(port), Port::At(taken)) if port == taken => {
                        format!("{key}: port {port} is already taken by {other}; choose another one")
                    }
                    (_, _, _) => continue,
                };
                self.conflict(key, text);
            }
        }
    }
}

/// Whether another listener has one of these places.
fn is_taken(places: &[ListenHost], port: Port, others: &[ListenHost], other: Port) -> bool {
    places.iter().any(|one| {
        let overlaps = others.iter().any(|two| one.overlaps(two));
        match one {
            ListenHost::Ip(_) => matches!(other, Port::At(_)) && other == port && overlaps,
            ListenHost::Unix(_) => overlaps,
        }
    })
}

/// The beginning of a text that may be very long.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}
