//! The ports that are flooded.

/// A port that is flooded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Port {
    Http,
    Https,
    Grpc,
    Public,
}

impl Port {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Grpc => "gRPC",
            Self::Public => "public listener",
        }
    }
}
