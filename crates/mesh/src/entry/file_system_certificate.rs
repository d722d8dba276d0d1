//! `file-system-certificate`: a certificate in files of the gateway's machine.

use concord_model::ServiceRef;
use concord_model::entry::{FileSystemCertificate, Record};

use super::fault::Faults;
use super::graph::{GraphFault, Proposed};
use super::limits::TEXT_BYTES_MAX;

pub(super) fn check(entry: &Record<FileSystemCertificate>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let FileSystemCertificate { certificate, private_key } = &entry.said;
    faults.text("Certificate", certificate, TEXT_BYTES_MAX);
    faults.text("PrivateKey", private_key, TEXT_BYTES_MAX);
}

pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(_: &Record<FileSystemCertificate>) -> Vec<ServiceRef> {
    Vec::new()
}
