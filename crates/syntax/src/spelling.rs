//! The distance between a misspelt word and a known one, for `did you mean`.

/// The number of characters to insert, delete, replace or swap with their neighbour to change one word to the other.
pub fn edits(a: &str, b: &str) -> usize {
    strsim::osa_distance(a, b)
}

/// The maximum distance for a suggestion, for a word of this length: a third of its characters, and at least one.
pub fn edits_max(chars: usize) -> usize {
    1.max(chars / 3)
}

/// The form of a CamelCase key in files: `DestinationServiceID` becomes `destination_service_id`, `GRPCUseTLS` becomes
/// `grpc_use_tls`, `H2PING` becomes `h2ping`. A key in snake case is not changed.
pub fn snake_case(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    let mut told = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let begins_a_word = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        let breaks =
            before.is_some_and(|before| before.is_lowercase() || (before.is_uppercase() && begins_a_word));
        if letter.is_uppercase() && breaks {
            told.push('_');
        }
        told.extend(letter.to_lowercase());
    }
    told
}

/// Words that the API writes in upper case.
const CAPITALS: [&str; 13] =
    ["ca", "http", "id", "ip", "json", "jwks", "jwt", "sds", "sni", "tls", "ttl", "uri", "url"];

/// The form of a snake-case key in the API: `tls_min_version` becomes `TLSMinVersion`. CamelCase is not changed.
pub fn camel_case(key: &str) -> String {
    let mut told = String::with_capacity(key.len());
    for word in key.split('_') {
        if CAPITALS.contains(&word) {
            told.push_str(&word.to_ascii_uppercase());
        } else {
            let mut letters = word.chars();
            told.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            told.push_str(letters.as_str());
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_as_the_api_writes_them() {
        for (declared, written) in [
            ("port", "Port"),
            ("tls_min_version", "TLSMinVersion"),
            ("envoy_listener_json", "EnvoyListenerJSON"),
            ("enforcing_consecutive_5xx", "EnforcingConsecutive5xx"),
            ("allow_enabling_permissive_mutual_tls", "AllowEnablingPermissiveMutualTLS"),
            ("DestinationServiceID", "DestinationServiceID"),
        ] {
            assert_eq!(camel_case(declared), written);
        }
    }

    #[test]
    fn keys_are_told_as_files_write_them() {
        for (declared, written) in [
            ("Port", "port"),
            ("EnableTagOverride", "enable_tag_override"),
            ("DestinationServiceID", "destination_service_id"),
            ("GRPCUseTLS", "grpc_use_tls"),
            ("OSService", "os_service"),
            ("H2PING", "h2ping"),
            ("H2PingUseTLS", "h2ping_use_tls"),
            ("SourceNS", "source_ns"),
            ("TTL", "ttl"),
            ("node_name", "node_name"),
        ] {
            assert_eq!(snake_case(declared), written);
        }
    }

    #[test]
    fn letters_in_the_wrong_order_are_one_mistake() {
        for (a, b, expected) in
            [("prot", "port", 1), ("htp", "http", 1), ("port", "port", 0), ("zz", "port", 4)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
        assert!(edits("prot", "port") <= edits_max("prot".len()), "short words are understood too");
    }
}
