//! The message of an answer.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use crate::question::{Extension, Question};
use crate::records::Sections;

/// What the header of an answer says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    /// Whether there is an answer, and if not, why.
    pub(crate) code: ResponseCode,
    /// Whether we are responsible for the name (AA).
    pub(crate) authoritative: bool,
    /// Whether we ask other servers (RA).
    pub(crate) recursion_available: bool,
}

/// The answer to a question.
pub(crate) fn message(question: &Question, heading: Heading, sections: Sections) -> Message {
    let Sections { answers, authorities, additionals } = sections;
    let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_desired = question.recursion_desired;
    message.metadata.checking_disabled = question.checking_disabled;
    message.metadata.authoritative = heading.authoritative;
    message.metadata.recursion_available = heading.recursion_available;
    message.metadata.response_code = heading.code;
    message.add_query(question.query.clone());
    message.answers = answers;
    message.authorities = authorities;
    message.additionals = additionals;
    message.edns = question.edns.as_ref().map(extension);
    message
}

/// What we say about ourselves to a client that does so (RFC 6891 §6.1.1). Answers do not depend on the network of the
/// client's own client, so they hold for all networks (RFC 7871 §7.2.1).
fn extension(asked: &Extension) -> Edns {
    let mut own = Edns::new();
    own.set_max_payload(asked.payload);
    if let Some(subnet) = asked.subnet {
        let answered = ClientSubnet::new(subnet.addr(), subnet.source_prefix(), 0);
        own.options_mut().insert(EdnsOption::Subnet(answered));
    }
    own
}

/// The bytes of a message. `None` if it cannot be written.
pub(crate) fn bytes(message: &Message, compressed: bool) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(if compressed { NameEncoding::Compressed } else { NameEncoding::Uncompressed });
    match message.emit(&mut encoder) {
        Ok(()) => Some(bytes),
        Err(error) => {
            tracing::warn!(%error, "an answer to DNS cannot be written");
            None
        }
    }
}
