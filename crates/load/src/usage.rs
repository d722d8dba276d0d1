//! The processor time and memory of processes, from `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks a second in `/proc/<pid>/stat`: `USER_HZ`, a constant of the kernel's interface on all supported
/// architectures.
const TICKS: f64 = 100.0;

/// A group of processes that is measured as one.
#[derive(Clone, Debug)]
pub(crate) struct Group(Vec<u32>);

impl Group {
    pub(crate) fn new(pids: impl Into<Vec<u32>>) -> Self {
        Self(pids.into())
    }

    /// Processor time of all, in user mode and in the kernel, including ended threads. The kernel counts in steps of
    /// ten milliseconds.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let of = |pid: &u32| parse_stat(&read(*pid, "stat")?).context("no times in stat");
        self.0.iter().map(of).sum()
    }

    /// Bytes that all have passed to the kernel for writing, to files and to sockets.
    pub(crate) fn written(&self) -> Result<f64> {
        let of = |pid: &u32| parse_io(&read(*pid, "io")?).context("no wchar in io");
        self.0.iter().map(of).sum()
    }

    /// Resident memory of all, in bytes. Shared pages count once for each process.
    pub(crate) fn rss(&self) -> Result<f64> {
        self.memory("VmRSS:")
    }

    /// The part of it that the processes wrote themselves: heap, stacks, changed data.
    pub(crate) fn rss_own(&self) -> Result<f64> {
        self.memory("RssAnon:")
    }

    /// The part of it that the kernel can read again from files: the program.
    pub(crate) fn rss_files(&self) -> Result<f64> {
        self.memory("RssFile:")
    }

    fn memory(&self, field: &str) -> Result<f64> {
        let of = |pid: &u32| {
            parse_status(&read(*pid, "status")?, field).with_context(|| format!("no {field} in status"))
        };
        self.0.iter().map(of).sum()
    }
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
}

/// `utime` and `stime`: fields 14 and 15, counted from one. The second field is the program's name in parentheses; it
/// may itself contain blanks and parentheses.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs_f64((user + system) as f64 / TICKS))
}

/// `wchar`: bytes passed to write calls, even if they have not reached a disk.
fn parse_io(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("wchar:"))?;
    let bytes: u64 = line.trim().parse().ok()?;
    Some(bytes as f64)
}

/// A field of memory, which the kernel prints in KiB.
fn parse_status(text: &str, field: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib as f64 * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 250 50 7 7 20 0 4 0 99";
        for name in ["concord", "two words", "a) b (c"] {
            assert_eq!(parse_stat(&format!("42 ({name}) {rest}")), Some(Duration::from_secs(3)), "{name}");
        }
        assert_eq!(parse_stat("42 (short) S 1 2 3"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "Name:\tx\nVmHWM:\t 900 kB\nVmRSS:\t     512 kB\n";
        assert_eq!(parse_status(text, "VmRSS:"), Some(524_288.0));
        assert_eq!(parse_status("Name:\tkernel thread\n", "VmRSS:"), None);
    }

    #[test]
    fn what_was_written_is_in_bytes() {
        assert_eq!(parse_io("rchar: 7\nwchar: 4096\nsyscr: 1\n"), Some(4096.0));
        assert_eq!(parse_io("rchar: 7\n"), None);
    }

    #[test]
    fn this_process_has_used_something() {
        let group = Group::new([std::process::id()]);
        assert!(group.rss().unwrap() > 0.0);
        assert!(group.rss_own().unwrap() + group.rss_files().unwrap() > 0.0);
        group.cpu().unwrap();
        assert!(Group::new([u32::MAX]).cpu().is_err());
    }
}
