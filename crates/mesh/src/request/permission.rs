//! Permissions compiled for decisions.

use concord_model::intention::Permission;

use super::canonical::Request;
use super::compiled::Compiled;
use super::index::Index;
use super::verdict::Tried;

/// The permissions of one intention.
#[derive(Debug)]
pub(crate) struct Permissions {
    list: Vec<Compiled>,
    index: Index,
}

impl Permissions {
    pub(crate) fn compile(permissions: &[Permission]) -> Self {
        let list: Vec<_> = permissions.iter().map(Compiled::new).collect();
        Self { index: Index::new(&list), list }
    }

    /// The permission that decides.
    pub(super) fn decide(&self, request: &Request<'_>) -> Option<Tried> {
        let deciding = |at: usize| Some(self.list[at].tried(at, request)).filter(Tried::applies);
        self.index.first(request, deciding)
    }

    /// All permissions up to the one that decides.
    pub(super) fn tried(&self, request: &Request<'_>) -> Vec<Tried> {
        let mut all = Vec::new();
        for (at, own) in self.list.iter().enumerate() {
            let tried = own.tried(at, request);
            all.push(tried);
            if tried.applies() {
                break;
            }
        }
        all
    }
}
