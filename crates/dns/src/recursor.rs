//! Other DNS servers, which are asked about names that are not ours.
//!
//! An answer counts only if it comes from the address that was asked, over the socket with which it was asked, and has
//! the number and the question. Number and port are random for each question. Equal questions that are under way at the
//! same time are one question: so nobody can make us ask more often, and a question that comes back to us from the very
//! server that we ask waits for itself, and ends.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use concord_config::section::{DnsSection, RecursorStrategy};
use concord_runtime::{Clock, Entropy, timeout};
use futures::FutureExt as _;
use futures::future::{BoxFuture, WeakShared};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::limits::{ALIAS_RECORDS_MAX, RECURSIONS, STRAY_DATAGRAMS, UDP_ANSWER_BYTES};
use crate::order::shuffle;
use crate::question::{HEADER_BYTES, Question};
use crate::reply;
use crate::sparing::question_end;
use crate::transport::Transport;

/// Bytes of an answer over UDP that we accept. Larger datagrams come in fragments, which can be forged.
const PAYLOAD: u16 = 4_096;

type Outcome = Option<Arc<[u8]>>;
type Flight = BoxFuture<'static, Outcome>;

/// Asks other DNS servers.
pub(crate) struct Recursors {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    flights: Mutex<HashMap<Forwarded, WeakShared<Flight>>>,
    turns: Semaphore,
}

/// A question as it is forwarded. Names are compared without case.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Forwarded {
    query: Query,
    recursion_desired: bool,
    checking_disabled: bool,
    /// Bytes that may come back over UDP, and whether signatures are wanted.
    extension: Option<(u16, bool)>,
    is_udp: bool,
}

/// Why a server gave no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("it takes too long")]
    TooLate,
    #[error("something else than an answer came too often")]
    Stray,
    #[error("it answers {0}")]
    Code(u8),
    #[error("the question cannot be written")]
    Unwritten,
}

impl Recursors {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, flights: Mutex::default(), turns: Semaphore::new(RECURSIONS) }
    }

    /// The answer of another server to a client's question, for this client. `None` if no server gives one.
    pub(crate) async fn forward(
        self: &Arc<Self>,
        question: &Question,
        via: Transport,
        section: &DnsSection,
    ) -> Option<Vec<u8>> {
        let asked = Forwarded::of(question, via);
        let found = self.ask(asked, section).await?;
        // The question stands in it as the first client spelt it.
        let end = question_end(&found)?;
        let own = reply::bytes(&question_alone(question), false)?;
        let own = own.get(HEADER_BYTES..)?;
        let mut answer = found.to_vec();
        answer[..2].copy_from_slice(&question.id.to_be_bytes());
        answer.get_mut(HEADER_BYTES..end).filter(|room| room.len() == own.len())?.copy_from_slice(own);
        Some(answer)
    }

    /// The addresses of a host, with the aliases that lead to them. Records of other names are left out.
    pub(crate) async fn addresses(self: &Arc<Self>, host: &Name, section: &DnsSection) -> Vec<Record> {
        let asked = Forwarded {
            query: Query::query(host.clone(), RecordType::A),
            recursion_desired: true,
            checking_disabled: false,
            extension: None,
            is_udp: true,
        };
        let found = self.ask(asked, section).await;
        let Some(message) = found.and_then(|found| Message::from_vec(&found).ok()) else { return Vec::new() };
        let (mut names, mut own) = (vec![host.clone()], Vec::new());
        for record in message.answers.into_iter().take(ALIAS_RECORDS_MAX) {
            if !names.contains(&record.name) {
                continue;
            }
            match &record.data {
                RData::CNAME(target) => names.push(target.0.clone()),
                RData::A(_) | RData::AAAA(_) => {}
                _ => continue,
            }
            own.push(record);
        }
        own
    }

    /// Asks, or waits for the same question that is under way.
    async fn ask(self: &Arc<Self>, asked: Forwarded, section: &DnsSection) -> Outcome {
        let flight = {
            let mut flights = self.flights.lock();
            match flights.get(&asked).and_then(WeakShared::upgrade) {
                Some(flight) => flight,
                None => {
                    let flight =
                        Arc::clone(self).ask_servers(asked.clone(), section.clone()).boxed().shared();
                    if let Some(weak) = flight.downgrade() {
                        flights.insert(asked, weak);
                    }
                    flight
                }
            }
        };
        flight.await
    }

    async fn ask_servers(self: Arc<Self>, asked: Forwarded, section: DnsSection) -> Outcome {
        let outcome = self.ask_in_turn(&asked, &section).await;
        self.flights.lock().remove(&asked);
        outcome
    }

    async fn ask_in_turn(&self, asked: &Forwarded, section: &DnsSection) -> Outcome {
        let Ok(_turn) = self.turns.try_acquire() else {
            metrics::counter!("concord_dns_dropped_total", "reason" => "recursions").increment(1);
            return None;
        };
        let mut servers = section.recursors.clone();
        if section.recursor_strategy == RecursorStrategy::Random {
            shuffle(&mut servers, &*self.entropy);
        }
        for server in servers {
            match self.exchange(asked, server, section).await {
                Ok(answer) => return Some(answer.into()),
                Err(error) => {
                    tracing::debug!(%server, %error, name = %asked.query.name, "a DNS server gives no answer");
                }
            }
        }
        None
    }

    async fn exchange(
        &self,
        asked: &Forwarded,
        server: SocketAddr,
        section: &DnsSection,
    ) -> Result<Vec<u8>, Failure> {
        let id = u16::try_from(self.entropy.below(1 << 16)).unwrap_or_default();
        let question = reply::bytes(&asked.message(id), true).ok_or(Failure::Unwritten)?;
        let expected = Expected { id, query: &asked.query };
        let answer = async {
            match asked.is_udp {
                true => over_udp(server, &question, &expected).await,
                false => over_tcp(server, &question, &expected).await,
            }
        };
        let answer =
            timeout(&*self.clock, section.recursor_timeout, answer).await.unwrap_or(Err(Failure::TooLate))?;
        match answer[3] & 0x0f {
            // No error, and no such name.
            0 | 3 => Ok(answer),
            code => Err(Failure::Code(code)),
        }
    }
}

