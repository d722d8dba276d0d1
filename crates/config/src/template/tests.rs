//! Templates over machines of their own.

use super::*;
use crate::interfaces::{Flags, InterfaceAddress};

fn address(name: &str, written: &str) -> InterfaceAddress {
    let (ip, bits) = written.split_once('/').expect("address/bits");
    let loopback = name == "lo";
    let flags = Flags {
        up: name != "eth9",
        broadcast: !loopback,
        loopback,
        point_to_point: name.starts_with("tun"),
        multicast: !loopback,
    };
    InterfaceAddress {
        name: name.to_owned(),
        address: ip.parse().unwrap(),
        bits: bits.parse().unwrap(),
        flags,
    }
}

fn machine(written: &[(&str, &str)]) -> Interfaces {
    Interfaces {
        addresses: written.iter().map(|(name, text)| address(name, text)).collect(),
        default: Some("eth0".to_owned()),
        fault: None,
    }
}

/// A machine in a private network, with a second one, a bridge of containers and a public address.
fn usual() -> Interfaces {
    machine(&[
        ("lo", "127.0.0.1/8"),
        ("lo", "::1/128"),
        ("docker0", "172.17.0.1/16"),
        ("eth0", "10.0.0.5/24"),
        ("eth0", "fe80::1/64"),
        ("eth1", "192.168.7.9/20"),
        ("eth2", "8.8.4.4/28"),
        ("eth9", "10.9.0.1/16"),
    ])
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(render(text, &usual()).as_deref(), Ok(expected), "{text}");
}

#[track_caller]
fn wrong(text: &str, expected: &str) {
    let found = render(text, &usual()).expect_err(text).to_string();
    assert!(found.contains(expected), "{text}: {found}");
}

#[test]
fn the_usual_templates_give_an_address() {
    check("{{ GetPrivateIP }}", "10.0.0.5");
    check("{{GetPrivateIP}}", "10.0.0.5");
    check("{{ GetPublicIP }}", "8.8.4.4");
    check("{{ GetInterfaceIP \"eth0\" }}", "10.0.0.5");
    check("{{ GetInterfaceIP `eth1` }}", "192.168.7.9");
    check("{{ GetInterfaceIP \"lo\" }}", "");
    check("{{ GetInterfaceIPs \"eth0\" }}", "10.0.0.5 fe80::1");
    check("{{ GetPrivateIPs }}", "172.17.0.1 10.9.0.1 192.168.7.9 10.0.0.5");
    check("{{ GetPublicIPs }}", "8.8.4.4");
    check("127.0.0.1 {{ GetPrivateIP }}", "127.0.0.1 10.0.0.5");
    check("{{ GetPrivateIP }} {{ GetInterfaceIP \"eth1\" }}", "10.0.0.5 192.168.7.9");
    check("a  {{- GetPublicIP -}}  b", "a8.8.4.4b");
    check("127.0.0.1", "127.0.0.1");
}

