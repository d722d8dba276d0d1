//! The authority of both meshes: one key and one root certificate, made for the run.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};

/// The id from which both make their trust domain.
const CLUSTER: &str = "11111111-2222-3333-4444-555555555555";

/// A root with its key.
pub(super) struct Authority {
    root: String,
    key: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "authority of both");
        let uri = format!("spiffe://{CLUSTER}.consul").try_into().expect("ASCII");
        params.subject_alt_names.push(SanType::URI(uri));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("it can sign itself").pem();
        Self { root, key: key.serialize_pem() }
    }

    /// The configuration of an agent with it, in HCL.
    pub(super) fn settings(&self, denies: bool) -> String {
        let quoted = |pem: &str| pem.replace("\r\n", "\n").replace('\n', "\\n");
        let policy = if denies { "deny" } else { "allow" };
        format!(
            "default_intention_policy = \"{policy}\"\nconnect {{\n enabled = true\n ca_provider = \"consul\"\n ca_config {{\n  \
             cluster_id = \"{CLUSTER}\"\n  private_key = \"{}\"\n  root_cert = \"{}\"\n }}\n}}\n",
            quoted(&self.key),
            quoted(&self.root),
        )
    }
}
