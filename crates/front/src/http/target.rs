//! Checks a request's host and the form of its path.
//!
//! A path with empty or dot segments is not cleaned and then served: a proxy in front of us may have judged the path
//! as it was sent. Instead the client is redirected to the clean path, as Go's mux does.

use http::header::HOST;
use http::uri::Scheme;
use http::{HeaderMap, StatusCode, Uri, Version};

use super::error::HttpError;

/// Refuses a request that has no host, or whose host another program could read differently.
pub(super) fn check_host(version: Version, headers: &HeaderMap) -> Result<(), HttpError> {
    let mut hosts = headers.get_all(HOST).iter();
    let refused = |what: &str| {
        let text = format!("400 Bad Request{what}");
        Err(HttpError::new(StatusCode::BAD_REQUEST, text))
    };
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => refused(""),
        (Some(host), None) if !host.as_bytes().iter().copied().all(is_host_byte) => {
            refused(": malformed Host header")
        }
        (Some(_), None) => Ok(()),
        // HTTP before 1.1 has no `Host` header.
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => refused(": missing required Host header"),
    }
}

/// Refuses a target that is not a path of this API: the forms for proxies and for the whole server (RFC 9112 §3.2.3,
/// §3.2.4), and a full URL (§3.2.2) unless it names the same host as the header.
pub(super) fn check_form(uri: &Uri, headers: &HeaderMap) -> Result<(), HttpError> {
    let refused =
        |what: &str| Err(HttpError::new(StatusCode::BAD_REQUEST, format!("400 Bad Request: {what}")));
    if !uri.path().starts_with('/') {
        return refused("the request target is no path");
    }
    let Some(authority) = uri.authority() else { return Ok(()) };
    let host = headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
    if uri.scheme() != Some(&Scheme::HTTP) {
        return refused("the request target has another scheme than http");
    }
    // A user name in the URL also makes this comparison fail: `Host` has none.
    if !authority.as_str().as_bytes().eq_ignore_ascii_case(host) {
        return refused("the request target and the Host header name different hosts");
    }
    Ok(())
}

/// Bytes allowed in a host and port (RFC 3986 §3.2.2); no user name.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(&byte)
}

/// The clean form of a path, with the original query. `None` if the path is clean.
pub(super) fn clean_target(raw_path: &str, query: Option<&str>) -> Option<String> {
    let path = clean_path(raw_path)?;
    let mut target = String::with_capacity(path.len());
    for byte in path.bytes() {
        // A browser reads `/\` as `//`, and takes the next segment for a host.
        if byte.is_ascii_graphic() && byte != b'\\' {
            target.push(char::from(byte));
        } else {
            target.push_str(&format!("%{byte:02X}"));
        }
    }
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    Some(target)
}

/// The path without empty and dot segments; `None` if it has none of them. Escapes are not decoded.
fn clean_path(raw_path: &str) -> Option<String> {
    let segments = raw_path.strip_prefix('/')?;
    let is_odd = |segment: &str| matches!(segment, "" | "." | "..");
    // One empty segment at the end is a trailing slash.
    let body = segments.strip_suffix('/').unwrap_or(segments);
    if segments.is_empty() || !body.split('/').any(is_odd) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in body.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut path = format!("/{}", kept.join("/"));
    if segments.ends_with('/') && !kept.is_empty() {
        path.push('/');
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_hosts(version: Version, hosts: &[&str], text: Option<&str>) {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, host.parse().unwrap());
        }
        let refused = check_host(version, &headers).err();
        assert_eq!(refused.map(|error| error.text).as_deref(), text, "{hosts:?}");
    }

    #[test]
    fn n_44_a_request_names_one_host() {
        check_hosts(Version::HTTP_11, &["127.0.0.1:8500"], None);
        check_hosts(Version::HTTP_11, &["[::1]:8500"], None);
        check_hosts(Version::HTTP_11, &[""], None);
        check_hosts(Version::HTTP_10, &[], None);
        check_hosts(Version::HTTP_11, &[], Some("400 Bad Request: missing required Host header"));
        check_hosts(Version::HTTP_11, &["a", "a"], Some("400 Bad Request"));
        check_hosts(Version::HTTP_10, &["a", "b"], Some("400 Bad Request"));
        for odd in ["a b", "a/b", "user@a", "a\\b", "a\"", "ä"] {
            check_hosts(Version::HTTP_11, &[odd], Some("400 Bad Request: malformed Host header"));
        }
    }

    #[track_caller]
    fn check_forms(target: &str, host: &str, fine: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        assert_eq!(check_form(&target.parse().unwrap(), &headers).is_ok(), fine, "{target}");
    }

    #[test]
    fn n_44_a_whole_url_says_what_the_host_says() {
        check_forms("/v1/agent/self", "a:8500", true);
        check_forms("http://a:8500/v1/agent/self", "a:8500", true);
        check_forms("HTTP://A/v1/agent/self", "a", true);
        check_forms("http://a", "a", true);
        check_forms("http://b/v1/agent/self", "a", false);
        check_forms("http://a/v1/agent/self", "a:8500", false);
        check_forms("http://user@a/v1/agent/self", "a", false);
        check_forms("https://a/v1/agent/self", "a", false);
        check_forms("ftp://a/v1/agent/self", "a", false);
        check_forms("a:8500", "a:8500", false);
        check_forms("*", "a", false);
    }

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(clean_target(path, None).as_deref(), expected, "{path}");
    }

    #[test]
    fn clean_paths_stay_where_they_are() {
        for path in
            ["/", "/v1/catalog/nodes", "/v1/catalog/service/", "/v1/a%2F..%2Fb", "/v1/%2e%2e/x", "/v1/..."]
        {
            check(path, None);
        }
        check("*", None);
        check("", None);
    }

    #[test]
    fn odd_paths_have_one_clean_form() {
        check("//v1/status/leader", Some("/v1/status/leader"));
        check("/v1/x/../status/leader", Some("/v1/status/leader"));
        check("/../../v1/./status//leader/", Some("/v1/status/leader/"));
        check("/v1/catalog/service/..", Some("/v1/catalog"));
        check("//", Some("/"));
        check("/a/..", Some("/"));
        check("/v1//a%2Fb", Some("/v1/a%2Fb"));
        assert_eq!(clean_target("//a", Some("x=1&y=%2F")).as_deref(), Some("/a?x=1&y=%2F"));
    }

    #[test]
    fn no_clean_form_leads_to_another_host() {
        check("//evil.example/", Some("/evil.example/"));
        check("///evil.example", Some("/evil.example"));
        check("//\\evil.example", Some("/%5Cevil.example"));
        check("/x/..//\\\\evil.example", Some("/%5C%5Cevil.example"));
    }
}
