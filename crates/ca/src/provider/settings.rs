//! Reads the settings of providers as leniently as Consul: the settings that all kinds have, and the tools to read
//! those of one kind.
//!
//! Keys are accepted in both styles, numbers also as text, and durations in Go's notation. Unknown keys have no effect.
//! A secret is never part of the stored settings: it is returned separately, to be sealed (N-71). The life times must
//! fit together. All faults are returned at once, each with its remedy.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::Secret;
use concord_model::ca::{CertificateLife, KeyKind};
use concord_model::proxy::Settings;
use serde_json::Value;

use crate::limiter::CsrLimits;

/// Shortest life of a leaf.
pub const LEAF_LIFE_MIN: Duration = Duration::from_secs(3600);
/// Shortest life of a leaf with `SkipValidate`. A leaf is dated back by a minute; the rest must be long enough to
/// request the next leaf, wait for a late signature and request it again.
pub const LEAF_LIFE_SKIPPED_MIN: Duration = Duration::from_secs(180);
/// Longest life of a leaf.
pub const LEAF_LIFE_MAX: Duration = Duration::from_secs(8760 * 3600);
/// Shortest life of an intermediate.
pub const INTERMEDIATE_LIFE_MIN: Duration = Duration::from_secs(3 * 3600);
/// An intermediate must live at least this number of leaf lives.
pub const INTERMEDIATE_LEAF_LIVES_MIN: u32 = 3;

const LEAF_LIFE: &str = "LeafCertTTL";
const INTERMEDIATE_LIFE: &str = "IntermediateCertTTL";
const ROOT_LIFE: &str = "RootCertTTL";

/// A setting with an unusable value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SettingFault {
    /// Not a duration.
    #[error("{key}: {value} is not a duration; write it as \"72h\"")]
    Duration {
        /// The setting's name.
        key: &'static str,
        /// The value as written.
        value: String,
    },
    /// Not a number, or not a number of the required kind.
    #[error("{key}: {value} is not a number of 0 or more")]
    Number {
        /// The setting's name.
        key: &'static str,
        /// The value as written.
        value: String,
    },
    /// Not text.
    #[error("{key} must be text")]
    Text {
        /// The setting's name.
        key: &'static str,
    },
    /// Not a boolean.
    #[error("{key} must be true or false")]
    Switch {
        /// The setting's name.
        key: &'static str,
    },
    /// The same setting in both key styles.
    #[error("{key} is given more than once; keep one spelling")]
    Twice {
        /// The setting's name.
        key: &'static str,
    },
    /// An unsupported type or size of key.
    #[error(
        "PrivateKeyType {kind:?} with PrivateKeyBits {bits} is not supported; use ec 256, ec 384 or rsa 2048"
    )]
    KeyKind {
        /// `PrivateKeyType`.
        kind: String,
        /// `PrivateKeyBits`.
        bits: u32,
    },
    /// A life time outside its limits.
    #[error("{key} is {found}; it must be {bound}")]
    Life {
        /// The setting's name.
        key: &'static str,
        /// Its value in Go's notation.
        found: String,
        /// The allowed values.
        bound: String,
    },
}

/// The settings that all kinds have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommonSettings {
    /// `LeafCertTTL`, `IntermediateCertTTL`, `RootCertTTL`.
    pub life: CertificateLife,
    /// `PrivateKeyType` and `PrivateKeyBits`.
    pub key_kind: KeyKind,
    /// `CSRMaxPerSecond` and `CSRMaxConcurrent`.
    pub limits: CsrLimits,
    /// `SkipValidate`: life times may be outside the usual limits, but must still be usable.
    pub skip_validate: bool,
}

/// Settings that were read. A kind reads its own settings again from `stored`.
#[derive(Clone, Debug)]
pub struct ParsedSettings {
    /// The settings that all kinds have.
    pub common: CommonSettings,
    /// Whether the operator supplies the root. Then concord does not replace it.
    pub supplied: bool,
    /// The settings as written, without secrets. These may be stored and shown.
    pub stored: Settings,
    /// The secrets, by the name of their setting. They must be sealed.
    pub secrets: BTreeMap<&'static str, Secret>,
}

