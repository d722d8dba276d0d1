//! What consul-dataplane asks before it starts Envoy.

use concord_envoy_proto::json;
use concord_model::Uuid;
use concord_model::catalog::ServiceInstance;
use concord_model::proxy::Settings;
use concord_public_proto::dataplane::{
    Feature, FeatureSupport, FeaturesRequest, FeaturesResponse, ParamsRequest, ParamsResponse,
};
use concord_rpc::ServerApiExt as _;
use concord_rpc::request::{InstanceOnNode, NodeChoice, ReadProxy};
use concord_xds::access_log;
use serde_json::Value;
use tonic::Status;

use super::call::{Call, refusal};
use super::servers::Servers;

/// What there is. Any valid token may ask.
pub(super) async fn features(call: Call, _: FeaturesRequest) -> Result<FeaturesResponse, Status> {
    Servers::of(&call).next().await?;
    let all = [
        (Feature::WatchServers, true),
        (Feature::EdgeCertificateManagement, true),
        (Feature::EnvoyBootstrapConfiguration, true),
        (Feature::Fips, false),
    ];
    let shown = |(feature, supported)| FeatureSupport { feature_name: feature as i32, supported };
    Ok(FeaturesResponse { supported_dataplane_features: all.into_iter().map(shown).collect() })
}

/// What the bootstrap of a proxy needs, for whoever may read its service.
pub(super) async fn params(call: Call, asked: ParamsRequest) -> Result<ParamsResponse, Status> {
    let request = request(asked)?;
    let answer = call.servers.call(call.head, request).await.map_err(|error| refusal(&error))?;
    shown(answer.value)
}

fn request(asked: ParamsRequest) -> Result<ReadProxy, Status> {
    let ParamsRequest { node_id, node_name, service_id, partition, namespace, proxy_id } = asked;
    for (field, value) in [("partition", partition), ("namespace", namespace)] {
        if !value.is_empty() && value != "default" {
            return Err(Status::invalid_argument(format!("{field}: there is default alone, not {value:?}")));
        }
    }
    let node = match (node_id.as_str(), node_name.as_str()) {
        ("", "") => return Err(Status::invalid_argument("Node ID or name required to lookup the service")),
        ("", name) => NodeChoice::Name(parsed("node_name", name)?),
        (id, _) => {
            let wrong = |error| Status::invalid_argument(format!("node_id: {error}"));
            NodeChoice::Id(Uuid::parse(id).map_err(wrong)?)
        }
    };
    // Older clients say it in the older field alone.
    let proxy = if service_id.is_empty() { proxy_id } else { service_id };
    Ok(ReadProxy { node, proxy: parsed("proxy_id", &proxy)? })
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Status> {
    text.parse().map_err(|error| Status::invalid_argument(format!("{field}: {error}")))
}

fn shown(found: InstanceOnNode) -> Result<ParamsResponse, Status> {
    let InstanceOnNode { node, service: ServiceInstance { service, proxy, .. } } = found;
    let proxy = proxy.unwrap_or_default();
    let logs = proxy.access_logs.as_deref().map(access_log::of_admin).transpose();
    let logs = logs.map_err(|error| Status::failed_precondition(error.to_string()))?.unwrap_or_default();
    let served = proxy.destination_service.as_ref().unwrap_or(&service).to_string();
    Ok(ParamsResponse {
        service: served.clone(),
        namespace: "default".to_owned(),
        partition: "default".to_owned(),
        datacenter: node.datacenter.to_string(),
        config: Some(settings(&proxy.config)),
        node_name: node.name.to_string(),
        access_logs: logs.iter().map(Value::to_string).collect(),
        identity: served,
    })
}

fn settings(all: &Settings) -> prost_types::Struct {
    prost_types::Struct { fields: all.iter().map(|(key, value)| (key.clone(), json::value(value))).collect() }
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;

    use super::*;

    #[track_caller]
    fn check(asked: ParamsRequest, expected: Result<(&str, &str), &str>) {
        let found = request(asked).map(|request| (format!("{:?}", request.node), request.proxy.to_string()));
        match (&found, expected) {
            (Ok((node, proxy)), Ok(expected)) => {
                assert!(node.contains(expected.0) && proxy == expected.1, "{found:?}")
            }
            (Err(status), Err(expected)) => {
                assert_eq!(status.code(), tonic::Code::InvalidArgument);
                assert!(status.message().contains(expected), "{status:?}");
            }
            _ => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn a_proxy_is_named_by_its_node_and_id_in_older_and_newer_fields() {
        let asked = || ParamsRequest {
            node_name: "n1".to_owned(),
            proxy_id: "web-proxy".to_owned(),
            ..ParamsRequest::default()
        };
        check(asked(), Ok(("Name", "web-proxy")));
        check(ParamsRequest { service_id: "old".to_owned(), ..asked() }, Ok(("Name", "old")));
        let id = "3c5c1d1e-7a0e-4f0b-9a53-4a1f6f0e8c11";
        check(ParamsRequest { node_id: id.to_owned(), ..asked() }, Ok((id, "web-proxy")));
        check(ParamsRequest { node_name: String::new(), ..asked() }, Err("Node ID or name required"));
        check(ParamsRequest { proxy_id: String::new(), ..asked() }, Err("proxy_id: "));
        check(ParamsRequest { node_id: "x".to_owned(), ..asked() }, Err("node_id: "));
        check(
            ParamsRequest { partition: "eu".to_owned(), ..asked() },
            Err("partition: there is default alone"),
        );
        check(
            ParamsRequest { namespace: "shop".to_owned(), ..asked() },
            Err("namespace: there is default alone"),
        );
    }

    #[test]
    fn settings_keep_their_values() {
        let all = Settings::from([("a".to_owned(), serde_json::json!({ "b": [1, true, null, "c"] }))]);
        let Some(Kind::StructValue(inner)) = settings(&all).fields["a"].kind.clone() else {
            panic!("an object")
        };
        let Some(Kind::ListValue(list)) = inner.fields["b"].kind.clone() else { panic!("a list") };
        let kinds: Vec<_> = list.values.into_iter().filter_map(|value| value.kind).collect();
        let text = Kind::StringValue("c".to_owned());
        assert_eq!(kinds, [Kind::NumberValue(1.0), Kind::BoolValue(true), Kind::NullValue(0), text]);
    }
}
