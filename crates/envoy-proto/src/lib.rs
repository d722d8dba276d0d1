//! Envoy's messages: only those that concord uses, generated once and checked in (D10).
//!
//! `messages.txt` names them, `cargo xtask protos` writes their code below `src/generated/`, and `generated.sha256`
//! says of what it was made. Builds generate nothing. The modules have the names of Envoy's packages. Deprecated
//! fields and what `messages.txt` leaves out are missing: if an Envoy sends them, they are passed over.
//!
//! Maps are ordered, so that [`any`] gives the same bytes for the same message. [`written`] reads messages of all types
//! that operators write.

#![forbid(unsafe_code)]

pub mod json;
pub mod written;

pub use prost::{Message, Name};
pub use prost_types::{Any, Duration, Struct, Value, value};

#[allow(
    clippy::all,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]
#[allow(clippy::use_self, clippy::redundant_clone, clippy::or_fun_call, reason = "generated")]
mod generated {
    include!("generated/packages.rs");
}

pub use generated::{envoy, google};

/// A message with the URL of its type: `type.googleapis.com/envoy.…`. The same message gives the same bytes.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sha2::{Digest as _, Sha256};

    use super::*;

    fn hash(path: &Path) -> String {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_generated_code_is_that_of_the_list() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let noted = std::fs::read_to_string(root.join("generated.sha256")).unwrap();
        let mut paths = Vec::new();
        for line in noted.lines() {
            let (noted, path) = line.split_once("  ").expect("a hash and a path");
            assert_eq!(hash(&root.join(path)), noted, "{path} has changed: run `cargo xtask protos`");
            paths.push(path);
        }
        let files = std::fs::read_dir(root.join("src/generated")).unwrap().count();
        assert_eq!(paths.len(), files + 2, "the list, the descriptors and every generated file are noted");
        assert_eq!(paths[..2], ["messages.txt", "src/descriptors.gz"]);
    }

    #[test]
    fn a_message_names_its_type_as_envoy_does() {
        use envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
        let context = UpstreamTlsContext { sni: "db".to_owned(), ..UpstreamTlsContext::default() };
        let packed = any(&context);
        let url = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        assert_eq!(packed.type_url, url);
        assert_eq!(packed.to_msg::<UpstreamTlsContext>().unwrap(), context);
    }
}
