//! Durations in Go's notation: `1h30m0s`, `1.5s`, `250ms`, `10µs`.
//!
//! Go's duration is a signed 64-bit number of nanoseconds, so about 292 years is the maximum. Most durations here are
//! unsigned: [`parse`] refuses negative ones, [`parse_signed`] accepts them.

use std::time::Duration;

pub mod serde_go;

#[cfg(test)]
mod tests;

/// Why a text is not a duration. The messages are Go's, because tools show and compare them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DurationError {
    /// The text does not follow the notation.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number without a unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// An unknown unit, such as days.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// A negative duration where only zero or more is allowed.
    #[error("negative duration {0:?}")]
    Negative(String),
}

/// Reads a duration of zero or more, in the notation of Go's `time.ParseDuration`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let nanos = parse_signed(text)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| DurationError::Negative(shown(text)))
}

/// Reads a duration as signed nanoseconds, in the notation of Go's `time.ParseDuration`.
pub fn parse_signed(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(shown(text));
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let scale = scale(unit, text)?;
        let nanos = nanos(whole, fraction, scale).ok_or_else(invalid)?;
        total = total.checked_add(nanos).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
        rest = after;
    }
    let total = i128::from(total);
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// Writes a duration as Go's `Duration.String` does: `1h0m0s`, `1.5s`, `100ms`, `0s`.
pub fn format(duration: Duration) -> String {
    format_nanos(false, duration.as_nanos())
}

/// Writes signed nanoseconds as Go's `Duration.String` does.
pub fn format_signed(nanos: i64) -> String {
    format_nanos(nanos < 0, u128::from(nanos.unsigned_abs()))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn scale(unit: &str, text: &str) -> Result<u64, DurationError> {
    Ok(match unit {
        "ns" => 1,
        // Both the micro sign and the Greek letter are in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(DurationError::MissingUnit(shown(text))),
        _ => return Err(DurationError::UnknownUnit { unit: shown(unit), text: shown(text) }),
    })
}

/// The nanoseconds of `whole.fraction` units, rounded down. `None` if they exceed Go's range.
fn nanos(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let whole = whole.checked_mul(scale)?;
    // Eighteen digits are more exact than a nanosecond of any unit, and fit the arithmetic.
    let fraction = &fraction[..fraction.len().min(18)];
    let part = fraction.parse::<u128>().unwrap_or(0) * u128::from(scale) / 10_u128.pow(fraction.len() as u32);
    whole.checked_add(u64::try_from(part).ok()?).filter(|nanos| *nanos <= 1 << 63)
}

fn format_nanos(negative: bool, nanos: u128) -> String {
    let sign = if negative { "-" } else { "" };
    let (value, unit) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => (fraction(nanos, 1), "ns"),
        1_000..1_000_000 => (fraction(nanos, 1_000), "µs"),
        1_000_000..1_000_000_000 => (fraction(nanos, 1_000_000), "ms"),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let seconds = fraction(nanos % 60_000_000_000, 1_000_000_000);
            let clock = match (minutes / 60, minutes % 60) {
                (0, 0) => String::new(),
                (0, minutes) => format!("{minutes}m"),
                (hours, minutes) => format!("{hours}h{minutes}m"),
            };
            (clock + &seconds, "s")
        }
    };
    format!("{sign}{value}{unit}")
}

/// `value / scale` with as many decimals as necessary. `scale` is a power of ten.
fn fraction(value: u128, scale: u128) -> String {
    let (whole, part) = (value / scale, value % scale);
    if part == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let decimals = format!("{part:0width$}");
    format!("{whole}.{}", decimals.trim_end_matches('0'))
}

fn shown(text: &str) -> String {
    text.chars().take(crate::limits::QUOTED_CHARS_MAX).collect()
}
