//! What proxies without an agent ask.

use std::sync::Arc;

use concord_model::entry::{EntryKind, EntryName};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::catalog::placed;
use super::{Sample, every, name, sample, uuid};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let nodes = every!(NodeChoice:
        NodeChoice::Id(_) => NodeChoice::Id(uuid(4)),
        NodeChoice::Name(_) => NodeChoice::Name(name("n1")),
    );
    let mut all = vec![sample!(AnyRequest, ListServers, "", ListServers {})];
    all.extend(nodes.into_iter().zip(["id", "name"]).map(|(node, what)| {
        sample!(AnyRequest, ReadProxy, what, ReadProxy { node, proxy: name("web-sidecar-proxy") })
    }));
    let follow = FollowProxy { node: name("n1"), proxy: name("web-sidecar-proxy") };
    all.push(sample!(AnyRequest, FollowProxy, "", follow));
    all
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let server = ReadyServer {
        id: uuid(4),
        address: "10.0.0.1".to_owned(),
        wan_address: "192.0.2.1".to_owned(),
        version: "1.21.0".to_owned(),
    };
    let followed = |merged| FollowedProxy { instance: Arc::new(placed().service), merged };
    let entries = [EntryName::only(EntryKind::ProxyDefaults)].into();
    vec![
        sample!(AnyReply, ListServers, "", vec![server]),
        sample!(AnyReply, ReadProxy, "", placed()),
        sample!(AnyReply, FollowProxy, "", Some(followed(None))),
        sample!(AnyReply, FollowProxy, "merged", Some(followed(Some(entries)))),
        sample!(AnyReply, FollowProxy, "none", None),
    ]
}
