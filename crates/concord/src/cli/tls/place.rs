//! The files that `tls` writes to the current directory. It never overwrites a file, and writes a pair completely or
//! not at all.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::super::Io;
use super::super::command::Invocation;
use super::super::failure::Failure;
use super::make::Pair;

/// Modes of a certificate (before the umask) and of a key.
const MODES: [u32; 2] = [0o666, 0o600];

/// A flag whose value becomes part of file and host names.
pub(super) fn named<'a>(flag: &str, call: &'a Invocation<'_>) -> Result<&'a str, Failure> {
    let text = call.values.text(flag);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.trim_matches('.').is_empty() || !text.bytes().all(plain) {
        return Err(call
            .usage(format!("-{flag}: {text:?} is no name of hosts; use letters, digits, dots and dashes")));
    }
    Ok(text)
}

/// The validity in days, at least one.
pub(super) fn days(call: &Invocation<'_>) -> Result<u32, Failure> {
    let text = call.values.text("days");
    let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
    days.ok_or_else(|| call.usage(format!("-days: {text} is not between 1 and 36500")))
}

/// Refuses file names that exist.
pub(super) fn refuse_existing(pair: &[String; 2]) -> Result<(), Failure> {
    match pair.iter().find(|path| Path::new(path).symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => Err(Failure::input(format!("{path} already exists."))),
    }
}

/// Writes a certificate and its key, and prints their names.
pub(super) fn save(names: &[String; 2], made: &Pair, io: &mut Io) -> Result<(), Failure> {
    let texts = [made.certificate.as_str(), made.key.expose()];
    for (at, ((name, text), mode)) in names.iter().zip(texts).zip(MODES).enumerate() {
        if let Err(failure) = write(name, text, mode) {
            for name in &names[..at] {
                let _ = fs::remove_file(name);
            }
            return Err(failure);
        }
    }
    names.iter().try_for_each(|name| io.line(format_args!("==> Saved {name}")))
}

fn write(name: &str, text: &str, mode: u32) -> Result<(), Failure> {
    let failed = |error| Failure::system(format!("write {name}"), error);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(name).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = fs::remove_file(name);
        failed(error)
    })
}
