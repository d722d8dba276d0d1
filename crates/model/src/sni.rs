//! Server names (SNI): the name in a client's TLS hello, by which its connection is routed to a service.
//!
//! The form is Consul's (`<service>.<namespace>.<datacenter>.internal.<trust domain>` and variants). A component that
//! is not a plain lower-case DNS label could make two services share a name (`x.y`, and subset `x` of `y`), or lose its
//! case on the way. So it is written as `_x` and its bytes in hexadecimal. For names that Consul's documentation
//! allows, the result is the same as Consul's.

use crate::name::{Datacenter, PeerName, ServiceRef};
use crate::spiffe::TrustDomain;

/// Maximum length of a server name in a TLS hello, in bytes (RFC 6066, RFC 1035).
pub const SNI_BYTES_MAX: usize = 255;
/// Maximum length of a label of a server name, in bytes (RFC 1035).
pub const SNI_LABEL_BYTES_MAX: usize = 63;

/// Why a service has no server name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SniError {
    /// The written component is longer than a DNS label may be.
    #[error("{0:?} is too long to be part of a TLS server name")]
    Label(String),
    /// The name is longer than a server name may be.
    #[error("the TLS server name for {0} would be longer than 255 bytes")]
    TooLong(String),
}

/// The name that the certificates of all servers of a datacenter have, and no service's. It is Consul's.
pub fn servers(datacenter: &str, trust_domain: &str) -> String {
    format!("server.{datacenter}.peering.{trust_domain}")
}

/// The server name of a service in a datacenter of this cluster, or of a subset of the service.
pub fn service(
    service: &ServiceRef,
    subset: Option<&str>,
    datacenter: &Datacenter,
    trust_domain: &TrustDomain,
) -> Result<String, SniError> {
    let mut labels = Vec::with_capacity(6);
    if let Some(subset) = subset {
        labels.push(label(subset)?);
    }
    labels.push(label(service.name.as_str())?);
    labels.push(label(service.namespace.as_str())?);
    let family = match (&service.peer, service.partition.is_default()) {
        (Some(peer), _) => return peered(labels, service, peer, trust_domain),
        (None, true) => "internal",
        (None, false) => {
            labels.push(label(service.partition.as_str())?);
            "internal-v1"
        }
    };
    labels.push(label(datacenter.as_str())?);
    join(labels, family, service, trust_domain)
}

fn peered(
    mut labels: Vec<String>,
    service: &ServiceRef,
    peer: &PeerName,
    trust_domain: &TrustDomain,
) -> Result<String, SniError> {
    labels.push(label(service.partition.as_str())?);
    labels.push(label(peer.as_str())?);
    join(labels, "external", service, trust_domain)
}

fn join(
    labels: Vec<String>,
    family: &str,
    service: &ServiceRef,
    trust_domain: &TrustDomain,
) -> Result<String, SniError> {
    let name = format!("{}.{family}.{trust_domain}", labels.join("."));
    if name.len() > SNI_BYTES_MAX { Err(SniError::TooLong(service.to_string())) } else { Ok(name) }
}

fn label(component: &str) -> Result<String, SniError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let written = if component.bytes().all(plain) && !component.starts_with("_x") {
        component.to_owned()
    } else {
        component.bytes().fold("_x".to_owned(), |text, byte| text + &format!("{byte:02x}"))
    };
    if written.len() > SNI_LABEL_BYTES_MAX { Err(SniError::Label(component.to_owned())) } else { Ok(written) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::name::{Namespace, Partition, ServiceName};

    fn td() -> TrustDomain {
        TrustDomain::parse("abc.consul").unwrap()
    }

    fn dc(name: &str) -> Datacenter {
        Datacenter::parse(name).unwrap()
    }

    fn at(partition: &str, namespace: &str, peer: Option<&str>, name: &str) -> ServiceRef {
        ServiceRef {
            partition: Partition::parse(partition).unwrap(),
            namespace: Namespace::parse(namespace).unwrap(),
            peer: peer.map(|p| PeerName::parse(p).unwrap()),
            name: ServiceName::parse(name).unwrap(),
        }
    }

    #[test]
    fn server_names_have_the_documented_form() {
        let web = at("default", "default", None, "web");
        assert_eq!(service(&web, None, &dc("dc1"), &td()).unwrap(), "web.default.dc1.internal.abc.consul");
        assert_eq!(
            service(&web, Some("v1"), &dc("dc1"), &td()).unwrap(),
            "v1.web.default.dc1.internal.abc.consul"
        );
        let other = at("p", "n", None, "web");
        assert_eq!(service(&other, None, &dc("dc1"), &td()).unwrap(), "web.n.p.dc1.internal-v1.abc.consul");
        let peered = at("default", "default", Some("east"), "web");
        assert_eq!(
            service(&peered, None, &dc("dc1"), &td()).unwrap(),
            "web.default.default.east.external.abc.consul"
        );
    }

    #[test]
    fn a_name_that_dns_would_change_is_written_in_hexadecimal() {
        let odd = at("default", "default", None, "Web.v1");
        assert!(service(&odd, None, &dc("dc1"), &td()).unwrap().starts_with("_x5765622e7631.default."));
        let long = at("default", "default", None, &"x".repeat(64));
        assert!(service(&long, None, &dc("dc1"), &td()).is_err());
    }

    proptest! {
        #[test]
        fn services_that_differ_in_one_component_never_share_a_server_name(
            a in ("[ab]{1,2}", "[ab]{1,2}", proptest::option::of("[ab]{1,2}"), "[abA.]{1,3}", proptest::option::of("[ab.]{1,2}")),
            b in ("[ab]{1,2}", "[ab]{1,2}", proptest::option::of("[ab]{1,2}"), "[abA.]{1,3}", proptest::option::of("[ab.]{1,2}")),
        ) {
            let x = (at(&a.0, &a.1, a.2.as_deref(), &a.3), a.4);
            let y = (at(&b.0, &b.1, b.2.as_deref(), &b.3), b.4);
            let name = |(s, subset): &(ServiceRef, Option<String>)| service(s, subset.as_deref(), &dc("dc1"), &td()).unwrap();
            prop_assert_eq!(x == y, name(&x) == name(&y));
        }
    }
}
