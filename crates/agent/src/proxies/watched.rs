//! What the streams of proxies follow, by token: what their machines ask for.

use concord_proxycfg::WatchKey;
use concord_rpc::RpcError;

use super::basis;
use super::topic::{Following, Teller, Topics};
use crate::caller::TokenKey;

type News = Result<basis::News, RpcError>;
/// What the streams follow.
pub(crate) type Watches = Topics<Option<TokenKey>, WatchKey, News>;
/// The share of a stream in a watch.
pub(super) type Shared = Following<Option<TokenKey>, WatchKey, News>;
/// Where a watch tells what it learns: to all proxies with the same token that ask the same.
pub(super) type Tell = Teller<Option<TokenKey>, WatchKey, News>;
