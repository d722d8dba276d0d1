//! Which overrides changed something, and a fingerprint of those.

use super::request::Overrides;

/// Which overrides changed something.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Customized {
    pub(super) protocol: bool,
    pub(super) mesh_gateway: bool,
    pub(super) connect_timeout: bool,
}

impl Customized {
    /// Eight hexadecimal digits, or nothing if no override changed anything. The same overrides have the same
    /// fingerprint, whatever the chain.
    pub(super) fn hash(self, overrides: &Overrides) -> String {
        let Self { protocol, mesh_gateway, connect_timeout } = self;
        if !(protocol || mesh_gateway || connect_timeout) {
            return String::new();
        }
        let protocol = if protocol { overrides.protocol.as_str() } else { "" };
        let mesh_gateway = if mesh_gateway { overrides.mesh_gateway.as_str() } else { "" };
        let connect_timeout = if connect_timeout { overrides.connect_timeout.nanos() } else { 0 };
        let text = format!("{protocol}/{mesh_gateway}/{connect_timeout}");
        format!("{:016x}", fnv(text.as_bytes()))[..8].to_owned()
    }
}

/// FNV-1a with 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
