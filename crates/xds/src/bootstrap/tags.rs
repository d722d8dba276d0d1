//! The tags of Envoy's metrics, by which dashboards find them.
//!
//! A rule is a regular expression on a metric's name: its first group is cut out of the name, its second is the tag's
//! value. The names of the tags and what they match are those of Consul.

use serde_json::{Value, json};

use super::input::Bootstrap;

/// One part of a dotted name.
const SEGMENT: &str = "[^.]+";

/// What a rule takes out of the name of a cluster:
/// `hash~subset.service.namespace.partition.datacenter.kind.trust-domain.consul`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Hash,
    Subset,
    Service,
    Namespace,
    Partition,
    Datacenter,
    Kind,
    TrustDomain,
    Target,
    FullTarget,
}

const OF_CLUSTERS: [(&str, Part); 10] = [
    ("custom_hash", Part::Hash),
    ("service_subset", Part::Subset),
    ("service", Part::Service),
    ("namespace", Part::Namespace),
    ("partition", Part::Partition),
    ("datacenter", Part::Datacenter),
    ("routing_type", Part::Kind),
    ("trust_domain", Part::TrustDomain),
    ("target", Part::Target),
    ("full_target", Part::FullTarget),
];

/// `stats_config`: fixed tags that users ask for, tags by rules, fixed tags of this proxy.
pub(super) fn stats_config(own: &Bootstrap) -> Value {
    let fixed = |(name, value): (&str, &str)| json!({ "tag_name": name, "fixed_value": value });
    let asked: Vec<_> = own.settings.stats_tags.iter().map(|tag| asked_for(tag)).collect();
    let named = |name: &str| asked.iter().any(|(asked, _)| asked == name);
    let service = own.node.service.as_str();
    let of_proxy = [
        ("local_cluster", service),
        ("consul.source.service", service),
        ("consul.source.namespace", "default"),
        ("consul.source.partition", "default"),
        ("consul.source.datacenter", own.node.datacenter.as_str()),
    ];
    let of_proxy = of_proxy.into_iter().filter(|(name, value)| !value.is_empty() && !named(name));
    let rules = rules(own.omit_deprecated_tags);
    let rules = rules.into_iter().map(|(name, regex)| json!({ "tag_name": name, "regex": regex }));
    let tags: Vec<Value> = (asked.iter().map(|(name, value)| fixed((name, value))))
        .chain(rules)
        .chain(of_proxy.map(fixed))
        .collect();
    json!({ "stats_tags": tags, "use_all_default_tags": true })
}

/// `name=value`; a name alone has the value 1.
fn asked_for(tag: &str) -> (String, &str) {
    let (name, value) = tag.split_once('=').unwrap_or((tag, "1"));
    (name.to_lowercase(), value)
}

fn rules(omit_deprecated: bool) -> Vec<(String, String)> {
    let mut all: Vec<_> = OF_CLUSTERS
        .iter()
        .map(|(name, part)| (format!("consul.destination.{name}"), of_cluster(*part, "(?:passthrough~)?")))
        .collect();
    all.insert(6, ("consul.destination.peer".to_owned(), of_peer()));
    all.extend(of_upstreams().map(|(name, regex)| (format!("consul.upstream.{name}"), regex)));
    if !omit_deprecated {
        // Before Consul 1.9 there were no partitions.
        let old = OF_CLUSTERS.iter().filter(|(_, part)| *part != Part::Partition);
        all.extend(old.map(|(name, part)| (format!("consul.{name}"), of_cluster(*part, ""))));
    }
    all
}

fn of_cluster(part: Part, before: &str) -> String {
    let group = |own: Part| if own == part { format!("({SEGMENT})") } else { SEGMENT.to_owned() };
    let optional = |own: Part, end: &str| format!("(?:{}{end})?", group(own));
    // Peers have neither: what stands there is the peer's name.
    let local = matches!(part, Part::Partition | Part::Datacenter);
    let kind = if local { "internal[^.]*".to_owned() } else { group(Part::Kind) };
    let target = format!(
        "{}{}{}\\.{}\\.{}{}",
        optional(Part::Hash, "~"),
        optional(Part::Subset, "\\."),
        group(Part::Service),
        group(Part::Namespace),
        optional(Part::Partition, "\\."),
        group(Part::Datacenter),
    );
    let domain = group(Part::TrustDomain);
    let inner = match part {
        Part::Target => format!("({target})\\.{kind}\\.{domain}"),
        Part::FullTarget => format!("({target}\\.{kind}\\.{domain})"),
        _ => format!("{target}\\.{kind}\\.{domain}"),
    };
    format!("^cluster\\.{before}({inner}\\.consul\\.)")
}

fn of_peer() -> String {
    format!("^cluster\\.({SEGMENT}\\.(?:{SEGMENT}\\.)?({SEGMENT})\\.external\\.{SEGMENT}\\.consul\\.)")
}

