//! The keys of a proxy's opaque configuration that shape its bootstrap. Other keys are for what Envoy is told later.

use concord_model::proxy;
use serde_json::Value;

use super::error::BootstrapError;

pub(super) const STATSD_URL: &str = "envoy_statsd_url";
pub(super) const DOGSTATSD_URL: &str = "envoy_dogstatsd_url";
pub(super) const PROMETHEUS_BIND: &str = "envoy_prometheus_bind_addr";
pub(super) const STATS_BIND: &str = "envoy_stats_bind_addr";
const STATS_TAGS: &str = "envoy_stats_tags";
const FLUSH_INTERVAL: &str = "envoy_stats_flush_interval";
const TRACING: &str = "envoy_tracing_json";
const STATIC_CLUSTERS: &str = "envoy_extra_static_clusters_json";
const STATIC_LISTENERS: &str = "envoy_extra_static_listeners_json";
const STATS_SINKS: &str = "envoy_extra_stats_sinks_json";
const STATS_CONFIG: &str = "envoy_stats_config_json";
pub(super) const TEMPLATE: &str = "envoy_bootstrap_json_tpl";
const COLLECTOR: &str = "envoy_telemetry_collector_bind_socket_dir";
/// The only variable that is replaced within a text; a text that is one variable may name any.
const WITHIN: &str = "HOST_IP";

/// What the proxy's configuration says about its bootstrap.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Where metrics are sent in the form of statsd.
    pub statsd_url: Option<String>,
    /// Where metrics are sent in the form of dogstatsd.
    pub dogstatsd_url: Option<String>,
    /// `name=value` of tags that every metric has.
    pub stats_tags: Vec<String>,
    /// Where metrics are served in the form of Prometheus.
    pub prometheus_bind: Option<String>,
    /// Where metrics are served as the admin interface does.
    pub stats_bind: Option<String>,
    /// The time between two deliveries of metrics, as protobuf writes it.
    pub stats_flush_interval: Option<String>,
    /// Envoy's `tracing`.
    pub tracing: Option<Value>,
    /// Further static clusters.
    pub static_clusters: Vec<Value>,
    /// Further static listeners.
    pub static_listeners: Vec<Value>,
    /// Further sinks of metrics.
    pub stats_sinks: Vec<Value>,
    /// Envoy's `stats_config`, instead of ours.
    pub stats_config: Option<Value>,
    /// The whole bootstrap as a template, instead of ours.
    pub template: Option<String>,
}

impl Settings {
    /// Reads the keys of a proxy's merged configuration. `variable` is the environment of Envoy, which URLs of sinks
    /// may name.
    ///
    /// # Errors
    /// When a value has the wrong form.
    pub fn read(
        config: &proxy::Settings,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BootstrapError> {
        let read = Reader(config);
        if read.text(COLLECTOR)?.is_some() {
            return Err(BootstrapError::NotAvailable { key: COLLECTOR, what: "the collector of telemetry" });
        }
        Ok(Self {
            statsd_url: read.url(STATSD_URL, variable)?,
            dogstatsd_url: read.url(DOGSTATSD_URL, variable)?,
            stats_tags: read.texts(STATS_TAGS)?,
            prometheus_bind: read.text(PROMETHEUS_BIND)?,
            stats_bind: read.text(STATS_BIND)?,
            stats_flush_interval: read.text(FLUSH_INTERVAL)?,
            tracing: read.object(TRACING)?,
            static_clusters: read.objects(STATIC_CLUSTERS)?,
            static_listeners: read.objects(STATIC_LISTENERS)?,
            stats_sinks: read.objects(STATS_SINKS)?,
            stats_config: read.object(STATS_CONFIG)?,
            template: read.text(TEMPLATE)?,
        })
    }
}

/// Keys are found in any case, as Consul does.
struct Reader<'a>(&'a proxy::Settings);

