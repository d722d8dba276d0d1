//! DNS: limits, times, other DNS servers.

use std::time::Duration;

use super::{config, refused};
use crate::section::{DnsSection, RecursorStrategy, SoaSection};

#[test]
fn dns_is_as_in_consul_where_nothing_is_said() {
    let own = config("");
    let usual = DnsSection::default();
    assert_eq!((own.dns.port.to_string(), own.dns.asked_for), ("8600".to_owned(), false));
    assert_eq!(own.dns.addresses, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    let DnsSection { addresses, port, .. } = own.dns.clone();
    assert_eq!(own.dns, DnsSection { addresses, port, ..usual });
    assert_eq!((usual.udp_answer_limit, usual.a_record_limit), (3, 0));
    assert_eq!(usual.max_stale, Duration::from_secs(87_600 * 3600));
    assert!(usual.allow_stale && usual.node_meta_txt && !usual.enable_truncate);
}

#[test]
fn dns_takes_what_is_written() {
    let own = config(
        "recursors = [\"10.0.0.2\", \"10.0.0.2:53\", \"fd00::2\", \"[fd00::3]\", \"[fd00::4]:5353\"]
         dns_config { udp_answer_limit = 0 a_record_limit = 7 recursor_strategy = \"random\"
           service_ttl { web = \"5s\" \"db*\" = \"1m\" } soa { refresh = 1 min_ttl = 4 } }",
    )
    .dns;
    let recursors: Vec<_> = own.recursors.iter().map(ToString::to_string).collect();
    assert_eq!(recursors, ["10.0.0.2:53", "[fd00::2]:53", "[fd00::3]:53", "[fd00::4]:5353"]);
    assert_eq!((own.udp_answer_limit, own.a_record_limit), (0, 7));
    assert_eq!(own.recursor_strategy, RecursorStrategy::Random);
    assert_eq!(own.soa, SoaSection { refresh: 1, min_ttl: 4, ..SoaSection::default() });
    assert_eq!(own.service_ttl["db*"], Duration::from_secs(60));
}

#[test]
fn settings_of_dns_that_make_no_sense_are_refused() {
    let texts = [
        (
            "dns_config {\n udp_answer_limit = -1\n}",
            "a.hcl:2:2: dns_config.udp_answer_limit cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "dns_config {\n a_record_limit = -1\n}",
            "a.hcl:2:2: dns_config.a_record_limit cannot be -1. Must be greater than or equal to zero",
        ),
        (
            "dns_config {\n recursor_strategy = \"first\"\n}",
            "a.hcl:2:2: dns_config.recursor_strategy: invalid strategy: \"first\"; use sequential or random",
        ),
        (
            "recursors = [\"dns.example\"]",
            "a.hcl:1:1: recursors: \"dns.example\" is no address; write it as 10.0.0.2, 10.0.0.2:53 or [fd00::2]:53",
        ),
        (
            "recursors = [\"0.0.0.0\"]",
            "a.hcl:1:1: recursors: DNS recursor address cannot be 0.0.0.0, :: or [::]",
        ),
        (
            "addresses {\n dns = \"unix:///dns\"\n}",
            "a.hcl:2:2: addresses.dns: DNS address cannot be a unix socket",
        ),
    ];
    for (text, expected) in texts {
        refused(text, &[expected]);
    }
    refused(
        "dns_config { soa {\n min_ttl = -1\n} }",
        &["a.hcl:2:2: dns_config.soa.min_ttl: -1 is not a number of seconds"],
    );
    let many = (1..=17).map(|at| format!("\"10.0.0.{at}\"")).collect::<Vec<_>>().join(", ");
    refused(
        &format!("recursors = [{many}]"),
        &["a.hcl:1:1: recursors: 17 are too many; at most 16 are asked"],
    );
}
