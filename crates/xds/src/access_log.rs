//! Access logs of `proxy-defaults`, as Envoy takes them in JSON.

use concord_model::proxy::{AccessLogSink, AccessLogs};
use serde_json::{Map, Value, json};

use super::error::BootstrapError;

/// The name of the log in Envoy's configuration.
const NAME: &str = "Consul Listener Filter Log";

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

/// The access logs of the admin interface; none unless they are enabled.
///
/// # Errors
/// When the format is no JSON object.
pub fn of_admin(logs: &AccessLogs) -> Result<Vec<Value>, BootstrapError> {
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
        "log_format": format(logs)?,
    });
    if logs.sink == AccessLogSink::File {
        config["path"] = json!(logs.path);
    }
    Ok(vec![json!({ "name": NAME, "typed_config": config })])
}

fn format(logs: &AccessLogs) -> Result<Value, BootstrapError> {
    if !logs.json_format.is_empty() {
        let wrong =
            |what: String| BootstrapError::AccessLog(format!("json_format is no JSON object: {what}"));
        let fields: Map<String, Value> =
            serde_json::from_str(&logs.json_format).map_err(|error| wrong(error.to_string()))?;
        return Ok(json!({ "json_format": fields }));
    }
    if !logs.text_format.is_empty() {
        // A line ends, whatever was written.
        let text = format!("{}\n", logs.text_format.trim_end_matches('\n'));
        return Ok(json!({ "text_format_source": { "inline_string": text } }));
    }
    let fields: Map<String, Value> =
        FIELDS.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    Ok(json!({ "json_format": fields }))
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
    fn a_format_that_is_no_object_is_refused_and_a_disabled_log_is_none() {
        let wrong = AccessLogs { json_format: "[1]".to_owned(), ..logs() };
        let refused = of_admin(&wrong).expect_err("it is a list").to_string();
        assert!(refused.contains("json_format is no JSON object"), "{refused}");
        assert_eq!(of_admin(&AccessLogs { enabled: false, ..wrong }), Ok(Vec::new()));
    }
}
