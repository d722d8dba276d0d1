//! The certificate authority.

use concord_model::TrustDomain;
use concord_model::ca::{CaConfig, CaRoot, CaRoots, KeyKind, LeafCertificate};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::{Sample, at, every, meta, sample, settings, stamp, uuid};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let set = SetCaConfig {
        provider: "consul".to_owned(),
        settings: settings(),
        state: meta(),
        force_without_cross_signing: true,
        force_without_oldest_root: true,
    };
    vec![
        sample!(AnyRequest, ReadCaRoots, "", ReadCaRoots {}),
        sample!(AnyRequest, ReadCaConfig, "", ReadCaConfig {}),
        sample!(AnyRequest, SetCaConfig, "", set),
        sample!(AnyRequest, SignLeaf, "", SignLeaf { csr: "a request, PEM".to_owned() }),
    ]
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let kinds = every!(KeyKind:
        KeyKind::EcP256 => KeyKind::EcP256,
        KeyKind::EcP384 => KeyKind::EcP384,
        KeyKind::Rsa2048 => KeyKind::Rsa2048,
    );
    let roots = CaRoots {
        active_root_id: "aa:bb".to_owned(),
        trust_domain: TrustDomain::of_cluster(uuid(9)),
        roots: kinds.into_iter().map(root).collect(),
        index: 12,
    };
    let config = CaConfig {
        cluster_id: uuid(9),
        provider: "consul".to_owned(),
        settings: settings(),
        state: meta(),
        force_without_cross_signing: true,
        stamp: stamp(),
    };
    let leaf = LeafCertificate {
        serial: "0a:0b".to_owned(),
        cert_pem: "a leaf and what signed it, PEM".to_owned(),
        uri: "spiffe://d.consul/ns/default/dc/dc1/svc/web".to_owned(),
        valid_after: at(1),
        valid_before: at(2),
        authority_key_id: "cc:dd".to_owned(),
        stamp: stamp(),
    };
    vec![
        sample!(AnyReply, ReadCaRoots, "", roots),
        sample!(AnyReply, ReadCaConfig, "", config),
        sample!(AnyReply, SetCaConfig, "", ()),
        sample!(AnyReply, SignLeaf, "", leaf),
    ]
}

fn root(key_kind: KeyKind) -> CaRoot {
    CaRoot {
        id: "aa:bb".to_owned(),
        name: "Consul CA Primary Cert".to_owned(),
        serial: u64::MAX,
        signing_key_id: "cc:dd".to_owned(),
        external_trust_domain: uuid(9).to_string(),
        not_before: at(-1),
        not_after: at(1000),
        root_cert: "a root, PEM".to_owned(),
        intermediate_certs: vec!["an intermediate, PEM".to_owned()],
        active: true,
        rotated_out_at: Some(at(3)),
        key_kind,
        stamp: stamp(),
    }
}
