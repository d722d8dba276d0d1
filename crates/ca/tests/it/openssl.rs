//! What OpenSSL says about our certificates and keys. If there is no openssl, the test is skipped with a message.

use std::path::Path;
use std::process::Command;

use concord_ca::key::{KeyMaker, OsKeys};
use concord_ca::x509::Certificate;
use concord_ca::x509::build::*;
use concord_model::ca::KeyKind;
use concord_model::{SpiffeId, Timestamp, TrustDomain};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

fn openssl_is_there() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("SKIPPED: no openssl on this machine; nothing was checked against it");
    }
    there
}

#[track_caller]
fn openssl(folder: &Path, arguments: &str) -> String {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {text}");
    text
}

fn root(kind: KeyKind, serial: u64) -> (Certificate, std::sync::Arc<dyn concord_ca::Signer>) {
    let signer = OsKeys.make(kind).unwrap();
    let template = RootTemplate {
        common_name: &common_name("pri", &format!("r{serial}"), &domain()),
        trust_domain: &domain(),
        validity: Validity::from_now(NOW, DAY * 3650),
        serial: Serial::from_counter(serial).unwrap(),
    };
    (build_root(template, &*signer).unwrap(), signer)
}

fn domain() -> TrustDomain {
    TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul").unwrap()
}

#[test]
fn openssl_verifies_chains_and_loads_keys() {
    if !openssl_is_there() {
        return;
    }
    for (old_kind, new_kind) in [
        (KeyKind::EcP256, KeyKind::EcP384),
        (KeyKind::EcP384, KeyKind::Rsa2048),
        (KeyKind::Rsa2048, KeyKind::EcP256),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let ((old, old_key), (new, new_key)) = (root(old_kind, 8), root(new_kind, 9));
        let by_old = Authority::try_new(&old, &*old_key).unwrap();
        let crossed = cross_sign(
            &new,
            &domain(),
            by_old,
            Validity::backdated(NOW, DAY * 7),
            Serial::from_counter(10).unwrap(),
        )
        .unwrap();
        let sub_key = OsKeys.make(KeyKind::EcP256).unwrap();
        let template = IntermediateTemplate {
            common_name: "sec",
            trust_domain: &domain(),
            public_key: sub_key.public_key(),
            validity: Validity::backdated(NOW, DAY * 365),
            serial: Serial::from_counter(11).unwrap(),
        };
        let sub = build_intermediate(template, Authority::try_new(&new, &*new_key).unwrap()).unwrap();
        let holder = OsKeys.make(KeyKind::EcP256).unwrap();
        let identity = SpiffeId::parse(&format!("spiffe://{}/ns/default/dc/dc1/svc/web", domain())).unwrap();
        let template = LeafTemplate {
            identity: &identity,
            dns_names: &[],
            addresses: &[],
            public_key: holder.public_key(),
            validity: Validity::backdated(NOW, DAY * 3),
            serial: Serial::from_counter(0x1a3).unwrap(),
        };
        let leaf = build_leaf(template.clone(), Authority::try_new(&sub, &*sub_key).unwrap()).unwrap();
        let direct = build_leaf(template, by_old).unwrap();
        write("old.pem", &old.pem());
        write("new.pem", &new.pem());
        write("direct.pem", &direct.pem());
        write("leaf.pem", &leaf.pem());
        write("sub.pem", &sub.pem());
        write("chain.pem", &(sub.pem() + &crossed.pem()));
        let at = NOW.secs();
        let verify = format!("verify -x509_strict -attime {at} -no-CApath -no-CAfile");
        openssl(folder.path(), &format!("{verify} -trusted old.pem direct.pem"));
        openssl(folder.path(), &format!("{verify} -trusted new.pem -untrusted sub.pem leaf.pem"));
        for purpose in ["sslserver", "sslclient"] {
            // Peers that know only the old root verify the leaf through the cross-signed certificate.
            openssl(
                folder.path(),
                &format!("{verify} -purpose {purpose} -trusted old.pem -untrusted chain.pem leaf.pem"),
            );
        }
        let text = openssl(folder.path(), "x509 -in direct.pem -noout -text");
        for part in [
            "X509v3 Subject Alternative Name: critical",
            "URI:spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web",
            "Digital Signature, Key Encipherment, Data Encipherment, Key Agreement",
            "TLS Web Client Authentication, TLS Web Server Authentication",
            "CA:FALSE",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        write("key.pem", holder.private_key().unwrap().expose());
        openssl(folder.path(), "ec -in key.pem -check -noout");
        let own = openssl(folder.path(), "pkey -in key.pem -pubout");
        assert_eq!(openssl(folder.path(), "x509 -in leaf.pem -pubkey -noout"), own);
        write("ca.pem", old_key.private_key().unwrap().expose());
        openssl(folder.path(), "pkey -in ca.pem -noout");
        write("csr.pem", &concord_ca::Csr::build(&*holder, &identity).unwrap());
        openssl(folder.path(), "req -in csr.pem -verify -noout");
    }
}

#[test]
fn requests_made_by_openssl_are_read() {
    if !openssl_is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("spiffe://{}/ns/default/dc/dc1/svc/web", domain());
    for key in ["ec -pkeyopt ec_paramgen_curve:P-256", "rsa:2048"] {
        let request = format!(
            "req -new -nodes -newkey {key} -keyout key.pem -subj / -addext subjectAltName=URI:{uri} \
             -addext subjectKeyIdentifier=hash -out csr.pem"
        );
        openssl(folder.path(), &request);
        let text = std::fs::read_to_string(folder.path().join("csr.pem")).unwrap();
        assert_eq!(concord_ca::Csr::parse(&text).unwrap().identity.to_string(), uri);
        let key = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
        let loaded = OsKeys.load(&concord_model::Secret::new(key)).unwrap();
        assert_eq!(*loaded.public_key(), concord_ca::Csr::parse(&text).unwrap().public_key);
    }
}
