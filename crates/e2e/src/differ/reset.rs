//! Resets one agent, and creates the tokens which requests bear.

use std::io;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::agent::NODE_CHECKS;
use super::names::escape;
use super::request::Who;
use super::side::{Side, TOKENS};
use crate::http::{Http, Reply};

/// Time between two checks whether everything is removed.
const LOOK: Duration = Duration::from_millis(20);
/// Maximum number of such checks.
const LOOKS: u32 = 200;

/// After this many checks the agent counts as stuck, and we help it.
const STUCK: u32 = 50;

/// Accessor id of the built-in anonymous token.
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

/// The default CA configuration.
const AUTHORITY: &str =
    r#"{ "Provider": "consul", "Config": { "LeafCertTTL": "72h", "IntermediateCertTTL": "8760h" } }"#;

const READER: &str = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
const LIMITED: &str = r#"service "web" { policy = "write" } service "db" { policy = "read" }
    node "n1" { policy = "write" } node "n2" { policy = "read" }"#;

/// How often the entries are gone through until none is left.
const ROUNDS: usize = 10;

/// The kinds of entries. A kind comes before those on which its entries depend.
const KINDS: [&str; 16] = [
    "service-intentions",
    "jwt-provider",
    "exported-services",
    "http-route",
    "tcp-route",
    "api-gateway",
    "file-system-certificate",
    "inline-certificate",
    "ingress-gateway",
    "terminating-gateway",
    "service-router",
    "service-splitter",
    "service-resolver",
    "service-defaults",
    "proxy-defaults",
    "mesh",
];

/// Removes everything which callers have left with an agent without ACLs, except for its authority.
pub(crate) fn wipe(http: &Http) -> io::Result<()> {
    let mut side = Side::new(http, None);
    registrations(&mut side)?;
    all_entries(&mut side)
}

/// Removes everything which requests have left behind.
pub(super) fn clean(side: &mut Side) -> io::Result<()> {
    if side.has_acl() {
        acl(side)?;
    }
    registrations(side)?;
    side.own("PUT", "/v1/connect/ca/configuration", Some(AUTHORITY))?;
    all_entries(side)
}

fn registrations(side: &mut Side) -> io::Result<()> {
    let mut looks = 0;
    loop {
        agent(side)?;
        catalog(side)?;
        if is_clean(side)? {
            return Ok(());
        }
        looks += 1;
        if looks == STUCK {
            checks_anew(side)?;
        }
        if looks == LOOKS {
            return Err(io::Error::other("what is registered cannot be removed"));
        }
        thread::sleep(LOOK);
    }
}

fn all_entries(side: &mut Side) -> io::Result<()> {
    // An entry of a kind may depend on another one of the same kind.
    for _ in 0..ROUNDS {
        if entries(side)? == 0 {
            return Ok(());
        }
    }
    Err(io::Error::other("entries cannot be removed"))
}

/// Removes entries. Returns how many there were.
fn entries(side: &mut Side) -> io::Result<usize> {
    let mut found = 0;
    for kind in KINDS {
        let path = format!("/v1/config/{kind}");
        let reply = side.own("GET", &path, None)?;
        if reply.status == 501 {
            // The agent does not have this kind yet.
            continue;
        }
        for entry in parsed(&path, &reply)?.as_array().into_iter().flatten() {
            // Consul's answers contain no name for the mesh entry.
            let name = escape(entry["Name"].as_str().unwrap_or(kind));
            side.own("DELETE", &format!("{path}/{name}"), None)?;
            found += 1;
        }
    }
    Ok(found)
}

fn read(side: &mut Side, path: &str) -> io::Result<Value> {
    let reply = side.own("GET", path, None)?;
    parsed(path, &reply)
}

fn parsed(path: &str, reply: &Reply) -> io::Result<Value> {
    if reply.status != 200 {
        return Err(io::Error::other(format!("GET {path}: {} {}", reply.status, reply.body)));
    }
    serde_json::from_str(&reply.body).map_err(io::Error::other)
}

fn list(side: &mut Side, path: &str) -> io::Result<Vec<Value>> {
    Ok(read(side, path)?.as_array().cloned().unwrap_or_default())
}

fn keys(side: &mut Side, path: &str) -> io::Result<Vec<String>> {
    Ok(read(side, path)?.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default())
}

