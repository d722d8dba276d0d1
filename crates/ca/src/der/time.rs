//! Times in certificates: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 §4.1.2.5), in UTC and whole seconds.

use concord_model::Timestamp;

use super::{DerError, GENERALIZED_TIME, Reader, UTC_TIME, value};

const DAY: i64 = 86_400;

/// Encodes a time. Fractions of a second are dropped.
pub fn write(at: Timestamp) -> Vec<u8> {
    let (days, rest) = (at.secs().div_euclid(DAY), at.secs().rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let tail = format!("{month:02}{day:02}{:02}{:02}{:02}Z", rest / 3600, rest / 60 % 60, rest % 60);
    if (1950..2050).contains(&year) {
        value(UTC_TIME, format!("{:02}{tail}", year % 100).as_bytes())
    } else {
        value(GENERALIZED_TIME, format!("{year:04}{tail}").as_bytes())
    }
}

/// Reads a time. A time after [`Timestamp::FAR_FUTURE`] becomes [`Timestamp::FAR_FUTURE`].
pub fn read(reader: &mut Reader<'_>) -> Result<Timestamp, DerError> {
    const BAD: DerError = DerError::Value("time");
    let element = reader.any()?;
    let (digits, rest) = match (element.tag, element.body) {
        (UTC_TIME, body) if body.len() == 13 => body.split_at(2),
        (GENERALIZED_TIME, body) if body.len() == 15 => body.split_at(4),
        _ => return Err(BAD),
    };
    let (fields, zone) = rest.split_at(10);
    if zone != b"Z" {
        return Err(BAD);
    }
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0i64, |all, digit| match digit {
            b'0'..=b'9' => Ok(all * 10 + i64::from(digit - b'0')),
            _ => Err(BAD),
        })
    };
    let year = match (digits.len(), number(digits)?) {
        (2, short) if short >= 50 => 1900 + short,
        (2, short) => 2000 + short,
        (_, year) if year >= 2050 => year,
        // DER requires UTCTime for these years.
        _ => return Err(BAD),
    };
    let mut parts = [0i64; 5];
    for (part, digits) in parts.iter_mut().zip(fields.chunks(2)) {
        *part = number(digits)?;
    }
    let [month, day, hour, minute, second] = parts;
    if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return Err(BAD);
    }
    let days = days_since_epoch(year, month, day);
    if civil(days) != (year, month, day) {
        return Err(BAD);
    }
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    Ok(if seconds > Timestamp::FAR_FUTURE.secs() {
        Timestamp::FAR_FUTURE
    } else {
        Timestamp::from_secs(seconds)
    })
}

/// A time in readable form, for messages.
pub fn shown(at: Timestamp) -> String {
    let (days, rest) = (at.secs().div_euclid(DAY), at.secs().rem_euclid(DAY));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Year, month and day in the Gregorian calendar, from the days since 1970-01-01.
///
/// The calculation starts each year in March, so that the leap day is the last day of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}
