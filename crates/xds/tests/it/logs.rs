//! Where access logs are written.

use concord_envoy_proto::envoy::config::accesslog::v3::AccessLog;
use concord_envoy_proto::envoy::config::listener::v3::{Filter, Listener, filter::ConfigType};
use concord_envoy_proto::envoy::extensions::access_loggers::file::v3::FileAccessLog;
use concord_envoy_proto::envoy::extensions::access_loggers::file::v3::file_access_log::AccessLogFormat;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use concord_model::intention::Action;
use concord_model::proxy::{AccessLogSink, AccessLogs};
use concord_xds::{Configuration, ResourceType, Unserved, sidecar};

use crate::world::{self, NEWEST, message, settings, snapshot, unpacked, upstream};

fn built(logs: AccessLogs, config: &str) -> Configuration {
    let mut own = upstream("db", 9191);
    own.config = settings(config);
    let mut instance = world::sidecar(vec![own]);
    let proxy = instance.proxy.as_mut().unwrap();
    (proxy.config, proxy.access_logs) = (settings(config), Some(Box::new(logs)));
    sidecar(&snapshot(instance, vec![], Action::Deny, vec![("db", vec![])]), NEWEST).unwrap()
}

fn logs() -> AccessLogs {
    AccessLogs { enabled: true, sink: AccessLogSink::File, path: "/log".to_owned(), ..AccessLogs::default() }
}

fn of_filter(filter: &Filter) -> Vec<AccessLog> {
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!("no configuration") };
    match filter.name.as_str() {
        "envoy.filters.network.http_connection_manager" => {
            unpacked::<HttpConnectionManager>(config).access_log
        }
        "envoy.filters.network.tcp_proxy" => unpacked::<TcpProxy>(config).access_log,
        _ => Vec::new(),
    }
}

/// How many logs the listeners have, and their filters.
fn counted(built: &Configuration) -> Vec<(usize, usize)> {
    let names = ["public_listener:0.0.0.0:21000", "db:127.0.0.1:9191"];
    let all = names.map(|name| message::<Listener>(&built.resources, ResourceType::Listener, name));
    let filters = |own: &Listener| own.filter_chains[0].filters.iter().flat_map(of_filter).count();
    all.iter().map(|own| (own.access_log.len(), filters(own))).collect()
}

#[test]
fn every_listener_and_the_last_filter_of_each_write_the_log() {
    for protocol in [r#"{"protocol": "tcp"}"#, r#"{"protocol": "http"}"#] {
        assert_eq!(counted(&built(logs(), protocol)), [(1, 1), (1, 1)], "{protocol}");
        let quiet = AccessLogs { disable_listener_logs: true, ..logs() };
        assert_eq!(counted(&built(quiet, protocol)), [(0, 1), (0, 1)], "{protocol}");
        let off = AccessLogs { enabled: false, ..logs() };
        assert_eq!(counted(&built(off, protocol)), [(0, 0), (0, 0)], "{protocol}");
    }
}

#[test]
fn a_line_has_the_fields_that_are_usual_or_those_that_are_asked_for() {
    let line = |logs: AccessLogs| {
        let own: Listener =
            message(&built(logs, "{}").resources, ResourceType::Listener, "public_listener:0.0.0.0:21000");
        let log = of_filter(own.filter_chains[0].filters.last().unwrap()).remove(0);
        assert_eq!(log.name, "Consul Listener Filter Log");
        let Some(concord_envoy_proto::envoy::config::accesslog::v3::access_log::ConfigType::TypedConfig(
            config,
        )) = log.config_type
        else {
            panic!("no configuration")
        };
        let FileAccessLog { path, access_log_format: Some(AccessLogFormat::LogFormat(format)) } =
            unpacked(&config)
        else {
            panic!("no format")
        };
        assert_eq!(path, "/log");
        format!("{:?}", format.format)
    };
    assert!(line(logs()).contains("%CONNECTION_TERMINATION_DETAILS%"));
    let own = line(AccessLogs { json_format: r#"{"a": ["%DURATION%"]}"#.to_owned(), ..logs() });
    assert!(own.contains("%DURATION%") && !own.contains("%PROTOCOL%"), "{own}");
    let text = line(AccessLogs { text_format: "x %DURATION%".to_owned(), ..logs() });
    assert!(text.contains(r#""x %DURATION%\n""#), "{text}");
}

#[test]
fn n_303_a_log_that_cannot_be_written_is_told_and_traffic_goes_on() {
    let wrong = AccessLogs { json_format: "[1]".to_owned(), ..logs() };
    let built = built(wrong, "{}");
    assert!(matches!(&built.unserved[..], [Unserved::AccessLogs(_)]), "{:?}", built.unserved);
    assert_eq!(counted(&built), [(0, 0), (0, 0)]);
}