fn agent(side: &mut Side) -> io::Result<()> {
    for id in keys(side, "/v1/agent/services")? {
        side.own("PUT", &format!("/v1/agent/service/deregister/{}", escape(&id)), None)?;
    }
    for id in keys(side, "/v1/agent/checks")? {
        side.own("PUT", &format!("/v1/agent/check/deregister/{}", escape(&id)), None)?;
    }
    side.own("PUT", "/v1/agent/maintenance?enable=false", None)?;
    Ok(())
}

/// Registers the checks of the node once more. Consul can keep such a check without listing it, and then does not
/// answer a request that removes a service.
fn checks_anew(side: &mut Side) -> io::Result<()> {
    for id in NODE_CHECKS {
        let body = json!({ "ID": id, "Name": "check", "TTL": "1h" }).to_string();
        side.own("PUT", "/v1/agent/check/register", Some(&body))?;
    }
    Ok(())
}

/// The node of the agent.
fn own_node(side: &mut Side) -> io::Result<String> {
    let about = read(side, "/v1/agent/self")?;
    Ok(about["Config"]["NodeName"].as_str().unwrap_or_default().to_owned())
}

fn catalog(side: &mut Side) -> io::Result<()> {
    let own = own_node(side)?;
    for node in list(side, "/v1/catalog/nodes")? {
        let name = node["Node"].as_str().unwrap_or_default();
        if name != own {
            let body = json!({ "Node": name }).to_string();
            side.own("PUT", "/v1/catalog/deregister", Some(&body))?;
        }
    }
    let services = read(side, &format!("/v1/catalog/node/{}", escape(&own)))?;
    for id in services["Services"].as_object().into_iter().flat_map(|map| map.keys()) {
        if id != "consul" {
            let body = json!({ "Node": own, "ServiceID": id }).to_string();
            side.own("PUT", "/v1/catalog/deregister", Some(&body))?;
        }
    }
    for check in list(side, &format!("/v1/health/node/{}", escape(&own)))? {
        if check["CheckID"] != "serfHealth" {
            let body = json!({ "Node": own, "CheckID": check["CheckID"] }).to_string();
            side.own("PUT", "/v1/catalog/deregister", Some(&body))?;
        }
    }
    Ok(())
}

fn is_clean(side: &mut Side) -> io::Result<bool> {
    let services = keys(side, "/v1/catalog/services")?;
    let checks = list(side, "/v1/health/state/any")?;
    let agents = keys(side, "/v1/agent/services")?.len() + keys(side, "/v1/agent/checks")?.len();
    Ok(services.iter().all(|name| name == "consul")
        && checks.iter().all(|check| check["CheckID"] == "serfHealth")
        && agents == 0)
}

fn acl(side: &mut Side) -> io::Result<()> {
    if !side.furnished {
        for (name, rules) in [("reader", READER), ("limited", LIMITED)] {
            let body = json!({ "Name": name, "Rules": rules }).to_string();
            side.own("PUT", "/v1/acl/policy", Some(&body))?;
        }
        side.furnished = true;
    }
    let own = read(side, "/v1/acl/token/self")?["AccessorID"].clone();
    for token in list(side, "/v1/acl/tokens")? {
        let accessor = token["AccessorID"].as_str().unwrap_or_default();
        let fixed = TOKENS.iter().any(|(.., known)| *known == accessor);
        if !fixed && token["AccessorID"] != own && accessor != ANONYMOUS {
            side.own("DELETE", &format!("/v1/acl/token/{accessor}"), None)?;
        }
    }
    for policy in list(side, "/v1/acl/policies")? {
        let name = policy["Name"].as_str().unwrap_or_default();
        if !["reader", "limited", "global-management", "builtin/global-read-only"].contains(&name) {
            let id = policy["ID"].as_str().unwrap_or_default();
            side.own("DELETE", &format!("/v1/acl/policy/{id}"), None)?;
        }
    }
    for (who, secret, accessor) in TOKENS {
        let policies = match who {
            Who::Reader => json!([{ "Name": "reader" }]),
            Who::Limited => json!([{ "Name": "limited" }]),
            _ => json!([]),
        };
        let body = json!({
            "AccessorID": accessor, "SecretID": secret, "Description": "fixed", "Policies": policies,
        });
        // The token is created once. Later resets undo the changes which requests made to it.
        let path = format!("/v1/acl/token/{accessor}");
        if side.own("GET", &path, None)?.status == 200 {
            side.own("PUT", &path, Some(&body.to_string()))?;
        } else {
            side.own("PUT", "/v1/acl/token", Some(&body.to_string()))?;
        }
    }
    Ok(())
}
