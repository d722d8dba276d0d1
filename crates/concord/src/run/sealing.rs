//! The key-encryption key. It encrypts the CA's keys and the token secrets in the log (D16).
//!
//! It should come from outside the data directory: from a file or a variable. If neither is configured, a key is
//! generated and stored beside the data, and the log warns: whoever has the directory then also has the key.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use concord_ca::seal::Kek;
use concord_config::section::SealingSection;
use concord_raft::BEGUN;
use concord_runtime::World;
use tracing::{info, warn};

use crate::cli::{Env, Failure};

/// File of the generated key, if none is configured.
const OWN_FILE: &str = "sealing-key";

/// The keys for encryption and decryption; the first one encrypts.
pub(crate) fn keys(
    section: &SealingSection,
    env: &Env,
    world: &World,
    data_dir: Option<&str>,
) -> Result<Vec<Kek>, Failure> {
    let SealingSection { key_file, key_env } = section;
    let mut keys = Vec::new();
    if let Some(path) = key_file {
        keys.push(from_file(path, data_dir)?);
    }
    if let Some(name) = key_env {
        let found = env.exact(name);
        let text = found.as_ref().map(|found| found.value).ok_or_else(|| {
            Failure::input(format!(
                "sealing.key_env: the variable {name} is not set; its name must begin with CONCORD_"
            ))
        })?;
        keys.push(
            Kek::parse(text).map_err(|error| Failure::input(format!("sealing.key_env: {name}: {error}")))?,
        );
    }
    if keys.is_empty() {
        keys.push(own(world, data_dir)?);
    }
    Ok(keys)
}

fn from_file(path: &str, data_dir: Option<&str>) -> Result<Kek, Failure> {
    let doing = || format!("read sealing.key_file {path}");
    let metadata = fs::metadata(path).map_err(|error| Failure::system(doing(), error))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        warn!(
            path,
            mode = format!("{:o}", metadata.mode() & 0o777),
            "others can read the sealing key; set its mode to 0600"
        );
    }
    if data_dir.is_some_and(|data| Path::new(path).starts_with(data)) {
        warn!(
            path,
            "the sealing key lies inside the data directory: whoever copies the directory has the CA's keys"
        );
    }
    let text = fs::read_to_string(path).map_err(|error| Failure::system(doing(), error))?;
    Kek::parse(&text).map_err(|error| Failure::input(format!("sealing.key_file: {path}: {error}")))
}

/// Whether this server has written a log, so that encrypted data exists.
fn begun(world: &World) -> Result<bool, Failure> {
    world.disk.exists(BEGUN).map_err(|error| Failure::input(error.to_string()))
}

/// A generated key, stored beside the data.
fn own(world: &World, data_dir: Option<&str>) -> Result<Kek, Failure> {
    let known = world.disk.exists(OWN_FILE).map_err(|error| Failure::input(error.to_string()))?;
    if !known && begun(world)? {
        return Err(Failure::input(format!(
            "data_dir/{OWN_FILE} is missing: it opens the CA's key and the tokens in the log beside it. Restore it from a \
             backup. If it is lost for good, name a new key with sealing.key_file: the catalog and the intentions live on, \
             the CA's key does not: rotate to a new one with ForceWithoutCrossSigning"
        )));
    }
    if !known {
        let mut fill = |buffer: &mut [u8]| world.entropy.fill(buffer);
        let (_, text) = Kek::generate(&mut fill).map_err(|error| Failure::input(error.to_string()))?;
        let kept = world.disk.write_atomic(OWN_FILE, text.expose().as_bytes());
        kept.map_err(|error| Failure::input(format!("cannot keep the sealing key: {error}")))?;
        info!("made a sealing key");
    }
    if data_dir.is_some() {
        warn!(
            "the sealing key lies beside the data it seals (data_dir/{OWN_FILE}); set sealing.key_file or sealing.key_env \
             so that a stolen data directory does not give away the CA's keys"
        );
    }
    let bytes = world.disk.read(OWN_FILE).map_err(|error| Failure::input(error.to_string()))?;
    let text = String::from_utf8_lossy(&bytes);
    Kek::parse(&text).map_err(|error| Failure::input(format!("{OWN_FILE}: {error}")))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use concord_runtime::{Disk as _, MemoryDisk};
    use parking_lot::Mutex;

    use super::*;

    /// tracing decides once per log statement, for all threads, whether anybody listens. So only one test that
    /// listens may run at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_key_of_our_own_beside_the_data_is_warned_of_at_every_start() {
        let _alone = ALONE.lock();
        let world = World::tokio();
        let said = |data_dir| {
            let log = Log::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
            tracing::subscriber::with_default(subscriber, || {
                // Another thread without a subscriber may have decided that nobody listens.
                tracing::callsite::rebuild_interest_cache();
                own(&world, data_dir).expect("a key");
            });
            String::from_utf8(log.0.lock().clone()).expect("text")
        };
        for start in 0..2 {
            let said = said(Some("data"));
            assert!(
                said.contains("WARN") && said.contains("lies beside the data it seals"),
                "{start}: {said}"
            );
        }
        assert!(!said(None).contains("WARN"), "what is in memory is not stolen with a directory");
    }

    #[test]
    fn a_key_that_vanished_is_not_replaced_in_silence() {
        let _alone = ALONE.lock();
        let disk = MemoryDisk::new();
        let world = World::tokio().with_disk(Arc::new(disk.clone()));
        own(&world, Some("data")).expect("a new directory gets a key");
        disk.write_atomic(BEGUN, b"").expect("written");
        own(&world, Some("data")).expect("it is there");
        disk.remove(OWN_FILE).expect("removed");
        let said = format!("{:?}", own(&world, Some("data")).expect_err("something is sealed with it"));
        assert!(said.contains("sealing-key is missing") && said.contains("sealing.key_file"), "{said}");
    }
}