/// The names of listeners of upstreams: `upstream.service.namespace.partition.datacenter`, and
/// `upstream_peered.service.namespace.peer`.
fn of_upstreams() -> impl Iterator<Item = (&'static str, String)> {
    let segment = |own: bool| if own { format!("({SEGMENT})") } else { SEGMENT.to_owned() };
    let rule = move |peered: &str, at: usize, optional: usize| {
        let middle: String = (1..=optional).map(|one| format!("(?:\\.{})?", segment(at == one))).collect();
        let (first, last) = (segment(at == 0), segment(at == optional + 1));
        format!("^(?:tcp|http)\\.upstream{peered}\\.({first}{middle}\\.{last}\\.)")
    };
    [
        ("service", rule("(?:_peered)?", 0, 2)),
        ("datacenter", rule("", 3, 2)),
        ("peer", rule("_peered", 2, 1)),
        ("namespace", rule("(?:_peered)?", 1, 2)),
        ("partition", rule("", 2, 2)),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// The tags of a metric, and the rest of its name by the first of them.
    fn tagged(metric: &str, omit_deprecated: bool) -> Vec<(String, String)> {
        let read = |(name, regex): (String, String)| {
            let found = Regex::new(&regex).expect("a regular expression").captures(metric)?;
            let value = found.get(2)?.as_str().to_owned();
            Some((name, value))
        };
        rules(omit_deprecated).into_iter().filter_map(read).collect()
    }

    #[track_caller]
    fn check(metric: &str, expected: &[(&str, &str)]) {
        let found = tagged(metric, true);
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{metric}");
    }

    #[test]
    fn the_parts_of_a_clusters_name_become_tags() {
        check(
            "cluster.1a2b3c4d~v2.db.default.dc2.internal.td-1.consul.upstream_cx_total",
            &[
                ("consul.destination.custom_hash", "1a2b3c4d"),
                ("consul.destination.service_subset", "v2"),
                ("consul.destination.service", "db"),
                ("consul.destination.namespace", "default"),
                ("consul.destination.datacenter", "dc2"),
                ("consul.destination.routing_type", "internal"),
                ("consul.destination.trust_domain", "td-1"),
                ("consul.destination.target", "1a2b3c4d~v2.db.default.dc2"),
                ("consul.destination.full_target", "1a2b3c4d~v2.db.default.dc2.internal.td-1"),
            ],
        );
        check(
            "cluster.passthrough~db.default.dc2.internal.td-1.consul.bind_errors",
            &[
                ("consul.destination.service", "db"),
                ("consul.destination.namespace", "default"),
                ("consul.destination.datacenter", "dc2"),
                ("consul.destination.routing_type", "internal"),
                ("consul.destination.trust_domain", "td-1"),
                ("consul.destination.target", "db.default.dc2"),
                ("consul.destination.full_target", "db.default.dc2.internal.td-1"),
            ],
        );
    }

    #[test]
    fn the_name_of_a_peers_cluster_has_a_peer_and_no_datacenter() {
        let found = tagged("cluster.db.default.east.external.td-1.consul.bind_errors", true);
        let of = |tag: &str| found.iter().find(|(name, _)| name == tag).map(|(_, value)| value.as_str());
        assert_eq!(of("consul.destination.peer"), Some("east"));
        assert_eq!(of("consul.destination.routing_type"), Some("external"));
        assert_eq!(of("consul.destination.datacenter"), None);
    }

    #[test]
    fn the_parts_of_an_upstreams_listener_become_tags() {
        check(
            "tcp.upstream.db.default.default.dc1.downstream_cx_total",
            &[
                ("consul.upstream.service", "db"),
                ("consul.upstream.datacenter", "dc1"),
                ("consul.upstream.namespace", "default"),
                ("consul.upstream.partition", "default"),
            ],
        );
        let peered = tagged("http.upstream_peered.db.default.east.downstream_rq_total", true);
        assert!(peered.contains(&("consul.upstream.peer".to_owned(), "east".to_owned())), "{peered:?}");
        check("http.public_listener.downstream_rq_total", &[]);
    }

    #[test]
    fn older_names_are_there_unless_they_are_omitted() {
        let metric = "cluster.db.default.dc2.internal.td-1.consul.bind_errors";
        let has =
            |omit| tagged(metric, omit).iter().any(|(name, value)| name == "consul.service" && value == "db");
        assert!(has(false) && !has(true));
        assert_eq!((rules(true).len(), rules(false).len()), (16, 25));
    }

    #[test]
    fn a_tag_without_a_value_has_the_value_1() {
        assert_eq!(asked_for("Canary"), ("canary".to_owned(), "1"));
        assert_eq!(asked_for("team=a=b"), ("team".to_owned(), "a=b"));
    }
}
