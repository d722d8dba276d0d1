//! What the streams of proxies follow.

use concord_proxycfg::WatchKey;
use concord_rpc::RpcError;
use concord_rpc::request::FollowProxy;

use super::basis;
use super::topic::{Following, Teller, Topics};
use crate::caller::TokenKey;

/// What is watched.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Watched {
    /// The proxy itself, in the catalog.
    Registration(FollowProxy),
    /// What its machine asks for.
    Part(WatchKey),
}

type News = Result<basis::News, RpcError>;
/// What the streams follow, by token.
pub(crate) type Watches = Topics<Option<TokenKey>, Watched, News>;
/// The share of a stream in a watch.
pub(super) type Shared = Following<Option<TokenKey>, Watched, News>;
/// Where a watch tells what it learns: to all proxies with the same token that ask the same.
pub(super) type Tell = Teller<Option<TokenKey>, Watched, News>;
