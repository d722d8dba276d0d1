//! Fingerprints of content, to detect changes.
//!
//! FNV-1a with a final mix, because it is the same on every machine and in every release. It does not protect against
//! somebody who constructs two contents with the same fingerprint. Such a person gains nothing: leaving the content
//! unchanged has the same effect.

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A 64-bit fingerprint.
pub fn hash64(bytes: &[u8]) -> u64 {
    seeded(BASIS, bytes)
}

/// A 256-bit fingerprint: four lanes with different start values.
pub fn hash256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (lane, part) in (1u64..).zip(out.chunks_exact_mut(8)) {
        part.copy_from_slice(&seeded(BASIS ^ mix(lane), bytes).to_be_bytes());
    }
    out
}

fn seeded(seed: u64, bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
}

/// The finaliser of SplitMix64: every input bit affects every output bit.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_never_changes_between_releases() {
        assert_eq!(format!("{:016x}", hash64(b"")), "f52a15e9a9b5e89b");
        assert_ne!(hash64(b"a"), hash64(b"b"));
        assert_ne!(hash256(b"a")[..8], hash256(b"a")[8..16]);
    }
}
