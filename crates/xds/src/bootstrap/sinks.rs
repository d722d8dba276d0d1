//! Where Envoy sends its metrics: statsd, dogstatsd, and what users write themselves.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::error::BootstrapError;
use super::pieces::host_address;
use super::settings::{DOGSTATSD_URL, STATSD_URL, Settings};

pub(super) fn of(settings: &Settings) -> Result<Vec<Value>, BootstrapError> {
    let named = [
        (STATSD_URL, &settings.statsd_url, "statsd", "StatsdSink"),
        (DOGSTATSD_URL, &settings.dogstatsd_url, "dog_statsd", "DogStatsdSink"),
    ];
    let mut sinks = Vec::new();
    for (key, url, name, kind) in named {
        let Some(url) = url else { continue };
        let address = address(url).map_err(|reason| BootstrapError::setting(key, reason))?;
        sinks.push(json!({
            "name": format!("envoy.stat_sinks.{name}"),
            "typed_config": {
                "@type": format!("type.googleapis.com/envoy.config.metrics.v3.{kind}"),
                "address": address,
            },
        }));
    }
    sinks.extend(settings.stats_sinks.iter().cloned());
    Ok(sinks)
}

/// `udp://ip:port` or `unix:///path`.
fn address(url: &str) -> Result<Value, String> {
    let wrong = |what: &str| format!("{url:?} {what}; write udp://<ip>:<port> or unix:///<path>");
    if let Some(path) = url.strip_prefix("unix://") {
        return match path.starts_with('/') {
            true => Ok(json!({ "pipe": { "path": path } })),
            false => Err(wrong("has no absolute path")),
        };
    }
    let place = url.strip_prefix("udp://").ok_or_else(|| wrong("has another protocol than udp and unix"))?;
    let (host, port) = place.trim_end_matches('/').rsplit_once(':').ok_or_else(|| wrong("has no port"))?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Envoy sends to addresses alone.
    let ip: IpAddr = host.parse().map_err(|_| wrong("has no IP address"))?;
    let port: u16 = port.parse().map_err(|_| wrong("has no port"))?;
    Ok(host_address(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<Value, &str>) {
        match (address(url), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{url}"),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{url}: {found}"),
            (found, expected) => panic!("{url}: {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn addresses_of_sinks() {
        let socket = |ip: &str| json!({ "socket_address": { "address": ip, "port_value": 8125 } });
        check("udp://127.0.0.1:8125", Ok(socket("127.0.0.1")));
        check("udp://[::1]:8125", Ok(socket("::1")));
        check("unix:///run/dog.sock", Ok(json!({ "pipe": { "path": "/run/dog.sock" } })));
        check("unix://dog.sock", Err("has no absolute path"));
        check("tcp://127.0.0.1:8125", Err("another protocol"));
        check("udp://statsd.example:8125", Err("has no IP address"));
        check("udp://127.0.0.1", Err("has no port"));
        check("", Err("another protocol"));
    }
}
