//! Access logs of `proxy-defaults`, as Envoy takes them: of its listeners and filters, and of its admin interface.

use concord_envoy_proto::envoy::config::accesslog::v3::access_log::ConfigType;
use concord_envoy_proto::envoy::config::accesslog::v3::access_log_filter::FilterSpecifier;
use concord_envoy_proto::envoy::config::accesslog::v3::{AccessLog, AccessLogFilter, ResponseFlagFilter};
use concord_envoy_proto::envoy::config::core::v3::data_source::Specifier;
use concord_envoy_proto::envoy::config::core::v3::substitution_format_string::Format as LineFormat;
use concord_envoy_proto::envoy::config::core::v3::{DataSource, SubstitutionFormatString};
use concord_envoy_proto::envoy::extensions::access_loggers::file::v3::{FileAccessLog, file_access_log};
use concord_envoy_proto::envoy::extensions::access_loggers::stream::v3::{
    StderrAccessLog, StdoutAccessLog, stderr_access_log, stdout_access_log,
};
use concord_envoy_proto::{Any, any, json};
use concord_model::proxy::{AccessLogSink, AccessLogs};
use serde_json::{Map, Value, json};

/// The name of the log of a filter, and of the admin interface.
const OF_FILTER: &str = "Consul Listener Filter Log";
/// The name of the log of a listener.
const OF_LISTENER: &str = "Consul Listener Log";
/// What a listener logs: connections for which it has no filters. The filters log the others.
const NO_ROUTE: &str = "NR";

/// What a line holds if nothing is said: the field, and the operator of Envoy that fills it.
pub const FIELDS: [(&str, &str); 24] = [
    ("start_time", "%START_TIME%"),
    ("route_name", "%ROUTE_NAME%"),
    ("method", "%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("response_code_details", "%RESPONSE_CODE_DETAILS%"),
    ("connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration", "%DURATION%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"),
    ("user_agent", "%REQ(USER-AGENT)%"),
    ("request_id", "%REQ(X-REQUEST-ID)%"),
    ("authority", "%REQ(:AUTHORITY)%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("upstream_cluster", "%UPSTREAM_CLUSTER%"),
    ("upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"),
    ("downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"),
    ("downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"),
    ("requested_server_name", "%REQUESTED_SERVER_NAME%"),
    ("upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"),
];

/// A format of lines that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("json_format is no JSON object: {0}")]
pub struct FormatFault(String);

/// What a line is made of.
enum Format {
    Json(Map<String, Value>),
    Text(String),
}

impl Format {
    fn read(logs: &AccessLogs) -> Result<Self, FormatFault> {
        if !logs.json_format.is_empty() {
            let read = serde_json::from_str(&logs.json_format);
            return read.map(Self::Json).map_err(|error| FormatFault(error.to_string()));
        }
        if !logs.text_format.is_empty() {
            // A line ends, whatever was written.
            return Ok(Self::Text(format!("{}\n", logs.text_format.trim_end_matches('\n'))));
        }
        Ok(Self::Json(FIELDS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()))
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Json(fields) => json!({ "json_format": fields }),
            Self::Text(text) => json!({ "text_format_source": { "inline_string": text } }),
        }
    }

    fn as_message(&self) -> SubstitutionFormatString {
        let format = match self {
            Self::Json(fields) => LineFormat::JsonFormat(json::structure(fields)),
            Self::Text(text) => {
                let specifier = Some(Specifier::InlineString(text.clone()));
                LineFormat::TextFormatSource(DataSource { specifier, ..DataSource::default() })
            }
        };
        SubstitutionFormatString { format: Some(format), ..SubstitutionFormatString::default() }
    }
}

/// The access logs of the admin interface; none unless they are enabled.
///
/// # Errors
/// When the format is no JSON object.
pub fn of_admin(logs: &AccessLogs) -> Result<Vec<Value>, FormatFault> {
    if !logs.enabled {
        return Ok(Vec::new());
    }
    let (kind, package) = match logs.sink {
        AccessLogSink::Unset | AccessLogSink::StandardOutput => ("StdoutAccessLog", "stream"),
        AccessLogSink::StandardError => ("StderrAccessLog", "stream"),
        AccessLogSink::File => ("FileAccessLog", "file"),
    };
    let mut config = json!({
        "@type": format!("type.googleapis.com/envoy.extensions.access_loggers.{package}.v3.{kind}"),
        "log_format": Format::read(logs)?.as_json(),
    });
    if logs.sink == AccessLogSink::File {
        config["path"] = json!(logs.path);
    }
    Ok(vec![json!({ "name": OF_FILTER, "typed_config": config })])
}

/// The access logs of a proxy's listeners and filters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs {
    sink: Option<Any>,
    listeners: bool,
}

