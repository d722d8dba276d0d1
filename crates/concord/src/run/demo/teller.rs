//! Prints the demo: numbered steps, what was observed in each, and how long it took.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use concord_runtime::{Clock, Instant};

use super::trouble::Trouble;
use crate::cli::Io;

/// Width of the labels before facts.
const LABEL: usize = 20;

/// Prints the steps one after the other.
pub(super) struct Teller<'a> {
    io: &'a mut Io,
    colours: bool,
    clock: Arc<dyn Clock>,
    began: Instant,
    step: Option<Step>,
    steps: usize,
}

struct Step {
    title: &'static str,
    began: Instant,
}

/// The style of a text on a terminal.
#[derive(Clone, Copy)]
enum Look {
    Title,
    Quiet,
}

impl<'a> Teller<'a> {
    pub(super) fn new(io: &'a mut Io, colours: bool, clock: Arc<dyn Clock>) -> Self {
        let began = clock.now();
        Self { io, colours, clock, began, step: None, steps: 0 }
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &'static str) -> Result<(), Trouble> {
        self.steps += 1;
        self.step = Some(Step { title, began: self.clock.now() });
        let text = self.styled(Look::Title, format_args!("{}. {title}", self.steps));
        self.line("")?;
        self.line(text)
    }

    /// Prints an observation.
    pub(super) fn fact(&mut self, label: &str, fact: impl Display) -> Result<(), Trouble> {
        let label = self.styled(Look::Quiet, format_args!("{label:<LABEL$}"));
        self.line(format_args!("   {label} {fact}"))
    }

    /// Ends the step and prints how long it took.
    pub(super) fn done(&mut self) -> Result<(), Trouble> {
        let Some(step) = self.step.take() else { return Ok(()) };
        let took = seconds(self.clock.now() - step.began);
        let text = self.styled(Look::Quiet, format_args!("   {:<LABEL$} {took}", "took"));
        self.line(text)
    }

    pub(super) fn title(&mut self, text: &str) -> Result<(), Trouble> {
        let text = self.styled(Look::Title, text);
        self.line(text)
    }

    /// Prints text unchanged, indented a little.
    pub(super) fn quote(&mut self, text: &str) -> Result<(), Trouble> {
        for line in text.lines() {
            self.line(format_args!("   | {line}"))?;
        }
        Ok(())
    }

    /// Each line is flushed at once, so that the user can follow the demo.
    pub(super) fn line(&mut self, text: impl Display) -> Result<(), Trouble> {
        let text = text.to_string();
        self.io.line(text.trim_end()).map_err(Trouble::Output)?;
        self.io.flush().map_err(|error| Trouble::Output(crate::cli::Failure::Output(error)))
    }

    /// The current step.
    pub(super) fn current(&self) -> String {
        let step = self.step.as_ref();
        step.map_or_else(
            || "between its steps".to_owned(),
            |step| format!("in step {} ({})", self.steps, step.title),
        )
    }

    /// Time since the start of the demo.
    pub(super) fn elapsed(&self) -> Duration {
        self.clock.now() - self.began
    }

    fn styled(&self, look: Look, text: impl Display) -> String {
        match look {
            _ if !self.colours => text.to_string(),
            Look::Title => format!("\x1b[1m{text}\x1b[0m"),
            Look::Quiet => format!("\x1b[2m{text}\x1b[0m"),
        }
    }
}

impl std::fmt::Debug for Teller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Teller").field("step", &self.current()).finish_non_exhaustive()
    }
}

/// A duration in the form people use.
pub(super) fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