impl Forwarded {
    fn of(question: &Question, via: Transport) -> Self {
        Self {
            query: question.query.clone(),
            recursion_desired: question.recursion_desired,
            checking_disabled: question.checking_disabled,
            extension: question.edns.map(|edns| (edns.payload.min(PAYLOAD), edns.signatures)),
            is_udp: via == Transport::Udp,
        }
    }

    fn message(&self, id: u16) -> Message {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.recursion_desired;
        message.metadata.checking_disabled = self.checking_disabled;
        message.add_query(self.query.clone());
        message.edns = self.extension.map(|(payload, signatures)| {
            let mut edns = Edns::new();
            edns.set_max_payload(payload).set_dnssec_ok(signatures);
            edns
        });
        message
    }
}

fn question_alone(question: &Question) -> Message {
    let mut message = Message::new(question.id, MessageType::Query, OpCode::Query);
    message.add_query(question.query.clone());
    message
}

/// What an answer must have.
struct Expected<'a> {
    id: u16,
    query: &'a Query,
}

impl Expected<'_> {
    /// Whether this is the answer: an answer, with the number and the question.
    fn is_met_by(&self, answer: &[u8]) -> bool {
        let is_answer = answer.len() >= HEADER_BYTES
            && answer[..2] == self.id.to_be_bytes()
            && answer[2] & 0xf8 & !0x04 == 0x80
            && answer[4..6] == [0, 1];
        let Some(end) = question_end(answer).filter(|_| is_answer) else { return false };
        let mut alone = answer[..end].to_vec();
        alone[6..HEADER_BYTES].fill(0);
        Message::from_vec(&alone).is_ok_and(|message| message.queries.first() == Some(self.query))
    }
}

async fn over_udp(server: SocketAddr, question: &[u8], expected: &Expected<'_>) -> Result<Vec<u8>, Failure> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected, so that the system lets nobody else answer.
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; usize::from(PAYLOAD).max(UDP_ANSWER_BYTES)];
    for _ in 0..STRAY_DATAGRAMS {
        let length = socket.recv(&mut buffer).await?;
        if expected.is_met_by(&buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
        metrics::counter!("concord_dns_dropped_total", "reason" => "stray").increment(1);
    }
    Err(Failure::Stray)
}

async fn over_tcp(server: SocketAddr, question: &[u8], expected: &Expected<'_>) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(|_| Failure::Unwritten)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    if expected.is_met_by(&answer) { Ok(answer) } else { Err(Failure::Stray) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_question_is_accepted() {
        let query = Query::query(Name::from_ascii("www.example.").expect("a name"), RecordType::A);
        let expected = Expected { id: 7, query: &query };
        let answer = |id: u16, name: &str, kind, role| {
            let mut message = Message::new(id, role, OpCode::Query);
            message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
            message.to_vec().expect("it is written")
        };
        let good = answer(7, "WWW.example.", RecordType::A, MessageType::Response);
        assert!(expected.is_met_by(&good));
        for bad in [
            answer(8, "www.example.", RecordType::A, MessageType::Response),
            answer(7, "www.example.", RecordType::A, MessageType::Query),
            answer(7, "www.example.", RecordType::AAAA, MessageType::Response),
            answer(7, "ww.example.", RecordType::A, MessageType::Response),
            good[..good.len() - 1].to_vec(),
            good[..HEADER_BYTES].to_vec(),
            Vec::new(),
        ] {
            assert!(!expected.is_met_by(&bad), "{bad:?}");
        }
    }
}
