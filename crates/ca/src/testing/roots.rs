//! Roots that an operator may supply, both usual and unusual ones, with the expected answer for each. The end-to-end
//! tests check the same table with verifiers in other languages.

use std::sync::Arc;
use std::time::Duration;

use concord_model::ca::KeyKind;
use concord_model::{Secret, Timestamp, TrustDomain};

use super::Forge;
use super::forge::{dns, named, uri};
use super::world::{OURS, PEER};
use crate::csr::Csr;
use crate::der;
use crate::key::{KeyMaker, OsKeys, Signer, signature_algorithm};
use crate::oid;
use crate::pem;
use crate::provider::assess::assess;
use crate::provider::means::at_once;
use crate::provider::settings::describe;
use crate::provider::{Issue, Kinds, LeafRequest, Means, ParsedSettings, Provider};
use crate::x509::build::Serial;
use crate::x509::{Certificate, usage};

const DAY: Duration = Duration::from_secs(86_400);

/// A root that an operator supplies.
#[derive(Clone, Debug)]
pub struct OfferedRoot {
    /// What is special about it.
    pub name: &'static str,
    /// The root as PEM.
    pub root: String,
    /// A leaf below it as PEM. It is signed even if the root is not usable.
    pub leaf: String,
    /// The root's key as PEM.
    pub key: Secret,
    /// A part of the refusal's text. `None` if the root is accepted.
    pub refusal: Option<&'static str>,
}

impl OfferedRoot {
    /// The built-in provider's answer to this root.
    pub fn judgement(&self, now: Timestamp) -> Result<(), String> {
        let means = Means::inline(domain(), Arc::new(OsKeys));
        let (settings, own) = self.configured(&means)?;
        let judged = at_once(assess(&*own, &means, settings.common.life.leaf, now));
        judged.map_err(|error| error.to_string())
    }

    /// The built-in provider with this root.
    fn configured(&self, means: &Means) -> Result<(ParsedSettings, Arc<dyn Provider>), String> {
        let written = [("RootCert", self.root.as_str()), ("PrivateKey", self.key.expose())];
        let settings = written.map(|(key, text)| (key.to_owned(), text.into())).into();
        let kinds = Kinds::default();
        let settings = kinds.default_kind().parse(&settings).map_err(|faults| describe(&faults))?;
        let own = at_once(kinds.default_kind().configure(means, &settings));
        own.map(|own| (settings, own)).map_err(|error| error.to_string())
    }

    /// A leaf as PEM that the built-in provider signs with this root, which it must accept.
    pub fn product_leaf(&self, now: Timestamp) -> String {
        let means = Means::inline(domain(), Arc::new(OsKeys));
        let (_, own) = self.configured(&means).expect("it was taken");
        let holder = OsKeys.make(KeyKind::EcP256).expect("a key");
        let identity = concord_model::SpiffeId::parse(IDENTITY).expect("an identity");
        let csr = Csr::parse(&Csr::build(&*holder, &identity).expect("a request")).expect("a request");
        let request = LeafRequest {
            identity: &csr.identity,
            dns_names: &[],
            addresses: &[],
            public_key: &csr.public_key,
        };
        let issue = Issue { now, serial: Serial::from_counter(77).expect("positive") };
        at_once(own.sign(request, issue)).expect("a leaf").pem()
    }
}

/// The identity of the leaves.
pub(super) const IDENTITY: &str =
    "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web";

fn domain() -> TrustDomain {
    TrustDomain::parse(OURS).expect("a trust domain")
}

/// The whole table.
pub fn offered_roots(now: Timestamp) -> Vec<OfferedRoot> {
    let mut table = Table { now, key: OsKeys.make(KeyKind::EcP256).expect("a key"), all: Vec::new() };
    table.plain();
    table.constraints();
    table.purposes();
    table.name_constraints();
    table.extensions();
    table.key_ids();
    table.names();
    table.numbers();
    table.signatures();
    table.lives();
    table.all
}

struct Table {
    now: Timestamp,
    key: Arc<dyn Signer>,
    all: Vec<OfferedRoot>,
}

/// A GeneralSubtree of a URI, a DNS name and so on.
fn subtree(name: Vec<u8>) -> Vec<u8> {
    der::sequence(&[name])
}

