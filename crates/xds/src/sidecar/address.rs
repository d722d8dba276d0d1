//! Addresses as Envoy writes them, and what discovers by the same stream.

use concord_envoy_proto::envoy::config::core::v3::address::Address as Form;
use concord_envoy_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use concord_envoy_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use concord_envoy_proto::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, Pipe, SocketAddress, TransportSocket,
    transport_socket,
};
use concord_envoy_proto::{Any, Duration};
use concord_model::Timeout;
use concord_proxycfg::BindAddress;

/// A TCP address.
pub(super) fn tcp(host: String, port: u16) -> Address {
    let port_specifier = Some(PortSpecifier::PortValue(port.into()));
    let address = SocketAddress { address: host, port_specifier, ..SocketAddress::default() };
    Address { address: Some(Form::SocketAddress(address)) }
}

/// A unix socket.
pub(super) fn unix(path: String, mode: u32) -> Address {
    Address { address: Some(Form::Pipe(Pipe { path, mode })) }
}

pub(super) fn bind(bind: &BindAddress) -> Address {
    match bind {
        BindAddress::Tcp(address) => tcp(address.ip().to_string(), address.port()),
        BindAddress::Unix { path, mode } => unix(path.clone(), mode.unwrap_or_default()),
    }
}

/// "Over the stream by which this came."
pub(super) fn by_this_stream() -> ConfigSource {
    ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        resource_api_version: ApiVersion::V3.into(),
        ..ConfigSource::default()
    }
}

pub(super) fn transport_socket(name: &str, config: Any) -> TransportSocket {
    let config_type = Some(transport_socket::ConfigType::TypedConfig(config));
    TransportSocket { name: name.to_owned(), config_type }
}

pub(super) fn duration(own: std::time::Duration) -> Duration {
    Duration::try_from(own).expect("a timeout is at most a day")
}

/// A time limit that is one: neither unset nor turned off.
pub(super) fn positive(timeout: Timeout) -> Option<std::time::Duration> {
    let nanos = u64::try_from(timeout.0.nanos()).ok().filter(|nanos| *nanos > 0)?;
    Some(std::time::Duration::from_nanos(nanos))
}
