//! The same questions to us and to a reference with the same catalog: code, flags, sections as sets, times to live.
//!
//! `known` says in what we differ on purpose. Of answers over UDP that leave records out, which of them are left is
//! random; of these the number is compared.

use std::collections::{BTreeMap, BTreeSet};

use concord_e2e::{Agent, AgentOptions, Chance, Http, Reference, World, eventually, foreign};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::{Value, json};

use super::{Over, ask, question, told};

/// Questions to each pair of agents.
const QUESTIONS: usize = 1_500;

/// What both agents are told.
const SETTINGS: [&str; 3] = [
    "",
    "alt_domain = \"mesh.example\"
     dns_config { enable_truncate = true only_passing = true node_ttl = \"30s\" udp_answer_limit = 5 a_record_limit = 6
       service_ttl { \"web\" = \"5s\" \"*\" = \"2s\" \"ma*\" = \"3s\" }
       soa { min_ttl = 9 refresh = 8 retry = 7 expire = 6 } }",
    "dns_config { disable_compression = true enable_additional_node_meta_txt = false udp_answer_limit = 8 allow_stale = false }",
];

/// An answer as it is compared.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Compared {
    head: String,
    answers: BTreeSet<String>,
    authorities: BTreeSet<String>,
    additionals: BTreeSet<String>,
    counts: (usize, usize),
    has_edns: bool,
}

fn compared(answer: Option<Message>) -> Option<Compared> {
    let answer = answer?;
    let flags = [
        (answer.authoritative, "aa"),
        (answer.truncation, "tc"),
        (answer.recursion_desired, "rd"),
        (answer.recursion_available, "ra"),
        (answer.checking_disabled, "cd"),
        (answer.authentic_data, "ad"),
    ];
    let flags: Vec<_> = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name).collect();
    // The reference tells the network segment of its own node at some times and not at others.
    let steady = |record: &&Record| !told(&record.data).contains("consul-network-segment");
    let count = |records: &[Record]| records.iter().filter(steady).count();
    let lines = |records: &[Record]| -> BTreeSet<String> {
        let line = |record: &Record| {
            let data = match &record.data {
                // Each server has its own port.
                RData::SRV(srv) if is_of_servers(&record.name) => srv.target.to_string(),
                other => told(other),
            };
            format!("{} {} {} {data}", record.name, record.ttl, record.record_type())
        };
        records.iter().filter(steady).map(line).collect()
    };
    Some(Compared {
        head: format!("{:?} {}", answer.response_code, flags.join(" ")),
        answers: lines(&answer.answers),
        authorities: lines(&answer.authorities),
        additionals: lines(&answer.additionals),
        counts: (count(&answer.answers), count(&answer.additionals)),
        has_edns: answer.edns.is_some(),
    })
}

/// Why two answers differ on purpose. `None`: they should not.
fn known(
    asked: &Message,
    over: Over,
    ours: Option<&Compared>,
    theirs: Option<&Compared>,
) -> Option<&'static str> {
    let query = &asked.queries[0];
    let name = query.name.to_ascii().to_ascii_lowercase();
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        // What a name cannot be, the reference cannot write, and so says nothing.
        return (theirs.is_none() && name.contains("long-"))
            .then_some("a name that is too long: no answer at all");
    };
    let is_refused = ours.head.starts_with("NotImp");
    if is_refused && query.query_type == RecordType::IXFR {
        return Some("IXFR is answered like any type; we refuse it as AXFR");
    }
    if is_refused && query.query_type == RecordType::AXFR && name.ends_with("arpa.") {
        return Some("AXFR of the tree of addresses is answered like any type");
    }
    let spelt = query.name.to_ascii();
    if spelt.ends_with("MESH.example.") || spelt == "mesh.example." {
        let theirs_of = |text: &String| match text.contains(" SOA ") {
            true => text.replace("mesh.example.", "consul."),
            false => text.clone(),
        };
        let authorities = ours.authorities.iter().map(theirs_of).collect();
        let answers = ours.answers.iter().map(theirs_of).collect();
        let same = Compared { authorities, answers, ..ours.clone() };
        if same.head == theirs.head
            && same.authorities == theirs.authorities
            && same.answers == theirs.answers
        {
            return Some(
                "the second domain is not known by its name alone, nor in capital letters: the SOA is that of the first",
            );
        }
    }
    if name.starts_with("self.service.") && spelt != name {
        return Some("an address that is the name that was asked for is known in small letters only");
    }
    if (name.contains(".connect.") || name.contains(".ingress.")) && name.contains(".peer.") {
        return Some("the peer is ignored in names of connect and ingress");
    }
    if ours.has_edns && !theirs.has_edns {
        let same = Compared { has_edns: false, ..ours.clone() };
        if same == *theirs {
            return Some("refusals, and answers that were cut, lack EDNS");
        }
    }
    let head = |own: &Compared| own.head.replace(" tc", "");
    let is_about_the_same = head(ours) == head(theirs)
        && ours.authorities == theirs.authorities
        && ours.counts.0.abs_diff(theirs.counts.0) <= 1;
    // The least that may be left out: shorter answers fit.
    if over == Over::Udp && ours.counts.0.max(theirs.counts.0) >= 3 && is_about_the_same {
        return Some(
            "of records that do not all fit, which are drawn decides how many fit, and EDNS takes room",
        );
    }
    None
}

