//! Certificate requests that must be refused, each with its own text, through the whole server.

use concord_acl::{Labelled, Level};
use concord_ca::der::{self, primitive};
use concord_ca::{Certificate, Csr, Signer, oid, pem};
use concord_model::TrustDomain;
use concord_rpc::RpcError;
use concord_rpc::request::SignLeaf;

use crate::ca::{identity, key};
use crate::world::{Host, Setup};

/// A server, a token that may be `web`, and the cluster's trust domain.
struct Office {
    host: Host,
    token: String,
    domain: TrustDomain,
}

impl Office {
    async fn open() -> Self {
        let host = Setup::guarded().start().await.with_ca().await;
        let token = host.token("web", r#"service "web" { policy = "write" }"#).await.secret;
        let domain = host.roots().await.trust_domain;
        Self { host, token, domain }
    }

    fn web(&self) -> String {
        identity(&self.domain, "web").to_string()
    }

    async fn submit(&self, csr: String) -> Result<String, RpcError> {
        Ok(self.host.ask_as(&self.token, SignLeaf { csr }).await?.cert_pem)
    }

    /// Checks that the request is refused as malformed.
    async fn invalid(&self, csr: String, part: &str) {
        match self.submit(csr).await {
            Err(RpcError::Invalid(text)) => assert!(text.contains(part), "{text}"),
            other => panic!("{part}: {other:?}"),
        }
    }

    /// Checks that the request is refused for a missing right.
    async fn denied(&self, uri: &str, part: &str) {
        match self.submit(naming(&[uri_name(uri)])).await {
            Err(RpcError::Denied(text)) => {
                assert!(text.starts_with("Permission denied") && text.contains(part), "{text}");
            }
            other => panic!("{uri}: {other:?}"),
        }
    }

    async fn stop(self) {
        self.host.stop().await;
    }
}

pub(crate) fn uri_name(text: &str) -> Vec<u8> {
    der::value(primitive(6), text.as_bytes())
}

fn extension(identifier: &[u8], body: &[u8]) -> Vec<u8> {
    der::sequence(&[der::value(der::OID, identifier), der::value(der::OCTET_STRING, body)])
}

fn wish(extensions: &[Vec<u8>]) -> Vec<u8> {
    let list = der::sequence(extensions);
    der::sequence(&[der::value(der::OID, oid::EXTENSION_REQUEST), der::wrap(der::SET, &[list])])
}

fn ecdsa() -> Vec<u8> {
    der::sequence(&[der::value(der::OID, oid::ECDSA_SHA256)])
}

/// A request with these attributes for this key, signed by another key.
fn request(attributes: &[Vec<u8>], spki: &[u8], signer: &dyn Signer) -> Vec<u8> {
    let info = der::sequence(&[
        &der::unsigned(&[0])[..],
        &der::sequence::<&[u8]>(&[]),
        spki,
        &der::wrap(der::constructed(0), attributes),
    ]);
    let signature = signer.sign(&info).unwrap();
    der::sequence(&[info, ecdsa(), der::octets_in_bits(&signature)])
}

fn text(der: &[u8]) -> String {
    pem::encode(pem::REQUEST, der)
}

/// A request with these alternative names and more extensions.
fn asking(names: &[Vec<u8>], more: &[Vec<u8>]) -> String {
    let key = key();
    let mut all = vec![extension(oid::SUBJECT_ALT_NAME, &der::sequence(names))];
    all.extend_from_slice(more);
    text(&request(&[wish(&all)], key.public_key().spki(), &*key))
}

pub(crate) fn naming(names: &[Vec<u8>]) -> String {
    asking(names, &[])
}

#[tokio::test(start_paused = true)]
async fn n_49_a_request_needs_exactly_one_uri() {
    let office = Office::open().await;
    let web = uri_name(&office.web());
    office.invalid(naming(&[]), "CSR has 0 URIs").await;
    office.invalid(naming(&[web.clone(), web.clone()]), "CSR has 2 URIs").await;
    assert!(office.submit(naming(&[web])).await.is_ok());
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_50_a_request_for_another_service_or_tenant_is_denied() {
    let office = Office::open().await;
    let domain = office.domain.clone();
    office.denied(&identity(&domain, "api").to_string(), "service:write").await;
    office.denied(&format!("spiffe://{domain}/ns/blue/dc/dc1/svc/web"), "namespace").await;
    office.denied(&format!("spiffe://{domain}/ap/team/ns/default/dc/dc1/svc/web"), "partition").await;
    office.invalid(naming(&[uri_name(&office.web().replace("web", "*"))]), "CSR").await;
    let nobody = Csr::build(&*key(), &identity(&domain, "web")).unwrap();
    let answer = office.host.ask(SignLeaf { csr: nobody }).await;
    assert!(matches!(answer, Err(RpcError::Denied(_))), "anonymous");
    let right = concord_acl::Right::named(Labelled::Service, "web", Level::Read);
    let reader = office.host.token("reader", r#"service "web" { policy = "read" }"#).await.secret;
    let csr = Csr::build(&*key(), &identity(&domain, "web")).unwrap();
    let answer = office.host.ask_as(&reader, SignLeaf { csr }).await;
    assert!(matches!(answer, Err(RpcError::Denied(_))), "{right:?} is not enough");
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_51_a_request_for_another_cluster_is_refused() {
    let office = Office::open().await;
    let domain = office.domain.clone();
    let dc2 = format!("spiffe://{domain}/ns/default/dc/dc2/svc/web");
    office.invalid(naming(&[uri_name(&dc2)]), "datacenter dc2").await;
    let foreign = "spiffe://99999999-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web";
    office.invalid(naming(&[uri_name(foreign)]), "trust domain 99999999").await;
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_52_a_request_with_a_dns_name_is_refused() {
    let office = Office::open().await;
    for name in ["server.dc1.consul", "*.consul", "web"] {
        let names = [uri_name(&office.web()), der::value(primitive(2), name.as_bytes())];
        office.invalid(naming(&names), "DNS name").await;
    }
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_53_a_request_with_any_other_name_is_refused() {
    let office = Office::open().await;
    for (tag, what) in
        [(primitive(7), "IP address"), (primitive(1), "e-mail address"), (der::constructed(0), "otherName")]
    {
        let names = [uri_name(&office.web()), der::value(tag, &[127, 0, 0, 1])];
        office.invalid(naming(&names), what).await;
    }
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_54_what_a_request_wishes_for_beside_its_name_is_without_effect() {
    let office = Office::open().await;
    let authority = der::sequence(&[der::value(der::BOOLEAN, &[0xff])]);
    let more = [
        extension(oid::BASIC_CONSTRAINTS, &authority),
        extension(oid::KEY_USAGE, &der::named_bits(concord_ca::x509::usage::CERT_SIGN)),
        extension(oid::EXTENDED_KEY_USAGE, &der::sequence(&[der::value(der::OID, &[0x2a, 3])])),
    ];
    let plain = office.submit(naming(&[uri_name(&office.web())])).await.unwrap();
    let wished = office.submit(asking(&[uri_name(&office.web())], &more)).await.unwrap();
    let shape = |pem: &str| {
        let leaf = Certificate::parse_pem_chain(pem).unwrap().remove(0);
        let extensions = leaf.extensions();
        assert!(!extensions.basic_constraints.is_some_and(|constraints| constraints.ca));
        let usage = extensions.key_usage.unwrap();
        assert!(!usage.any(concord_ca::x509::usage::CERT_SIGN));
        format!(
            "{:?} {:?} {:?}",
            extensions.basic_constraints, extensions.key_usage, extensions.extended_key_usage
        )
    };
    assert_eq!(shape(&plain), shape(&wished));
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_55_a_request_that_does_not_prove_its_key_is_refused() {
    let office = Office::open().await;
    let (own, others) = (key(), key());
    let names = [extension(oid::SUBJECT_ALT_NAME, &der::sequence(&[uri_name(&office.web())]))];
    let stolen = request(&[wish(&names)], others.public_key().spki(), &*own);
    office.invalid(text(&stolen), "does not prove possession").await;
    let mut flipped = request(&[wish(&names)], own.public_key().spki(), &*own);
    *flipped.last_mut().unwrap() ^= 1;
    office.invalid(text(&flipped), "does not prove possession").await;
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_56_a_request_for_a_weak_key_is_refused() {
    let office = Office::open().await;
    let names = [extension(oid::SUBJECT_ALT_NAME, &der::sequence(&[uri_name(&office.web())]))];
    let rsa = |modulus: &[u8], exponent: &[u8]| {
        let algorithm = der::sequence(&[der::value(der::OID, oid::RSA), der::value(der::NULL, &[])]);
        let pair = der::sequence(&[der::unsigned(modulus), der::unsigned(exponent)]);
        der::sequence(&[algorithm, der::octets_in_bits(&pair)])
    };
    let curve = |curve: &[u8], point: &[u8]| {
        let algorithm = der::sequence(&[der::value(der::OID, oid::EC), der::value(der::OID, curve)]);
        der::sequence(&[algorithm, der::octets_in_bits(point)])
    };
    let ed25519 =
        der::sequence(&[der::sequence(&[der::value(der::OID, oid::ED25519)]), der::octets_in_bits(&[7; 32])]);
    let mut off = vec![4u8; 65];
    off[1..].fill(9);
    let mut texts = std::collections::BTreeSet::new();
    for (what, spki) in [
        ("rsa 1024", rsa(&[0xc1; 128], &[1, 0, 1])),
        ("rsa e=1", rsa(&[0xc1; 256], &[1])),
        ("p-224", curve(oid::P224, &[4; 57])),
        ("off the curve", curve(oid::P256, &off)),
        ("ed25519", ed25519),
    ] {
        match office.submit(text(&request(&[wish(&names)], &spki, &*key()))).await {
            Err(RpcError::Invalid(text)) => assert!(texts.insert(text.clone()), "{what}: {text} twice"),
            other => panic!("{what}: {other:?}"),
        }
    }
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_57_a_request_out_of_bounds_is_refused() {
    let office = Office::open().await;
    let own = key();
    let names = [extension(oid::SUBJECT_ALT_NAME, &der::sequence(&[uri_name(&office.web())]))];
    let good = request(&[wish(&names)], own.public_key().spki(), &*own);
    office.invalid("x".repeat(1 << 20), "longer than 16 KiB").await;
    let junk = der::sequence(&[der::value(der::OID, &[0x2a, 3]), der::value(der::SET, &[])]);
    let many = request(&vec![junk.clone(); 10_000], own.public_key().spki(), &*own);
    office.invalid(text(&many), "longer than 16 KiB").await;
    let some = request(&vec![junk; 9], own.public_key().spki(), &*own);
    office.invalid(text(&some), "more than 8 attributes").await;
    office.invalid(text(&[&good[..], &[0]].concat()), "CSR: ").await;
    let body = &good[4..];
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    office.invalid(text(&[&[0x30, 0x84], &length[..], body].concat()), "DER demands").await;
    office.invalid(text(&[&[0x30, 0x80], body, &[0, 0]].concat()), "DER demands").await;
    assert!(office.submit(text(&good)).await.is_ok());
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_58_a_request_for_a_path_outside_the_grammar_is_refused() {
    let office = Office::open().await;
    let web = office.web();
    let long = "x".repeat(2_100);
    for path in ["%2f", "%41", "a//b", ".", "..", "web/", "", long.as_str(), "w\u{e9}b", "web\0"] {
        let uri = web.replace("/svc/web", &format!("/svc/{path}"));
        office.invalid(naming(&[uri_name(&uri)]), "CSR").await;
    }
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_59_a_request_for_a_host_outside_the_grammar_is_refused() {
    let office = Office::open().await;
    let (web, domain) = (office.web(), office.domain.to_string());
    let host = |host: &str| web.replace(&domain, host);
    for uri in [
        host(&format!("{domain}:80")),
        host(&format!("user@{domain}")),
        host(&domain.replace('-', "%2d")),
        host(""),
        host(&"a".repeat(256)),
        format!("{web}?a=b"),
        format!("{web}#a"),
        web.replace("spiffe", "SPIFFE"),
        web.replace("spiffe", "https"),
    ] {
        office.invalid(naming(&[uri_name(&uri)]), "").await;
    }
    office.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_60_a_service_does_not_become_an_agent_a_server_or_a_gateway() {
    let office = Office::open().await;
    let domain = office.domain.clone();
    for (path, kind) in [
        ("/agent/client/dc/dc1/id/n1", "agent"),
        ("/agent/server/dc/dc1", "server"),
        ("/gateway/mesh/dc/dc1", "mesh gateway"),
        ("", "certificate authority"),
    ] {
        office.denied(&format!("spiffe://{domain}{path}"), kind).await;
    }
    office.stop().await;
}
