//! `internal/service-virtual-ip`: addresses that an operator gives a service.

use std::net::Ipv4Addr;

use concord_model::{PeerName, ServiceName, ServiceRef};
use serde::{Deserialize, Serialize};

use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::definition::field;
use crate::fault::{Fault, Faults};
use crate::proxy::text;
use crate::shape::null_default;

/// The body of `PUT internal/service-virtual-ip`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ServiceAddressesBody {
    service: String,
    #[serde(rename = "ManualVIPs", deserialize_with = "null_default")]
    manual_vips: Vec<String>,
    namespace: String,
    partition: String,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceAddressesAnswer {
    found: bool,
    /// `null` if no service has lost an address.
    unassigned_from: Option<Vec<PeeredService>>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PeeredService {
    service_name: Named,
    peer: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

impl ServiceAddressesBody {
    /// Parses a body.
    pub fn decode(body: &[u8]) -> Result<Self, Faults> {
        decode::body(body, REQUEST_DECODE_FAILED)
    }

    /// The service and its addresses, each once.
    pub fn resolve(&self) -> Result<(ServiceRef, Vec<Ipv4Addr>), Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        if self.service.is_empty() {
            faults.push(Fault::rule(
                "Service",
                "Service is required: name the service that gets the addresses",
            ));
        }
        let service = field::optional_name::<ServiceName>("Service", &self.service, &mut faults);
        let mut addresses = Vec::new();
        for (at, written) in self.manual_vips.iter().enumerate() {
            match written.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => {
                    let shown: String = written.chars().take(64).collect();
                    let name = format!("ManualVIPs[{at}]");
                    let rule = format!("{name}: {shown:?} is not a valid IPv4 address");
                    faults.push(Fault::rule(name, rule));
                }
            }
        }
        let service = service.filter(|_| faults.is_empty()).ok_or_else(|| Faults::many("", faults))?;
        Ok((ServiceRef::local(service), addresses))
    }
}

impl ServiceAddressesAnswer {
    /// The JSON of what was set.
    pub fn new(found: bool, taken_from: &[ServiceRef]) -> Self {
        let named = |service: &ServiceRef| PeeredService {
            service_name: Named { name: service.name.to_string() },
            peer: text(service.peer.as_ref().map(PeerName::as_str)),
        };
        let named: Vec<_> = taken_from.iter().map(named).collect();
        Self { found, unassigned_from: (!named.is_empty()).then_some(named) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_ipv4_and_the_service_is_named() {
        let read = |body: &str| ServiceAddressesBody::decode(body.as_bytes())?.resolve();
        let (service, addresses) = read(r#"{"Service":"web","ManualVIPs":["10.0.0.1"]}"#).unwrap();
        assert_eq!((service.name.as_str(), addresses), ("web", vec![Ipv4Addr::new(10, 0, 0, 1)]));
        assert!(read(r#"{"Service":"web","ManualVIPs":null}"#).unwrap().1.is_empty());
        let told = |body: &str| read(body).unwrap_err().to_string();
        assert!(told(r#"{"ManualVIPs":[]}"#).contains("Service is required"));
        assert!(
            told(r#"{"Service":"web","ManualVIPs":["::1"]}"#)
                .contains("ManualVIPs[0]: \"::1\" is not a valid IPv4")
        );
        assert!(told(r#"{"Service":"*"}"#).contains("Service"));
    }

    #[test]
    fn nobody_who_lost_an_address_is_null() {
        let shown =
            |taken: &[ServiceRef]| serde_json::to_value(ServiceAddressesAnswer::new(true, taken)).unwrap();
        assert_eq!(shown(&[]), json!({"Found": true, "UnassignedFrom": null}));
        let db = ServiceRef::local("db".parse().unwrap());
        assert_eq!(
            shown(&[db]),
            json!({"Found": true, "UnassignedFrom": [{"ServiceName": {"Name": "db"}, "Peer": ""}]})
        );
    }
}
