//! Addresses, ports, and templates in addresses.

use super::{config, host, refused, server, sources};
use crate::address::{ListenHost, Port};
use crate::interfaces::{Flags, InterfaceAddress, Interfaces};
use crate::{Host, load};

#[test]
fn addresses_and_ports_are_checked() {
    refused(
        "bind_addr = \"1.1.1.1 2.2.2.2\"\nclient_addr = \"{{ GetPrivateIP }}\"\nadvertise_addr = \"0.0.0.0\"\n\
         addresses { http = \"unix:\" }\nports { http = 70000 sidecar_min_port = 9 sidecar_max_port = 8 }",
        &[
            "a.hcl:1:1: bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
            "a.hcl:2:1: client_addr: the template \"{{ GetPrivateIP }}\": it gives no address; this machine has no addresses; there is no default route",
            "a.hcl:3:1: advertise_addr: Advertise address cannot be 0.0.0.0, :: or [::]; name one that reaches us",
            "a.hcl:4:13: addresses.http: \"unix:\" names no file; write it as unix:///run/concord.sock",
            "a.hcl:5:9: ports.http: 70000 is not a port; use 1 to 65535, or -1 to turn it off",
            "a.hcl:5:22: ports.sidecar_min_port: sidecar_min_port 9 is above sidecar_max_port 8; swap them",
        ],
    );
    refused(
        "ports { http = 8300 }",
        &["a.hcl:1:9: ports.http: port 8300 is already taken by ports.server; choose another one"],
    );
    let own = config(
        "bind_addr = \"10.0.0.1\" client_addr = \"127.0.0.1 ::1\" ports { grpc = 8502 http = 0 https = -1 }",
    );
    assert_eq!(own.agent.advertise.unwrap().to_string(), "10.0.0.1");
    assert_eq!((own.http.addresses.len(), own.http.port, own.grpc.port), (2, Port::Off, Port::At(8502)));
    assert!(config("").agent.advertise.is_none());
    assert!(config("ports { sidecar_min_port = 0 sidecar_max_port = 0 }").agent.sidecar_ports.is_none());
}

#[test]
fn templates_in_addresses_are_filled_in_from_the_machine() {
    let one = |name: &str, ip: &str| InterfaceAddress {
        name: name.to_owned(),
        address: ip.parse().unwrap(),
        bits: 24,
        flags: Flags { up: true, ..Flags::default() },
    };
    let interfaces = Interfaces {
        addresses: vec![one("eth0", "10.0.0.5"), one("eth1", "192.168.1.2")],
        default: Some("eth0".to_owned()),
        fault: None,
    };
    let host = Host { interfaces, ..host() };
    let text = r#"bind_addr = "{{ GetPrivateIP }}" advertise_addr = "{{ GetInterfaceIP \"eth1\" }}"
        client_addr = "127.0.0.1 {{ GetPrivateIP }}" addresses { http = "{{ GetPrivateIPs }}" } ports { grpc = 8502 }"#;
    let own = load(&sources(&[("a.hcl", text)]), &server(), &host)
        .unwrap_or_else(|found| panic!("{found:?}"))
        .config;
    let shown = |all: &[ListenHost]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(own.agent.bind.to_string(), "10.0.0.5");
    assert_eq!(own.agent.advertise.unwrap().to_string(), "192.168.1.2");
    assert_eq!(shown(&own.http.addresses), "10.0.0.5 192.168.1.2");
    assert_eq!(shown(&own.grpc.addresses), "127.0.0.1 10.0.0.5");
    let refused = |text: &str, expected: &str| {
        let found = load(&sources(&[("a.hcl", text)]), &server(), &host).expect_err(text);
        let [one] = found.as_slice() else { panic!("{text}: {found:?}") };
        assert_eq!(one.to_string(), expected);
    };
    let machine = "this machine has eth0 10.0.0.5/24, eth1 192.168.1.2/24; the default route leaves by eth0";
    refused(
        "bind_addr = \"{{ GetPublicIP }}\"",
        &format!(
            "a.hcl:1:1: bind_addr: the template \"{{{{ GetPublicIP }}}}\": it gives no address; {machine}"
        ),
    );
    refused(
        "addresses { http = \"{{ GetInterfaceIP 'eth0' }}\" }",
        &format!(
            "a.hcl:1:13: addresses.http: the template \"{{{{ GetInterfaceIP 'eth0' }}}}\": expected | or }}}}, found '\\''; {machine}"
        ),
    );
    refused(
        "advertise_addr = \"{{ GetPrivateIPs }}\"",
        "a.hcl:1:1: multiple addresses found: 10.0.0.5 192.168.1.2; advertise_addr is one",
    );
    refused(
        "bind_addr = \"{{ GetPrivateIPs }}\"",
        "a.hcl:1:1: bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
    );
}
