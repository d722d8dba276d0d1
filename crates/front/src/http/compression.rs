//! Compresses long answers for clients that accept gzip. Answers with secrets are never compressed.
//!
//! If a secret is compressed together with text that an attacker chooses, the length of the answer reveals the secret
//! (BREACH). So only the listed paths are compressed; a new endpoint is not compressed until it is listed.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::limits;

/// Prefixes of paths that may be compressed. Tokens, policies, leaf certificates and the CA configuration must not be
/// listed.
const COMPRESSED: [&str; 13] = [
    "/v1/agent/checks",
    "/v1/agent/connect/ca/roots",
    "/v1/agent/health/",
    "/v1/agent/members",
    "/v1/agent/metrics",
    "/v1/agent/self",
    "/v1/agent/service/:id",
    "/v1/agent/services",
    "/v1/catalog/",
    "/v1/config",
    "/v1/connect/ca/roots",
    "/v1/connect/intentions",
    "/v1/health/",
];

/// Whether answers of the endpoint with this pattern may be compressed.
pub(super) fn is_allowed(pattern: &str) -> bool {
    COMPRESSED.iter().any(|prefix| pattern.starts_with(prefix))
}

/// Whether the client accepts gzip: it is named, with a weight above zero.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && parts.all(|part| weight(part).is_none_or(|weight| weight > 0.0 && weight <= 1.0))
    })
}

/// The weight in a parameter. An unreadable weight counts as `None`.
fn weight(parameter: &str) -> Option<f32> {
    let (name, value) = parameter.split_once('=')?;
    name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
}

/// Compresses the bytes. Returns `None` if compression does not make them smaller.
///
/// Yields to other tasks between two pieces.
pub(super) async fn gzip(bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() < limits::GZIP_BYTES_MIN {
        return None;
    }
    // The fastest level: every request has a new answer, and JSON compresses well at any level.
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    for piece in bytes.chunks(limits::GZIP_PIECE_BYTES) {
        encoder.write_all(piece).ok()?;
        tokio::task::yield_now().await;
    }
    let packed = encoder.finish().ok()?;
    (packed.len() < bytes.len()).then(|| packed.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::super::routes;
    use super::*;

    #[track_caller]
    fn check_accepts(lists: &[&str], expected: bool) {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(ACCEPT_ENCODING, list.parse().unwrap());
        }
        assert_eq!(accepts_gzip(&headers), expected, "{lists:?}");
    }

    #[test]
    fn gzip_is_for_who_names_it() {
        check_accepts(&["gzip"], true);
        check_accepts(&["deflate, GZIP;q=0.5"], true);
        check_accepts(&["br", "gzip ; q = 1"], true);
        for list in [
            "",
            "identity",
            "*",
            "x-gzip",
            "gzip;q=0",
            "gzip; q=0.000",
            "gzip;q=much",
            "gzip;q=-1",
            "gzip;q=nan",
        ] {
            check_accepts(&[list], false);
        }
        check_accepts(&[], false);
    }

    #[test]
    fn only_what_carries_no_secret_may_be_compressed() {
        let secret = |pattern: &str| {
            pattern.starts_with("/v1/acl/")
                || pattern.starts_with("/v1/agent/token")
                || pattern.contains("/ca/leaf")
                || pattern.contains("/ca/configuration")
        };
        let table = routes::router().table();
        assert!(table.iter().any(|(_, pattern, _)| secret(pattern)));
        for (_, pattern, _) in table {
            assert!(!(secret(pattern) && is_allowed(pattern)), "{pattern}");
        }
        for pattern in ["/v1/health/service/:service", "/v1/agent/service/:id", "/v1/agent/services"] {
            assert!(is_allowed(pattern), "{pattern}");
        }
        assert!(!is_allowed("/v1/something/new"));
        assert!(!is_allowed(""));
    }

    #[tokio::test]
    async fn what_is_compressed_is_the_same_again() {
        for length in [limits::GZIP_BYTES_MIN, 3 * limits::GZIP_PIECE_BYTES + 1] {
            let text: Vec<u8> = b"{\"Node\":\"n1\"},".iter().copied().cycle().take(length).collect();
            let packed = gzip(&text.clone().into()).await.expect("repetitions are worth it");
            let mut again = Vec::new();
            GzDecoder::new(&packed[..]).read_to_end(&mut again).unwrap();
            assert_eq!(again, text);
        }
    }

    #[tokio::test]
    async fn what_is_short_or_does_not_shrink_stays_as_it_is() {
        let short = Bytes::from(vec![b' '; limits::GZIP_BYTES_MIN - 1]);
        assert_eq!(gzip(&short).await, None);
        // A linear congruential generator: its output does not compress.
        let mut seed = 1_u64;
        let noise = (0..4096).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        });
        assert_eq!(gzip(&noise.collect::<Vec<u8>>().into()).await, None);
    }
}
