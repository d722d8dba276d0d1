//! CA configuration: the JSON of the answer, the body of a change, and the settings that all providers share.
//!
//! Settings are accepted in both key styles and with any scalar type, as in Consul, and are stored in one form: known
//! keys in CamelCase, durations in Go's notation. Unknown keys are stored unchanged, because a provider may know
//! them. Secrets are taken out; they are stored beside the settings and never printed.

use std::collections::BTreeMap;

use concord_model::Secret;
use concord_model::ca::CaConfig;
use concord_model::proxy::Settings;
use concord_syntax::{duration, same_key};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::fault::{Fault, Faults};
use crate::shape::{null_default, null_if_empty, settings};

/// `connect/ca/configuration`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CaConfiguration {
    /// Name of the provider.
    pub provider: String,
    /// The provider's settings, without secrets.
    #[serde(with = "settings")]
    pub config: Settings,
    /// The provider's data; `null` if there is none.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "null_default")]
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot sign the new one.
    pub force_without_cross_signing: bool,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// It has no `Debug`, because the settings may still contain a private key.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Body {
    provider: String,
    #[serde(deserialize_with = "null_default")]
    config: Settings,
    #[serde(deserialize_with = "null_default")]
    state: BTreeMap<String, String>,
    force_without_cross_signing: bool,
    force_without_oldest_root: bool,

    // Answers contain these fields, and clients send back what they read.
    #[serde(rename = "ClusterID")]
    _cluster_id: IgnoredAny,
    _create_index: IgnoredAny,
    _modify_index: IgnoredAny,
}

/// A change of the CA configuration.
#[derive(Clone, Debug)]
pub struct CaConfigurationBody {
    /// Name of the provider.
    pub provider: String,
    /// Its settings.
    pub settings: CaSettings,
    /// The provider's data as the caller knows it: must be empty or unchanged.
    pub state: BTreeMap<String, String>,
    /// Rotate even if the old root cannot sign the new one.
    pub force_without_cross_signing: bool,
    /// Rotate even if leaves still depend on the oldest root, which is dropped. Not in Consul.
    pub force_without_oldest_root: bool,
}

/// Normalised settings, and the secrets separately.
#[derive(Clone, Debug, Default)]
pub struct CaSettings {
    /// Known keys in CamelCase with normalised values; other keys as given.
    pub plain: Settings,
    /// A private key that the operator supplies, PEM.
    pub private_key: Option<Secret>,
}

/// The type of a known key's value.
#[derive(Clone, Copy)]
enum Form {
    Duration,
    Integer,
    Number,
    Flag,
    Text,
}

const KNOWN: [(&str, Form); 11] = [
    ("LeafCertTTL", Form::Duration),
    ("IntermediateCertTTL", Form::Duration),
    ("RootCertTTL", Form::Duration),
    ("RotationPeriod", Form::Duration),
    ("SkipValidate", Form::Flag),
    ("CSRMaxPerSecond", Form::Number),
    ("CSRMaxConcurrent", Form::Integer),
    ("PrivateKeyType", Form::Text),
    ("PrivateKeyBits", Form::Integer),
    ("RootCert", Form::Text),
    ("PrivateKey", Form::Text),
];

impl CaConfiguration {
    /// The JSON of the configuration in force. It does not contain the cluster id.
    pub fn from_model(config: &CaConfig) -> Self {
        let CaConfig { cluster_id: _, provider, settings, state, force_without_cross_signing, stamp } =
            config;
        Self {
            provider: provider.clone(),
            config: settings.clone(),
            state: state.clone(),
            force_without_cross_signing: *force_without_cross_signing,
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl CaConfigurationBody {
    /// Parses the body. An empty provider means the one in force.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        let Body { provider, config, state, force_without_cross_signing, force_without_oldest_root, .. } =
            decode::body(body, REQUEST_DECODE_FAILED)?;
        let settings = CaSettings::normalise(config)?;
        Ok(Self { provider, settings, state, force_without_cross_signing, force_without_oldest_root })
    }
}

impl CaSettings {
    /// Normalises settings and takes out the private key.
    pub fn normalise(written: Settings) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut own = Self::default();
        // A setting that is `null` counts as left out, as in Consul.
        for (key, value) in written.into_iter().filter(|(_, value)| !value.is_null()) {
            let Some((name, form)) = KNOWN.iter().find(|(name, _)| same_key(name, &key)) else {
                own.plain.insert(key, value);
                continue;
            };
            match normal(*form, &value) {
                Some(Value::String(text)) if *name == "PrivateKey" => {
                    own.private_key = (!text.is_empty()).then(|| Secret::new(text));
                }
                Some(value) => {
                    own.plain.insert((*name).to_owned(), value);
                }
                None => {
                    let text = format!("Config.{name}: expected {}", form.wanted());
                    faults.push(Fault::rule(format!("Config.{name}"), text));
                }
            }
        }
        Faults::or("Invalid CA configuration", faults, own)
    }
}

impl Form {
    fn wanted(self) -> &'static str {
        match self {
            Self::Duration => "a duration such as \"72h\"",
            Self::Integer => "a whole number of at least 0",
            Self::Number => "a number of at least 0",
            Self::Flag => "true or false",
            Self::Text => "a text",
        }
    }
}

/// The normalised value; `None` if it does not have this type. Durations as text keep their spelling.
fn normal(form: Form, value: &Value) -> Option<Value> {
    match (form, value) {
        (Form::Duration, Value::String(text)) => duration::parse(text).ok().map(|_| value.clone()),
        (Form::Duration, Value::Number(nanos)) => {
            let nanos = std::time::Duration::from_nanos(nanos.as_u64()?);
            Some(duration::format(nanos).into())
        }
        (Form::Integer, Value::Number(number)) => whole(number).map(Value::from),
        (Form::Integer, Value::String(text)) => text.parse::<u64>().ok().map(Value::from),
        (Form::Number, Value::Number(number)) => number.as_f64().filter(|n| *n >= 0.0).map(|_| value.clone()),
        (Form::Number, Value::String(text)) => {
            text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(Value::from)
        }
        (Form::Flag, Value::Bool(_)) | (Form::Text, Value::String(_)) => Some(value.clone()),
        (Form::Flag, Value::String(text)) => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    }
}

fn whole(number: &serde_json::Number) -> Option<u64> {
    let float = || number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n));
    number.as_u64().or_else(|| float().map(|n| n as u64))
}
