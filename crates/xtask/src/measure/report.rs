//! The result of a measurement: figures with units, the machine, the commit, and rows for docs/performance.md.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process;

#[derive(Debug, Default)]
pub(super) struct Report {
    figures: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    what: String,
    value: f64,
    unit: String,
}

/// The machine and the commit of the figures.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) machine: String,
    pub(super) commit: String,
}

// === impl Report ===

impl Report {
    pub(super) fn add(&mut self, what: impl Into<String>, value: f64, unit: impl Into<String>) {
        self.figures.push(Figure { what: what.into(), value, unit: unit.into() });
    }

    /// The origin, the figures, and the same figures as rows of a table.
    pub(super) fn to_text(&self, origin: &Origin, command: &str) -> String {
        let mut text =
            format!("\nmachine: {}\ncommit:  {}\ncommand: {command}\n\n", origin.machine, origin.commit);
        for Figure { what, value, unit } in &self.figures {
            text += &format!("{what:<48} {:>12} {unit}\n", number(*value));
        }
        text += "\n| what | figure | commit | command |\n|---|---|---|---|\n";
        for Figure { what, value, unit } in &self.figures {
            text += &format!("| {what} | {} {unit} | {} | `{command}` |\n", number(*value), origin.commit);
        }
        text
    }
}

// === impl Origin ===

impl Origin {
    pub(super) fn of(root: &Path) -> Result<Self> {
        let git = |args: &[&str]| process::capture("git", Command::new("git").current_dir(root).args(args));
        let mut commit = git(&["rev-parse", "--short=10", "HEAD"])?.trim().to_owned();
        if !git(&["status", "--porcelain"])?.trim().is_empty() {
            commit += "+changes";
        }
        Ok(Self { machine: machine(), commit })
    }
}

/// The processor, cores and memory, as far as the system shows them.
fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = field(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH);
    let kib = field(&meminfo, "MemTotal").and_then(|total| total.split(' ').next()?.parse::<u64>().ok());
    let memory = kib.map_or_else(String::new, |kib| format!(", {} GiB", (kib + 524_288) / 1_048_576));
    format!("{processor}, {cores} cores{memory}, {}", std::env::consts::OS)
}

/// The value of `key : value` in a text of such lines.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// Three significant digits: a shared machine is not more exact.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_where_and_how() {
        let mut report = Report::default();
        report.add("clean dev build", 123.456, "s");
        let origin = Origin { machine: "two cores".to_owned(), commit: "abc".to_owned() };
        let text = report.to_text(&origin, "cargo xtask measure build");
        assert!(text.contains("machine: two cores\ncommit:  abc\n"));
        assert!(text.ends_with("| clean dev build | 123 s | abc | `cargo xtask measure build` |\n"));
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([1.234, 12.34, 123.4].map(number), ["1.23", "12.3", "123"]);
    }

    #[test]
    fn fields_are_found_by_their_name() {
        assert_eq!(field("a : 1\nmodel name\t: X Y\n", "model name"), Some("X Y"));
        assert_eq!(field("a : 1", "b"), None);
    }
}