impl Logs {
    pub(crate) fn read(logs: &AccessLogs) -> Result<Self, FormatFault> {
        if !logs.enabled {
            return Ok(Self::default());
        }
        let sink = Some(sink(logs, Format::read(logs)?.as_message()));
        Ok(Self { sink, listeners: !logs.disable_listener_logs })
    }

    /// The logs of a filter: each request, or each connection.
    pub(crate) fn of_filter(&self) -> Vec<AccessLog> {
        Vec::from_iter(self.log(OF_FILTER, None))
    }

    /// The logs of a listener: connections for which it has no filters.
    pub(crate) fn of_listener(&self) -> Vec<AccessLog> {
        let flags = ResponseFlagFilter { flags: vec![NO_ROUTE.to_owned()] };
        let filter = AccessLogFilter { filter_specifier: Some(FilterSpecifier::ResponseFlagFilter(flags)) };
        Vec::from_iter(self.log(OF_LISTENER, Some(filter)).filter(|_| self.listeners))
    }

    fn log(&self, name: &str, filter: Option<AccessLogFilter>) -> Option<AccessLog> {
        let config_type = Some(ConfigType::TypedConfig(self.sink.clone()?));
        Some(AccessLog { name: name.to_owned(), filter, config_type })
    }
}

fn sink(logs: &AccessLogs, format: SubstitutionFormatString) -> Any {
    match logs.sink {
        AccessLogSink::Unset | AccessLogSink::StandardOutput => any(&StdoutAccessLog {
            access_log_format: Some(stdout_access_log::AccessLogFormat::LogFormat(format)),
        }),
        AccessLogSink::StandardError => any(&StderrAccessLog {
            access_log_format: Some(stderr_access_log::AccessLogFormat::LogFormat(format)),
        }),
        AccessLogSink::File => any(&FileAccessLog {
            path: logs.path.clone(),
            access_log_format: Some(file_access_log::AccessLogFormat::LogFormat(format)),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs() -> AccessLogs {
        AccessLogs { enabled: true, ..AccessLogs::default() }
    }

    #[test]
    fn where_and_how_lines_are_written() {
        let of = |logs: &AccessLogs| of_admin(logs).expect("a log")[0]["typed_config"].clone();
        assert_eq!(of(&logs())["log_format"]["json_format"]["method"], "%REQ(:METHOD)%");
        assert!(of(&logs())["@type"].as_str().is_some_and(|kind| kind.ends_with("StdoutAccessLog")));
        let file = AccessLogs {
            sink: AccessLogSink::File,
            path: "/l".to_owned(),
            text_format: "x".to_owned(),
            ..logs()
        };
        assert_eq!(of(&file)["path"], "/l");
        assert_eq!(of(&file)["log_format"]["text_format_source"]["inline_string"], "x\n");
        let own = AccessLogs {
            sink: AccessLogSink::StandardError,
            json_format: r#"{"a":"%DURATION%"}"#.to_owned(),
            ..logs()
        };
        assert_eq!(of(&own)["log_format"]["json_format"], json!({ "a": "%DURATION%" }));
    }

    #[test]
    fn filters_log_all_and_listeners_what_has_no_filters() {
        let own = Logs::read(&logs()).unwrap();
        assert!(own.of_filter()[0].filter.is_none());
        assert!(own.of_listener()[0].filter.is_some());
        let quiet = Logs::read(&AccessLogs { disable_listener_logs: true, ..logs() }).unwrap();
        assert_eq!((quiet.of_filter().len(), quiet.of_listener().len()), (1, 0));
    }

    #[test]
    fn a_format_that_is_no_object_is_refused_and_a_disabled_log_is_none() {
        let wrong = AccessLogs { json_format: "[1]".to_owned(), ..logs() };
        let refused = of_admin(&wrong).expect_err("it is a list").to_string();
        assert!(refused.contains("json_format is no JSON object"), "{refused}");
        assert!(Logs::read(&wrong).is_err());
        let off = AccessLogs { enabled: false, ..wrong };
        assert_eq!(of_admin(&off), Ok(Vec::new()));
        assert!(Logs::read(&off).unwrap().of_filter().is_empty());
    }
}
