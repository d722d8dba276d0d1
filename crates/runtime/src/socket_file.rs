//! Files of unix sockets: created with owner and mode before anybody can connect, and removed at the end.
//!
//! If a dead process left its socket at the path, the new listener replaces it. A socket in use, and a file that is
//! not a socket, are not touched.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen as listen_at, socket_with,
};

use crate::limits::BACKLOG;

/// Who may connect.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Access {
    /// The owner of the file; `None`: the user of the process.
    pub user: Option<u32>,
    /// The group of the file; `None`: the group of the process.
    pub group: Option<u32>,
    /// The mode of the file; `None`: what the process's umask leaves.
    pub mode: Option<u32>,
}

/// The file of a unix socket. Dropping this removes the file, if it is still ours.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode number of the file that we created: somebody else may have replaced it.
    made: Option<(u64, u64)>,
}

impl SocketFile {
    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), made: number(path) }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.made.is_none() || number(&self.path) != self.made {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::info!(%error, path = %self.path.display(), "cannot remove the socket file");
        }
    }
}

fn number(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Listens at a path, non-blocking. Nobody can connect before the file has its owner and mode.
pub fn listen(path: &Path, access: Access) -> io::Result<(UnixListener, SocketFile)> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(file) if !file.file_type().is_socket() => {
            let text = "there is a file that is no socket; move it away, or name another path";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens at this socket"));
        }
        Ok(_) => fs::remove_file(path)?,
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile::of(path);
    // Until the socket listens, the kernel refuses connections.
    if access.user.is_some() || access.group.is_some() {
        chown(path, access.user, access.group).map_err(|error| with("give it to its owner", &error))?;
    }
    if let Some(mode) = access.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|error| with("set its mode", &error))?;
    }
    listen_at(&socket, i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok((UnixListener::from(socket), file))
}

fn with(doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn open(mode: u32) -> Access {
        Access { mode: Some(mode), ..Access::default() }
    }

    #[test]
    fn a_socket_has_its_mode_and_is_gone_at_the_end() {
        let directory = directory();
        let path = directory.path().join("s.sock");
        let (listener, file) = listen(&path, open(0o660)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o660);
        let mut caller = UnixStream::connect(&path).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (mut called, _) = listener.accept().unwrap();
        called.write_all(b"x").unwrap();
        let mut heard = [0];
        caller.read_exact(&mut heard).unwrap();
        assert_eq!((&heard, file.path()), (b"x", path.as_path()));
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn what_was_left_behind_is_taken_over_and_nothing_else() {
        let directory = directory();
        let path = directory.path().join("s.sock");
        // The standard library does not remove the file.
        drop(UnixListener::bind(&path).unwrap());
        let (_listener, file) = listen(&path, open(0o600)).unwrap();
        let taken = listen(&path, open(0o600)).expect_err("somebody listens");
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok(), "the other one is as it was");
        drop(file);
        for precious in [path.clone(), directory.path().join("directory")] {
            if precious.ends_with("directory") {
                fs::create_dir(&precious).unwrap();
            } else {
                fs::write(&precious, "precious").unwrap();
            }
            let refused = listen(&precious, open(0o600)).expect_err("no socket");
            assert!(refused.to_string().contains("no socket"), "{refused}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let nowhere = directory.path().join("none/s.sock");
        assert_eq!(listen(&nowhere, open(0o600)).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_socket_of_another_is_not_removed() {
        let directory = directory();
        let path = directory.path().join("s.sock");
        let (_listener, file) = listen(&path, open(0o600)).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop(file);
        assert!(path.exists());
    }
}