impl Reader<'_> {
    fn find(&self, key: &str) -> Option<&Value> {
        let exact = self.0.get(key);
        exact.or_else(|| self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(key)).map(|(_, value)| value))
    }

    /// A text, or a number or truth value as a text; an empty one counts as missing.
    fn text(&self, key: &'static str) -> Result<Option<String>, BootstrapError> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let text = scalar(value).ok_or_else(|| BootstrapError::setting(key, "expected a text"))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn texts(&self, key: &'static str) -> Result<Vec<String>, BootstrapError> {
        let wrong = || BootstrapError::setting(key, "expected a list of texts, such as [\"team=web\"]");
        match self.find(key) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(|one| scalar(one).ok_or_else(wrong)).collect(),
            Some(one) => Ok(vec![scalar(one).ok_or_else(wrong)?]),
        }
    }

    fn url(
        &self,
        key: &'static str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<String>, BootstrapError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let unset = |name: &str| {
            BootstrapError::setting(
                key,
                format!("the environment variable {name} is not set where Envoy is started"),
            )
        };
        if let Some(name) = text.strip_prefix('$').filter(|name| name.len() > 1 && !name.starts_with('{')) {
            return variable(name).map(Some).ok_or_else(|| unset(name));
        }
        let (braced, plain) = (format!("${{{WITHIN}}}"), format!("${WITHIN}"));
        if !text.contains(&braced) && !text.contains(&plain) {
            return Ok(Some(text));
        }
        let value = variable(WITHIN).ok_or_else(|| unset(WITHIN))?;
        Ok(Some(text.replace(&braced, &value).replace(&plain, &value)))
    }

    fn object(&self, key: &'static str) -> Result<Option<Value>, BootstrapError> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| BootstrapError::setting(key, format!("it is no JSON: {error}")))?;
        if value.is_object() {
            Ok(Some(value))
        } else {
            Err(BootstrapError::setting(key, "expected one JSON object"))
        }
    }

    /// Objects that are separated by commas, as they stand in a list.
    fn objects(&self, key: &'static str) -> Result<Vec<Value>, BootstrapError> {
        let Some(text) = self.text(key)? else { return Ok(Vec::new()) };
        let list: Vec<Value> = serde_json::from_str(&format!("[{text}]"))
            .map_err(|error| BootstrapError::setting(key, format!("it is no JSON: {error}")))?;
        if list.iter().all(Value::is_object) {
            return Ok(list);
        }
        Err(BootstrapError::setting(
            key,
            "expected JSON objects, separated by commas and without brackets around them",
        ))
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        // As Go's weak decoding does.
        Value::Bool(truth) => Some(i32::from(*truth).to_string()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(config: Value) -> Result<Settings, BootstrapError> {
        let config: proxy::Settings = serde_json::from_value(config).expect("an object");
        let variable = |name: &str| match name {
            "STATSD" => Some("udp://127.0.0.1:1".to_owned()),
            "HOST_IP" => Some("10.0.0.1".to_owned()),
            _ => None,
        };
        Settings::read(&config, &variable)
    }

    #[track_caller]
    fn check(config: Value, expected: Settings) {
        assert_eq!(read(config), Ok(expected));
    }

    #[track_caller]
    fn refuses(config: Value, expected: &str) {
        let refused = read(config).expect_err("it cannot be used").to_string();
        assert_eq!(refused, expected);
    }

    #[test]
    fn values_are_read_in_the_forms_that_consul_takes() {
        let plain = Settings::default();
        check(json!({}), plain.clone());
        check(
            json!({ "envoy_stats_tags": ["a=1", 2], "Envoy_Stats_Bind_Addr": "0.0.0.0:1", "protocol": "http" }),
            Settings {
                stats_tags: vec!["a=1".to_owned(), "2".to_owned()],
                stats_bind: Some("0.0.0.0:1".to_owned()),
                ..plain.clone()
            },
        );
        check(
            json!({ "envoy_extra_static_clusters_json": r#"{"name":"a"},{"name":"b"}"#, "envoy_tracing_json": "" }),
            Settings { static_clusters: vec![json!({ "name": "a" }), json!({ "name": "b" })], ..plain },
        );
    }

    #[test]
    fn urls_of_sinks_may_name_the_environment() {
        let url = |text: &str| read(json!({ "envoy_dogstatsd_url": text })).map(|read| read.dogstatsd_url);
        assert_eq!(url("$STATSD"), Ok(Some("udp://127.0.0.1:1".to_owned())));
        assert_eq!(url("udp://${HOST_IP}:8125"), Ok(Some("udp://10.0.0.1:8125".to_owned())));
        assert_eq!(url("udp://$HOST_IP:8125"), Ok(Some("udp://10.0.0.1:8125".to_owned())));
        // Any other variable stays, and is no address then.
        assert_eq!(url("udp://${HOME}:8125"), Ok(Some("udp://${HOME}:8125".to_owned())));
        refuses(
            json!({ "envoy_statsd_url": "$NOTHING" }),
            "envoy_statsd_url: the environment variable NOTHING is not set where Envoy is started",
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        refuses(json!({ "envoy_tracing_json": "[]" }), "envoy_tracing_json: expected one JSON object");
        refuses(json!({ "envoy_stats_flush_interval": {} }), "envoy_stats_flush_interval: expected a text");
        refuses(
            json!({ "envoy_extra_static_listeners_json": "[{}]" }),
            "envoy_extra_static_listeners_json: expected JSON objects, separated by commas and without brackets around them",
        );
        refuses(
            json!({ "envoy_telemetry_collector_bind_socket_dir": "/run" }),
            "envoy_telemetry_collector_bind_socket_dir: not available yet: the collector of telemetry; remove it from the \
             proxy's configuration and from proxy-defaults",
        );
        let wrong = read(json!({ "envoy_extra_stats_sinks_json": "{" })).expect_err("no JSON").to_string();
        assert!(wrong.starts_with("envoy_extra_stats_sinks_json: it is no JSON: "), "{wrong}");
    }
}
