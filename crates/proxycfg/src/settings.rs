//! Interprets opaque settings: typed values from what the user wrote.
//!
//! Types are as weak as in Consul: numbers may be written as text. If a known key has a value that cannot be parsed,
//! that is an error, never a silent default: a bind address or limit that is ignored allows more than the user asked
//! for. Unknown keys are ignored; they may be for the other kind of proxy.

use std::net::IpAddr;
use std::time::Duration;

use concord_model::Span;
use concord_model::entry::{PassiveHealthCheck, Protocol};
use concord_model::proxy::Settings;
use concord_syntax::duration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits::TIMEOUT_MAX;

/// A setting that cannot be parsed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("config key {key:?} is {found}; it must be {expected}")]
pub struct SettingFault {
    /// The key, with dots where it is nested.
    pub key: String,
    /// The value, shortened for a log line.
    pub found: String,
    /// The expected kind of value.
    pub expected: String,
}

/// How many characters of a wrong value are shown.
const SHOWN_CHARS: usize = 40;

/// Reads settings one by one and collects their errors.
pub(crate) struct SettingsReader<'a> {
    settings: &'a Settings,
    pub(crate) faults: Vec<SettingFault>,
}

impl<'a> SettingsReader<'a> {
    pub(crate) fn new(settings: &'a Settings) -> Self {
        Self { settings, faults: Vec::new() }
    }

    /// A timeout in milliseconds. Zero is refused: it would let nothing through.
    pub(crate) fn millis(&mut self, key: &'static str) -> Option<Duration> {
        let max = u64::try_from(TIMEOUT_MAX.as_millis()).expect("a day fits");
        let expected = format!("a whole number of milliseconds from 1 to {max}");
        let value = self.settings.get(key)?;
        let read = whole(value).filter(|ms| (1..=max).contains(ms)).map(Duration::from_millis);
        self.or_fault(key, value, &expected, read)
    }

    /// A count; 0 means no limit, as in Consul.
    pub(crate) fn limit(&mut self, key: &'static str) -> Option<u32> {
        let value = self.settings.get(key)?;
        self.count(key, value).filter(|count| *count > 0)
    }

    /// A count within the object at `outer`, whose keys may also be written as configuration entries do
    /// (`MaxConnections`). Here 0 is an ordinary limit, and `null` means none.
    pub(crate) fn nested_limit(&mut self, outer: &'static str, key: &'static str) -> Option<u32> {
        let value = self.settings.get(outer)?;
        let Value::Object(object) = value else { return None };
        let (_, value) =
            object.iter().find(|(own, _)| is_written(own, key)).filter(|(_, value)| !value.is_null())?;
        self.count(&format!("{outer}.{key}"), value)
    }

    /// Records an error unless the value at `key` is an object.
    pub(crate) fn object(&mut self, key: &'static str) {
        if let Some(value) = self.settings.get(key)
            && !value.is_object()
        {
            self.or_fault::<()>(key, value, "an object", None);
        }
    }

    pub(crate) fn port(&mut self, key: &'static str) -> Option<u16> {
        let value = self.settings.get(key)?;
        let read = whole(value).and_then(|port| u16::try_from(port).ok());
        self.or_fault(key, value, "a port number", read).filter(|port| *port != 0)
    }

    pub(crate) fn ip(&mut self, key: &'static str) -> Option<IpAddr> {
        let value = self.settings.get(key)?;
        let text = value.as_str();
        if text == Some("") {
            return None;
        }
        self.or_fault(key, value, "an IP address", text.and_then(|text| text.parse().ok()))
    }

    pub(crate) fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.settings.get(key)?;
        self.or_fault(key, value, "a text", value.as_str()).filter(|text| !text.is_empty())
    }

    /// A protocol. One that is not known counts as `tcp`, as in Consul: its bytes are carried, and not looked into.
    pub(crate) fn protocol(&mut self, key: &'static str) -> Protocol {
        let Some(text) = self.text(key) else { return Protocol::default() };
        let known = Protocol::ALL.iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
        known.copied().unwrap_or(Protocol::Tcp)
    }

    /// A host and a port, `host:port`.
    pub(crate) fn host_port(&mut self, key: &'static str) -> Option<(String, u16)> {
        let value = self.settings.get(key)?;
        if value.as_str() == Some("") {
            return None;
        }
        let read = value.as_str().and_then(|text| {
            let (host, port) = text.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let port = port.parse().ok().filter(|port| *port != 0)?;
            (!host.is_empty()).then(|| (host.to_owned(), port))
        });
        self.or_fault(key, value, "host:port", read)
    }

    /// When an instance that fails gets nothing for a while.
    pub(crate) fn passive_health_check(&mut self, key: &'static str) -> Option<PassiveHealthCheck> {
        self.object(key);
        self.settings.get(key)?.as_object()?;
        Some(PassiveHealthCheck {
            interval: self.nested_span(key, "interval").unwrap_or_default(),
            max_failures: self.nested_limit(key, "max_failures").unwrap_or_default(),
            enforcing_consecutive_5xx: self.nested_limit(key, "enforcing_consecutive_5xx"),
            max_ejection_percent: self.nested_limit(key, "max_ejection_percent"),
            base_ejection_time: self.nested_span(key, "base_ejection_time"),
        })
    }

    /// A time within the object at `outer`: a number of nanoseconds, or a text like `10s`.
    fn nested_span(&mut self, outer: &'static str, key: &'static str) -> Option<Span> {
        let Value::Object(object) = self.settings.get(outer)? else { return None };
        let (_, value) =
            object.iter().find(|(own, _)| is_written(own, key)).filter(|(_, value)| !value.is_null())?;
        let nanos = match value {
            Value::String(text) => {
                duration::parse(text).ok().and_then(|time| i64::try_from(time.as_nanos()).ok())
            }
            other => whole(other).and_then(|nanos| i64::try_from(nanos).ok()),
        };
        let longest = i64::try_from(TIMEOUT_MAX.as_nanos()).expect("a day fits");
        let span = nanos.filter(|nanos| *nanos <= longest).map(Span::from_nanos);
        self.or_fault(&format!("{outer}.{key}"), value, "a duration of at most a day, like 10s", span)
    }

    fn count(&mut self, key: &str, value: &Value) -> Option<u32> {
        let read = whole(value).and_then(|count| u32::try_from(count).ok());
        self.or_fault(key, value, "a whole number from 0 to 4294967295", read)
    }

    fn or_fault<T>(&mut self, key: &str, value: &Value, expected: &str, read: Option<T>) -> Option<T> {
        if read.is_none() {
            let found = value.to_string().chars().take(SHOWN_CHARS).collect();
            self.faults.push(SettingFault { key: key.to_owned(), found, expected: expected.to_owned() });
        }
        read
    }
}

/// Whether a key is this one without regard to case and underscores.
fn is_written(own: &str, key: &str) -> bool {
    let letters =
        |text: &str| text.bytes().filter(|b| *b != b'_').map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
    letters(own) == letters(key)
}

/// A whole number, written as number or text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            // Writers of HCL and JSON turn 5000 into 5000.0. Beyond 2^53 floats are not exact any more.
            let float = number.as_f64()?;
            let exact = float.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&float);
            exact.then_some(float as u64)
        }),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
