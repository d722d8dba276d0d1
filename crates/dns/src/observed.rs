//! Metrics of questions, under Consul's names where it has them. The labels are bounded by a table of types.

use std::sync::OnceLock;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use metrics::{Histogram, histogram};

/// The types that have a label of their own.
const KINDS: [(RecordType, &str); 10] = [
    (RecordType::A, "A"),
    (RecordType::AAAA, "AAAA"),
    (RecordType::ANY, "ANY"),
    (RecordType::CNAME, "CNAME"),
    (RecordType::MX, "MX"),
    (RecordType::NS, "NS"),
    (RecordType::PTR, "PTR"),
    (RecordType::SOA, "SOA"),
    (RecordType::SRV, "SRV"),
    (RecordType::TXT, "TXT"),
];

/// Whose name was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum About {
    /// One in our domain.
    Ours,
    /// One in the tree of addresses.
    Reverse,
}

/// The metrics, each looked up when it is first used, and kept.
#[derive(Default)]
pub(crate) struct Observed {
    node: String,
    domain: OnceLock<Histogram>,
    reverse: OnceLock<Histogram>,
    kinds: [OnceLock<Histogram>; KINDS.len() + 1],
}

impl Observed {
    pub(crate) fn new(node: String) -> Self {
        Self { node, ..Self::default() }
    }

    /// Records one question.
    pub(crate) fn record(&self, about: About, kind: RecordType, took: Duration) {
        let milliseconds = took.as_secs_f64() * 1e3;
        let node = || self.node.clone();
        let whole = match about {
            About::Ours => {
                self.domain.get_or_init(|| histogram!("consul.dns.domain_query", "node" => node()))
            }
            About::Reverse => {
                self.reverse.get_or_init(|| histogram!("consul.dns.ptr_query", "node" => node()))
            }
        };
        whole.record(milliseconds);
        let at = KINDS.iter().position(|(known, _)| *known == kind).unwrap_or(KINDS.len());
        let name = KINDS.get(at).map_or("other", |(_, name)| *name);
        let of_kind = || histogram!("consul.dns.query", "node" => node(), "type" => name);
        self.kinds[at].get_or_init(of_kind).record(milliseconds);
    }
}
