//! Tests of the data on disk: roots and tokens survive, and without the key-encryption key no secret can be read.

use std::sync::Arc;

use concord_ca::{KeyMaker, OsKeys, Signer, pem};
use concord_model::Secret;
use concord_model::ca::KeyKind;
use concord_raft::Storage;
use concord_rpc::RpcError;
use concord_rpc::request::{ListNodes, ListTokens, ReadCaRoots, SetCaConfig};
use concord_runtime::{Disk, MemoryDisk};
use parking_lot::Mutex;

use crate::ca::change;
use crate::world::{ROOT, SECOND, Setup, kek, register};

/// Creates keys as the operating system does, and remembers them.
#[derive(Debug, Default)]
struct Remembering {
    made: Mutex<Vec<Secret>>,
}

impl KeyMaker for Remembering {
    fn make(&self, kind: KeyKind) -> Result<Arc<dyn Signer>, concord_ca::KeyError> {
        let signer = OsKeys.make(kind)?;
        self.made.lock().push(signer.private_key()?);
        Ok(signer)
    }

    fn load(&self, text: &Secret) -> Result<Arc<dyn Signer>, concord_ca::KeyError> {
        OsKeys.load(text)
    }
}

fn on_disk() -> (Setup, Arc<MemoryDisk>, Arc<Remembering>) {
    let (disk, keys) = (Arc::new(MemoryDisk::new()), Arc::new(Remembering::default()));
    let (own, made): (Arc<dyn Disk>, Arc<dyn KeyMaker>) = (disk.clone(), keys.clone());
    (Setup { storage: Storage::Disk, disk: own, keys: made, ..Setup::guarded() }, disk, keys)
}

