//! The texts from which configuration is read.

use std::fmt;

use concord_syntax::{Node, Pos, hcl, json};

use crate::diagnostic::{Diagnostic, Origin};

/// Longest text of one source in bytes. It is far above any real file, and keeps a wrong path from filling the
/// memory.
pub const SOURCE_BYTES_MAX: usize = 16 << 20;

/// The format of a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// HCL version 1.
    Hcl,
    /// JSON.
    Json,
}

/// One text; later ones win. Its `Debug` leaves the text out, because it may contain tokens.
#[derive(Clone)]
pub struct Source {
    /// The file's name, or `-hcl`.
    pub name: String,
    /// Its format. `None`: chosen by the name's extension; HCL without one.
    pub format: Option<Format>,
    /// The text.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {:?}, {} bytes)", self.name, self.format, self.bytes.len())
    }
}

impl Format {
    /// Parses the value of `-config-format`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "hcl" => Some(Self::Hcl),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Source {
    /// A file from disk.
    pub fn file(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), format: None, bytes }
    }

    /// Parses the text into a tree.
    pub(crate) fn tree(&self) -> Result<Node, Diagnostic> {
        let refused = |pos: Pos, message: String| {
            Diagnostic::error(Origin { source: self.name.clone(), pos }, "", message)
        };
        if self.bytes.len() > SOURCE_BYTES_MAX {
            let text = format!("is {} bytes long; at most {SOURCE_BYTES_MAX} are read", self.bytes.len());
            return Err(refused(Pos::default(), text));
        }
        let text = std::str::from_utf8(&self.bytes).map_err(|_| {
            refused(Pos::default(), "is not UTF-8 text; is it a configuration file?".to_owned())
        })?;
        let by_name = if self.name.ends_with(".json") { Format::Json } else { Format::Hcl };
        let parsed = match self.format.unwrap_or(by_name) {
            Format::Hcl => hcl::parse(text),
            Format::Json => json::parse(text),
        };
        parsed.map_err(|error| refused(Pos { line: error.line, column: error.column }, error.message))
    }
}
