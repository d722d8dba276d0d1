//! Names of other domains, and the servers that are asked about them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_config::section::{DnsSection, RecursorStrategy};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::RecordType::{A, PTR, SRV};
use hickory_proto::rr::rdata::{A as Address, CNAME};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::teller::told;
use crate::world::{Setup, World, accepting, node, on, over_udp, question, service};

/// What a server does with a question: the datagrams that it sends.
type Manner = Arc<dyn Fn(Message) -> Vec<Message> + Send + Sync>;

/// Another DNS server.
struct Upstream {
    at: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Upstream {
    async fn start(manner: impl Fn(Message) -> Vec<Message> + Send + Sync + 'static) -> Self {
        let (manner, asked): (Manner, _) = (Arc::new(manner), Arc::new(AtomicUsize::new(0)));
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(at).await.unwrap();
        let (counted, answers) = (Arc::clone(&asked), Arc::clone(&manner));
        #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                for answer in answers(Message::from_vec(&buffer[..length]).unwrap()) {
                    udp.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            }
        });
        let counted = Arc::clone(&asked);
        #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let Ok(length) = stream.read_u16().await else { continue };
                let mut asked = vec![0; usize::from(length)];
                stream.read_exact(&mut asked).await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                for answer in manner(Message::from_vec(&asked).unwrap()) {
                    let bytes = answer.to_vec().unwrap();
                    let length = u16::try_from(bytes.len()).unwrap();
                    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await.unwrap();
                }
            }
        });
        Self { at, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// An answer with this address.
fn answer(asked: &Message, last: u8) -> Message {
    let mut own = Message::new(asked.id, MessageType::Response, OpCode::Query);
    own.metadata.recursion_available = true;
    own.metadata.recursion_desired = asked.recursion_desired;
    own.add_queries(asked.queries.clone());
    let of = asked.queries[0].name.clone();
    own.add_answer(Record::from_rdata(of, 60, RData::A(Address::new(192, 0, 2, last))));
    own
}

fn failing(asked: &Message, code: ResponseCode) -> Message {
    let mut own = answer(asked, 9);
    own.answers.clear();
    own.metadata.response_code = code;
    own
}

async fn world(recursors: &[&Upstream], change: impl FnOnce(&mut DnsSection)) -> World {
    let recursors = recursors.iter().map(|upstream| upstream.at).collect();
    let mut section =
        DnsSection { recursors, recursor_timeout: Duration::from_millis(300), ..DnsSection::default() };
    change(&mut section);
    Setup { section, ..Setup::default() }.start().await
}

#[tokio::test]
async fn other_domains_are_asked_for_elsewhere() {
    let upstream = Upstream::start(|asked| vec![answer(&asked, 1)]).await;
    let world = world(&[&upstream], |_| {}).await;
    world.check("WWW.example.", A, "NOERROR ra\nWWW.example. 60 A 192.0.2.1").await;
    assert_eq!(upstream.asked(), 2, "once over UDP and once over TCP");
    // Our own names are not, and we say that we would ask.
    world
        .check(
            "nope.service.consul.",
            A,
            "NXDOMAIN aa ra\nauthority consul. 0 SOA ns.consul. hostmaster.consul. 3600 600 86400 0",
        )
        .await;
    world
        .check(
            "1.0.0.127.in-addr.arpa.",
            PTR,
            "NOERROR aa ra\n1.0.0.127.in-addr.arpa. 0 PTR n1.node.dc1.consul.",
        )
        .await;
    assert_eq!(upstream.asked(), 2);
    world.check("9.9.9.9.in-addr.arpa.", A, "NOERROR ra\n9.9.9.9.in-addr.arpa. 60 A 192.0.2.1").await;
    world.stop().await;
}

#[tokio::test]
async fn a_server_that_fails_is_followed_by_the_next() {
    let silent = Upstream::start(|_| Vec::new()).await;
    let broken = Upstream::start(|asked| vec![failing(&asked, ResponseCode::ServFail)]).await;
    let none = Upstream::start(|asked| vec![failing(&asked, ResponseCode::NXDomain)]).await;
    let good = Upstream::start(|asked| vec![answer(&asked, 4)]).await;
    let first = world(&[&broken, &silent, &good], |_| {}).await;
    assert_eq!(told(&first.ask("a.example.", A).await), "NOERROR ra\na.example. 60 A 192.0.2.4");
    assert_eq!((broken.asked(), silent.asked(), good.asked()), (1, 1, 1));
    let second = world(&[&none, &good], |_| {}).await;
    assert_eq!(told(&second.ask("a.example.", A).await), "NXDOMAIN ra");
    assert_eq!(good.asked(), 1, "that there is no such name is an answer");
    let third = world(&[&silent, &broken], |_| {}).await;
    assert_eq!(told(&third.ask("a.example.", A).await), "SERVFAIL ra");
    let random = world(&[&good, &none], |own| own.recursor_strategy = RecursorStrategy::Random).await;
    let mut seen = std::collections::BTreeSet::new();
    for at in 0..20 {
        seen.insert(random.ask(&format!("a{at}.example."), A).await.response_code.low());
    }
    assert_eq!(seen.len(), 2, "either is the first sometimes");
    for world in [first, second, third, random] {
        world.stop().await;
    }
}

#[tokio::test]
async fn n_360_an_answer_to_something_else_is_not_believed() {
    let other_id = |asked: &Message| {
        let mut own = answer(asked, 66);
        own.metadata.id = asked.id.wrapping_add(1);
        own
    };
    let other_question = |asked: &Message| {
        let mut own = answer(asked, 66);
        own.queries[0] = Query::query(name("other.example."), A);
        own
    };
    let no_answer = |asked: &Message| {
        let mut own = answer(asked, 66);
        own.metadata.message_type = MessageType::Query;
        own
    };
    let forger = Upstream::start(move |asked| {
        vec![other_id(&asked), other_question(&asked), no_answer(&asked), answer(&asked, 1)]
    })
    .await;
    let own = world(&[&forger], |_| {}).await;
    assert_eq!(told(&own.ask("www.example.", A).await), "NOERROR ra\nwww.example. 60 A 192.0.2.1");
    let guesser =
        Upstream::start(move |asked| (0..64).map(|_| other_id(&asked)).chain([answer(&asked, 1)]).collect())
            .await;
    let other = world(&[&guesser], |_| {}).await;
    assert_eq!(told(&other.ask("www.example.", A).await), "SERVFAIL ra", "there are only so many guesses");
    own.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn n_360_an_answer_from_another_address_is_not_believed() {
    let other = Arc::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = upstream.local_addr().unwrap();
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = upstream.recv_from(&mut buffer).await.unwrap();
            let asked = Message::from_vec(&buffer[..length]).unwrap();
            // Right in everything but where it comes from.
            other.send_to(&answer(&asked, 66).to_vec().unwrap(), from).unwrap();
        }
    });
    let own = world(&[], |section| section.recursors = vec![at]).await;
    assert_eq!(told(&own.ask("www.example.", A).await), "SERVFAIL ra");
    own.stop().await;
}

