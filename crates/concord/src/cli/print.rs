//! Prints results as JSON, or as names with values.

use std::fmt::Write as _;

use concord_api::Moment;
use concord_api::encode::{self, Layout};
use serde::Serialize;

use super::Io;
use super::failure::{Exit, Failure, Outcome};

/// Prints a result as JSON with four spaces of indentation, as Go's tools do.
pub(crate) fn json(value: &(impl Serialize + ?Sized), io: &mut Io) -> Outcome {
    let bytes = encode::json(value, Layout::Pretty)
        .map_err(|error| Failure::input(format!("the answer cannot be written as JSON: {error}")))?;
    io.text(&String::from_utf8_lossy(&bytes))?;
    Ok(Exit::SUCCESS)
}

/// Names and values, one pair per line, with the values in one column.
#[derive(Debug)]
pub(crate) struct Fields {
    text: String,
    /// The column of the values.
    column: usize,
}

impl Fields {
    /// Fields with values at this column.
    pub(crate) fn at(column: usize) -> Self {
        Self { text: String::new(), column }
    }

    pub(crate) fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        let name = format!("{name}:");
        // Keep an agent's text on its line, and remove control characters, so that it cannot control the terminal.
        let value = value.to_string().replace(char::is_control, " ");
        let line = format!("{name:0$}{value}", self.column);
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    /// A heading for the lines below it.
    pub(crate) fn head(&mut self, name: &str) {
        let _ = writeln!(self.text, "{name}:");
    }

    /// A line below a heading.
    pub(crate) fn item(&mut self, text: impl std::fmt::Display) {
        let _ = writeln!(self.text, "   {text}");
    }

    /// A name and its value, indented by this many steps.
    pub(crate) fn below(&mut self, steps: usize, name: &str, value: impl std::fmt::Display) {
        self.line_below(steps, &format!("{name}: {value}"));
    }

    /// A line, indented by this many steps. A tab in it is kept.
    pub(crate) fn line_below(&mut self, steps: usize, line: &str) {
        let plain = line.replace(|c: char| c.is_control() && c != '\t', " ");
        let _ = writeln!(self.text, "{}", format_args!("{}{}", "\t".repeat(steps), plain.trim_end()));
    }

    /// Text with its own line breaks.
    pub(crate) fn block(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}", text.trim_end_matches('\n'));
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// A time as Go prints it: `2006-01-02 15:04:05.999 +0000 UTC`.
pub(crate) fn time(moment: Moment) -> String {
    match moment.to_string().trim_end_matches('Z').split_once('T') {
        Some((date, time)) => format!("{date} {time} +0000 UTC"),
        None => moment.to_string(),
    }
}

/// A time in this machine's zone, in the form of RFC 850: `Monday, 22-Oct-18 15:33:39 UTC`. Empty if there is none.
pub(crate) fn local_time(moment: Moment) -> String {
    match moment.0.and_then(|at| jiff::Timestamp::from_nanosecond(i128::from(at.nanos())).ok()) {
        Some(at) => {
            at.to_zoned(jiff::tz::TimeZone::system()).strftime("%A, %d-%b-%y %H:%M:%S %Z").to_string()
        }
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_one_column() {
        let mut fields = Fields::at(18);
        fields.field("ID", "7");
        fields.field("Expiration Time", "never");
        fields.field("Description", "");
        fields.head("Policies");
        fields.item("1 - one");
        assert_eq!(
            fields.finish(),
            "ID:               7\nExpiration Time:  never\nDescription:\nPolicies:\n   1 - one\n"
        );
    }

    #[test]
    fn times_are_printed_as_go_does() {
        let moment = Moment::parse("2018-10-22T15:33:39.01789Z").unwrap();
        assert_eq!(time(moment), "2018-10-22 15:33:39.01789 +0000 UTC");
        assert_eq!(time(Moment::default()), "0001-01-01 00:00:00 +0000 UTC");
    }
}