/// Adds missing life times with their defaults, so that the configuration shows how long certificates live.
pub fn with_lives(mut settings: Settings) -> Settings {
    let CertificateLife { leaf, intermediate, root } = CertificateLife::default();
    for (key, life) in [(INTERMEDIATE_LIFE, intermediate), (LEAF_LIFE, leaf), (ROOT_LIFE, root)] {
        if !settings.keys().any(|written| folded(written) == folded(key)) {
            settings.insert(key.to_owned(), go_text(life).into());
        }
    }
    settings
}

/// The faults as one text for an answer.
pub fn describe(faults: &[SettingFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Converts both styles of a key to the same text.
fn folded(key: &str) -> String {
    key.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}

/// Reads settings one by one and collects their faults.
#[derive(Debug)]
pub struct SettingReader<'a> {
    written: &'a Settings,
    values: BTreeMap<String, Vec<&'a Value>>,
    faults: Vec<SettingFault>,
    secrets: BTreeMap<&'static str, Option<Secret>>,
}

impl<'a> SettingReader<'a> {
    /// A reader of these settings.
    pub fn of(written: &'a Settings) -> Self {
        let mut values = BTreeMap::<String, Vec<&Value>>::new();
        for (key, value) in written {
            values.entry(folded(key)).or_default().push(value);
        }
        Self { written, values, faults: Vec::new(), secrets: BTreeMap::new() }
    }

    /// Reads the settings that all kinds have.
    pub fn common(&mut self) -> CommonSettings {
        let defaults = CommonSettings::default();
        let life = CertificateLife {
            leaf: self.duration(LEAF_LIFE, defaults.life.leaf),
            intermediate: self.duration(INTERMEDIATE_LIFE, defaults.life.intermediate),
            root: self.duration(ROOT_LIFE, defaults.life.root),
        };
        let limits = CsrLimits {
            max_per_second: self.number("CSRMaxPerSecond", defaults.limits.max_per_second),
            max_concurrent: self.whole("CSRMaxConcurrent", defaults.limits.max_concurrent),
        };
        let kind = self.text("PrivateKeyType").unwrap_or_else(|| "ec".to_owned());
        let bits = self.whole("PrivateKeyBits", if kind == "rsa" { 2048 } else { 256 });
        let key_kind = KeyKind::parse(&kind, bits).unwrap_or_else(|| {
            self.faults.push(SettingFault::KeyKind { kind, bits });
            KeyKind::default()
        });
        CommonSettings { life, key_kind, limits, skip_validate: self.switch("SkipValidate") }
    }

    /// Reads text. Blank text counts as absent.
    pub fn filled(&mut self, key: &'static str) -> Option<String> {
        self.text(key).filter(|text| !text.trim().is_empty())
    }

    /// Reads a secret. It will not be part of the stored settings (N-71).
    pub fn secret(&mut self, key: &'static str) {
        let secret = self.filled(key).map(Secret::new);
        self.secrets.insert(key, secret);
    }

    /// Returns the settings, or all faults. `supplied` says whether the operator supplies a root.
    pub fn finish(
        mut self,
        common: CommonSettings,
        supplied: bool,
    ) -> Result<ParsedSettings, Vec<SettingFault>> {
        if common.skip_validate {
            check_sense(common.life, &mut self.faults);
        } else {
            check_lives(common.life, &mut self.faults);
        }
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let is_secret = |key: &str| self.secrets.keys().any(|secret| folded(key) == folded(secret));
        let open = self.written.iter().filter(|(key, _)| !is_secret(key));
        let stored = open.map(|(key, value)| (key.clone(), value.clone())).collect();
        let secrets = self.secrets.into_iter().filter_map(|(key, secret)| Some((key, secret?))).collect();
        Ok(ParsedSettings { common, supplied, stored, secrets })
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        let found = self.values.get(&folded(key))?;
        if found.len() > 1 {
            self.faults.push(SettingFault::Twice { key });
        }
        found.first().copied().filter(|value| !value.is_null())
    }

    /// Reads a duration in Go's notation.
    pub fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        let Some(value) = self.take(key) else { return default };
        let read = match value {
            Value::String(text) => parse_duration(text),
            // Like Go's decoder: a plain number is in nanoseconds.
            Value::Number(number) => number.as_u64().map(Duration::from_nanos),
            _ => None,
        };
        read.unwrap_or_else(|| {
            self.faults.push(SettingFault::Duration { key, value: shown(value) });
            default
        })
    }

    /// Reads a number of 0 or more.
    pub fn number(&mut self, key: &'static str, default: f64) -> f64 {
        let Some(value) = self.take(key) else { return default };
        let read = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        match read.filter(|number: &f64| number.is_finite() && *number >= 0.0) {
            Some(number) => number,
            None => {
                self.faults.push(SettingFault::Number { key, value: shown(value) });
                default
            }
        }
    }

    /// Reads a whole number of 0 or more.
    pub fn whole(&mut self, key: &'static str, default: u32) -> u32 {
        let Some(value) = self.take(key) else { return default };
        let read = match value {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
        };
        read.unwrap_or_else(|| {
            self.faults.push(SettingFault::Number { key, value: shown(value) });
            default
        })
    }

    /// Reads text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.faults.push(SettingFault::Text { key });
                None
            }
        }
    }

    /// Reads a boolean. The default is false.
    pub fn switch(&mut self, key: &'static str) -> bool {
        match self.take(key) {
            None => false,
            Some(Value::Bool(on)) => *on,
            Some(Value::String(text)) if text == "true" || text == "1" => true,
            Some(Value::String(text)) if text == "false" || text == "0" || text.is_empty() => false,
            Some(_) => {
                self.faults.push(SettingFault::Switch { key });
                false
            }
        }
    }
}