#[test]
fn pipelines_choose_order_and_cut() {
    check("{{ GetAllInterfaces | include \"name\" \"^eth0$\" | attr \"address\" }}", "10.0.0.5");
    check(
        "{{ GetPrivateInterfaces | exclude \"name\" \"docker\" | join \"address\" \" \" }}",
        "10.0.0.5 192.168.7.9",
    );
    check("{{ GetDefaultInterfaces | include \"type\" \"ipv6\" | attr \"address\" }}", "fe80::1");
    check("{{ GetPublicInterfaces | attr \"name\" }}", "eth2");
    check(
        "{{ GetAllInterfaces | include \"network\" \"192.168.0.0/16\" | attr \"address\" }}",
        "192.168.7.9",
    );
    check(
        "{{ GetAllInterfaces | include \"rfc\" \"1918\" | sort \"-address\" | limit 2 | join \"address\" \",\" }}",
        "192.168.7.9,172.17.0.1",
    );
    check("{{ GetAllInterfaces | exclude \"RFC\" \"6890|4291\" | attr \"address\" }}", "8.8.4.4");
    check("{{ GetAllInterfaces | sort \"name\" | offset 1 | limit 1 | attr \"name\" }}", "eth0");
    check("{{ GetAllInterfaces | offset -1 | attr \"address\" }}", "10.9.0.1");
    check(
        "{{ GetAllInterfaces | sort \"name\" | unique \"name\" | join \"name\" \" \" }}",
        "docker0 eth0 eth1 eth2 eth9 lo",
    );
    check(
        "{{ GetAllInterfaces | include \"flags\" \"loopback\" | limit 1 | attr \"address\" }}",
        "127.0.0.1",
    );
    check(
        "{{ GetAllInterfaces | include \"flag\" \"up\" | include \"size\" \"20\" | attr \"string\" }}",
        "192.168.7.9/20",
    );
    check("{{ . | include \"name\" \"eth1\" | attr \"network\" }}", "192.168.0.0/20");
    check("{{ attr \"address\" (GetAllInterfaces | include \"name\" \"eth1\") }}", "192.168.7.9");
    check("{{ GetAllInterfaces | include \"address\" \"^8[.]\" | attr \"type\" }}", "IPv4");
    check(
        "{{ GetAllInterfaces | sort \"default,-type\" | limit 2 | join \"address\" \" \" }}",
        "fe80::1 10.0.0.5",
    );
    check("{{ GetAllInterfaces | include \"name\" \"wlan\" | attr \"address\" }}", "");
}

#[test]
fn what_is_wrong_is_named() {
    wrong("{{ GetPrivatIP }}", "there is no function \"GetPrivatIP\"; there are GetAllInterfaces");
    wrong("{{ getprivateip }}", "did you mean GetPrivateIP?");
    wrong("{{ GetPrivateIP", "it ends where | or }} should be");
    wrong("{{ }}", "expected a function, found '}'");
    wrong("{{ GetInterfaceIP }}", "GetInterfaceIP takes 1 arguments");
    wrong("{{ GetInterfaceIP 5 }}", "GetInterfaceIP wants a text in quotes, not 5");
    wrong("{{ GetInterfaceIP \"eth0 }}", "no \" at its end");
    wrong("{{ GetAllInterfaces }}", "it ends in a list of interfaces; add | attr");
    wrong(
        "{{ GetAllInterfaces | include \"name\" \"(\" | attr \"address\" }}",
        "\"(\" is no regular expression",
    );
    wrong(
        "{{ GetAllInterfaces | include \"colour\" \"x\" | attr \"address\" }}",
        "nothing is selected by \"colour\"",
    );
    wrong(
        "{{ GetAllInterfaces | include \"rfc\" \"1\" | attr \"address\" }}",
        "the RFC \"1\" is not known here; there are 919",
    );
    wrong("{{ GetAllInterfaces | include \"flags\" \"upp\" | attr \"address\" }}", "\"upp\" is no flag");
    wrong("{{ GetAllInterfaces | sort \"colour\" | attr \"address\" }}", "nothing is sorted by \"colour\"");
    wrong("{{ GetAllInterfaces | offset 99 | attr \"address\" }}", "offset 99 is beyond the 8 interfaces");
    wrong("{{ GetAllInterfaces | limit -1 | attr \"address\" }}", "limit -1 is below 0");
    wrong("{{ GetAllInterfaces | attr \"colour\" }}", "an interface has no \"colour\" here");
    wrong("{{ range . }}x{{ end }}", "\"range\" is not available");
    wrong("{{ GetPrivateIP | math \"address\" \"+1\" }}", "math is not available yet");
    wrong(&format!("{{{{ {}GetPrivateIP }}}}", "(".repeat(100)), "nest deeper than 8");
    wrong(&format!("{{{{ {} }}}}", " ".repeat(5000)), "longer than 4096 bytes");
    let nowhere = Interfaces { default: None, ..usual() };
    assert!(render("{{ GetDefaultInterfaces | attr \"address\" }}", &nowhere).is_err());
    let unknown = Interfaces { fault: Some("no".to_owned()), ..Interfaces::default() };
    assert!(
        render("{{ GetPrivateIP }}", &unknown)
            .unwrap_err()
            .to_string()
            .contains("does not tell its addresses: no")
    );
}
