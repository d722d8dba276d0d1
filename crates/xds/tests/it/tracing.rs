//! How managers of requests trace.

use concord_envoy_proto::envoy::config::listener::v3::{Listener, filter::ConfigType};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::Tracing;
use concord_model::intention::Action;
use concord_xds::{Configuration, ResourceType, Unserved, sidecar};
use serde_json::{Value, json};

use crate::world::{self, NEWEST, Told, message, settings, unpacked, upstream};

const TYPE: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager.Tracing";

fn built(tracing: &str) -> Configuration {
    let told = Told::default().write("proxy-defaults", "global", r#"{"config": {"protocol": "http"}}"#);
    let mut instance = world::sidecar(vec![upstream("db", 9191)]);
    let config = json!({ "protocol": "http", "envoy_listener_tracing_json": tracing });
    instance.proxy.as_mut().unwrap().config = settings(&config.to_string());
    sidecar(&told.snapshot(instance, Action::Deny), NEWEST).unwrap()
}

/// How the managers trace: of the public listener, and of the upstream's.
fn tracing(built: &Configuration) -> Vec<Tracing> {
    let names = ["public_listener:0.0.0.0:21000", "db:127.0.0.1:9191"];
    let of = |name: &str| {
        let own: Listener = message(&built.resources, ResourceType::Listener, name);
        let Some(ConfigType::TypedConfig(config)) = &own.filter_chains[0].filters[0].config_type else {
            panic!("no manager")
        };
        unpacked::<HttpConnectionManager>(config).tracing.unwrap()
    };
    names.map(of).to_vec()
}

fn sampled(own: &Tracing) -> f64 {
    own.random_sampling.unwrap().value
}

#[test]
fn all_managers_trace_as_the_setting_says() {
    let said: Value = json!({ "@type": TYPE, "randomSampling": { "value": 12.5 }, "verbose": true,
        "custom_tags": [{ "tag": "team", "literal": { "value": "blue" } }] });
    let built = built(&said.to_string());
    assert_eq!(built.unserved, []);
    for own in tracing(&built) {
        assert_eq!((sampled(&own), own.verbose, own.custom_tags[0].tag.as_str()), (12.5, true, "team"));
    }
}

#[test]
fn n_265_a_tracing_that_cannot_be_read_is_told_and_not_passed_over() {
    let other = json!({ "@type": "type.googleapis.com/envoy.config.listener.v3.Listener" }).to_string();
    let unknown = json!({ "@type": TYPE, "no_such_field": 1 }).to_string();
    for wrong in ["{}", "[", other.as_str(), unknown.as_str()] {
        let built = built(wrong);
        let [Unserved::Given { key, .. }] = &built.unserved[..] else {
            panic!("{wrong}: {:?}", built.unserved)
        };
        assert_eq!(*key, "envoy_listener_tracing_json");
        assert!(tracing(&built).iter().all(|own| sampled(own) == 0.0), "the caller decides");
    }
    let nothing = built("");
    assert_eq!(nothing.unserved, []);
    assert!(tracing(&nothing).iter().all(|own| sampled(own) == 0.0));
}
