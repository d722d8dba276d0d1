//! The demo's use of the machine: its own directory, and ports.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::limits::{DIRECTORY_NAMES, PORTS, PORTS_STRIDE};
use super::trouble::Trouble;

/// A directory that only this user can read; it is removed when dropped.
#[derive(Debug)]
pub(super) struct PrivateDirectory(PathBuf);

/// The ports that must be known before a process listens at them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) http: u16,
    pub(super) grpc: u16,
    pub(super) api_sidecar: u16,
    pub(super) web_sidecar: u16,
    /// The port at which web's sidecar accepts connections to api.
    pub(super) upstream: u16,
}

impl PrivateDirectory {
    pub(super) fn make() -> Result<Self, Trouble> {
        let parent = std::env::temp_dir();
        let mut names =
            (0..DIRECTORY_NAMES).map(|number| format!("concord-demo-{}-{number}", std::process::id()));
        // Skip a directory that a killed demo left behind: it is not ours to remove.
        let made = names.find_map(|name| {
            let path = parent.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| Self(path))),
            }
        });
        let made = made.unwrap_or_else(|| Err(ErrorKind::AlreadyExists.into()));
        made.map_err(Trouble::system(format!("make a directory in {}", parent.display())))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "cannot remove the demo's directory");
        }
    }
}

impl Ports {
    /// Ports that are free now. `http` is used as given.
    pub(super) fn find(http: Option<u16>) -> Result<Self, Trouble> {
        const WANTED: usize = 5;
        let free: Vec<u16> = candidates(std::process::id())
            .filter(|port| Some(*port) != http && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
            .take(WANTED)
            .collect();
        let found = <[u16; WANTED]>::try_from(free);
        let [own, grpc, api_sidecar, web_sidecar, upstream] =
            found.map_err(|free| Trouble::NoPorts { ports: WANTED, found: free.len() })?;
        Ok(Self { http: http.unwrap_or(own), grpc, api_sidecar, web_sidecar, upstream })
    }
}

/// All ports that may be tried, with a start that depends on the process id.
fn candidates(pid: u32) -> impl Iterator<Item = u16> {
    let span = u32::from(*PORTS.end() - *PORTS.start()) + 1;
    let first = pid.wrapping_mul(PORTS_STRIDE) % span;
    (0..span).filter_map(move |step| u16::try_from(u32::from(*PORTS.start()) + (first + step) % span).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_port_is_tried_once_wherever_one_begins() {
        for pid in [1, 4_194_303, u32::MAX] {
            let all: Vec<u16> = candidates(pid).collect();
            let different: BTreeSet<u16> = all.iter().copied().collect();
            assert_eq!((all.len(), different.len()), (PORTS.count(), PORTS.count()));
            assert!(all.iter().all(|port| PORTS.contains(port)));
        }
    }

    #[test]
    fn neighbouring_processes_begin_apart() {
        let ports: Vec<u16> = candidates(7).take(5).collect();
        assert!(candidates(8).take(5).all(|port| !ports.contains(&port)));
    }

    #[test]
    fn the_directory_is_private_and_goes_with_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = PrivateDirectory::make().unwrap();
        let path = place.0.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(place.file("left"), "behind").unwrap();
        drop(place);
        assert!(!path.exists());
    }
}
