//! PEM (RFC 7468): read strictly, and written as OpenSSL writes it, with 64 characters a line.
//!
//! The caller always names the label. A text with another label is refused, not skipped.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::limits::PEM_BLOCKS_MAX;

/// Label of a certificate.
pub const CERTIFICATE: &str = "CERTIFICATE";
/// Label of a certificate request.
pub const REQUEST: &str = "CERTIFICATE REQUEST";
/// Label of an elliptic-curve key in SEC 1 form.
pub const EC_KEY: &str = "EC PRIVATE KEY";
/// Label of an RSA key in PKCS #1 form.
pub const RSA_KEY: &str = "RSA PRIVATE KEY";
/// Label of a key in PKCS #8 form.
pub const PKCS8_KEY: &str = "PRIVATE KEY";

const LINE: usize = 64;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why a text is not the expected PEM.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PemError {
    /// There is no PEM block.
    #[error("no PEM block found; expected \"-----BEGIN {0}-----\"")]
    Missing(&'static str),
    /// The block has another label.
    #[error("PEM block is of type {found:?}; expected {expected:?}")]
    Label {
        /// The expected label.
        expected: &'static str,
        /// The label that was found, at most 64 characters.
        found: String,
    },
    /// A block without an end, or with an end that does not match its beginning.
    #[error("PEM block does not end as it begins")]
    Unfinished,
    /// The contents are not base64, or contain headers.
    #[error("PEM block holds something else than base64")]
    Base64,
    /// There is text after a block that is not a block itself.
    #[error("there is text outside the PEM blocks")]
    Around,
    /// More than one block where one is expected, or more than [`PEM_BLOCKS_MAX`].
    #[error("too many PEM blocks")]
    TooMany,
}

/// Writes one block.
pub fn encode(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(STANDARD.encode(der));
    let mut out = String::with_capacity(body.len() + body.len() / LINE + 2 * label.len() + 40);
    out.push_str(&format!("{BEGIN}{label}{DASHES}\n"));
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("{END}{label}{DASHES}\n"));
    out
}

/// Reads a text that consists of exactly one block with this label.
pub fn decode_one(label: &'static str, text: &str) -> Result<Vec<u8>, PemError> {
    let mut blocks = decode_all(label, text)?;
    match (blocks.pop(), blocks.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(PemError::TooMany),
        (None, _) => Err(PemError::Missing(label)),
    }
}

/// Reads a text that consists of one or more blocks with this label.
pub fn decode_all(label: &'static str, text: &str) -> Result<Vec<Vec<u8>>, PemError> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some(found) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) else {
            return Err(if blocks.is_empty() { PemError::Missing(label) } else { PemError::Around });
        };
        if found != label {
            return Err(PemError::Label { expected: label, found: found.chars().take(64).collect() });
        }
        if blocks.len() == PEM_BLOCKS_MAX {
            return Err(PemError::TooMany);
        }
        let mut body = Zeroizing::new(String::new());
        loop {
            let line = lines.next().ok_or(PemError::Unfinished)?;
            match line.strip_prefix(END) {
                Some(end) if end.strip_suffix(DASHES) == Some(label) => break,
                Some(_) => return Err(PemError::Unfinished),
                None => body.push_str(line),
            }
        }
        blocks.push(STANDARD.decode(body.as_bytes()).map_err(|_| PemError::Base64)?);
    }
    if blocks.is_empty() { Err(PemError::Missing(label)) } else { Ok(blocks) }
}

/// The label of the first block, if the text starts with a block.
pub fn first_label(text: &str) -> Option<&str> {
    text.trim_start().lines().next()?.trim_end().strip_prefix(BEGIN)?.strip_suffix(DASHES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_back() {
        let text = encode(CERTIFICATE, &[7; 100]) + "\n" + &encode(CERTIFICATE, &[8]);
        assert_eq!(decode_all(CERTIFICATE, &text).unwrap(), [vec![7; 100], vec![8]]);
        assert_eq!(decode_one(CERTIFICATE, &text), Err(PemError::TooMany));
        assert_eq!(first_label(&text), Some(CERTIFICATE));
    }

    #[test]
    fn other_texts_are_refused() {
        let request = encode(REQUEST, &[1]);
        assert_eq!(
            decode_one(CERTIFICATE, &request),
            Err(PemError::Label { expected: CERTIFICATE, found: REQUEST.to_owned() })
        );
        assert_eq!(decode_one(REQUEST, ""), Err(PemError::Missing(REQUEST)));
        assert_eq!(decode_one(REQUEST, &format!("{request}tail")), Err(PemError::Around));
        assert_eq!(decode_one(REQUEST, &request.replace("AQ==", "A*==")), Err(PemError::Base64));
        assert_eq!(decode_one(REQUEST, &request.replace("END CERT", "END CART")), Err(PemError::Unfinished));
        assert_eq!(
            decode_one(REQUEST, "-----BEGIN CERTIFICATE REQUEST-----\nAQ=="),
            Err(PemError::Unfinished)
        );
    }
}
