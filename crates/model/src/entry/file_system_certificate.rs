//! `file-system-certificate`: a certificate in files of the gateway's machine.

use serde::{Deserialize, Serialize};

/// A certificate in files of the gateway's machine.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct FileSystemCertificate {
    /// The file with the certificate.
    pub certificate: String,
    /// The file with its key.
    pub private_key: String,
}
