//! How many of the records of an answer fit: into a datagram, into a message over TCP, and within what an operator allows.
//!
//! Additional records stand for the targets of SRV records. As records are left out, so are those of their targets. What
//! the client is told about ourselves (EDNS) always stays.

use std::collections::{HashMap, HashSet};

use concord_config::section::DnsSection;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::limits::{
    ANSWERS, SRV_ANSWERS, TCP_ANSWER_BYTES_MAX, UDP_ANSWER_BYTES, UDP_ANSWER_BYTES_MAX, UDP_ANSWERS,
    UDP_SPARE_BYTES,
};
use crate::question::Question;
use crate::reply::bytes;
use crate::transport::Transport;

/// Leaves out records until the message fits, and returns its bytes. `None` if it cannot be written.
pub(crate) fn fit(
    mut message: Message,
    question: &Question,
    via: Transport,
    section: &DnsSection,
) -> Option<Vec<u8>> {
    let compressed = !section.disable_compression;
    let found = message.answers.len();
    let most = if question.kind() == RecordType::SRV { SRV_ANSWERS } else { ANSWERS };
    let fitting = Fitting::new(&message);
    if found > most {
        fitting.keep(&mut message, most);
    }
    let is_cut = match via {
        Transport::Tcp => {
            let before = message.answers.len();
            fitting.shrink(&mut message, TCP_ANSWER_BYTES_MAX, compressed)?;
            message.answers.len() < before
        }
        Transport::Udp => {
            let named = question.edns.map_or(UDP_ANSWER_BYTES, |edns| usize::from(edns.payload));
            let room = named.clamp(UDP_ANSWER_BYTES, UDP_ANSWER_BYTES_MAX);
            let answers = section.udp_answer_limit.min(UDP_ANSWERS);
            // Such clients may unpack what they get, so it must fit as a whole.
            let mut measured = compressed;
            if room == UDP_ANSWER_BYTES && found > answers {
                fitting.keep(&mut message, answers);
                measured = false;
            }
            fitting.shrink(&mut message, room - UDP_SPARE_BYTES, measured)?;
            if bytes(&message, compressed)?.len() > room {
                return cut(message, room, compressed);
            }
            message.answers.len() < found
        }
    };
    message.metadata.truncation = is_cut && section.enable_truncate;
    bytes(&message, compressed)
}

/// What is left of a message of which not even one answer fits with what belongs to it: the answer alone, or nothing,
/// so that the client comes over TCP. Consul sends more than the client accepts.
fn cut(mut message: Message, room: usize, compressed: bool) -> Option<Vec<u8>> {
    message.additionals.clear();
    message.authorities.clear();
    let alone = bytes(&message, compressed)?;
    if alone.len() <= room {
        return Some(alone);
    }
    message.answers.clear();
    message.metadata.truncation = true;
    bytes(&message, compressed)
}

/// The records of a message before any is left out.
struct Fitting {
    /// The first additional record of each name.
    targets: HashMap<Name, Record>,
    answers: Vec<Record>,
}

impl Fitting {
    fn new(message: &Message) -> Self {
        let mut targets = HashMap::new();
        for record in &message.additionals {
            targets.entry(record.name.to_lowercase()).or_insert_with(|| record.clone());
        }
        Self { targets, answers: message.answers.clone() }
    }

    /// Keeps the first answers, and what belongs to them.
    fn keep(&self, message: &mut Message, answers: usize) {
        message.answers = self.answers.iter().take(answers).cloned().collect();
        let mut seen = HashSet::new();
        let mut additionals = Vec::new();
        for answer in &message.answers {
            let RData::SRV(srv) = &answer.data else { continue };
            let mut target = srv.target.to_lowercase();
            while seen.insert(target.clone())
                && let Some(record) = self.targets.get(&target)
            {
                additionals.push(record.clone());
                let RData::CNAME(next) = &record.data else { break };
                target = next.0.to_lowercase();
            }
        }
        message.additionals = additionals;
    }

    /// Keeps as many answers as fit, and one at least.
    fn shrink(&self, message: &mut Message, room: usize, compressed: bool) -> Option<()> {
        if message.answers.len() <= 1 || bytes(message, compressed)?.len() <= room {
            return Some(());
        }
        message.authorities.clear();
        // The largest number that fits is searched between these.
        let (mut fits, mut too_many) = (1, message.answers.len() + 1);
        while too_many - fits > 1 {
            let middle = fits + (too_many - fits) / 2;
            self.keep(message, middle);
            match bytes(message, compressed)?.len() <= room {
                true => fits = middle,
                false => too_many = middle,
            }
        }
        self.keep(message, fits);
        Some(())
    }
}
