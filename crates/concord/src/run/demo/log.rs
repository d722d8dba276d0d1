//! Follows the JSON log of a sidecar while it is written.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use concord_runtime::Clock;
use serde_json::Value;

use super::limits::{LOG_LINE_BYTES_MAX, LOOK, SEEN_WITHIN, TAIL_BYTES, TAIL_LINES};
use super::trouble::Trouble;

/// One line of a log.
#[derive(Clone, Debug)]
pub(super) struct Event(Value);

/// A position in a log, from which it is read.
#[derive(Debug)]
pub(super) struct LogReader {
    path: PathBuf,
    offset: u64,
    /// Bytes that were read and are not parsed yet.
    unread: Vec<u8>,
}

impl Event {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut line: Value = serde_json::from_slice(line).ok()?;
        line.get_mut("fields").map(Value::take).map(Self)
    }

    /// A field as text; empty if there is none.
    pub(super) fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the line has this message.
    pub(super) fn is(&self, message: &str) -> bool {
        self.text("message") == message
    }
}

impl LogReader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0, unread: Vec::new() }
    }

    /// Skips everything written so far.
    pub(super) fn skip(&mut self) -> Result<(), Trouble> {
        self.unread.clear();
        self.offset = std::fs::metadata(&self.path).map_err(self.failed())?.len();
        Ok(())
    }

    /// The next line that matches; earlier lines are skipped.
    pub(super) async fn find(
        &mut self,
        clock: &dyn Clock,
        what: &str,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event, Trouble> {
        let since = clock.now();
        loop {
            while let Some(line) = self.line().map_err(self.failed())? {
                if let Some(event) = Event::parse(&line).filter(&wanted) {
                    return Ok(event);
                }
            }
            if clock.now() - since > SEEN_WITHIN {
                let what = format!("{what} in {}", self.path.display());
                return Err(Trouble::NotSeen { what, within: SEEN_WITHIN });
            }
            clock.sleep(LOOK).await;
        }
    }

    /// The next complete line, if there is one.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.unread, rest)));
            }
            if self.unread.len() > LOG_LINE_BYTES_MAX {
                self.unread.clear();
            }
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.offset))?;
            let read = file.take(LOG_LINE_BYTES_MAX as u64).read_to_end(&mut self.unread)?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
        }
    }

    fn failed(&self) -> impl FnOnce(io::Error) -> Trouble + use<> {
        Trouble::system(format!("read {}", self.path.display()))
    }
}

/// The last lines of a log, for an error report.
pub(super) fn tail(path: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    match read() {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n    ")
        }
        Err(error) => format!("(cannot be read: {error})"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_come_whole_and_once_and_others_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut reader = LogReader::new(path.clone());
        file.write_all(b"==> banner\n{\"fields\":{\"message\":\"a\",\"verd").unwrap();
        assert!(Event::parse(&reader.line().unwrap().unwrap()).is_none());
        assert!(reader.line().unwrap().is_none(), "half a line is not read yet");
        file.write_all(b"ict\":\"deny\"}}\n").unwrap();
        let event = Event::parse(&reader.line().unwrap().unwrap()).unwrap();
        assert!(event.is("a") && event.text("verdict") == "deny" && event.text("rule").is_empty());
        file.write_all(b"{\"fields\":{\"message\":\"b\"}}\n").unwrap();
        reader.skip().unwrap();
        assert!(reader.line().unwrap().is_none());
        assert!(tail(&path).ends_with("{\"fields\":{\"message\":\"b\"}}"));
    }
}
