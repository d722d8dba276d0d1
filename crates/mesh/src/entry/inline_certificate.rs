//! `inline-certificate`: a certificate and its key in an entry.
//!
//! Whether they belong together is checked by the servers, which know X.509; this crate does not.

use concord_model::ServiceRef;
use concord_model::entry::{InlineCertificate, Record};

use super::fault::Faults;
use super::graph::{GraphFault, Proposed};
use super::limits::KEY_SET_BYTES_MAX;

pub(super) fn check(entry: &Record<InlineCertificate>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let InlineCertificate { certificate, private_key } = &entry.said;
    faults.text("Certificate", certificate, KEY_SET_BYTES_MAX);
    faults.text("PrivateKey", private_key.0.expose(), KEY_SET_BYTES_MAX);
}

pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(_: &Record<InlineCertificate>) -> Vec<ServiceRef> {
    Vec::new()
}
