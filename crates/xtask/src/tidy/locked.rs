//! Rule `shipped`: the product contains one TLS library and one crypto provider.

use super::finding::Finding;

const RULE: &str = "shipped";

/// Packages that the product must not use: other TLS libraries or crypto providers, and those with an unsuitable
/// licence.
const BANNED: [(&str, &str); 9] = [
    ("ring", "the crypto provider is aws-lc-rs"),
    ("openssl", "the TLS library is rustls"),
    ("openssl-sys", "the TLS library is rustls"),
    ("native-tls", "the TLS library is rustls"),
    ("boring", "the TLS library is rustls"),
    ("mbedtls", "the TLS library is rustls"),
    ("rustables", "GPL-3.0"),
    ("hcl-rs", "reads HCL2, not HCL1; ours is `syntax`"),
    ("rustls-native-certs", "trust comes from configuration and the CA, not from the machine"),
];

/// Packages of which there may be only one version.
const SINGLE: [&str; 6] = ["rustls", "rustls-webpki", "aws-lc-rs", "hyper", "h2", "tokio"];

pub(crate) fn check(shipped: &[String]) -> Vec<Finding> {
    let mut found = Vec::new();
    let name_of = |package: &String| package.split(' ').next().unwrap_or_default().to_owned();
    for (name, why) in BANNED {
        for package in shipped.iter().filter(|package| name_of(package) == name) {
            found.push(Finding::new(RULE, package, why));
        }
    }
    for name in SINGLE {
        let versions: Vec<&str> = shipped.iter().filter(|p| name_of(p) == name).map(String::as_str).collect();
        if versions.len() > 1 {
            found.push(Finding::new(RULE, name, format!("more than one version: {}", versions.join(", "))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_says(shipped: &[&str], expected: &[&str]) {
        let shipped: Vec<String> = shipped.iter().map(|package| (*package).to_owned()).collect();
        let found: Vec<String> = check(&shipped).iter().map(Finding::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_stack_is_green_and_two_are_red() {
        check_says(&["aws-lc-rs v1.19.0", "rustls v0.23.46", "spring v1.0.0"], &[]);
        check_says(&["ring v0.17.14"], &["shipped   ring v0.17.14: the crypto provider is aws-lc-rs"]);
        check_says(
            &["rustls v0.21.0", "rustls v0.23.46"],
            &["shipped   rustls: more than one version: rustls v0.21.0, rustls v0.23.46"],
        );
    }
}
