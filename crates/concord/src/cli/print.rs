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

/// A text from somewhere else, on one line, so that it cannot control the terminal: in place of control characters, of
/// marks that have no form, and of those that turn the direction of what follows, stands a blank.
pub(crate) fn safe(text: &str) -> String {
    text.replace(is_unsafe, " ")
}

/// The same for a text with lines and tabs of its own.
pub(crate) fn safe_lines(text: &str) -> String {
    text.replace(|c| is_unsafe(c) && !matches!(c, '\n' | '\t'), " ")
}

/// Whether a character says something to the terminal, or nothing that can be seen (category Cf of Unicode).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// A count with the word for what is counted.
pub(crate) fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
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
        let value = safe(&value.to_string());
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
        let plain = safe_lines(line).replace('\n', " ");
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
    fn what_would_control_the_terminal_becomes_a_blank() {
        let written = "a\u{1b}[2J\nb\u{202e}c\u{200b}d\u{2066}\u{feff}\u{85}\u{e0041}\tcaf\u{e9} \u{4e2d}";
        assert_eq!(safe(written), "a [2J b c d     caf\u{e9} \u{4e2d}");
        assert_eq!(safe_lines(written), "a [2J\nb c d    \tcaf\u{e9} \u{4e2d}");
        let mut fields = Fields::at(0);
        fields.field("a", "b\u{202e}c\nd");
        fields.line_below(1, "b\u{202e}c\nd\te");
        assert_eq!(fields.finish(), "a:b c d\n\tb c d\te\n");
    }

    #[test]
    fn what_is_one_is_told_in_the_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "pair")), ["0 pairs", "1 pair", "2 pairs"]);
    }

    #[test]
    fn times_are_printed_as_go_does() {
        let moment = Moment::parse("2018-10-22T15:33:39.01789Z").unwrap();
        assert_eq!(time(moment), "2018-10-22 15:33:39.01789 +0000 UTC");
        assert_eq!(time(Moment::default()), "0001-01-01 00:00:00 +0000 UTC");
    }
}
