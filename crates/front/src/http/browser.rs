//! Tells requests that a foreign web page sends through the user's browser from requests of the user.
//!
//! A page may send requests to any address of this machine. The browser names the page's origin and keeps the answer
//! from the page. But a page whose own host name resolves to our address has the same origin as we do, so it can read
//! the answer (DNS rebinding). Only the name in `Host` shows the attack. The page cannot have a token.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HOST;

use super::error::HttpError;

/// The names under which clients call this agent.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The node's name.
    pub node: String,
    /// Names below these domains are ours, with or without a dot at the end.
    pub domains: Vec<String>,
    /// Whether a valid token authenticates the caller. While ACLs are not enforced, any text is accepted as a token.
    pub tokens_count: bool,
}

impl Names {
    /// Refuses a request whose `Host` is not ours, if a foreign web page could have sent it. If further names are
    /// `allowed`, all listeners check the name, not only those on loopback.
    pub(super) fn check(
        &self,
        allowed: &[String],
        headers: &HeaderMap,
        on_loopback: bool,
        has_token: bool,
    ) -> Result<(), HttpError> {
        let particular = on_loopback || !allowed.is_empty();
        // Browsers always send `Host`. Only HTTP/1.0 clients may leave it out.
        let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
        if !particular || (self.tokens_count && has_token) || host.is_empty() {
            return Ok(());
        }
        let host = String::from_utf8_lossy(host);
        if self.is_ours(allowed, &host) {
            return Ok(());
        }
        Err(HttpError::forbidden(format!(
            "refused: this agent is not called {host:?}, and a web page under that name may have sent this \
             (http_config.allowed_hosts names what it is called besides)"
        )))
    }

    fn is_ours(&self, allowed: &[String], host: &str) -> bool {
        let name = without_port(host);
        if name.parse::<IpAddr>().is_ok() {
            return true;
        }
        let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        let name = bare(name);
        let below = |domain: &str| {
            let domain = bare(domain);
            let rest = name.strip_suffix(&domain).and_then(|rest| rest.strip_suffix('.'));
            !domain.is_empty() && rest.is_some_and(|rest| !rest.is_empty())
        };
        name == "localhost"
            || below("localhost")
            || name == bare(&self.node)
            || self.domains.iter().any(|domain| below(domain))
            || allowed.iter().any(|allowed| name == bare(allowed))
    }
}

/// The host of a `host:port` text, and an IPv6 address without its brackets. Any other text is returned unchanged; it
/// is not a valid name.
fn without_port(authority: &str) -> &str {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inside) => inside.split_once(']').unwrap_or((authority, "")),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port) { host } else { authority }
}