/// Whether it is a name of the service of servers.
fn is_of_servers(name: &Name) -> bool {
    let name = name.to_ascii().to_ascii_lowercase();
    name.starts_with("consul.service.") || name.starts_with("_consul.")
}

/// Whether they say the same. If records are left out, their numbers are compared.
fn alike(ours: &Compared, theirs: &Compared, is_cut: bool) -> bool {
    if !is_cut {
        return ours == theirs;
    }
    let Compared { head, answers: _, authorities, additionals: _, counts, has_edns } = ours;
    *head == theirs.head
        && *authorities == theirs.authorities
        && *counts == theirs.counts
        && *has_edns == theirs.has_edns
}

#[test]
fn a_reference_answers_as_we_do_but_for_what_is_known() {
    let test = "a_reference_answers_as_we_do_but_for_what_is_known";
    let Some(program) = foreign(test, "CONCORD_TEST_REFERENCE", "consul", &["version"]) else { return };
    let mut chance = Chance::from_env_or(1);
    let (mut asked, mut differing) = (0, BTreeMap::<String, (usize, String)>::new());
    let mut unknown = 0;
    for settings in SETTINGS {
        let world = World::new();
        let options = AgentOptions { dev: true, hcl: vec![settings.to_owned()], ..AgentOptions::default() };
        let ours = world.agent("n1", options);
        let theirs = Reference::start(&world, &program, settings);
        stock(&[&ours.http(), &Http::new(theirs.http)]);
        settle(&ours, &theirs);
        let shared = Names::new(settings.contains("mesh.example"));
        for _ in 0..QUESTIONS {
            let (asks, over) = shared.question(&mut chance);
            let one = compared(ask(ours.dns_addr(), &asks, over));
            let other = compared(ask(theirs.dns, &asks, over));
            asked += 1;
            let is_cut = [&one, &other].iter().any(|answer| {
                answer.as_ref().is_some_and(|answer| {
                    over == Over::Udp && answer.counts.0 >= 3
                        || answer.head.contains("tc")
                        || answer.counts.0 == 6
                })
            });
            let same = match (&one, &other) {
                (Some(one), Some(other)) => alike(one, other, is_cut),
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            let why = known(&asks, over, one.as_ref(), other.as_ref());
            let query = &asks.queries[0];
            let example = format!(
                "{} {} {over:?} edns {:?}\n   ours: {one:?}\n theirs: {other:?}",
                query.name,
                query.query_type,
                asks.edns.as_ref().map(|edns| edns.max_payload())
            );
            let key = why.map_or_else(
                || {
                    unknown += 1;
                    format!("NOT KNOWN {unknown:03}")
                },
                str::to_owned,
            );
            let entry = differing.entry(key).or_insert((0, example));
            entry.0 += 1;
        }
    }
    for (why, (count, example)) in &differing {
        eprintln!("{count} × {why}\n  {example}");
    }
    eprintln!("{asked} questions, {unknown} differ in what is not known");
    assert!(asked >= 1_000 && unknown == 0, "{unknown} of {asked} differ");
}

/// Waits until both answer about their own node and about what was registered last.
fn settle(ours: &Agent, theirs: &Reference) {
    for at in [ours.dns_addr(), theirs.dns] {
        for name in ["n1.node.consul.", "last.service.consul."] {
            eventually("the catalog is there", || {
                let answer = ask(at, &question(name, RecordType::A, None), Over::Udp)?;
                (answer.response_code == ResponseCode::NoError).then_some(())
            });
        }
        eventually("the server is there", || {
            let answer = ask(at, &question("consul.", RecordType::NS, None), Over::Udp)?;
            (!answer.answers.is_empty()).then_some(())
        });
    }
}

/// Registers the same at both.
fn stock(agents: &[&Http]) {
    for registration in registrations() {
        for agent in agents {
            let reply = agent.put("/v1/catalog/register", &registration);
            assert_eq!(reply.status, 200, "{registration}: {}", reply.body);
        }
    }
}

fn registrations() -> Vec<Value> {
    let nodes = [
        json!({"Node": "n2", "Address": "10.0.0.2", "NodeMeta": {"zone": "a", "rfc1035-txt": "plain", "a=b": "c`d"}}),
        json!({"Node": "N3.example", "Address": "10.0.0.3", "TaggedAddresses": {"lan_ipv4": "10.3.0.3", "lan_ipv6": "2001:db8::33", "wan": "192.0.2.3"}}),
        json!({"Node": "six", "Address": "2001:db8::6"}),
        json!({"Node": "host", "Address": "n2.node.consul"}),
        json!({"Node": "far", "Address": "far.example.com"}),
        json!({"Node": "under_score", "Address": "10.0.0.7", "NodeMeta": {"k": "v"}}),
    ];
    let services = [
        json!({"Service": "web", "ID": "web-1", "Port": 80, "Tags": ["v1", "Blue"]}),
        json!({"Service": "web", "ID": "web-2", "Port": 81, "Address": "10.1.0.1", "Tags": ["v2"], "Weights": {"Passing": 7, "Warning": 3}}),
        json!({"Service": "web6", "ID": "web6", "Port": 82, "Address": "2001:db8::82"}),
        json!({"Service": "both", "ID": "both", "Port": 83, "Address": "10.1.0.3", "TaggedAddresses": {"lan_ipv4": {"Address": "10.1.0.4", "Port": 84}, "lan_ipv6": {"Address": "2001:db8::84", "Port": 84}}}),
        json!({"Service": "alias", "ID": "alias", "Port": 84, "Address": "web.service.consul"}),
        json!({"Service": "self", "ID": "self", "Port": 85, "Address": "self.service.consul"}),
        json!({"Service": "far", "ID": "far", "Port": 86, "Address": "db.example.com"}),
        json!({"Service": "mixed-CASE", "ID": "mixed", "Port": 87, "Address": "10.1.0.7"}),
        json!({"Service": "web-proxy", "ID": "proxy", "Port": 20_000, "Kind": "connect-proxy", "Proxy": {"DestinationServiceName": "web"}}),
        json!({"Service": "native", "ID": "native", "Port": 88, "Connect": {"Native": true}}),
        json!({"Service": "no-port", "ID": "no-port"}),
    ];
    let mut all: Vec<Value> = nodes.to_vec();
    for (at, node) in nodes.iter().enumerate() {
        for (number, service) in services.iter().enumerate() {
            if (at + number) % 2 == 0 || at == 0 {
                let mut one = node.clone();
                one["Service"] = service.clone();
                let id = service["ID"].as_str().expect("a text");
                let status = match (at + number) % 5 {
                    3 if at > 0 => "critical",
                    4 => "warning",
                    _ => "passing",
                };
                one["Checks"] = json!([{"Node": node["Node"], "CheckID": format!("of-{id}"), "Name": "c", "ServiceID": id, "Status": status}]);
                all.push(one);
            }
        }
    }
    for at in 0..40 {
        let address = format!("10.9.0.{}", at + 1);
        let name = format!("m{at}");
        all.push(json!({"Node": name, "Address": "10.8.0.1", "Service": {"Service": "many", "ID": "many", "Port": 90, "Address": address}}));
    }
    all.push(json!({"Node": "n2", "Address": "10.0.0.2", "SkipNodeUpdate": true, "Service": {"Service": "last", "ID": "last", "Port": 99}}));
    all
}

/// Draws questions.
struct Names {
    domains: Vec<&'static str>,
}

impl Names {
    fn new(has_alternative: bool) -> Self {
        let mut domains = vec!["consul.", "consul.", "Consul."];
        if has_alternative {
            domains.extend(["mesh.example.", "MESH.example."]);
        }
        Self { domains }
    }

    fn question(&self, chance: &mut Chance) -> (Message, Over) {
        const KINDS: [RecordType; 14] = [
            RecordType::A,
            RecordType::A,
            RecordType::A,
            RecordType::AAAA,
            RecordType::ANY,
            RecordType::SRV,
            RecordType::SRV,
            RecordType::TXT,
            RecordType::PTR,
            RecordType::SOA,
            RecordType::NS,
            RecordType::MX,
            RecordType::CNAME,
            RecordType::AXFR,
        ];
        let kind = if chance.percent(2) { RecordType::IXFR } else { *chance.one(&KINDS) };
        let payload = *chance.one(&[None, None, Some(512), Some(1_232), Some(4_096), Some(65_535)]);
        let mut message = question(&self.name(chance), kind, payload);
        message.metadata.recursion_desired = chance.percent(70);
        message.metadata.checking_disabled = chance.percent(10);
        (message, if chance.percent(60) { Over::Udp } else { Over::Tcp })
    }

    fn name(&self, chance: &mut Chance) -> String {
        const SERVICES: [&str; 16] = [
            "web",
            "WEB",
            "web6",
            "both",
            "alias",
            "self",
            "far",
            "mixed-case",
            "Mixed-CASE",
            "web-proxy",
            "native",
            "no-port",
            "many",
            "consul",
            "absent",
            "service",
        ];
        const NODES: [&str; 10] =
            ["n1", "n2", "N2", "n3.example", "six", "host", "far", "under_score", "absent", "m7"];
        const PLACES: [&str; 12] = [
            "",
            "",
            "",
            "",
            "dc1.",
            "DC1.",
            "dc1.dc.",
            "dc2.",
            "p.peer.",
            "a.b.c.",
            "dc1.dc.p.peer.",
            "x.y.",
        ];
        const TAGS: [&str; 6] = ["v1", "V2", "blue", "absent", "a.b", "tcp"];
        let domain = *chance.one(&self.domains);
        let (service, node, place, tag) =
            (*chance.one(&SERVICES), *chance.one(&NODES), *chance.one(&PLACES), *chance.one(&TAGS));
        match chance.below(20) {
            0..=4 => format!("{service}.service.{place}{domain}"),
            5 => format!("{tag}.{service}.service.{place}{domain}"),
            6 => format!("_{service}._{tag}.service.{place}{domain}"),
            7 => format!("_{service}._{tag}.{place}{domain}"),
            8 => format!("{service}.connect.{place}{domain}"),
            9 => format!("{service}.virtual.{place}{domain}"),
            10 => format!("{service}.ingress.{place}{domain}"),
            11..=13 => format!("{node}.node.{place}{domain}"),
            14 => format!(
                "{}.addr.{place}{domain}",
                chance.one(&["0a000001", "0A00000B", "0a00", "zz000001", "20010db8000000000000000000000001"])
            ),
            15 => format!("{}.query.{place}{domain}", chance.one(&["web", "absent"])),
            16 => chance
                .one(&[
                    "2.0.0.10.in-addr.arpa.",
                    "1.0.1.10.in-addr.arpa.",
                    "9.9.9.9.in-addr.arpa.",
                    "x.in-addr.arpa.",
                    "arpa.",
                    "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                    "2.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
                ])
                .to_string(),
            17 => domain.to_owned(),
            18 => format!(
                "{}{domain}",
                chance.one(&["service.", "node.", "connect.", "virtual.", "x.", "addr.", "web."])
            ),
            _ => (*chance.one(&["www.example.com.", "example.", "."])).to_owned(),
        }
    }
}
