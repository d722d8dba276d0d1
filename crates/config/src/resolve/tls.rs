//! TLS of the listeners for clients.
//!
//! A block has the settings of one listener; `tls.defaults` has the values that the block leaves out. This module
//! names files; they are read where they are used. There is no RPC between servers yet: its settings are read,
//! checked and reported.

use std::collections::BTreeMap;

use super::Resolver;
use crate::address::{ListenHost, Port};
use crate::raw::{Raw, TlsProtocol};
use crate::section::{Config, TlsFile, TlsSection, TlsSections, TlsVersion};

/// The supported cipher suites of TLS 1.2, by their IANA names.
const CIPHER_SUITES: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Cipher suites without authenticated encryption, which only Consul supports.
const OLD_SUITES: [&str; 4] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

const DEFAULTS: &str = "tls.defaults";
const INTERNAL: &str = "tls.internal_rpc";
const HTTPS: &str = "tls.https";
const GRPC: &str = "tls.grpc";

impl Resolver<'_> {
    pub(super) fn tls(&mut self, raw: &Raw) -> TlsSections {
        let defaults = &raw.tls.defaults;
        let none = TlsProtocol::default();
        self.check_places(raw);
        self.tell_internal(raw);
        let own = TlsSections {
            defaults: self.protocol(DEFAULTS, defaults, &none),
            internal_rpc: self.protocol(INTERNAL, &raw.tls.internal_rpc, defaults),
            https: self.protocol(HTTPS, &raw.tls.https, defaults),
            grpc: self.protocol(GRPC, &raw.tls.grpc, defaults),
        };
        let asking = [(INTERNAL, &own.internal_rpc), (HTTPS, &own.https), (GRPC, &own.grpc)];
        let asking: Vec<_> = asking.into_iter().filter(|(_, section)| section.verify_incoming).collect();
        self.check_verify(&asking, "no authority is named; name one with ca_file", |section| {
            section.ca_file.is_some() || section.ca_path.is_some()
        });
        self.check_verify(
            &asking,
            "no certificate is named; name it with cert_file and key_file",
            |section| section.certificate().is_some(),
        );
        own
    }

    /// Reports keys that have no meaning in their block; Consul refuses them, too.
    fn check_places(&mut self, raw: &Raw) {
        let tls = &raw.tls;
        if tls.grpc.verify_outgoing.is_some() {
            self.fail(
                "tls.grpc.verify_outgoing",
                "tls.grpc.verify_outgoing: verify_outgoing is not valid in tls.grpc: the agent calls nobody there; leave it out",
            );
        }
        for (block, protocol) in [(GRPC, &tls.grpc), (HTTPS, &tls.https)] {
            if protocol.verify_server_hostname.is_some() {
                let key = format!("{block}.verify_server_hostname");
                let text = format!(
                    "{key}: verify_server_hostname is only valid in tls.defaults and tls.internal_rpc; move it there"
                );
                self.fail(&key, text);
            }
        }
        let others = [(DEFAULTS, &tls.defaults), (HTTPS, &tls.https), (INTERNAL, &tls.internal_rpc)];
        for (block, protocol) in others {
            if protocol.use_auto_cert.is_some() {
                let key = format!("{block}.use_auto_cert");
                let text = format!("{key}: use_auto_cert is only valid in tls.grpc; move it there");
                self.fail(&key, text);
            }
        }
    }

    /// One warning for all settings of RPC between servers.
    fn tell_internal(&mut self, raw: &Raw) {
        let (own, defaults) = (&raw.tls.internal_rpc, &raw.tls.defaults);
        let TlsProtocol {
            ca_file,
            ca_path,
            cert_file,
            key_file,
            tls_min_version,
            tls_cipher_suites,
            verify_incoming,
            verify_outgoing,
            verify_server_hostname,
            // Reported above.
            use_auto_cert: _,
        } = own;
        let on = |value: &Option<bool>| *value == Some(true);
        let texts = [
            ("ca_file", ca_file),
            ("ca_path", ca_path),
            ("cert_file", cert_file),
            ("key_file", key_file),
            ("tls_min_version", tls_min_version),
            ("tls_cipher_suites", tls_cipher_suites),
        ];
        let said =
            texts.into_iter().filter(|(_, value)| given(value).is_some()).map(|(key, _)| (INTERNAL, key));
        let switches = [
            (INTERNAL, "verify_incoming", on(verify_incoming)),
            (INTERNAL, "verify_outgoing", on(verify_outgoing)),
            (INTERNAL, "verify_server_hostname", on(verify_server_hostname)),
            (DEFAULTS, "verify_outgoing", on(&defaults.verify_outgoing)),
            (DEFAULTS, "verify_server_hostname", on(&defaults.verify_server_hostname)),
            (HTTPS, "verify_outgoing", on(&raw.tls.https.verify_outgoing)),
        ];
        let switched = switches.into_iter().filter(|(_, _, on)| *on).map(|(block, key, _)| (block, key));
        let keys: Vec<String> = said.chain(switched).map(|(block, key)| format!("{block}.{key}")).collect();
        let Some(first) = keys.first() else { return };
        let verb = if keys.len() == 1 { "has" } else { "have" };
        let text = format!("{} {verb} no effect yet: there is no RPC between servers", keys.join(", "));
        self.warn(first, text);
    }

    fn protocol(&mut self, block: &str, own: &TlsProtocol, defaults: &TlsProtocol) -> TlsSection {
        let file = |name: &str, own: &Option<String>, default: &Option<String>| {
            // An empty text overrides the file of `tls.defaults`.
            let (block, text) = match own {
                Some(text) => (block, text),
                None => (DEFAULTS, default.as_ref()?),
            };
            let key = format!("{block}.{name}");
            let origin = self.origins.of(&key);
            Some(TlsFile { path: text.clone(), key, origin }).filter(|file| !file.path.is_empty())
        };
        let mut section = TlsSection {
            ca_file: file("ca_file", &own.ca_file, &defaults.ca_file),
            ca_path: file("ca_path", &own.ca_path, &defaults.ca_path),
            cert_file: file("cert_file", &own.cert_file, &defaults.cert_file),
            key_file: file("key_file", &own.key_file, &defaults.key_file),
            min_version: TlsVersion::V1_2,
            cipher_suites: Vec::new(),
            auto_cert: own.use_auto_cert.unwrap_or(false),
            verify_incoming: own.verify_incoming.or(defaults.verify_incoming).unwrap_or(false),
            verify_outgoing: own.verify_outgoing.or(defaults.verify_outgoing).unwrap_or(false),
            verify_server_hostname: own
                .verify_server_hostname
                .or(defaults.verify_server_hostname)
                .unwrap_or(false),
        };
        // Inherited values were checked where they are written.
        let judged_before = self.found.len();
        section.min_version = self.min_version(block, own, defaults);
        section.cipher_suites = self.cipher_suites(block, own, defaults, section.min_version);
        if block != DEFAULTS && own.tls_min_version.is_none() && own.tls_cipher_suites.is_none() {
            self.found.truncate(judged_before);
        }
        section
    }

    fn min_version(&mut self, block: &str, own: &TlsProtocol, defaults: &TlsProtocol) -> TlsVersion {
        let key = format!("{block}.tls_min_version");
        match own.tls_min_version.as_deref().or(defaults.tls_min_version.as_deref()).unwrap_or_default() {
            // The second form is that of the old top-level key.
            "" | "TLS_AUTO" | "TLSv1_2" | "tls12" => TlsVersion::V1_2,
            "TLSv1_3" | "tls13" => TlsVersion::V1_3,
            old @ ("TLSv1_0" | "TLSv1_1" | "tls10" | "tls11") => {
                self.warn(&key, format!("{key}: {old} is not spoken; the least is TLSv1_2"));
                TlsVersion::V1_2
            }
            other => {
                self.fail(&key, format!("{key}: invalid TLS version: {other:?}; use TLSv1_2 or TLSv1_3"));
                TlsVersion::V1_3
            }
        }
    }

    /// The cipher suites of TLS 1.2. Empty: all supported ones.
    fn cipher_suites(
        &mut self,
        block: &str,
        own: &TlsProtocol,
        defaults: &TlsProtocol,
        min: TlsVersion,
    ) -> Vec<&'static str> {
        let key = format!("{block}.tls_cipher_suites");
        let Some(text) = given(&own.tls_cipher_suites).or_else(|| given(&defaults.tls_cipher_suites)) else {
            return Vec::new();
        };
        if min == TlsVersion::V1_3 {
            // Inherited suites are left out, as in Consul.
            if own.tls_cipher_suites.is_some() {
                let text = format!("{key}: TLS 1.3 cipher suites are not configurable; leave it out");
                self.fail(&key, text);
            }
            return Vec::new();
        }
        let (mut suites, mut old, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for name in text.split(',').map(str::trim) {
            match CIPHER_SUITES.iter().find(|suite| **suite == name) {
                Some(suite) => suites.push(*suite),
                None if OLD_SUITES.contains(&name) => old.push(name),
                None => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            let text = format!(
                "{key}: invalid TLS cipher suites: {}; use some of {}",
                unknown.join(", "),
                CIPHER_SUITES.join(", ")
            );
            self.fail(&key, text);
        } else if suites.is_empty() {
            let text = format!(
                "{key}: none of these is spoken ({}): their encryption is not authenticated; use some of {}",
                old.join(", "),
                CIPHER_SUITES.join(", ")
            );
            self.fail(&key, text);
        } else if !old.is_empty() {
            self.warn(
                &key,
                format!("{key}: not spoken, for their encryption is not authenticated: {}", old.join(", ")),
            );
        }
        suites
    }

    /// A listener that demands client certificates needs authorities to verify them, and a certificate of its own.
    fn check_verify(
        &mut self,
        asking: &[(&str, &TlsSection)],
        lack: &str,
        has: impl Fn(&TlsSection) -> bool,
    ) {
        let mut lacking: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (block, _) in asking.iter().filter(|(_, section)| !has(section)) {
            let key = format!("{block}.verify_incoming");
            let own = if self.origins.states(&key) { key } else { format!("{DEFAULTS}.verify_incoming") };
            lacking.entry(own).or_default().push(block);
        }
        for (key, blocks) in lacking {
            let text = format!(
                "{key}: callers of {} must show a certificate, but {lack} there or in {DEFAULTS}",
                blocks.join(", ")
            );
            self.fail(&key, text);
        }
    }

    /// Warnings about the configured listeners.
    pub(super) fn check_tls(&mut self, config: &Config, raw: &Raw) {
        let tls = &config.tls;
        for (block, section) in [(HTTPS, &tls.https), (GRPC, &tls.grpc)] {
            let half = match (&section.cert_file, &section.key_file) {
                (Some(file), None) => Some((file, "key_file")),
                (None, Some(file)) => Some((file, "cert_file")),
                (Some(_), Some(_)) | (None, None) => None,
            };
            if let Some((file, missing)) = half {
                let text = format!("{}: it has no effect for {block} without {missing}", file.key);
                self.warn(&file.key, text);
            }
        }
        let listeners = [
            ("ports.https", config.https.port, HTTPS, &tls.https),
            ("ports.grpc_tls", config.grpc_tls.port, GRPC, &tls.grpc),
        ];
        let (is_server, mesh) = (raw.server == Some(true), config.connect.enabled);
        for (key, port, block, section) in listeners {
            let lacks = port != Port::Off && section.certificate().is_none();
            if lacks && block == GRPC && is_server && !mesh {
                self.conflict(
                    key,
                    "ports.grpc_tls: there is no certificate to present: without the mesh (connect.enabled = false) a server \
                     makes none for itself; name cert_file and key_file in tls.grpc, or set ports.grpc_tls to -1",
                );
            } else if lacks && !(block == GRPC && is_server) {
                let text = format!(
                    "{key}: there is no certificate to present: every connection is refused until {block} (or {DEFAULTS}) \
                     names cert_file and key_file"
                );
                self.warn(key, text);
            }
        }
        if tls.grpc.cert_file.is_some() && config.grpc.port != Port::Off && raw.ports.grpc_tls.is_none() {
            self.fail(
                "ports.grpc",
                "ports.grpc serves in clear though a certificate is named for gRPC; set ports.grpc_tls (8503 is usual), \
                 or -1 if proxies are to attach in clear",
            );
        }
        self.warn_of_clear(config);
    }

    /// Warns if tokens pass a network without TLS: everybody there can read them.
    fn warn_of_clear(&mut self, config: &Config) {
        if !config.acl.enabled {
            return;
        }
        let listeners = [
            ("addresses.http", &config.http.addresses, config.http.port, "the HTTP API", "ports.https"),
            ("addresses.grpc", &config.grpc.addresses, config.grpc.port, "gRPC", "ports.grpc_tls"),
        ];
        for (key, places, port, what, instead) in listeners {
            let beyond = places.iter().find_map(|place| match place {
                ListenHost::Ip(address) if !address.to_canonical().is_loopback() => Some(*address),
                ListenHost::Ip(_) | ListenHost::Unix(_) => None,
            });
            let Some(address) = beyond.filter(|_| port != Port::Off) else { continue };
            let key = if self.origins.states(key) { key } else { "client_addr" };
            let text = format!(
                "{key}: {what} listens at {address} in clear, beyond loopback: whoever sees the traffic has the tokens in it; \
                 use {instead} there, and keep this one on loopback or off"
            );
            self.warn(key, text);
        }
    }
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}