/// Whether a browser says that a page of another origin sends this (Origin, Sec-Fetch-Site).
///
/// A page that uses DNS rebinding has its own name in `Host`, too. So the origin must be a loopback name, an IP
/// address, or listed. A header that is repeated or unreadable counts as foreign.
pub(super) fn is_foreign(headers: &HeaderMap, listed: &[String]) -> bool {
    let said = |name: &str| {
        let mut all = headers.get_all(name).iter();
        all.next().map(|value| if all.next().is_none() { value.to_str().ok() } else { None })
    };
    let origin = match said("origin") {
        Some(Some(origin)) => origin,
        Some(None) => return true,
        None => {
            let own = |site: Option<&str>| matches!(site, Some("same-origin" | "none"));
            return said("sec-fetch-site").is_some_and(|site| !own(site));
        }
    };
    if listed.iter().any(|own| own == origin) {
        return false;
    }
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    let host = without_port(authority);
    let plain_host = host == "localhost" || host.parse::<IpAddr>().is_ok();
    !(plain_host && said("host") == Some(Some(authority)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(all: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in all {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(origin: Option<&str>, host: &str, site: Option<&str>, foreign: bool) {
        let mut all = vec![("host", host.as_bytes())];
        all.extend(origin.map(|origin| ("origin", origin.as_bytes())));
        all.extend(site.map(|site| ("sec-fetch-site", site.as_bytes())));
        assert_eq!(is_foreign(&headers(&all), &["https://ops.example".to_owned()]), foreign);
    }

    #[test]
    fn n_40_pages_of_strangers_may_not_write() {
        check(None, "127.0.0.1:8500", None, false);
        check(Some("http://127.0.0.1:8500"), "127.0.0.1:8500", Some("same-origin"), false);
        check(Some("http://localhost:8500"), "localhost:8500", None, false);
        check(Some("https://ops.example"), "127.0.0.1:8500", Some("cross-site"), false);
        check(Some("https://evil.example"), "127.0.0.1:8500", None, true);
        check(Some("http://rebound.evil.example:8500"), "rebound.evil.example:8500", None, true);
        check(Some("null"), "127.0.0.1:8500", None, true);
        check(None, "127.0.0.1:8500", Some("cross-site"), true);
    }

    #[test]
    fn n_40_an_origin_said_twice_or_not_readable_is_foreign() {
        let (host, own) = (("host", &b"localhost:8500"[..]), ("origin", &b"http://localhost:8500"[..]));
        assert!(!is_foreign(&headers(&[host, own]), &[]));
        assert!(is_foreign(&headers(&[host, own, own]), &[]));
        assert!(is_foreign(&headers(&[host, ("origin", b"http://localhost:8500\xff")]), &[]));
        let site = |value: &'static [u8]| ("sec-fetch-site", value);
        assert!(!is_foreign(&headers(&[host, site(b"none")]), &[]));
        assert!(is_foreign(&headers(&[host, site(b"none"), site(b"none")]), &[]));
        assert!(is_foreign(&headers(&[host, site(b"none\xff")]), &[]));
    }

    fn names() -> Names {
        Names {
            node: "Node-1".to_owned(),
            domains: vec!["consul.".to_owned(), "mesh.example".to_owned()],
            tokens_count: true,
        }
    }

    #[track_caller]
    fn called(names: &Names, allowed: &[String], host: &str, on_loopback: bool, has_token: bool, fine: bool) {
        let answer = names.check(allowed, &headers(&[("host", host.as_bytes())]), on_loopback, has_token);
        assert_eq!(answer.is_ok(), fine, "{host}");
        if let Err(refused) = answer {
            assert_eq!(refused.status, 403);
            assert!(refused.text.contains("http_config.allowed_hosts"), "{}", refused.text);
        }
    }

    const OURS: [&str; 12] = [
        "127.0.0.1:8500",
        "10.1.2.3",
        "[::1]:8500",
        "localhost",
        "LocalHost:8500",
        "a.localhost.",
        "node-1:8500",
        "consul.service.consul:8500",
        "x.Consul.",
        "x.mesh.example",
        "",
        "[fe80::1]",
    ];
    const OTHERS: [&str; 12] = [
        "evil.example:8500",
        "evil-localhost",
        "localhost.evil.example",
        "node-1.evil.example",
        "consul",
        "evilconsul",
        "127.0.0.1.evil.example",
        "1.2.3.4.5",
        "mesh.example",
        "[::1].evil.example",
        "[::1",
        "localhost:evil.example",
    ];

    #[test]
    fn n_40_a_page_that_makes_its_name_ours_reads_nothing() {
        for host in OURS {
            called(&names(), &[], host, true, false, true);
        }
        for host in OTHERS {
            called(&names(), &[], host, true, false, false);
            called(&names(), &[], host, true, true, true);
            called(&names(), &[], host, false, false, true);
        }
        // Without ACLs a token proves nothing.
        called(&Names { tokens_count: false, ..names() }, &[], "evil.example", true, true, false);
    }

    #[test]
    fn n_40_named_hosts_hold_on_every_listener() {
        let (named, allowed) = (names(), ["Ops.Example".to_owned()]);
        for on_loopback in [true, false] {
            called(&named, &allowed, "ops.example:8500", on_loopback, false, true);
            called(&named, &allowed, "x.ops.example", on_loopback, false, false);
            called(&named, &allowed, "evil.example", on_loopback, false, false);
            called(&named, &allowed, "10.1.2.3:8500", on_loopback, false, true);
        }
    }
}
