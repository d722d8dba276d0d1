//! Questions: what is read of a message, and which messages are not answered.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};

/// A message of a client.
#[derive(Debug)]
pub(crate) enum Received {
    /// A question.
    Question(Question),
    /// No question, but its sender is told so: these bytes.
    Refused(Vec<u8>),
    /// Nothing that is answered. An answer to an answer would be a loop.
    Nothing,
}

/// A question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Question {
    /// The client's number for it.
    pub(crate) id: u16,
    /// Name, type and class.
    pub(crate) query: Query,
    /// Whether other servers are to be asked (RD).
    pub(crate) recursion_desired: bool,
    /// Whether the client checks signatures itself (CD).
    pub(crate) checking_disabled: bool,
    /// What the client says about itself (RFC 6891).
    pub(crate) edns: Option<Extension>,
    /// Bytes of the question.
    pub(crate) bytes: usize,
}

/// What a client says about itself.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Extension {
    /// Bytes of an answer over UDP that it accepts, at least 512.
    pub(crate) payload: u16,
    /// The version; only 0 is known.
    pub(crate) version: u8,
    /// Whether it wants signatures (DO).
    pub(crate) signatures: bool,
    /// The network of its own client (RFC 7871).
    pub(crate) subnet: Option<ClientSubnet>,
}

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 12;

impl Question {
    /// The name, as the client spells it.
    pub(crate) fn name(&self) -> &Name {
        &self.query.name
    }

    /// The type.
    pub(crate) fn kind(&self) -> RecordType {
        self.query.query_type
    }
}

/// Reads a message.
pub(crate) fn read(bytes: &[u8]) -> Received {
    let Some(header) = bytes.get(..HEADER_BYTES) else { return Received::Nothing };
    let (flags, counts) = (header[2], &header[4..]);
    if flags & 0x80 != 0 {
        return Received::Nothing;
    }
    if flags & 0x78 != 0 {
        return Received::Refused(bare(header, ResponseCode::NotImp));
    }
    let [questions, answers, authorities, additionals] =
        [0, 2, 4, 6].map(|at| u16::from_be_bytes([counts[at], counts[at + 1]]));
    // As the library of Consul: one question, and nothing besides what may come with it.
    if questions != 1 || answers > 1 || authorities > 1 || additionals > 2 {
        return Received::Refused(bare(header, ResponseCode::FormErr));
    }
    let message = match Message::from_vec(bytes) {
        Ok(message) if message.op_code == OpCode::Query && message.message_type == MessageType::Query => {
            message
        }
        Ok(_) | Err(_) => return Received::Refused(bare(header, ResponseCode::FormErr)),
    };
    let Some(query) = message.queries.first().cloned() else {
        return Received::Refused(bare(header, ResponseCode::FormErr));
    };
    let edns = message.edns.as_ref().map(|edns| Extension {
        payload: edns.max_payload(),
        version: edns.version(),
        signatures: edns.flags().dnssec_ok,
        subnet: match edns.option(EdnsCode::Subnet) {
            Some(EdnsOption::Subnet(subnet)) => Some(*subnet),
            _ => None,
        },
    });
    Received::Question(Question {
        id: message.id,
        query,
        recursion_desired: message.recursion_desired,
        checking_disabled: message.checking_disabled,
        edns,
        bytes: bytes.len(),
    })
}

/// An answer of a header alone, to a message that could not be read.
fn bare(header: &[u8], code: ResponseCode) -> Vec<u8> {
    let mut answer = vec![0; HEADER_BYTES];
    answer[..2].copy_from_slice(&header[..2]);
    // An answer to the same operation, with the wish for recursion repeated.
    answer[2] = 0x80 | header[2] & 0x79;
    answer[3] = code.low();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        message
    }

    #[track_caller]
    fn refused(bytes: &[u8], code: ResponseCode) {
        let Received::Refused(answer) = read(bytes) else { panic!("it is refused: {bytes:?}") };
        let answer = Message::from_vec(&answer).expect("a message");
        assert_eq!((answer.id, answer.message_type, answer.response_code), (7, MessageType::Response, code));
    }

    #[test]
    fn a_question_is_read() {
        let bytes = question("Web.service.consul.", RecordType::SRV).to_vec().expect("it is written");
        let Received::Question(own) = read(&bytes) else { panic!("it is a question") };
        assert_eq!((own.id, own.kind(), own.bytes), (7, RecordType::SRV, bytes.len()));
        assert_eq!(own.name().to_ascii(), "Web.service.consul.");
        assert_eq!(own.edns, None);
    }

    #[test]
    fn n_22_messages_that_are_no_questions_are_refused_or_dropped() {
        let good = question("web.service.consul.", RecordType::A).to_vec().expect("it is written");
        for length in 0..HEADER_BYTES {
            assert!(matches!(read(&good[..length]), Received::Nothing));
        }
        for length in HEADER_BYTES..good.len() {
            refused(&good[..length], ResponseCode::FormErr);
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        assert!(matches!(read(&with(2, 0x80)), Received::Nothing), "an answer is not answered");
        for operation in 1..16 {
            let Received::Refused(answer) = read(&with(2, operation << 3)) else { panic!("it is refused") };
            assert_eq!((answer[2], answer[3]), (0x80 | operation << 3, 4));
        }
        for (at, byte) in [(5, 0), (5, 2), (4, 0xff), (7, 2), (9, 2), (11, 3)] {
            refused(&with(at, byte), ResponseCode::FormErr);
        }
        // A pointer to itself, and one beyond the end.
        for pointer in [[0xc0, 12], [0xc0, 200]] {
            let mut bytes = good[..HEADER_BYTES].to_vec();
            bytes.extend(pointer);
            bytes.extend([0, 1, 0, 1]);
            refused(&bytes, ResponseCode::FormErr);
        }
        // A name of 256 bytes.
        let mut long = good[..HEADER_BYTES].to_vec();
        for _ in 0..4 {
            long.push(63);
            long.extend([b'a'; 63]);
        }
        long.extend([0, 0, 1, 0, 1]);
        refused(&long, ResponseCode::FormErr);
    }
}