/// A value for a message, at most 64 characters.
fn shown(value: &Value) -> String {
    value.to_string().chars().take(64).collect()
}

fn check_lives(life: CertificateLife, faults: &mut Vec<SettingFault>) {
    let CertificateLife { leaf, intermediate, root } = life;
    let leaf_bound = format!("between {} and {}", go_text(LEAF_LIFE_MIN), go_text(LEAF_LIFE_MAX));
    demand(faults, (LEAF_LIFE_MIN..=LEAF_LIFE_MAX).contains(&leaf), LEAF_LIFE, leaf, leaf_bound);
    let least = INTERMEDIATE_LIFE_MIN.max(leaf.saturating_mul(INTERMEDIATE_LEAF_LIVES_MIN));
    let least_text =
        format!("at least {}: 3h and three times LeafCertTTL; raise it or lower LeafCertTTL", go_text(least));
    demand(faults, intermediate >= least, INTERMEDIATE_LIFE, intermediate, least_text);
    let root_bound =
        format!("at least IntermediateCertTTL, which is {}; raise it or lower that", go_text(intermediate));
    demand(faults, root >= intermediate, ROOT_LIFE, root, root_bound);
}

/// The checks that `SkipValidate` does not skip. If they fail, no leaf would ever be valid (N-141).
fn check_sense(life: CertificateLife, faults: &mut Vec<SettingFault>) {
    let CertificateLife { leaf, intermediate, root } = life;
    let least = go_text(LEAF_LIFE_SKIPPED_MIN);
    let bound =
        format!("at least {least}, with SkipValidate too: a shorter one is over before it is renewed");
    demand(faults, leaf >= LEAF_LIFE_SKIPPED_MIN, LEAF_LIFE, leaf, bound);
    let bound = format!(
        "at least LeafCertTTL, which is {}, with SkipValidate too: a CA ends after the leaves it signs",
        go_text(leaf)
    );
    demand(faults, intermediate >= leaf, INTERMEDIATE_LIFE, intermediate, bound.clone());
    demand(faults, root >= leaf, ROOT_LIFE, root, bound);
}

fn demand(faults: &mut Vec<SettingFault>, ok: bool, key: &'static str, found: Duration, bound: String) {
    if !ok {
        faults.push(SettingFault::Life { key, found: go_text(found), bound });
    }
}

/// A duration in Go's notation.
pub(crate) fn go_text(duration: Duration) -> String {
    let secs = duration.as_secs();
    if duration.subsec_nanos() > 0 {
        return match (secs, duration.subsec_nanos()) {
            (0, nanos) if nanos % 1_000_000 == 0 => format!("{}ms", nanos / 1_000_000),
            (0, nanos) if nanos % 1_000 == 0 => format!("{}µs", nanos / 1_000),
            (0, nanos) => format!("{nanos}ns"),
            _ => format!("{}s", duration.as_secs_f64()),
        };
    }
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (hours, 0, 0) => format!("{hours}h"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Reads Go's notation: decimal numbers, each with a unit.
fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        seconds += number * units.iter().find(|(name, _)| *name == unit)?.1;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| duration.as_secs() < i64::MAX as u64 / 1_000_000_000)
}
