//! Every request and every reply, with something in every field.
//!
//! No struct is filled up with defaults here: a new field does not compile until somebody says what its sample is. The
//! file of a sample that exists already stays as it is, so a new field is told in a sample of its own.

mod acl;
mod catalog;
mod certificate;
mod chain;
mod dataplane;
mod entry;
mod gateway;
mod intention;
mod plan;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use concord_model::proxy::Settings;
use concord_model::{Secret, ServiceRef, Stamp, Timestamp, Uuid};
use concord_rpc::request::*;
use concord_rpc::wire::{Asked, Told};
use concord_rpc::{Answer, AnyReply, AnyRequest, Consistency, Head, RpcError};
use serde_json::json;

/// A sample: the request it belongs to, what is particular about it, and the thing itself.
pub(crate) type Sample<T> = (&'static str, &'static str, T);

/// A sample of a request or of a reply; the text tells samples of one request apart.
macro_rules! sample {
    ($any:ident, $name:ident, $what:expr, $value:expr) => {
        (stringify!($name), $what, $any::$name($value))
    };
}
pub(crate) use sample;

/// One value of each variant of an enumeration. A variant that is missing does not compile.
macro_rules! every {
    ($type:ty: $($pattern:pat => $value:expr,)+) => {{
        fn known(value: &$type) {
            match value { $($pattern => {})+ }
        }
        let all: Vec<$type> = vec![$($value),+];
        all.iter().for_each(known);
        all
    }};
}
pub(crate) use every;

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let mut all = catalog::requests();
    all.extend(intention::requests());
    all.extend(entry::requests());
    all.extend(chain::requests());
    all.extend(gateway::requests());
    all.extend(plan::requests());
    all.extend(certificate::requests());
    all.extend(dataplane::requests());
    all.extend(acl::requests());
    all.push(sample!(AnyRequest, ReadStatus, "", ReadStatus {}));
    all
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let mut all = catalog::replies();
    all.extend(intention::replies());
    all.extend(entry::replies());
    all.extend(chain::replies());
    all.extend(gateway::replies());
    all.extend(plan::replies());
    all.extend(certificate::replies());
    all.extend(dataplane::replies());
    all.extend(acl::replies());
    all.push(sample!(AnyReply, ReadStatus, "", status()));
    all
}

fn status() -> ServerStatus {
    ServerStatus {
        leader: "10.0.0.1:8300".to_owned(),
        peers: vec!["10.0.0.1:8300".to_owned(), "10.0.0.2:8300".to_owned()],
        term: 3,
        commit_index: 40,
        applied_index: 39,
        last_log_index: 41,
        last_log_term: 2,
        is_leader: true,
        snapshot_index: 20,
        read_only: Some("the disk is full".to_owned()),
        snapshot_failure: Some("no space (2 in a row)".to_owned()),
    }
}

/// What comes with every request.
pub(crate) fn head(consistency: Consistency) -> Head {
    Head {
        datacenter: Some(name("dc2")),
        token: Some(Secret::new("6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01".to_owned())),
        consistency,
        min_index: 7,
        wait: Some(Duration::new(300, 5)),
    }
}

pub(crate) fn ask(request: AnyRequest, consistency: Consistency) -> Asked {
    Asked::Ask { watch: 9, head: head(consistency), request, credit: 2 }
}

/// What is said about a watch that is there.
pub(crate) fn of_a_watch() -> Vec<(&'static str, Asked)> {
    let all = every!(Asked:
        Asked::Ask { .. } => ask(AnyRequest::ReadStatus(ReadStatus {}), Consistency::Stale),
        Asked::Credit { .. } => Asked::Credit { watch: 9, more: 3 },
        Asked::End { .. } => Asked::End { watch: 9 },
    );
    ["Ask", "Credit", "End"].into_iter().zip(all).collect()
}

pub(crate) fn consistencies() -> Vec<Consistency> {
    every!(Consistency:
        Consistency::Default => Consistency::Default,
        Consistency::Consistent => Consistency::Consistent,
        Consistency::Stale => Consistency::Stale,
    )
}

pub(crate) fn told(reply: AnyReply) -> Told {
    let answer = Answer {
        value: reply,
        index: 17,
        known_leader: true,
        last_contact: Duration::new(2, 7),
        filtered: true,
        consistency: Consistency::Consistent,
    };
    Told { watch: 9, outcome: Ok(answer) }
}

pub(crate) fn refused(error: RpcError) -> Told {
    Told { watch: 9, outcome: Err(error) }
}

pub(crate) fn errors() -> Vec<RpcError> {
    let text = || "what is wrong".to_owned();
    every!(RpcError:
        RpcError::Invalid(_) => RpcError::Invalid(text()),
        RpcError::NotFound(_) => RpcError::NotFound(text()),
        RpcError::UnknownDatacenter => RpcError::UnknownDatacenter,
        RpcError::Conflict(_) => RpcError::Conflict(text()),
        RpcError::Rejected(_) => RpcError::Rejected(text()),
        RpcError::Denied(_) => RpcError::Denied(text()),
        RpcError::TokenNotFound => RpcError::TokenNotFound,
        RpcError::NotBootstrapped => RpcError::NotBootstrapped,
        RpcError::AclDisabled => RpcError::AclDisabled,
        RpcError::NoLeader => RpcError::NoLeader,
        RpcError::Unreachable(_) => RpcError::Unreachable(text()),
        RpcError::OutcomeUnknown => RpcError::OutcomeUnknown,
        RpcError::RateLimited => RpcError::RateLimited,
        RpcError::Busy(_) => RpcError::Busy(text()),
        RpcError::ReadOnly(_) => RpcError::ReadOnly(text()),
        RpcError::ShuttingDown => RpcError::ShuttingDown,
        RpcError::CaNotReady(_) => RpcError::CaNotReady(text()),
        RpcError::NotAvailable(_) => RpcError::NotAvailable(text()),
        RpcError::Internal(_) => RpcError::Internal(text()),
    )
}

// === Words that many samples use ===

/// A name, a pattern, or whatever else is read from a text.
pub(crate) fn name<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn uuid(byte: u8) -> Uuid {
    Uuid([byte; 16])
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + seconds)
}

pub(crate) fn stamp() -> Stamp {
    Stamp { create: 11, modify: 13 }
}

pub(crate) fn meta() -> BTreeMap<String, String> {
    BTreeMap::from([("rack".to_owned(), "r1".to_owned()), ("team".to_owned(), "shop".to_owned())])
}

/// A service whose every part is told.
pub(crate) fn service(text: &str) -> ServiceRef {
    ServiceRef {
        partition: name("part"),
        namespace: name("space"),
        peer: Some(name("east")),
        name: name(text),
    }
}

/// Free-form settings with a value of every kind of JSON.
pub(crate) fn settings() -> Settings {
    let nested = json!({ "list": [1, -1, u64::MAX, 2.5, 2.0, true, false, null, "", {}], "text": "x" });
    Settings::from([("nested".to_owned(), nested), ("protocol".to_owned(), json!("http"))])
}
