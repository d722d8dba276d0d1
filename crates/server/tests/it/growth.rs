//! Tests that the bytes a write brings to the disk do not grow with the stored data, for each API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use concord_model::intention::Action;
use concord_raft::Storage;
use concord_rpc::request::{CreateIntention, PlainIntention};
use concord_runtime::{Disk, DiskError, DiskFile, DiskLock, MemoryDisk};

use crate::intention::{from, to, upsert};
use crate::world::{Host, Setup};

/// Writes to one destination.
const WRITES: usize = 1_200;
/// Number of writes measured at the beginning and at the end. Each writes part of the log's page tree.
const SAMPLE: usize = 100;

/// A disk that counts the written bytes.
#[derive(Debug, Default)]
struct Counting {
    disk: MemoryDisk,
    written: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile {
    file: Box<dyn DiskFile>,
    written: Arc<AtomicU64>,
}

impl Disk for Counting {
    fn read(&self, path: &str) -> Result<Vec<u8>, DiskError> {
        self.disk.read(path)
    }
    fn write_atomic(&self, path: &str, content: &[u8]) -> Result<(), DiskError> {
        self.written.fetch_add(content.len() as u64, Ordering::Relaxed);
        self.disk.write_atomic(path, content)
    }
    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.disk.open(path)?;
        Ok(Box::new(CountingFile { file, written: Arc::clone(&self.written) }))
    }
    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.disk.remove(path)
    }
    fn list(&self, dir: &str) -> Result<Vec<String>, DiskError> {
        self.disk.list(dir)
    }
    fn exists(&self, path: &str) -> Result<bool, DiskError> {
        self.disk.exists(path)
    }
    fn lock(&self, path: &str) -> Result<Box<dyn DiskLock>, DiskError> {
        self.disk.lock(path)
    }
}

impl DiskFile for CountingFile {
    fn len(&self) -> Result<u64, DiskError> {
        self.file.len()
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), DiskError> {
        self.written.fetch_add(content.len() as u64, Ordering::Relaxed);
        self.file.write_at(offset, content)
    }
    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.file.set_len(len)
    }
    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.file.allocate(len)
    }
    fn sync_data(&self) -> Result<(), DiskError> {
        self.file.sync_data()
    }
}

/// Writes intentions for one destination one by one. The last ones must write as many bytes as the first ones.
async fn check_flat(write: impl AsyncFn(&Host, usize)) {
    let disk = Counting::default();
    let written = Arc::clone(&disk.written);
    let setup = Setup { storage: Storage::Disk, disk: Arc::new(disk), ..Setup::open() };
    let host = setup.start().await;
    let (mut first, mut last) = (0, 0);
    // The first few give the log's page tree its final depth.
    let early = SAMPLE..2 * SAMPLE;
    for number in 0..WRITES {
        let before = written.load(Ordering::Relaxed);
        write(&host, number).await;
        let bytes = written.load(Ordering::Relaxed) - before;
        assert!(bytes > 0, "a write that is acknowledged is on the disk");
        match number {
            _ if early.contains(&number) => first += bytes,
            _ if number >= WRITES - SAMPLE => last += bytes,
            _ => {}
        }
    }
    assert!(last <= first * 3 / 2, "the first {SAMPLE} brought {first} bytes, the last {last}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_intention_more_brings_as_much_to_the_disk_as_the_first() {
    check_flat(async |host, number| {
        _ = host.ask(upsert(&format!("caller-{number:06}"), "api", Action::Allow)).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_intention_with_an_id_brings_as_much_to_the_disk_as_the_first() {
    check_flat(async |host, number| {
        let intention = PlainIntention {
            destination: to("api"),
            source: from(&format!("caller-{number:06}")),
            action: Action::Allow,
            description: String::new(),
            meta: [].into(),
        };
        _ = host.ask(CreateIntention { intention }).await.unwrap();
    })
    .await;
}
