//! One of the two agents: the connection to it, and the ids of the objects which it created.

use std::io;

use serde_json::Value;

use super::request::{Request, Who};
use crate::http::{Conn, Http, Reply};

/// Tokens whose secret and accessor are the same on both sides.
pub(super) const TOKENS: [(Who, &str, &str); 3] = [
    (Who::Reader, "0f0f0f0f-0000-4000-8000-000000000001", "0f0f0f0f-0000-4000-8000-00000000000a"),
    (Who::Limited, "0f0f0f0f-0000-4000-8000-000000000002", "0f0f0f0f-0000-4000-8000-00000000000b"),
    (Who::Bare, "0f0f0f0f-0000-4000-8000-000000000003", "0f0f0f0f-0000-4000-8000-00000000000c"),
];
/// A secret which no token has.
const UNKNOWN: &str = "0f0f0f0f-0000-4000-8000-0000000000ff";
/// An id which no object has.
pub(super) const NO_ID: &str = "0f0f0f0f-0000-4000-8000-0000000000ee";

/// One of the two agents.
#[derive(Debug)]
pub(super) struct Side {
    http: Http,
    conn: Option<Conn>,
    root: Option<String>,
    /// Whether the policies for its tokens have been created.
    pub(super) furnished: bool,
}

impl Side {
    pub(super) fn new(http: &Http, root: Option<&str>) -> Self {
        Self { http: http.clone(), conn: None, root: root.map(ToOwned::to_owned), furnished: false }
    }

    /// Whether the agent has ACLs enabled.
    pub(super) fn has_acl(&self) -> bool {
        self.root.is_some()
    }

    /// Sends a request and returns the answer. `at` is the index of this side and selects the ids.
    pub(super) fn send(&mut self, request: &Request, ids: &Ids, at: usize) -> io::Result<Reply> {
        let target = ids.fill(&request.target, at);
        let body = request.body.as_ref().map(|body| ids.fill(body, at));
        let secret = match request.who {
            Who::Root => self.root.clone(),
            Who::Nobody => None,
            Who::Unknown => Some(UNKNOWN.to_owned()),
            who => TOKENS.iter().find(|(known, ..)| *known == who).map(|(_, secret, _)| (*secret).to_owned()),
        };
        self.raw(request.method, &target, secret.as_deref(), body.as_deref())
    }

    /// Sends a request of the runner itself, with the management token.
    pub(super) fn own(&mut self, method: &str, target: &str, body: Option<&str>) -> io::Result<Reply> {
        let root = self.root.clone();
        self.raw(method, target, root.as_deref(), body)
    }

    fn raw(
        &mut self,
        method: &str,
        target: &str,
        token: Option<&str>,
        body: Option<&str>,
    ) -> io::Result<Reply> {
        let headers: Vec<(&str, &str)> = token.map(|token| ("X-Consul-Token", token)).into_iter().collect();
        // An agent may close the connection after any answer, so a request on a kept connection may fail.
        if let Some(mut conn) = self.conn.take()
            && let Ok(reply) = conn.request(method, target, &headers, body)
        {
            self.keep(conn, &reply);
            return Ok(reply);
        }
        let mut conn = self.http.connect()?;
        match conn.request(method, target, &headers, body) {
            Ok(reply) => {
                self.keep(conn, &reply);
                Ok(reply)
            }
            Err(error) => Ok(Reply { status: 0, headers: Vec::new(), body: format!("no answer: {error}") }),
        }
    }

    fn keep(&mut self, conn: Conn, reply: &Reply) {
        let closes = reply.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.conn = (!closes).then_some(conn);
    }
}

/// Ids which the agents assigned, in pairs, with the kind of object.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pairs: Vec<(&'static str, [String; 2])>,
}

impl Ids {
    /// Records the ids of the object which a request created on both sides.
    pub(super) fn learn(&mut self, request: &Request, ours: &Reply, theirs: &Reply) {
        let (kind, key) = match request.pattern.as_str() {
            "POST /v1/connect/intentions" => ("intention", "ID"),
            "PUT /v1/acl/token" | "PUT /v1/acl/token/:accessor/clone" => ("token", "AccessorID"),
            "PUT /v1/acl/policy" => ("policy", "ID"),
            _ => return,
        };
        let id = |reply: &Reply| {
            let body: Value = serde_json::from_str(&reply.body).ok()?;
            body[key].as_str().map(ToOwned::to_owned)
        };
        if let (Some(one), Some(other)) = (id(ours), id(theirs)) {
            self.pairs.push((kind, [one, other]));
        }
    }

    /// Replaces each `{kind:n}` with such an id, or with an id which no object has if none was created.
    fn fill(&self, text: &str, at: usize) -> String {
        let mut filled = String::new();
        let mut rest = text;
        'next: while let Some(from) = rest.find('{') {
            filled.push_str(&rest[..from]);
            rest = &rest[from..];
            for kind in ["intention", "token", "policy"] {
                let mark = format!("{{{kind}:");
                let Some((number, tail)) = rest.strip_prefix(&mark).and_then(|tail| tail.split_once('}'))
                else {
                    continue;
                };
                let made: Vec<_> = self.pairs.iter().filter(|(known, _)| *known == kind).collect();
                let number: usize = number.parse().unwrap_or_default();
                filled.push_str(if made.is_empty() { NO_ID } else { &made[number % made.len()].1[at] });
                rest = tail;
                continue 'next;
            }
            filled.push('{');
            rest = &rest[1..];
        }
        filled.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_for_what_each_side_made() {
        let mut ids = Ids::default();
        assert_eq!(ids.fill("/v1/acl/token/{token:0}", 0), format!("/v1/acl/token/{NO_ID}"));
        let reply = |id: &str| Reply {
            status: 200,
            headers: Vec::new(),
            body: serde_json::json!({ "AccessorID": id }).to_string(),
        };
        ids.learn(&Request::new("PUT", "/v1/acl/token", ""), &reply("a"), &reply("b"));
        ids.learn(&Request::new("PUT", "/v1/acl/token/:accessor", ""), &reply("c"), &reply("d"));
        assert_eq!(ids.fill(r#"{"x":{"y":"{token:3}"}}"#, 0), r#"{"x":{"y":"a"}}"#);
        assert_eq!(ids.fill("{token:3}", 1), "b");
        assert_eq!(ids.fill("{policy:3}", 1), NO_ID);
    }
}
