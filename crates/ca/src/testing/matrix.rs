//! The table of N-85: chains that must be refused, each with the reason.
//!
//! Each case differs from a good chain in one thing. The proxy's tests replay the cases in real handshakes.

use std::sync::Arc;
use std::time::Duration;

use concord_model::{SpiffeError, TrustDomain};
use rustls_pki_types::CertificateDer;

use super::forge::{dns, named, uri};
use super::world::{FUTURE, OURS, PAST, PEER, SHORT};
use super::{Forge, Held, World};
use crate::der;
use crate::key::{KeyRefusal, Signer};
use crate::oid;
use crate::verify::Refusal;
use crate::x509::{Certificate, usage};

/// One chain that must be refused.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is wrong with the chain.
    pub name: String,
    /// The chain, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key, or any key if the leaf's own key is unusable.
    pub key: Arc<dyn Signer>,
    /// The exact reason of the refusal.
    pub expected: Refusal,
}

type Der = CertificateDer<'static>;

/// All cases of a world.
pub fn matrix(world: &World) -> Vec<Case> {
    let mut cases = Cases { world, all: Vec::new() };
    cases.constraints_and_usages();
    cases.names();
    cases.identities();
    cases.lives();
    cases.keys();
    cases.encodings();
    cases.trust_domains();
    cases.paths();
    cases.intermediates();
    cases.all
}

struct Cases<'a> {
    world: &'a World,
    all: Vec<Case>,
}