/// NameConstraints: kind 0 permits the names, kind 1 excludes them.
fn names_within(kind: u8, names: &[Vec<u8>]) -> Vec<u8> {
    der::sequence(&[der::wrap(der::constructed(kind), names)])
}

fn authority() -> Vec<u8> {
    der::value(der::BOOLEAN, &[0xff])
}

fn subject_of(tag: u8, text: &[u8]) -> Vec<u8> {
    let pair = der::sequence(&[der::value(der::OID, oid::COMMON_NAME), der::value(tag, text)]);
    der::sequence(&[der::wrap(der::SET, &[pair])])
}

/// A private extension that no software knows.
const PRIVATE: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x86, 0x8d, 0x1f, 0x01];

impl Table {
    fn forge(&self, signer: &dyn Signer) -> Forge {
        let key_id = signer.public_key().key_id();
        Forge::authority("house root", signer, &named("house root"), self.now)
            .life(self.now.minus(DAY), self.now.plus(DAY * 365))
            .names(&[uri(format!("spiffe://{}", domain()).as_bytes())])
            .with(oid::SUBJECT_KEY_ID, false, &der::value(der::OCTET_STRING, &key_id))
    }

    fn offer(&mut self, name: &'static str, refusal: Option<&'static str>, bend: impl Fn(Forge) -> Forge) {
        let signer = Arc::clone(&self.key);
        self.offer_of(&*signer, name, refusal, bend);
    }

    fn offer_of(
        &mut self,
        signer: &dyn Signer,
        name: &'static str,
        refusal: Option<&'static str>,
        bend: impl Fn(Forge) -> Forge,
    ) {
        let forge = bend(self.forge(signer));
        let root = forge.sign(signer);
        let own_id = Certificate::parse(&root).map(|root| root.key_id());
        let key_id = own_id.unwrap_or_else(|_| signer.public_key().key_id().to_vec());
        let holder = OsKeys.make(KeyKind::EcP256).expect("a key");
        let named_by = der::sequence(&[der::value(der::primitive(0), &key_id)]);
        let leaf = Forge::leaf(IDENTITY, &*holder, &forge.subject, self.now)
            .with(oid::SUBJECT_KEY_ID, false, &der::value(der::OCTET_STRING, &holder.public_key().key_id()))
            .with(oid::AUTHORITY_KEY_ID, false, &named_by)
            .sign(signer);
        self.all.push(OfferedRoot {
            name,
            root: pem::encode(pem::CERTIFICATE, &root),
            leaf: pem::encode(pem::CERTIFICATE, &leaf),
            key: signer.private_key().expect("a key that can be written"),
            refusal,
        });
    }

    fn plain(&mut self) {
        self.offer("plain", None, |forge| forge);
        for (name, kind) in [("plain, P-384", KeyKind::EcP384), ("plain, RSA", KeyKind::Rsa2048)] {
            let signer = OsKeys.make(kind).expect("a key");
            self.offer_of(&*signer, name, None, |forge| forge);
        }
        self.offer("names not critical", None, |forge| {
            let names = der::sequence(&[uri(format!("spiffe://{}", domain()).as_bytes())]);
            forge.with(oid::SUBJECT_ALT_NAME, false, &names)
        });
    }

    fn constraints(&mut self) {
        self.offer("no authorities below", None, |forge| {
            forge.constraints(&[authority(), der::unsigned(&[0])])
        });
        self.offer("five authorities below", None, |forge| {
            forge.constraints(&[authority(), der::unsigned(&[5])])
        });
        self.offer("no basic constraints", Some("CA:TRUE"), |forge| forge.without(oid::BASIC_CONSTRAINTS));
        self.offer("CA:FALSE", Some("CA:TRUE"), |forge| forge.constraints(&[]));
        self.offer("constraints not critical", Some("must be critical"), |forge| {
            forge.with(oid::BASIC_CONSTRAINTS, false, &der::sequence(&[authority()]))
        });
        self.offer("only certificates signed", None, |forge| forge.usage(true, usage::CERT_SIGN));
        self.offer("usage not critical", None, |forge| {
            forge.usage(false, usage::CERT_SIGN | usage::CRL_SIGN)
        });
        self.offer("no usage", Some("keyCertSign"), |forge| forge.without(oid::KEY_USAGE));
        self.offer("no certificates signed", Some("keyCertSign"), |forge| {
            forge.usage(true, usage::DIGITAL_SIGNATURE | usage::CRL_SIGN)
        });
    }

