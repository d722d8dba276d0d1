//! Messages as text: the header's result, then a line for each record, sorted by section.

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record};

/// The whole message but for numbers that differ each time.
pub(crate) fn told(message: &Message) -> String {
    let mut first = code(message.response_code);
    let flags =
        [(message.authoritative, " aa"), (message.truncation, " tc"), (message.recursion_available, " ra")];
    first.extend(flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, name)| name));
    let mut lines = vec![first];
    let sections =
        [("", &message.answers), ("authority ", &message.authorities), ("more ", &message.additionals)];
    for (begin, records) in sections {
        let mut own: Vec<_> = records.iter().map(|record| format!("{begin}{}", line(record))).collect();
        own.sort();
        lines.extend(own);
    }
    lines.join("\n")
}

fn code(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "NOERROR".to_owned(),
        other => format!("{other:?}").to_uppercase(),
    }
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        // The serial number is the time.
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {}",
            soa.mname, soa.rname, soa.refresh, soa.retry, soa.expire, soa.minimum
        ),
        other => other.to_string(),
    };
    format!("{} {} {} {data}", record.name, record.ttl, record.record_type())
}