impl Cases<'_> {
    fn chain(&mut self, name: &str, chain: Vec<Der>, expected: Refusal) {
        let key = Arc::clone(&self.world.leaf_key);
        self.all.push(Case { name: name.to_owned(), chain, key, expected });
    }

    /// A leaf of `web`, modified by `bend` and signed by the root.
    fn leaf(&mut self, name: &str, bend: impl FnOnce(Forge) -> Forge, expected: Refusal) {
        let der = bend(self.good(&self.world.root)).sign(&*self.world.root.signer);
        self.chain(name, vec![der], expected);
    }

    /// A leaf with this URI, signed by the root.
    fn uri(&mut self, name: &str, text: &str, expected: Refusal) {
        self.leaf(name, |forge| forge.names(&[uri(text.as_bytes())]), expected);
    }

    fn good(&self, issuer: &Held) -> Forge {
        self.good_under(issuer.certificate.subject())
    }

    fn good_under(&self, issuer: &[u8]) -> Forge {
        let World { now, leaf_key, .. } = self.world;
        Forge::leaf(&web(OURS), &**leaf_key, issuer, *now)
    }

    /// An authority that another one has signed.
    fn authority(&self, name: &str, issuer: &Held, bend: impl FnOnce(Forge) -> Forge) -> Held {
        let signer = self.world.key();
        let forge = Forge::authority(name, &*signer, issuer.certificate.subject(), self.world.now);
        let certificate = Certificate::parse(&bend(forge).sign(&*issuer.signer)).expect("an authority");
        Held { certificate, signer }
    }

    /// A good leaf below these authorities. The root has signed the last one.
    fn under(&self, path: &[&Held]) -> Vec<Der> {
        let mut chain = vec![self.good(path[0]).sign(&*path[0].signer)];
        chain.extend(path.iter().map(|held| held.certificate.der().clone()));
        chain
    }

    fn constraints_and_usages(&mut self) {
        let yes = || der::value(der::BOOLEAN, &[0xff]);
        self.leaf(
            "basic constraints missing",
            |f| f.without(oid::BASIC_CONSTRAINTS),
            Refusal::NoBasicConstraints,
        );
        self.leaf("CA:TRUE leaf", |f| f.constraints(&[yes()]), Refusal::LeafIsAuthority);
        self.leaf(
            "path length without CA",
            |f| f.constraints(&[der::unsigned(&[0])]),
            Refusal::PathLengthOnLeaf,
        );
        self.leaf("key usage missing", |f| f.without(oid::KEY_USAGE), Refusal::NoKeyUsage);
        let digital = usage::DIGITAL_SIGNATURE;
        self.leaf("key usage not critical", |f| f.usage(false, digital), Refusal::KeyUsageNotCritical);
        self.leaf(
            "keyCertSign",
            |f| f.usage(true, digital | usage::CERT_SIGN),
            Refusal::LeafMaySignCertificates,
        );
        self.leaf("cRLSign", |f| f.usage(true, digital | usage::CRL_SIGN), Refusal::LeafMaySignCrls);
        self.leaf(
            "no digitalSignature",
            |f| f.usage(true, usage::KEY_ENCIPHERMENT),
            Refusal::NoDigitalSignature,
        );
        self.leaf("no bit of key usage", |f| f.usage(true, 0), Refusal::NoDigitalSignature);
        self.leaf(
            "extended key usage missing",
            |f| f.without(oid::EXTENDED_KEY_USAGE),
            Refusal::NoExtendedKeyUsage,
        );
        self.leaf("server only", |f| f.purposes(&[oid::SERVER_AUTH]), Refusal::NotForClients);
        self.leaf("client only", |f| f.purposes(&[oid::CLIENT_AUTH]), Refusal::NotForServers);
        let code_signing = [&oid::SERVER_AUTH[..7], &[3]].concat();
        self.leaf("code signing only", |f| f.purposes(&[&code_signing]), Refusal::NotForClients);
        self.leaf("any purpose", |f| f.purposes(&[&[0x55, 0x1d, 0x25, 0x00]]), Refusal::NotForClients);
        let unknown = [0x2a, 0x03, 0x04];
        self.leaf(
            "unknown critical extension",
            |f| f.with(&unknown, true, &[5, 0]),
            Refusal::CriticalExtension("1.2.3.4".to_owned()),
        );
        self.leaf(
            "name constraints on a leaf",
            |f| f.with(oid::NAME_CONSTRAINTS, true, &der::sequence::<&[u8]>(&[])),
            Refusal::CriticalExtension("2.5.29.30".to_owned()),
        );
        self.chain(
            "intermediate as leaf",
            vec![self.world.intermediate.certificate.der().clone()],
            Refusal::AuthorityAsLeaf,
        );
        self.chain("root as leaf", vec![self.world.root.certificate.der().clone()], Refusal::AuthorityAsLeaf);
    }

    fn names(&mut self) {
        let id = web(OURS);
        let id = id.as_bytes();
        self.leaf("no alternative names", |f| f.without(oid::SUBJECT_ALT_NAME), Refusal::NoAlternativeNames);
        self.leaf(
            "identity in the common name only",
            |mut f| {
                f.subject = named(&web(OURS));
                f.without(oid::SUBJECT_ALT_NAME)
            },
            Refusal::NoAlternativeNames,
        );
        self.leaf("empty alternative names", |f| f.names(&[]), Refusal::NoUri);
        self.leaf("identity in a DNS name only", |f| f.names(&[dns(id)]), Refusal::NoUri);
        self.leaf("two URIs", |f| f.names(&[uri(id), uri(web(PEER).as_bytes())]), Refusal::SeveralUris(2));
        self.leaf("the same URI twice", |f| f.names(&[uri(id), uri(id)]), Refusal::SeveralUris(2));
        self.leaf(
            "a web address beside the URI",
            |f| f.names(&[uri(id), uri(b"https://web")]),
            Refusal::SeveralUris(2),
        );
        self.leaf("three URIs", |f| f.names(&[uri(id), uri(id), uri(id)]), Refusal::SeveralUris(3));
        let other = |body: &[u8]| {
            let value = der::wrap(der::constructed(0), &[der::value(der::UTF8_STRING, body)]);
            der::wrap(der::constructed(0), &[der::value(der::OID, &[0x2a, 3]), value])
        };
        self.leaf("otherName with the identity", |f| f.names(&[other(id)]), Refusal::OtherName(0));
        self.leaf("otherName beside the URI", |f| f.names(&[uri(id), other(id)]), Refusal::OtherName(0));
        let directory = der::wrap(der::constructed(4), &[named("web")]);
        self.leaf("directoryName", |f| f.names(&[uri(id), directory]), Refusal::OtherName(4));
        let registered = der::value(der::primitive(8), &[0x2a, 3]);
        self.leaf("registeredID", |f| f.names(&[uri(id), registered]), Refusal::OtherName(8));
        // An IA5String instead of the name's own tag. A parser that ignores tags would accept it.
        self.leaf("IA5String for a URI", |f| f.names(&[der::value(0x16, id)]), Refusal::OtherName(0x16));
        let constructed = der::wrap(der::constructed(6), &[der::value(0x16, id)]);
        self.leaf("URI with an inner IA5String", |f| f.names(&[constructed]), Refusal::OtherName(6));
        let mail = der::value(der::primitive(1), b"web@consul");
        self.leaf("e-mail address", |f| f.names(&[uri(id), mail]), Refusal::EmailName);
        let nul = [id, b"\0.evil"].concat();
        self.leaf("NUL in the URI", |f| f.names(&[uri(&nul)]), Refusal::ControlCharacter);
        self.leaf("NUL in a DNS name", |f| f.names(&[uri(id), dns(b"web\0evil")]), Refusal::ControlCharacter);
        let line = [id, b"\n"].concat();
        self.leaf("line end in the URI", |f| f.names(&[uri(&line)]), Refusal::ControlCharacter);
        let accent = [id, "é".as_bytes()].concat();
        self.leaf("UTF-8 in the URI", |f| f.names(&[uri(&accent)]), Refusal::UriNotAscii);
        let latin = [id, &[0xe9]].concat();
        self.leaf("Latin-1 in the URI", |f| f.names(&[uri(&latin)]), Refusal::UriNotAscii);
    }

    fn identities(&mut self) {
        use SpiffeError::{Character, Name, Scheme, Segment, TooLong, TrustDomain, UnknownPath};
        let base = format!("spiffe://{OURS}");
        let bad = Refusal::Identity;
        self.uri("root-path identity", &base, Refusal::RootPathIdentity);
        self.uri(
            "agent's identity",
            &format!("{base}/agent/client/dc/dc1/id/node"),
            Refusal::NotAService("agent"),
        );
        self.uri("server's identity", &format!("{base}/agent/server/dc/dc1"), Refusal::NotAService("server"));
        self.uri(
            "gateway's identity",
            &format!("{base}/gateway/mesh/dc/dc1"),
            Refusal::NotAService("mesh gateway"),
        );
        self.uri("slash only", &format!("{base}/"), bad(Segment));
        self.uri("empty segment", &format!("{base}//ns/default/dc/dc1/svc/web"), bad(Segment));
        self.uri("dots", &format!("{base}/ns/default/dc/dc1/svc/../web"), bad(Segment));
        self.uri("trailing slash", &format!("{}/", web(OURS)), bad(Segment));
        self.uri("percent", &format!("{base}/ns/default/dc/dc1/svc/a%2fb"), bad(Character('%')));
        self.uri("query", &format!("{}?a=b", web(OURS)), bad(Character('?')));
        self.uri("fragment", &format!("{}#a", web(OURS)), bad(Character('#')));
        self.uri("wildcard", &format!("{base}/ns/default/dc/dc1/svc/*"), bad(Character('*')));
        self.uri("path of nobody", &format!("{base}/ns/default/svc/web"), bad(UnknownPath));
        self.uri("more than the path", &format!("{}/admin", web(OURS)), bad(UnknownPath));
        self.uri("too long", &format!("{base}/ns/default/dc/dc1/svc/{}", "a".repeat(2048)), bad(TooLong));
        self.uri("upper-case scheme", &web(OURS).replace("spiffe", "SPIFFE"), bad(Scheme));
        self.uri("other scheme", &web(OURS).replace("spiffe", "https"), bad(Scheme));
        self.uri("upper-case trust domain", &web(&OURS.to_uppercase()), bad(TrustDomain));
        self.uri("port", &web(&format!("{OURS}:443")), bad(TrustDomain));
        self.uri("user", &web(&format!("root@{OURS}")), bad(TrustDomain));
        self.uri("no trust domain", &web(""), bad(TrustDomain));
        let name = concord_model::Datacenter::parse("DC1").expect_err("upper case");
        self.uri("upper-case datacenter", &web(OURS).replace("dc1", "DC1"), bad(Name(name)));
    }

    fn lives(&mut self) {
        let now = self.world.now;
        let second = Duration::from_secs(1);
        let (past, future) = (now.minus(second), now.plus(second));
        self.leaf(
            "expired a second ago",
            |f| f.life(now.minus(second * 60), past),
            Refusal::Expired { not_after: past },
        );
        self.leaf(
            "valid in a second",
            |f| f.life(future, now.plus(second * 60)),
            Refusal::NotYetValid { not_before: future },
        );
        self.leaf(
            "ends before it begins",
            |f| f.life(future, past),
            Refusal::NotYetValid { not_before: future },
        );
    }

    fn keys(&mut self) {
        let ec = |curve: &[u8], point: &[u8]| {
            let algorithm = der::sequence(&[der::value(der::OID, oid::EC), der::value(der::OID, curve)]);
            der::sequence(&[algorithm, der::octets_in_bits(point)])
        };
        let rsa = |bytes: usize, exponent: &[u8]| {
            let algorithm = der::sequence(&[der::value(der::OID, oid::RSA), der::value(der::NULL, &[])]);
            let key = der::sequence(&[der::unsigned(&vec![0xc1; bytes]), der::unsigned(exponent)]);
            der::sequence(&[algorithm, der::octets_in_bits(&key)])
        };
        let weak = Refusal::WeakKey;
        self.leaf("RSA 1024", |f| f.key(rsa(128, &[1, 0, 1])), weak(KeyRefusal::RsaBits(1024)));
        self.leaf("RSA 16384", |f| f.key(rsa(2048, &[1, 0, 1])), weak(KeyRefusal::RsaBits(16_384)));
        self.leaf("RSA exponent 1", |f| f.key(rsa(256, &[1])), weak(KeyRefusal::RsaExponent));
        self.leaf("RSA exponent 3", |f| f.key(rsa(256, &[3])), weak(KeyRefusal::RsaExponent));
        self.leaf("P-224", |f| f.key(ec(oid::P224, &[4; 57])), weak(KeyRefusal::Unsupported("ec 224")));
        self.leaf("P-521", |f| f.key(ec(oid::P521, &[4; 133])), weak(KeyRefusal::Unsupported("ec 521")));
        let koblitz = [0x2b, 0x81, 0x04, 0x00, 0x0a];
        self.leaf(
            "secp256k1",
            |f| f.key(ec(&koblitz, &[4; 65])),
            weak(KeyRefusal::Unknown("ec 1.3.132.0.10".to_owned())),
        );
        self.leaf("point off the curve", |f| f.key(ec(oid::P256, &[4; 65])), weak(KeyRefusal::Point));
        let ed25519 = der::sequence(&[
            der::sequence(&[der::value(der::OID, oid::ED25519)]),
            der::octets_in_bits(&[7; 32]),
        ]);
        self.leaf("Ed25519", |f| f.key(ed25519), weak(KeyRefusal::Unsupported("Ed25519")));
    }

    fn encodings(&mut self) {
        let good = self.good(&self.world.root).sign(&*self.world.root.signer);
        let bytes = good.as_ref();
        let bent = |bytes: Vec<u8>| vec![Der::from(bytes)];
        self.chain("trailing byte", bent([bytes, &[0]].concat()), Refusal::Malformed);
        self.chain("cut short", bent(bytes[..bytes.len() - 1].to_vec()), Refusal::Malformed);
        // The same certificate with more length bytes than necessary, and with BER's indefinite length.
        let body = der::Reader::new(bytes).body(der::SEQUENCE).expect("a sequence");
        let length = u32::try_from(body.len()).expect("short").to_be_bytes();
        self.chain(
            "length not minimal",
            bent([&[0x30, 0x84], &length[..], body].concat()),
            Refusal::Malformed,
        );
        self.chain("length indefinite", bent([&[0x30, 0x80], body, &[0, 0]].concat()), Refusal::Malformed);
        self.chain("not a certificate", bent(b"certificate".to_vec()), Refusal::Malformed);
        self.leaf(
            "serial of 21 bytes",
            |mut f| {
                f.serial = der::unsigned(&[0x7f; 21]);
                f
            },
            Refusal::Malformed,
        );
        self.leaf(
            "negative serial",
            |mut f| {
                f.serial = vec![2, 1, 0x80];
                f
            },
            Refusal::Malformed,
        );
        self.leaf(
            "version 1",
            |mut f| {
                f.version = None;
                f
            },
            Refusal::Malformed,
        );
        self.leaf(
            "version 4",
            |mut f| {
                f.version = Some(3);
                f
            },
            Refusal::Malformed,
        );
        let sha1 = der::sequence(&[der::value(der::OID, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01])]);
        self.leaf(
            "two algorithms",
            |mut f| {
                f.outer_algorithm = Some(sha1.clone());
                f
            },
            Refusal::Malformed,
        );
        self.leaf(
            "signed with SHA-1",
            |mut f| {
                f.outer_algorithm = Some(sha1.clone());
                f.inner_algorithm = Some(sha1);
                f
            },
            Refusal::SignatureAlgorithm,
        );
        self.leaf(
            "false written out",
            |f| f.constraints(&[der::value(der::BOOLEAN, &[0])]),
            Refusal::Malformed,
        );
        for (name, identifier, text) in [
            ("alternative names twice", oid::SUBJECT_ALT_NAME, "2.5.29.17"),
            ("key usage twice", oid::KEY_USAGE, "2.5.29.15"),
            ("basic constraints twice", oid::BASIC_CONSTRAINTS, "2.5.29.19"),
        ] {
            self.leaf(name, |f| f.twice(identifier), Refusal::DuplicateExtension(text.to_owned()));
        }
    }

    fn trust_domains(&mut self) {
        let domain = |text: &str| TrustDomain::parse(text).expect("a trust domain");
        let unknown = |text: &str| Refusal::UnknownTrustDomain(domain(text));
        self.uri("other trust domain under our root", &web("other.consul"), unknown("other.consul"));
        let longer = format!("{OURS}.evil");
        self.uri("trust domain that begins like ours", &web(&longer), unknown(&longer));
        let longer = format!("evil.{OURS}");
        self.uri("trust domain that ends like ours", &web(&longer), unknown(&longer));
        self.uri(
            "peer's trust domain under our root",
            &web(PEER),
            Refusal::IssuedByOtherTrustDomain { claimed: domain(PEER), issuer: domain(OURS) },
        );
        let peer = self.good(&self.world.peer_root).sign(&*self.world.peer_root.signer);
        self.chain(
            "our trust domain under the peer's root",
            vec![peer],
            Refusal::IssuedByOtherTrustDomain { claimed: domain(OURS), issuer: domain(PEER) },
        );
        for (name, of, root, expected) in [
            ("root expired", PAST, &self.world.past_root, Refusal::RootExpired),
            ("root not valid yet", FUTURE, &self.world.future_root, Refusal::RootNotYetValid),
        ] {
            let leaf = self.good(root).names(&[uri(web(of).as_bytes())]).sign(&*root.signer);
            self.chain(name, vec![leaf], expected);
        }
        let short = self.authority("under-short", &self.world.short_root, |f| f);
        let leaf = self.good(&short).names(&[uri(web(SHORT).as_bytes())]).sign(&*short.signer);
        let chain = vec![leaf, short.certificate.der().clone()];
        self.chain("root allows no intermediate", chain, Refusal::PathLengthExceeded);
    }

    fn paths(&mut self) {
        let world = self.world;
        let own = self.good_under(&der::sequence::<&[u8]>(&[])).sign(&*world.leaf_key);
        self.chain("self-signed leaf", vec![own], Refusal::SelfSigned);
        let stranger = &world.stranger;
        let leaf = self.good(stranger).sign(&*stranger.signer);
        self.chain("untrusted root, not shown", vec![leaf.clone()], Refusal::UnknownIssuer);
        self.chain("untrusted root", vec![leaf, stranger.certificate.der().clone()], Refusal::UntrustedRoot);
        let leaf = self.good(&world.intermediate).sign(&*world.intermediate.signer);
        self.chain("intermediate missing", vec![leaf.clone()], Refusal::UnknownIssuer);
        // The issuer has the root's name, but another key.
        let forged = self.good(&world.root).sign(&*stranger.signer);
        self.chain("signed by another key", vec![forged], Refusal::BadSignature);
        let mut flipped = self.good(&world.root).sign(&*world.root.signer).as_ref().to_vec();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        self.chain("signature flipped", vec![flipped.into()], Refusal::BadSignature);
        // A leaf that has issued another leaf.
        let signer = world.key();
        let mut forge = self.good(&world.root).key(signer.public_key().spki().to_vec());
        forge.subject = named("holder");
        let certificate = Certificate::parse(&forge.sign(&*world.root.signer)).expect("a leaf");
        let holder = Held { certificate, signer };
        let chain = self.under(&[&holder]);
        self.chain("issued by a leaf", chain, Refusal::IssuerIsNoAuthority);
        let mut long = self.under(&[&world.intermediate]);
        while long.len() < 9 {
            long.push(world.intermediate.certificate.der().clone());
        }
        self.chain("nine certificates", long.clone(), Refusal::ChainTooLong(9));
        let filler: Vec<Der> = (0..99)
            .map(|at| self.authority(&format!("filler-{at}"), stranger, |f| f).certificate.der().clone())
            .collect();
        let hundred = [&leaf][..].iter().map(|der| (*der).clone()).chain(filler).collect();
        self.chain("a hundred certificates", hundred, Refusal::ChainTooLong(100));
        self.loops();
    }

    fn loops(&mut self) {
        let ring = |count: usize| -> Vec<Der> {
            let keys: Vec<Arc<dyn Signer>> = (0..count).map(|_| self.world.key()).collect();
            let name = |at: usize| named(&format!("ring-{}", at % count));
            let mut chain = vec![self.good_under(&name(0)).sign(&*keys[0])];
            for (at, key) in keys.iter().enumerate() {
                let above = &keys[(at + 1) % count];
                let mut forge = Forge::authority("", &**key, &name(at + 1), self.world.now);
                forge.subject = name(at);
                chain.push(forge.sign(&**above));
            }
            chain
        };
        let (two, three) = (ring(2), ring(3));
        self.chain("loop of two", two, Refusal::ChainLoop);
        self.chain("loop of three", three, Refusal::ChainLoop);
    }

    fn intermediates(&mut self) {
        let root = self.world.root.clone();
        let now = self.world.now;
        let second = Duration::from_secs(1);
        let code_signing = [&oid::SERVER_AUTH[..7], &[3]].concat();
        let permitted = der::sequence(&[uri(b".consul")]);
        let constraints = der::sequence(&[der::wrap(der::constructed(0), &[permitted])]);
        let yes = || der::value(der::BOOLEAN, &[0xff]);
        type Bend = Box<dyn FnOnce(Forge) -> Forge>;
        let rows: Vec<(&str, Bend, Refusal)> = vec![
            (
                "intermediate without key usage",
                Box::new(|f| f.without(oid::KEY_USAGE)),
                Refusal::IntermediateMayNotSign,
            ),
            (
                "intermediate without keyCertSign",
                Box::new(|f| f.usage(true, usage::DIGITAL_SIGNATURE)),
                Refusal::IntermediateMayNotSign,
            ),
            (
                "intermediate without basic constraints",
                Box::new(|f| f.without(oid::BASIC_CONSTRAINTS)),
                Refusal::IssuerIsNoAuthority,
            ),
            ("intermediate with CA:FALSE", Box::new(|f| f.constraints(&[])), Refusal::IssuerIsNoAuthority),
            (
                "intermediate expired",
                Box::new(move |f| f.life(now.minus(second * 60), now.minus(second))),
                Refusal::IntermediateExpired,
            ),
            (
                "intermediate not valid yet",
                Box::new(move |f| f.life(now.plus(second), now.plus(second * 60))),
                Refusal::IntermediateNotYetValid,
            ),
            (
                "intermediate for code signing",
                Box::new(move |f| f.purposes(&[&code_signing])),
                Refusal::IntermediateUsage,
            ),
            (
                "intermediate with unknown critical extension",
                Box::new(|f| f.with(&[0x2a, 3, 4], true, &[5, 0])),
                Refusal::IntermediateCriticalExtension,
            ),
            (
                "intermediate of another trust domain",
                Box::new(|f| f.names(&[uri(format!("spiffe://{PEER}").as_bytes())])),
                Refusal::IntermediateOfOtherTrustDomain(format!("spiffe://{PEER}")),
            ),
            (
                "intermediate with URI constraints",
                Box::new(move |f| f.with(oid::NAME_CONSTRAINTS, true, &constraints)),
                Refusal::NameConstraints,
            ),
        ];
        for (name, bend, expected) in rows {
            let held = self.authority(name, &root, bend);
            let chain = self.under(&[&held]);
            self.chain(name, chain, expected);
        }
        // The issuer has the root's name, but another key.
        let impostor =
            Held { certificate: root.certificate.clone(), signer: Arc::clone(&self.world.stranger.signer) };
        let forged = self.authority("forged", &impostor, |f| f);
        let chain = self.under(&[&forged]);
        self.chain("intermediate signed by another key", chain, Refusal::BadSignature);
        let upper = self.authority("upper", &root, |f| f.constraints(&[yes(), der::unsigned(&[0])]));
        let lower = self.authority("lower", &upper, |f| f);
        let chain = self.under(&[&lower, &upper]);
        self.chain("path length exceeded", chain, Refusal::PathLengthExceeded);
    }
}

/// The service `web` of a trust domain.
fn web(trust_domain: &str) -> String {
    format!("spiffe://{trust_domain}/ns/default/dc/dc1/svc/web")
}
