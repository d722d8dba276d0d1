//! Ends an episode when the two agents hold different state although both answered alike.
//!
//! Each of these cases is a known difference in the effect of a write, whose consequences would hide new differences.

use std::collections::BTreeMap;

use serde_json::Value;

use super::request::Request;

/// Names which differ only in case from other names. The other agent treats both as one name.
const CASED: [&str; 2] = ["\"Web\"", "\"N2\""];
/// Refusals after which the other agent has nevertheless kept a service or removed a check.
const HALF_DONE: [&str; 3] = ["Invalid check", "is that of a check of the node", "Scripts are disabled"];

/// Whether the agents hold different state after a write which both accepted or both refused.
pub(super) fn parts(request: &Request, accepted: bool, ours: &str) -> bool {
    let body = request.body.as_deref().unwrap_or_default();
    let registers = |what: &str| request.pattern == format!("PUT /v1/agent/{what}/register");
    if accepted {
        // At the other agent, an alias check of the node follows itself.
        let is_alias = registers("check") && body.contains("\"Alias");
        is_alias || CASED.iter().any(|name| body.contains(name))
    } else {
        (registers("service") || registers("check")) && HALF_DONE.iter().any(|text| ours.contains(text))
    }
}

/// The service for which each check of an episode was registered. When a check moves to another service, our agent
/// resets its status and the other agent keeps it.
#[derive(Debug, Default)]
pub(super) struct About {
    services: BTreeMap<String, String>,
}

impl About {
    /// Records a request. Returns whether the request moves a check to another service.
    pub(super) fn moved(&mut self, request: &Request) -> bool {
        let body = request.body.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok());
        let Some(body) = body else { return false };
        let (check, service) = match request.pattern.as_str() {
            "PUT /v1/agent/check/register" => {
                let id = member(&body, "id").or_else(|| member(&body, "name"));
                (id, member(&body, "serviceid").unwrap_or_default())
            }
            "PUT /v1/agent/service/register" => {
                let id = member(&body["Check"], "checkid");
                (id, member(&body, "id").or_else(|| member(&body, "name")).unwrap_or_default())
            }
            _ => return false,
        };
        let Some(check) = check else { return false };
        self.services.insert(check, service.clone()).is_some_and(|before| before != service)
    }
}

/// A text of a body by its key, which may be written in any style.
fn member(body: &Value, name: &str) -> Option<String> {
    let plain = |key: &str| key.replace('_', "").to_lowercase() == name;
    let (_, value) = body.as_object()?.iter().find(|(key, _)| plain(key))?;
    value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(what: &str, body: &str) -> Request {
        let path = format!("/v1/agent/{what}/register");
        Request::new("PUT", &path, path.clone()).with_body(body)
    }

    #[test]
    fn after_some_known_differences_both_hold_other_things() {
        let web = put("service", r#"{"Name":"web"}"#);
        assert!(!parts(&web, true, ""));
        assert!(!parts(&web, false, "Missing service name"));
        assert!(parts(&web, false, "Invalid check: TTL must be > 0 for TTL checks"));
        assert!(parts(&put("check", "{}"), false, "Scripts are disabled on this agent"));
        assert!(parts(&put("service", r#"{"Name":"Web"}"#), true, ""));
        assert!(!parts(&put("service", r#"{"Name":"Web"}"#), false, "Permission denied"));
        assert!(parts(&put("check", r#"{"AliasService":"db"}"#), true, ""));
        assert!(!parts(&put("service", r#"{"Name":"web","Check":{"AliasService":"db"}}"#), true, ""));
    }

    #[test]
    fn a_check_that_is_about_something_else_is_seen() {
        let mut about = About::default();
        assert!(!about.moved(&put("check", r#"{"ID":"c1","TTL":"1h"}"#)));
        assert!(!about.moved(&put("check", r#"{"id":"c1","TTL":"1h"}"#)));
        assert!(about.moved(&put("check", r#"{"ID":"c1","service_id":"web","TTL":"1h"}"#)));
        assert!(!about.moved(&put("service", r#"{"Name":"web","Check":{"CheckID":"c1"}}"#)));
        assert!(about.moved(&put("service", r#"{"Name":"web","ID":"web-1","Check":{"CheckID":"c1"}}"#)));
        assert!(!about.moved(&put("service", r#"{"Name":"db","Check":{"TTL":"1h"}}"#)));
        assert!(!about.moved(&put("check", r#"{"Name":"c2","ServiceID":"db"}"#)));
        assert!(!about.moved(&put("check", "{")));
    }
}
