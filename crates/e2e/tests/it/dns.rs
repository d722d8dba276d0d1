//! DNS of the whole program: its settings, and a comparison with a reference that has the same catalog.

mod reference;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use concord_e2e::{AgentOptions, HANG, World, eventually, pick_port};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::json;

/// How a question is asked.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Over {
    Udp,
    Tcp,
}

/// A question, with the size of answers that the client names.
fn question(name: &str, kind: RecordType, payload: Option<u16>) -> Message {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message
}

/// The answer; `None` if there is none in time.
fn ask(at: SocketAddr, question: &Message, over: Over) -> Option<Message> {
    let bytes = question.to_vec().expect("it is written");
    let answer = match over {
        Over::Udp => {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            socket.set_read_timeout(Some(HANG / 20)).expect("a limit");
            socket.send_to(&bytes, at).expect("it is sent");
            let mut buffer = vec![0; 65_536];
            let length = socket.recv(&mut buffer).ok()?;
            buffer.truncate(length);
            buffer
        }
        Over::Tcp => {
            let mut stream = TcpStream::connect(at).expect("a connection");
            stream.set_read_timeout(Some(HANG / 20)).expect("a limit");
            let length = u16::try_from(bytes.len()).expect("it is short");
            stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).expect("it is sent");
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut answer).ok()?;
            answer
        }
    };
    Some(Message::from_vec(&answer).expect("an answer is a message"))
}

/// The code and the data of the answers.
fn answers(at: SocketAddr, name: &str, kind: RecordType) -> (ResponseCode, BTreeSet<String>) {
    let answer = ask(at, &question(name, kind, None), Over::Udp).expect("an answer");
    (answer.response_code, answer.answers.iter().map(|record| record.data.to_string()).collect())
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn names_resolve_as_configured_and_a_reload_changes_that() {
    let world = World::new();
    let file = world.write("dns.hcl", "dns_config { node_ttl = \"7s\" }\nalt_domain = \"mesh.example\"");
    let options = AgentOptions {
        dev: true,
        args: vec![format!("-config-file={}", file.display()), "-domain=test.".to_owned()],
        ..AgentOptions::default()
    };
    let agent = world.agent("n1", options);
    let at = agent.dns_addr();
    agent
        .http()
        .put("/v1/agent/service/register", &json!({"Name": "web", "Port": 80, "Address": "10.0.0.1"}))
        .ok();
    let found = (ResponseCode::NoError, set(&["10.0.0.1"]));
    eventually("the service is there", || {
        (answers(at, "web.service.test.", RecordType::A) == found).then_some(())
    });
    assert_eq!(answers(at, "web.service.mesh.example.", RecordType::A), found);
    assert_eq!(answers(at, "web.service.consul.", RecordType::A), (ResponseCode::Refused, set(&[])));
    let ttl = || {
        let answer = ask(at, &question("n1.node.test.", RecordType::A, None), Over::Tcp).expect("an answer");
        answer.answers.first().map(|record| record.ttl)
    };
    assert_eq!(ttl(), Some(7));
    world.write("dns.hcl", "dns_config { node_ttl = \"8s\" }\nalt_domain = \"mesh.example\"");
    agent.http().send("PUT", "/v1/agent/reload", None).ok();
    assert_eq!(ttl(), Some(8));
}

#[test]
fn dns_listens_where_it_is_told_or_not_at_all() {
    let world = World::new();
    let port = pick_port();
    let options =
        AgentOptions { dev: true, args: vec![format!("-dns-port={port}")], ..AgentOptions::default() };
    let agent = world.agent("n1", options);
    assert_eq!(agent.dns_addr().port(), port);
    let off = AgentOptions { dev: true, args: vec!["-dns-port=-1".to_owned()], ..AgentOptions::default() };
    let silent = world.agent("n2", off);
    assert!(std::fs::read_to_string(world.path("n2.ready")).expect("a report").contains("\"dns\":[]"));
    drop(silent);
}

#[test]
fn the_token_of_dns_decides_what_is_answered() {
    let world = World::new();
    let root = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";
    let acl = format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{root}\" agent = \"{root}\" }} }}"
    );
    let agent = world.agent("n1", AgentOptions { dev: true, hcl: vec![acl], ..AgentOptions::default() });
    let (at, http) = (agent.dns_addr(), agent.http().with_token(root));
    http.put(
        "/v1/agent/service/register",
        &json!({"Name": "web", "Port": 80, "Address": "10.0.0.1", "Token": root}),
    )
    .ok();
    let absent = (ResponseCode::NXDomain, set(&[]));
    assert_eq!(answers(at, "web.service.consul.", RecordType::A), absent);
    http.put("/v1/agent/token/dns", &json!({"Token": root})).ok();
    eventually("the token is used", || {
        let found = answers(at, "web.service.consul.", RecordType::A);
        (found == (ResponseCode::NoError, set(&["10.0.0.1"]))).then_some(())
    });
    http.put("/v1/agent/token/dns", &json!({"Token": ""})).ok();
    assert_eq!(answers(at, "web.service.consul.", RecordType::A), absent);
}

#[test]
fn recursors_are_asked_but_not_the_agent_itself() {
    let world = World::new();
    let upstream = world.dev_agent("upstream");
    let http = upstream.http();
    http.put("/v1/agent/service/register", &json!({"Name": "web", "Port": 80, "Address": "10.0.0.9"})).ok();
    let port = pick_port();
    let args = vec![
        format!("-dns-port={port}"),
        format!("-recursor=127.0.0.1:{port}"),
        format!("-recursor={}", upstream.dns_addr()),
        "-domain=test".to_owned(),
    ];
    let agent = world.agent("n1", AgentOptions { dev: true, args, ..AgentOptions::default() });
    let found = (ResponseCode::NoError, set(&["10.0.0.9"]));
    eventually("the other agent answers", || {
        (answers(agent.dns_addr(), "web.service.consul.", RecordType::A) == found).then_some(())
    });
    // What the other agent refuses is no answer.
    assert_eq!(answers(agent.dns_addr(), "www.example.", RecordType::A), (ResponseCode::ServFail, set(&[])));
    let log = std::fs::read_to_string(world.path("n1.log")).expect("a log");
    assert!(log.contains("this recursor is the agent itself"), "{log}");
}

/// The text of a record but for what differs each time.
fn told(data: &RData) -> String {
    match data {
        RData::SOA(soa) => format!("{} {} {}", soa.mname, soa.rname, soa.minimum),
        other => other.to_string(),
    }
}