/// Everything on a disk, file by file.
fn contents(disk: &MemoryDisk) -> Vec<(String, Vec<u8>)> {
    let dirs = ["", "raft", "raft/snapshots"];
    let mut all = Vec::new();
    for dir in dirs {
        for name in disk.list(dir).unwrap() {
            let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
            all.push((path.clone(), disk.read(&path).unwrap()));
        }
    }
    all
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(start_paused = true)]
async fn a_restart_keeps_roots_and_signs_on() {
    let (setup, _, _) = on_disk();
    let host = setup.start().await.with_ca().await;
    let before = host.roots().await;
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    host.configure(r#"{"PrivateKeyBits": 384}"#).await.unwrap();
    let rotated = host.roots().await;
    host.stop().await;
    for _ in 0..2 {
        let host = setup.start().await;
        assert_eq!(host.roots().await, rotated);
        let again = host.leaf(ROOT, "web").await.unwrap();
        assert!(host.verifies(&again, &before) && host.verifies(&leaf, &rotated));
        assert_ne!(again.serial, leaf.serial);
        host.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn n_118_without_the_sealing_key_nothing_is_signed_and_all_else_goes_on() {
    let (setup, _, _) = on_disk();
    let host = setup.start().await.with_ca().await;
    let roots = host.roots().await;
    host.stop().await;
    let stolen = Setup { kek: kek(8), ..setup };
    let host = stolen.start().await;
    assert_eq!(host.roots().await, roots);
    host.settle().await;
    for _ in 0..3 {
        let answer = host.leaf(ROOT, "web").await;
        assert!(matches!(&answer, Err(RpcError::CaNotReady(_))), "{answer:?}");
        let answer = host.configure(r#"{"PrivateKeyBits": 384}"#).await;
        assert!(matches!(&answer, Err(RpcError::CaNotReady(_))), "{answer:?}");
        tokio::time::sleep(SECOND * 20).await;
    }
    // Tokens are found by their hash; their secrets are not shown any more.
    let tokens = host.ask_as(ROOT, ListTokens::default()).await.unwrap();
    assert!(tokens.iter().all(|token| token.secret == "anonymous" || token.secret == "<hidden>"));
    host.ask_as(ROOT, register("a", "web")).await.unwrap();
    assert_eq!(host.ask_as(ROOT, ListNodes::default()).await.unwrap().len(), 2);
    host.stop().await;
    let host = Setup { kek: kek(7), ..stolen }.start().await;
    assert!(host.leaf(ROOT, "web").await.is_ok(), "the key is found again, and so is the authority");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_authority_whose_sealing_key_is_lost_is_replaced_by_force() {
    let (setup, _, _) = on_disk();
    let host = setup.start().await.with_ca().await;
    let lost = host.roots().await.active_root_id;
    host.stop().await;
    let setup = Setup { kek: kek(8), ..setup };
    let host = setup.start().await;
    host.settle().await;
    assert!(matches!(host.leaf(ROOT, "web").await, Err(RpcError::CaNotReady(_))));
    let forced = SetCaConfig { force_without_cross_signing: true, ..change("{}") };
    host.ask_as(ROOT, forced).await.unwrap();
    let staged = host.roots().await;
    assert_eq!((staged.roots.len(), &staged.active_root_id), (2, &lost));
    // By then all have learned of the new root.
    tokio::time::sleep(SECOND * 670).await;
    let roots = host.roots().await;
    assert_ne!(roots.active_root_id, lost);
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert!(host.verifies(&leaf, &staged));
    host.stop().await;
    let host = setup.start().await;
    host.settle().await;
    assert!(host.leaf(ROOT, "web").await.is_ok(), "the new root's key is sealed under the new key");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_118_no_secret_lies_on_the_disk_or_in_a_snapshot() {
    let (setup, disk, keys) = on_disk();
    let setup = Setup { snapshot_after: Some(8), ..setup };
    let host = setup.start().await.with_ca().await;
    let mut secrets = vec![ROOT.to_owned()];
    for round in 0..12 {
        let name = format!("p{round}");
        secrets.push(host.token(&name, r#"node "a" { policy = "read" }"#).await.secret);
    }
    let own = OsKeys.make(KeyKind::EcP256).unwrap().private_key().unwrap();
    host.configure(&serde_json::json!({ "PrivateKey": own.expose() }).to_string()).await.unwrap();
    host.configure(r#"{"PrivateKeyBits": 384}"#).await.unwrap();
    host.ask(ReadCaRoots {}).await.unwrap();
    for round in 0..20 {
        host.ask_as(ROOT, register(&format!("n{round}"), "web")).await.unwrap();
        tokio::time::sleep(SECOND).await;
    }
    host.stop().await;

    let files = contents(&disk);
    let snapshots = files.iter().filter(|(path, bytes)| path.contains("snapshots/") && !bytes.is_empty());
    assert!(snapshots.count() > 0, "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    // The search finds what exists.
    assert!(files.iter().any(|(_, bytes)| holds(bytes, b"BEGIN CERTIFICATE")));
    assert!(files.iter().any(|(_, bytes)| holds(bytes, b"Initial Management Token")));
    let mut needles: Vec<Vec<u8>> = secrets.into_iter().map(String::into_bytes).collect();
    let mut made = keys.made.lock().clone();
    assert!(made.len() >= 2);
    made.push(own);
    for text in &made {
        let (_, document) = first_block(text.expose());
        let line = text.expose().lines().nth(1).unwrap();
        needles.extend([text.expose().as_bytes().to_vec(), line.as_bytes().to_vec(), document.clone()]);
        // Only the private number: the bytes in the middle of the document.
        needles.push(document[8..32].to_vec());
    }
    needles.push(b"PRIVATE KEY".to_vec());
    for (path, bytes) in &files {
        for needle in &needles {
            assert!(!holds(bytes, needle), "{path} holds {}", String::from_utf8_lossy(needle));
        }
    }
}

fn first_block(text: &str) -> (String, Vec<u8>) {
    let label = pem::first_label(text).unwrap().to_owned();
    assert_eq!(label, pem::EC_KEY);
    (label, pem::decode_one(pem::EC_KEY, text).unwrap())
}
