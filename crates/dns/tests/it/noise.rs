//! Anything may arrive. Whatever it is, there is no panic, and an answer is one to its question.

use concord_dns::Transport;
use concord_dns::limits::QUESTION_BYTES;
use concord_model::catalog::Registration;
use concord_runtime::{Entropy, SeededEntropy};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, Name, RecordType};

use crate::world::{Setup, World, node, on, service};

const ROUNDS: usize = 20_000;

/// Draws.
struct Chance(SeededEntropy);

impl Chance {
    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap()
    }

    fn one<'a, T>(&self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn bytes(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.below(most + 1)];
        self.0.fill(&mut bytes);
        bytes
    }

    /// A name of words that mean something, spelt somehow.
    fn name(&self) -> Name {
        const WORDS: [&str; 24] = [
            "web", "Web", "n1", "n2", "service", "SERVICE", "connect", "virtual", "ingress", "node", "query",
            "addr", "_web", "_tcp", "_", "dc1", "dc", "peer", "0a000001", "consul", "in-addr", "arpa", "10",
            "v1",
        ];
        let mut labels: Vec<Vec<u8>> =
            (0..self.below(6)).map(|_| self.one(&WORDS).as_bytes().to_vec()).collect();
        if self.below(8) == 0 {
            labels.push(self.bytes(63));
        }
        labels.retain(|label| !label.is_empty());
        if self.below(4) > 0 {
            labels.push(self.one(&["consul", "CONSUL", "mesh"]).as_bytes().to_vec());
        }
        Name::from_labels(labels.iter().map(Vec::as_slice)).unwrap_or_default()
    }

    fn question(&self) -> Message {
        let mut message = Message::new(self.below(1 << 16) as u16, MessageType::Query, OpCode::Query);
        let kinds = [1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 251, 252, 255, 65_000];
        let kind = RecordType::from(*self.one(&kinds));
        let mut query = Query::query(self.name(), kind);
        query.query_class =
            *self.one(&[DNSClass::IN, DNSClass::IN, DNSClass::IN, DNSClass::ANY, DNSClass::CH]);
        message.add_query(query);
        message.metadata.recursion_desired = self.below(2) == 0;
        if self.below(3) == 0 {
            let mut edns = Edns::new();
            edns.set_max_payload(*self.one(&[0, 512, 1_232, 4_096, 65_535]));
            edns.set_version(u8::from(self.below(20) == 0));
            message.set_edns(edns);
        }
        message
    }
}

async fn stocked() -> World {
    let world = Setup { alt_domain: Some("mesh"), ..Setup::default() }.start().await;
    world.register(on(node("n2", "10.0.0.2"), service("web", "web", "", 80))).await;
    world.register(on(node("n2", "10.0.0.2"), service("Web", "web-2", "web.service.consul", 81))).await;
    world.register(on(node("n2", "10.0.0.2"), service("_tcp", "odd", "_.service.consul", 82))).await;
    world.register(Registration::of(node("long-".repeat(30).as_str(), "10.0.0.3"))).await;
    world.register(on(node("long-".repeat(30).as_str(), "10.0.0.3"), service("web", "web", "", 80))).await;
    world
}

/// Asks, and checks what must hold of any answer.
async fn holds(world: &World, bytes: &[u8], via: Transport) {
    let Some(answer) = world.answerer.answer(bytes, via, None).await else { return };
    let read = Message::from_vec(&answer).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
    assert_eq!((read.message_type, answer[..2].to_vec()), (MessageType::Response, bytes[..2].to_vec()));
    if let Ok(asked) = Message::from_vec(bytes)
        && !read.queries.is_empty()
    {
        assert_eq!(read.queries, asked.queries);
        assert!(read.queries[0].name.eq_case(&asked.queries[0].name));
        if via == Transport::Udp {
            let room = asked.edns.as_ref().map_or(512, |edns| usize::from(edns.max_payload().max(512)));
            assert!(answer.len() <= room, "{} bytes for {asked}", answer.len());
        }
    }
}

#[tokio::test]
async fn n_22_random_questions_get_answers_to_themselves() {
    let (world, chance) = (stocked().await, Chance(SeededEntropy::new(21)));
    for _ in 0..ROUNDS {
        let question = chance.question();
        let via = *chance.one(&[Transport::Udp, Transport::Tcp]);
        holds(&world, &question.to_vec().unwrap(), via).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn n_22_random_bytes_and_damaged_questions_cause_no_panic() {
    let (world, chance) = (stocked().await, Chance(SeededEntropy::new(22)));
    for round in 0..ROUNDS {
        let bytes = match round % 3 {
            0 => chance.bytes(if round % 100 == 0 { QUESTION_BYTES } else { 64 }),
            _ => {
                let mut bytes = chance.question().to_vec().unwrap();
                for _ in 0..=chance.below(4) {
                    let at = chance.below(bytes.len());
                    bytes[at] = chance.below(256) as u8;
                }
                if chance.below(4) == 0 {
                    bytes.truncate(chance.below(bytes.len()));
                }
                bytes
            }
        };
        holds(&world, &bytes, Transport::Udp).await;
    }
    world.stop().await;
}