    fn purposes(&mut self) {
        const CODE: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
        const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
        let (server, client) = (oid::SERVER_AUTH, oid::CLIENT_AUTH);
        self.offer("for both roles", None, |forge| forge.purposes(&[server, client]));
        self.offer("for both roles and code", None, |forge| forge.purposes(&[CODE, server, client]));
        self.offer("for code", Some("extendedKeyUsage"), |forge| forge.purposes(&[CODE]));
        self.offer("for servers", Some("extendedKeyUsage"), |forge| forge.purposes(&[server]));
        self.offer("for clients", Some("extendedKeyUsage"), |forge| forge.purposes(&[client]));
        self.offer("for anything", Some("extendedKeyUsage"), |forge| forge.purposes(&[ANY]));
        self.offer("for nothing", Some("extendedKeyUsage"), |forge| forge.purposes(&[]));
        self.offer("for code, critical", Some("extendedKeyUsage"), |forge| {
            forge.with(oid::EXTENDED_KEY_USAGE, true, &der::sequence(&[der::value(der::OID, CODE)]))
        });
    }

    fn name_constraints(&mut self) {
        let refusal = Some("2.5.29.30");
        let directory = || der::wrap(der::constructed(4), &[named("elsewhere")]);
        let address = || der::value(der::primitive(7), &[10, 0, 0, 0, 255, 0, 0, 0]);
        let mail = || der::value(der::primitive(1), b"example.com");
        let registered = || der::value(der::primitive(8), &[0x2a, 0x03]);
        let rows: [(&'static str, Vec<u8>); 10] = [
            ("permits the trust domain", names_within(0, &[subtree(uri(OURS.as_bytes()))])),
            ("permits another trust domain", names_within(0, &[subtree(uri(PEER.as_bytes()))])),
            ("permits a domain of URIs", names_within(0, &[subtree(uri(b".consul"))])),
            ("excludes the trust domain", names_within(1, &[subtree(uri(OURS.as_bytes()))])),
            ("permits a DNS name", names_within(0, &[subtree(dns(b"example.com"))])),
            ("excludes all DNS names", names_within(1, &[subtree(dns(b""))])),
            ("permits addresses", names_within(0, &[subtree(address())])),
            ("permits mail", names_within(0, &[subtree(mail())])),
            ("permits a directory", names_within(0, &[subtree(directory())])),
            ("permits registered ids", names_within(0, &[subtree(registered())])),
        ];
        for (name, body) in rows {
            self.offer(name, refusal, |forge| forge.with(oid::NAME_CONSTRAINTS, true, &body));
        }
        let permits = names_within(0, &[subtree(uri(PEER.as_bytes()))]);
        self.offer("permits, not critical", refusal, |forge| {
            forge.with(oid::NAME_CONSTRAINTS, false, &permits)
        });
        self.offer("name constraints that are none", refusal, |forge| {
            forge.with(oid::NAME_CONSTRAINTS, false, &[5, 0])
        });
    }

    fn extensions(&mut self) {
        let policy = |number: u8| [0x55, 0x1d, number];
        let skip = der::sequence(&[der::value(der::primitive(0), &[0])]);
        let policies = der::sequence(&[der::sequence(&[der::value(der::OID, &[0x55, 0x1d, 0x20, 0x00])])]);
        self.offer("unknown and critical", Some("1.3.6.1.4.1.99999.1"), |forge| {
            forge.with(PRIVATE, true, &[5, 0])
        });
        self.offer("unknown", None, |forge| forge.with(PRIVATE, false, &[5, 0]));
        self.offer("policy constraints", Some("2.5.29.36"), |forge| forge.with(&policy(36), true, &skip));
        self.offer("policy constraints, not critical", Some("2.5.29.36"), |forge| {
            forge.with(&policy(36), false, &skip)
        });
        self.offer("inhibits any policy", Some("2.5.29.54"), |forge| {
            forge.with(&policy(54), true, &[2, 1, 0])
        });
        self.offer("policies", Some("2.5.29.32"), |forge| forge.with(&policy(32), false, &policies));
        self.offer("policies that are none", Some("2.5.29.32"), |forge| {
            forge.with(&policy(32), false, &[5, 0])
        });
        self.offer("revocation lists that are none", Some("2.5.29.31"), |forge| {
            forge.with(&policy(31), false, &[5, 0])
        });
        let access = [oid::INTERNET_EXTENSIONS, &[1]].concat();
        self.offer("access that is none", Some("1.3.6.1.5.5.7.1.1"), |forge| {
            forge.with(&access, false, &[5, 0])
        });
        let netscape = [oid::NETSCAPE_EXTENSIONS, &[1]].concat();
        self.offer("for servers by Netscape", Some("2.16.840.1.113730.1.1"), |forge| {
            forge.with(&netscape, false, &[3, 2, 6, 0x40])
        });
        self.offer("with a comment", None, |forge| {
            forge.with(oid::NETSCAPE_COMMENT, false, &der::value(der::IA5_STRING, b"made by hand"))
        });
        let long = [&[0x69][..], &[0xff; 17], &[0x7f]].concat();
        self.offer("an identifier too long to read", Some("extension"), |forge| {
            forge.with(&long, false, &[5, 0])
        });
        self.offer("an extension twice", Some("twice"), |forge| forge.twice(oid::KEY_USAGE));
    }

    fn key_ids(&mut self) {
        let own = self.key.public_key().key_id();
        let octets = |body: &[u8]| der::value(der::OCTET_STRING, body);
        let by = |id: &[u8]| der::sequence(&[der::value(der::primitive(0), id)]);
        self.offer("no key id", Some("subjectKeyIdentifier"), |forge| forge.without(oid::SUBJECT_KEY_ID));
        self.offer("a key id of twenty bytes", None, |forge| {
            forge.with(oid::SUBJECT_KEY_ID, false, &octets(&own[..20]))
        });
        self.offer("an empty key id", Some("subjectKeyIdentifier"), |forge| {
            forge.with(oid::SUBJECT_KEY_ID, false, &octets(&[]))
        });
        self.offer("a long key id", Some("subjectKeyIdentifier"), |forge| {
            forge.with(oid::SUBJECT_KEY_ID, false, &octets(&[7; 65]))
        });
        self.offer("a critical key id", Some("subjectKeyIdentifier"), |forge| {
            forge.with(oid::SUBJECT_KEY_ID, true, &octets(&own))
        });
        self.offer("signed by its own key id", None, |forge| {
            forge.with(oid::AUTHORITY_KEY_ID, false, &by(&own))
        });
        self.offer("signed by another key id", Some("authorityKeyIdentifier"), |forge| {
            forge.with(oid::AUTHORITY_KEY_ID, false, &by(&[9; 20]))
        });
        self.offer("signed by its own key id, critical", Some("authorityKeyIdentifier"), |forge| {
            forge.with(oid::AUTHORITY_KEY_ID, true, &by(&own))
        });
        self.offer("signed by another serial number", Some("authorityKeyIdentifier"), |forge| {
            let directory = der::wrap(der::constructed(4), &[named("house root")]);
            let parts = [der::wrap(der::constructed(1), &[directory]), der::value(der::primitive(2), &[3])];
            forge.with(oid::AUTHORITY_KEY_ID, false, &der::sequence(&parts))
        });
    }

    fn names(&mut self) {
        let all = |forge: Forge, name: Vec<u8>| Forge { issuer: name.clone(), subject: name, ..forge };
        self.offer("no name", Some("subject is empty"), |forge| all(forge, der::sequence::<&[u8]>(&[])));
        let house = b"house root";
        for (name, tag, text, refusal) in [
            ("a printable name", der::PRINTABLE_STRING, &house[..], None),
            ("an IA5 name", der::IA5_STRING, house, None),
            ("a name of other letters", der::UTF8_STRING, "Häuslwurzel 根".as_bytes(), None),
            ("a teletex name", 0x14, house, Some("subject must be text")),
            ("a BMP name", 0x1e, b"\0h\0i", Some("subject must be text")),
            ("a name that is not printable", der::PRINTABLE_STRING, b"a@b_c", Some("subject must be text")),
            ("a name that is no UTF-8", der::UTF8_STRING, b"a\xff", Some("subject must be text")),
            ("a name of nothing", der::UTF8_STRING, b"", Some("subject must be text")),
        ] {
            self.offer(name, refusal, |forge| all(forge, subject_of(tag, text)));
        }
        self.offer("issued by somebody else", Some("self-signed"), |forge| Forge {
            issuer: named("somebody else"),
            ..forge
        });
        let own = || uri(format!("spiffe://{}", domain()).as_bytes());
        let refusal = Some("exactly one name");
        self.offer("no alternative name", refusal, |forge| forge.without(oid::SUBJECT_ALT_NAME));
        self.offer("of another trust domain", refusal, |forge| {
            forge.names(&[uri(format!("spiffe://{PEER}").as_bytes())])
        });
        self.offer("two names", refusal, |forge| forge.names(&[own(), own()]));
        self.offer("a DNS name beside", refusal, |forge| forge.names(&[own(), dns(b"ca.example.com")]));
    }

    fn numbers(&mut self) {
        self.offer("serial number 0", Some("serial number"), |forge| Forge {
            serial: der::unsigned(&[0]),
            ..forge
        });
        self.offer("a negative serial number", Some("INTEGER"), |forge| Forge {
            serial: der::value(der::INTEGER, &[0xff]),
            ..forge
        });
        self.offer("a long serial number", Some("serial number"), |forge| Forge {
            serial: der::unsigned(&[0x55; 21]),
            ..forge
        });
        self.offer("a serial number of twenty bytes", None, |forge| Forge {
            serial: der::unsigned(&[0x55; 20]),
            ..forge
        });
        for (name, version) in [("version 1 with extensions", None), ("version 2 with extensions", Some(1))] {
            self.offer(name, Some("version 3"), |forge| Forge { version, ..forge });
        }
        self.offer("version 1", Some("version 3"), |forge| Forge {
            version: None,
            extensions: Vec::new(),
            ..forge
        });
    }

    fn signatures(&mut self) {
        let rsa = |last: u8| {
            let identifier = [&oid::SHA256_RSA[..8], &[last]].concat();
            Some(der::sequence(&[der::value(der::OID, &identifier), der::value(der::NULL, &[])]))
        };
        let signer = OsKeys.make(KeyKind::Rsa2048).expect("a key");
        for (name, last) in [("signed with MD5", 4), ("signed with SHA-1", 5)] {
            self.offer_of(&*signer, name, Some("SHA-256"), |forge| Forge {
                inner_algorithm: rsa(last),
                outer_algorithm: rsa(last),
                ..forge
            });
        }
        self.offer("two signature algorithms", Some("two different"), |forge| Forge {
            outer_algorithm: rsa(11),
            ..forge
        });
        let other = Some(signature_algorithm(KeyKind::EcP384));
        self.offer("a signature that is not its own", Some("self-signed"), |forge| Forge {
            inner_algorithm: other.clone(),
            outer_algorithm: other.clone(),
            ..forge
        });
    }

    fn lives(&mut self) {
        let now = self.now;
        self.offer("without an end", None, |forge| forge.life(now.minus(DAY), Timestamp::FAR_FUTURE));
        self.offer("until 2051", None, |forge| {
            forge.life(now.minus(DAY), Timestamp::from_secs(2_556_144_000))
        });
        self.offer("over", Some("not valid now"), |forge| forge.life(now.minus(DAY * 9), now.minus(DAY)));
        self.offer("to come", Some("not valid now"), |forge| forge.life(now.plus(DAY), now.plus(DAY * 9)));
        self.offer("over before it began", Some("not valid now"), |forge| {
            forge.life(now.plus(DAY), now.minus(DAY))
        });
        self.offer("over before its leaves", Some("ends before"), |forge| {
            forge.life(now.minus(DAY), now.plus(DAY))
        });
    }
}
