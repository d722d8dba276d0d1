//! URLs of HTTP checks, and the resolution of redirects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::{Authority, PathAndQuery};

/// The target of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Url {
    pub(super) secure: bool,
    /// `host` or `host:port`, as written.
    pub(super) authority: String,
    pub(super) path: PathAndQuery,
    /// The `Authorization` value that stands for `user:password@`.
    pub(super) authorization: Option<String>,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        Self::of(&uri)
    }

    fn of(uri: &Uri) -> Result<Self, String> {
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            other => return Err(format!("unsupported protocol scheme {:?}", other.unwrap_or(""))),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let (user, authority) = parted(authority.ok_or("no Host in request URL")?);
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(unescaped(user.as_bytes()))));
        Ok(Self { secure, authority: authority.to_owned(), path, authorization })
    }

    /// Resolves the `Location` header of a redirect.
    pub(super) fn follow(&self, location: &str) -> Result<Self, String> {
        let failed = |why: String| format!("failed to parse Location header {location:?}: {why}");
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.secure { "https" } else { "http" };
        let full = if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if location.contains("://") {
            location.to_owned()
        } else {
            // The same host and the same user (RFC 3986 §5.2.2).
            let url = Self::parse(&format!("{scheme}://{}{}", self.authority, self.beside(location)));
            let authorization = self.authorization.clone();
            return url.map(|url| Self { authorization, ..url }).map_err(failed);
        };
        Self::parse(&full).map_err(failed)
    }

    /// Resolves a path relative to this URL's path.
    fn beside(&self, path: &str) -> String {
        let own = self.path.path();
        match path.as_bytes().first() {
            Some(b'/') => path.to_owned(),
            Some(b'?') => format!("{own}{path}"),
            Some(_) => format!("{}/{path}", own.rsplit_once('/').map_or("", |(directory, _)| directory)),
            None => self.path.to_string(),
        }
    }

    /// The `host:port` to connect to.
    pub(super) fn address(&self) -> String {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        match (has_port, self.secure) {
            (true, _) => self.authority.clone(),
            (false, true) => format!("{}:443", self.authority),
            (false, false) => format!("{}:80", self.authority),
        }
    }
}

/// A URL without its password, for readers of the check's output.
pub(super) fn shown(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (user, host) = rest[..end].rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:xxxxx@{host}{}", &rest[end..]))
    };
    hidden().unwrap_or_else(|| text.to_owned())
}

fn parted(authority: &Authority) -> (Option<&str>, &str) {
    match authority.as_str().rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority.as_str()),
    }
}

/// Decodes percent escapes. An invalid escape stays as it is.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut rest = text;
    let mut plain = Vec::with_capacity(rest.len());
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &after[2..];
            }
            None => {
                plain.push(*first);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(&str, &str, Option<&str>), &str>) {
        let found = Url::parse(text);
        let found =
            found.as_ref().map(|url| (url.address(), url.path.as_str(), url.authorization.as_deref()));
        match (found, expected) {
            (Ok((address, path, user)), Ok(expected)) => assert_eq!((address.as_str(), path, user), expected),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn urls_say_where_to_connect() {
        check("http://a", Ok(("a:80", "/", None)));
        check("https://a/b?c#d", Ok(("a:443", "/b?c", None)));
        check("http://[::1]/", Ok(("[::1]:80", "/", None)));
        check("http://[::1]:8/", Ok(("[::1]:8", "/", None)));
        check("http://u:p%40w@a:1/", Ok(("a:1", "/", Some("Basic dTpwQHc="))));
        check("ftp://a/", Err("unsupported protocol scheme \"ftp\""));
        check("a/b", Err("not a URL"));
        check("/b", Err("unsupported protocol scheme \"\""));
        check("http://a b/", Err("not a URL"));
        check("", Err("not a URL"));
    }

    #[track_caller]
    fn follows(location: &str, expected: &str) {
        let from = Url::parse("https://a:1/b/c?d").unwrap();
        let to = from.follow(location).map(|url| format!("{} {} {}", url.secure, url.authority, url.path));
        assert_eq!(to.unwrap_or_else(|why| why), expected);
    }

    #[test]
    fn redirects_lead_on() {
        follows("/x", "true a:1 /x");
        follows("x?y#z", "true a:1 /b/x?y");
        follows("?y", "true a:1 /b/c?y");
        follows("//e/x", "true e /x");
        follows("http://e", "false e /");
        follows("", "true a:1 /b/c?d");
        follows(
            "gopher://e",
            "failed to parse Location header \"gopher://e\": unsupported protocol scheme \"gopher\"",
        );
    }

    #[test]
    fn who_asks_is_told_again_on_the_same_host_alone() {
        let from = Url::parse("http://u:p@a:1/b").unwrap();
        let user = |location| from.follow(location).unwrap().authorization;
        for same in ["/x", "x", "?y", ""] {
            assert_eq!(user(same), from.authorization, "{same}");
        }
        for other in ["//e/", "http://e/", "http://a:1/"] {
            assert_eq!(user(other), None, "{other}");
        }
        assert_eq!(user("http://v@a:1/"), Some("Basic dg==".to_owned()));
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("http://u:secret@a:1/x@y"), "http://u:xxxxx@a:1/x@y");
        assert_eq!(shown("http://a:1/u:p@y"), "http://a:1/u:p@y");
        assert_eq!(shown("nothing"), "nothing");
    }
}
