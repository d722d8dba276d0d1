//! The input and output of commands. Commands use nothing else of the process.

use std::fmt;
use std::io::{self, Read, Write};

/// The three streams of a command.
pub(crate) struct Io {
    pub(crate) out: Box<dyn Write>,
    pub(crate) err: Box<dyn Write>,
    pub(crate) input: Box<dyn Read>,
}

impl Io {
    /// The process's own streams. Output is buffered until it is flushed.
    pub(crate) fn of_process() -> Self {
        Self {
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
            input: Box::new(io::stdin()),
        }
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Prints text and a line break.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), super::Failure> {
        writeln!(self.out, "{text}").map_err(super::Failure::Output)
    }

    /// Prints text that contains its own line breaks.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), super::Failure> {
        self.out.write_all(text.as_bytes()).map_err(super::Failure::Output)
    }

    /// Prints a note that is not part of the result.
    pub(crate) fn remark(&mut self, text: impl fmt::Display) -> Result<(), super::Failure> {
        writeln!(self.err, "{text}").map_err(super::Failure::Output)
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Io")
    }
}