#[tokio::test]
async fn n_361_equal_questions_are_asked_once_so_that_loops_end() {
    // A server that asks us what we ask it, before it answers: by another spelling, as some do.
    let ours: Arc<std::sync::OnceLock<SocketAddr>> = Arc::default();
    let back = Arc::clone(&ours);
    let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (at, asked) = (upstream.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&asked);
    #[allow(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, _) = upstream.recv_from(&mut buffer).await.unwrap();
            if counted.fetch_add(1, Ordering::SeqCst) < 1_000
                && let Some(ours) = back.get()
            {
                buffer[13] ^= 0x20;
                upstream.send_to(&buffer[..length], *ours).await.unwrap();
            }
        }
    });
    let own = world(&[], |section| section.recursors = vec![at]).await;
    ours.set(own.at).unwrap();
    assert_eq!(told(&own.ask("www.example.", A).await), "SERVFAIL ra");
    assert!(asked.load(Ordering::SeqCst) <= 3, "{} times", asked.load(Ordering::SeqCst));
    own.stop().await;
}

#[tokio::test]
async fn n_21_a_larger_answer_than_the_client_takes_sends_it_to_tcp() {
    let upstream = Upstream::start(|asked| {
        let mut own = answer(&asked, 1);
        let record = own.answers[0].clone();
        own.answers = vec![record; 100];
        vec![own]
    })
    .await;
    let own = world(&[&upstream], |_| {}).await;
    let asked = question("www.example.", A);
    let bytes = over_udp(own.at, &asked.to_vec().unwrap()).await;
    let cut = Message::from_vec(&bytes).unwrap();
    assert!(bytes.len() < 64 && cut.truncation && cut.answers.is_empty());
    assert_eq!(own.ask_with(&accepting(asked.clone(), 4_096)).await.answers.len(), 100);
    assert_eq!(own.ask_on_tcp(&asked).await.answers.len(), 100);
    own.stop().await;
}

#[tokio::test]
async fn hosts_of_services_are_resolved_and_foreign_records_left_out() {
    let upstream = Upstream::start(|asked| {
        let mut own = answer(&asked, 5);
        let alias = name("real.example.com.");
        let target = own.answers[0].clone();
        own.answers = vec![
            Record::from_rdata(asked.queries[0].name.clone(), 60, RData::CNAME(CNAME(alias.clone()))),
            Record::from_rdata(alias, 60, target.data.clone()),
            // Nobody asked for this one.
            Record::from_rdata(name("web.service.consul."), 60, target.data),
        ];
        vec![own]
    })
    .await;
    let own = world(&[&upstream], |_| {}).await;
    own.register(on(node("n2", "10.0.0.2"), service("far", "far", "db.example.com", 92))).await;
    own.check(
        "far.service.consul.",
        A,
        "NOERROR aa ra
        db.example.com. 0 CNAME real.example.com.
        far.service.consul. 0 CNAME db.example.com.
        real.example.com. 0 A 192.0.2.5",
    )
    .await;
    own.check(
        "far.service.consul.",
        SRV,
        "NOERROR aa ra
        far.service.consul. 0 SRV 1 1 92 db.example.com.
        more db.example.com. 0 CNAME real.example.com.
        more real.example.com. 0 A 192.0.2.5",
    )
    .await;
    own.stop().await;
}
