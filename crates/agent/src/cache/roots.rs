//! The root certificates. Public.

use std::borrow::Cow;

use concord_model::ca::{CaRoot, CaRoots};
use concord_rpc::request::ReadCaRoots;
use concord_rpc::{Caller, Consistency};

use crate::cache::{Cached, Shared};

impl Cached for ReadCaRoots {
    type Request = Self;
    type Kept = CaRoots;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Default;

    fn request(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }

    fn keep(&self, roots: CaRoots) -> CaRoots {
        roots
    }

    fn bytes(roots: &CaRoots) -> usize {
        roots.roots.iter().map(root_bytes).sum()
    }

    fn less_for(&self, _: &CaRoots, _: &Caller) -> Option<CaRoots> {
        None
    }
}

fn root_bytes(root: &CaRoot) -> usize {
    512 + root.root_cert.len() + root.intermediate_certs.iter().map(String::len).sum::<usize>()
}
