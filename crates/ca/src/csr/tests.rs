//! A request contains one proved key and one identity; everything else is refused or has no effect.

use concord_model::ca::KeyKind;

use super::*;
use crate::key::{KeyMaker, OsKeys};

const TD: &str = "11111111-2222-3333-4444-555555555555.consul";

fn web() -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap()
}

fn key() -> std::sync::Arc<dyn Signer> {
    OsKeys.make(KeyKind::EcP256).unwrap()
}

fn uri(text: &[u8]) -> Vec<u8> {
    der::value(der::primitive(6), text)
}

/// A request with these alternative names and these further extensions.
fn with_names(names: &[Vec<u8>], more: &[Vec<u8>]) -> String {
    let mut wanted = vec![extension(oid::SUBJECT_ALT_NAME, true, &der::sequence(names))];
    wanted.extend_from_slice(more);
    Csr::sign(&*key(), &der::sequence::<&[u8]>(&[]), &der::sequence(&wanted)).unwrap()
}

/// A request with these encoded attributes.
fn with_attributes(attributes: &[Vec<u8>]) -> Vec<u8> {
    let key = key();
    let info = der::sequence(&[
        &der::unsigned(&[0])[..],
        &der::sequence::<&[u8]>(&[]),
        key.public_key().spki(),
        &der::wrap(der::constructed(0), attributes),
    ]);
    let signature = key.sign(&info).unwrap();
    der::sequence(&[info, signature_algorithm(key.kind()), der::octets_in_bits(&signature)])
}

fn asking_for(text: &str) -> Vec<u8> {
    let wanted =
        der::sequence(&[extension(oid::SUBJECT_ALT_NAME, true, &der::sequence(&[uri(text.as_bytes())]))]);
    der::sequence(&[der::value(der::OID, oid::EXTENSION_REQUEST), der::wrap(der::SET, &[wanted])])
}

#[track_caller]
fn refused(request: &str, why: CsrRefusal) {
    assert_eq!(Csr::parse(request), Err(why));
}

#[track_caller]
fn refused_der(request: &[u8], why: CsrRefusal) {
    assert_eq!(Csr::parse_der(request), Err(why));
}

#[test]
fn a_request_reads_back() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048] {
        let key = OsKeys.make(kind).unwrap();
        let parsed = Csr::parse(&Csr::build(&*key, &web()).unwrap()).unwrap();
        assert_eq!(parsed, ParsedCsr { public_key: key.public_key().clone(), identity: web() });
    }
}

#[test]
fn n_49_csr_with_no_or_several_uris_is_refused() {
    let id = web().to_string();
    refused(&with_names(&[], &[]), CsrRefusal::Uris(0));
    refused(&with_names(&[uri(id.as_bytes()), uri(id.as_bytes())], &[]), CsrRefusal::Uris(2));
    refused_der(&with_attributes(&[]), CsrRefusal::Uris(0));
}

#[test]
fn n_52_csr_with_a_dns_name_is_refused() {
    let id = uri(web().to_string().as_bytes());
    for name in ["server.dc1.consul", "*.consul", "web"] {
        let dns = der::value(der::primitive(2), name.as_bytes());
        refused(&with_names(&[id.clone(), dns], &[]), CsrRefusal::Name("DNS name"));
    }
}

#[test]
fn n_53_csr_with_other_names_is_refused() {
    let id = uri(web().to_string().as_bytes());
    for (tag, why) in [
        (der::primitive(7), "IP address"),
        (der::primitive(1), "e-mail address"),
        (der::constructed(0), "otherName"),
        (der::constructed(4), "name of an unknown kind"),
    ] {
        let name = der::value(tag, &[127, 0, 0, 1]);
        refused(&with_names(&[id.clone(), name], &[]), CsrRefusal::Name(why));
    }
}

#[test]
fn n_54_csr_extensions_are_ignored() {
    let wish = [
        extension(oid::BASIC_CONSTRAINTS, true, &der::sequence(&[der::value(der::BOOLEAN, &[0xff])])),
        extension(oid::KEY_USAGE, true, &der::named_bits(crate::x509::usage::CERT_SIGN)),
        extension(oid::EXTENDED_KEY_USAGE, true, &der::sequence(&[der::value(der::OID, &[0x2a, 3])])),
        extension(&[0x2a, 3, 4, 5], true, &[5, 0]),
    ];
    let parsed = Csr::parse(&with_names(&[uri(web().to_string().as_bytes())], &wish)).unwrap();
    assert_eq!(parsed.identity, web());
    // `n_54_the_leaf_is_built_from_the_identity_alone` tests that the certificate does not contain them.
}

