//! Object identifiers as the contents of their DER encoding, and their dotted text.

/// `rsaEncryption`.
pub const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `sha256WithRSAEncryption`.
pub const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// `sha384WithRSAEncryption`.
pub const SHA384_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c];
/// `sha512WithRSAEncryption`.
pub const SHA512_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d];
/// `id-ecPublicKey`.
pub const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `secp256r1`.
pub const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `secp384r1`.
pub const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// `secp224r1`.
pub const P224: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x21];
/// `secp521r1`.
pub const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// `id-Ed25519`.
pub const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// `ecdsa-with-SHA256`.
pub const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// `ecdsa-with-SHA384`.
pub const ECDSA_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// `ecdsa-with-SHA512`.
pub const ECDSA_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04];

/// `id-at-commonName`.
pub const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// `id-ce-subjectKeyIdentifier`.
pub const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
/// `id-ce-keyUsage`.
pub const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// `id-ce-subjectAltName`.
pub const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// `id-ce-basicConstraints`.
pub const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// `id-ce-nameConstraints`.
pub const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
/// `id-ce-authorityKeyIdentifier`.
pub const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];
/// `id-ce-extKeyUsage`.
pub const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// `id-ce`: prefix of the standard X.509 extensions.
pub const CERTIFICATE_EXTENSIONS: &[u8] = &[0x55, 0x1d];
/// `id-pe`: prefix of the extensions of the Internet profile.
pub const INTERNET_EXTENSIONS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01];
/// `netscape-cert-extension`: prefix of old extensions that OpenSSL still evaluates.
pub const NETSCAPE_EXTENSIONS: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01];
/// `netscape-comment`: a text that no software evaluates.
pub const NETSCAPE_COMMENT: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01, 0x0d];
/// `id-kp-serverAuth`.
pub const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// `id-kp-clientAuth`.
pub const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// `extensionRequest` of PKCS #9: the attribute of a request that contains its extensions.
pub const EXTENSION_REQUEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];

/// Whether every library can read this identifier: it has the shortest encoding, and each number takes at most four
/// bytes. (Go refuses a certificate with a number of more than 31 bits.)
pub fn is_plain(oid: &[u8]) -> bool {
    let mut length = 0;
    for byte in oid {
        if length == 0 && *byte == 0x80 || length == 4 {
            return false;
        }
        length = if byte & 0x80 == 0 { 0 } else { length + 1 };
    }
    length == 0 && !oid.is_empty()
}

/// The dotted text of an identifier, for messages. `?` if the encoding is broken.
pub fn text(oid: &[u8]) -> String {
    let mut arcs: Vec<u64> = Vec::new();
    let mut arc: u64 = 0;
    for byte in oid.iter().take(64) {
        arc = (arc << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(arc);
            arc = 0;
        } else if arc > u64::MAX >> 8 {
            return "?".to_owned();
        }
    }
    let Some((first, rest)) = arcs.split_first() else {
        return "?".to_owned();
    };
    let top = (*first / 40).min(2);
    let mut out = format!("{top}.{}", first - top * 40);
    for arc in rest {
        out.push('.');
        out.push_str(&arc.to_string());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_as_their_standards_write_them() {
        assert_eq!(text(RSA), "1.2.840.113549.1.1.1");
        assert_eq!(text(SUBJECT_ALT_NAME), "2.5.29.17");
        assert_eq!(text(ED25519), "1.3.101.112");
        assert_eq!(text(&[]), "?");
    }

    #[test]
    fn identifiers_that_not_everybody_reads_are_told() {
        assert!(is_plain(RSA) && is_plain(P384) && is_plain(&[0x69, 0xff, 0xff, 0xff, 0x7f]));
        for odd in [&[][..], &[0x55, 0x80, 0x01], &[0x55, 0x9d], &[0x69, 0x81, 0xff, 0xff, 0xff, 0x7f]] {
            assert!(!is_plain(odd), "{odd:02x?}");
        }
    }
}