#[test]
fn n_55_csr_without_proof_of_possession_is_refused() {
    let good = pem::decode_one(pem::REQUEST, &Csr::build(&*key(), &web()).unwrap()).unwrap();
    let mut flipped = good;
    *flipped.last_mut().unwrap() ^= 1;
    refused_der(&flipped, CsrRefusal::ProofOfPossession);
    // A request that contains another key than the one that signed it.
    let (own, others) = (key(), key());
    let info = der::sequence(&[
        &der::unsigned(&[0])[..],
        &der::sequence::<&[u8]>(&[]),
        others.public_key().spki(),
        &der::wrap(der::constructed(0), &[asking_for(&web().to_string())]),
    ]);
    let signature = own.sign(&info).unwrap();
    let stolen =
        der::sequence(&[info, signature_algorithm(KeyKind::EcP256), der::octets_in_bits(&signature)]);
    refused_der(&stolen, CsrRefusal::ProofOfPossession);
}

#[test]
fn n_56_csr_with_a_weak_key_is_refused() {
    let rsa = der::sequence(&[der::unsigned(&[0xc1; 128]), der::unsigned(&[1, 0, 1])]);
    let algorithm = der::sequence(&[der::value(der::OID, oid::RSA), der::value(der::NULL, &[])]);
    let info = der::sequence(&[
        der::unsigned(&[0]),
        der::sequence::<&[u8]>(&[]),
        der::sequence(&[algorithm, der::octets_in_bits(&rsa)]),
        der::wrap(der::constructed(0), &[asking_for(&web().to_string())]),
    ]);
    let request =
        der::sequence(&[info, signature_algorithm(KeyKind::Rsa2048), der::octets_in_bits(&[1; 128])]);
    refused_der(&request, CsrRefusal::Key(KeyRefusal::RsaBits(1024)));
    // `key::tests::n_56_*` tests the other weak keys: the same function reads the key.
}

#[test]
fn n_57_csr_out_of_bounds_is_refused() {
    refused(&"x".repeat(1 << 20), CsrRefusal::TooLong);
    refused_der(&vec![0x30; 1 << 20], CsrRefusal::TooLong);
    let junk = der::sequence(&[der::value(der::OID, &[0x2a, 3]), der::value(der::SET, &[])]);
    let nine: Vec<Vec<u8>> =
        std::iter::repeat_n(junk.clone(), 8).chain([asking_for(&web().to_string())]).collect();
    refused_der(&with_attributes(&nine), CsrRefusal::TooManyAttributes);
    assert!(Csr::parse_der(&with_attributes(&nine[1..])).is_ok());
    let many = with_attributes(&vec![junk; 10_000]);
    refused_der(&many, CsrRefusal::TooLong);
    let twice = [asking_for(&web().to_string()), asking_for(&web().to_string())];
    refused_der(&with_attributes(&twice), CsrRefusal::DuplicateExtensions);
}

#[test]
fn n_57_csr_in_another_encoding_is_refused() {
    let good = pem::decode_one(pem::REQUEST, &Csr::build(&*key(), &web()).unwrap()).unwrap();
    refused_der(&[&good[..], &[0]].concat(), CsrRefusal::Der(DerError::Trailing));
    let body = der::Reader::new(&good).body(der::SEQUENCE).unwrap();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    refused_der(&[&[0x30, 0x84], &length[..], body].concat(), CsrRefusal::Der(DerError::Length));
    refused_der(&[&[0x30, 0x80], body, &[0, 0]].concat(), CsrRefusal::Der(DerError::Length));
    let label = PemError::Label { expected: pem::REQUEST, found: "NEW CERTIFICATE REQUEST".to_owned() };
    refused(&pem::encode("NEW CERTIFICATE REQUEST", &good), CsrRefusal::Pem(label));
    for cut in 0..good.len() {
        assert!(Csr::parse_der(&good[..cut]).is_err());
    }
}

#[test]
fn n_58_csr_with_an_identity_outside_the_grammar_is_refused() {
    let request = |text: &str| with_attributes(&[asking_for(text)]);
    refused_der(&request(&format!("{}/", web())), CsrRefusal::Identity(SpiffeError::Segment));
    refused_der(
        &request(&web().to_string().replace("web", "a%2fb")),
        CsrRefusal::Identity(SpiffeError::Character('%')),
    );
    refused_der(
        &request(&web().to_string().replace("web", "*")),
        CsrRefusal::Identity(SpiffeError::Character('*')),
    );
    refused_der(&request(&format!("{}\0", web())), CsrRefusal::UriCharacters);
    refused_der(&request(&format!("{}é", web())), CsrRefusal::UriCharacters);
}

#[test]
fn n_59_csr_with_a_host_outside_the_grammar_is_refused() {
    let request = |text: &str| with_attributes(&[asking_for(text)]);
    refused_der(
        &request(&web().to_string().replace("spiffe", "SPIFFE")),
        CsrRefusal::Identity(SpiffeError::Scheme),
    );
    refused_der(
        &request(&web().to_string().replace(TD, "user@x")),
        CsrRefusal::Identity(SpiffeError::TrustDomain),
    );
}

#[track_caller]
fn in_scope(text: &str, kinds: &[IdentityKind], expected: Result<(), ScopeRefusal>) {
    let csr = ParsedCsr { public_key: key().public_key().clone(), identity: SpiffeId::parse(text).unwrap() };
    let scope = SigningScope {
        kinds,
        trust_domain: &TrustDomain::parse(TD).unwrap(),
        datacenter: &Datacenter::parse("dc1").unwrap(),
        partition: &Partition::default(),
        namespace: &Namespace::default(),
    };
    assert_eq!(check_csr_for(&csr, &scope), expected, "{text}");
}

#[test]
fn n_50_identities_of_other_tenants_are_refused() {
    let all = [IdentityKind::Service];
    in_scope(&web().to_string(), &all, Ok(()));
    let blue = Namespace::parse("blue").unwrap();
    in_scope(&format!("spiffe://{TD}/ns/blue/dc/dc1/svc/web"), &all, Err(ScopeRefusal::Namespace(blue)));
    let team = Partition::parse("team").unwrap();
    in_scope(
        &format!("spiffe://{TD}/ap/team/ns/default/dc/dc1/svc/web"),
        &all,
        Err(ScopeRefusal::Partition(team)),
    );
}

#[test]
fn n_51_identities_of_other_clusters_are_refused() {
    let all = [IdentityKind::Service];
    let other = TrustDomain::parse("other.consul").unwrap();
    in_scope("spiffe://other.consul/ns/default/dc/dc1/svc/web", &all, Err(ScopeRefusal::TrustDomain(other)));
    let dc2 = Datacenter::parse("dc2").unwrap();
    in_scope(&format!("spiffe://{TD}/ns/default/dc/dc2/svc/web"), &all, Err(ScopeRefusal::Datacenter(dc2)));
}

#[test]
fn n_60_services_do_not_get_other_kinds_of_identity() {
    let service = [IdentityKind::Service];
    for (path, kind, allowed) in [
        ("/agent/client/dc/dc1/id/n", "agent", IdentityKind::Agent),
        ("/agent/server/dc/dc1", "server", IdentityKind::Server),
        ("/gateway/mesh/dc/dc1", "mesh gateway", IdentityKind::MeshGateway),
    ] {
        let text = format!("spiffe://{TD}{path}");
        in_scope(&text, &service, Err(ScopeRefusal::Kind(kind)));
        in_scope(&text, &[allowed], Ok(()));
    }
    let every = [IdentityKind::Service, IdentityKind::Agent, IdentityKind::Server, IdentityKind::MeshGateway];
    in_scope(&format!("spiffe://{TD}"), &every, Err(ScopeRefusal::Kind("certificate authority")));
}

#[test]
fn n_55_no_byte_of_a_request_can_be_changed() {
    let good = pem::decode_one(pem::REQUEST, &Csr::build(&*key(), &web()).unwrap()).unwrap();
    for at in 0..good.len() {
        let mut bent = good.clone();
        bent[at] ^= 0x10;
        assert!(Csr::parse_der(&bent).is_err(), "byte {at}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400)) {
        let _ = Csr::parse_der(&bytes);
    }
}
