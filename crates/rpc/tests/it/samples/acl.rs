//! Tokens and policies.

use std::time::Duration;

use concord_model::Secret;
use concord_model::token::{AclPolicy, Identities, NodeLink, PolicyLink, ServiceLink};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::{Sample, at, every, name, sample, stamp, uuid};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let accessor = uuid(0x21);
    let set_policy = SetPolicy {
        id: Some(uuid(0x31)),
        name: "operators".to_owned(),
        description: "who runs it".to_owned(),
        rules: "operator = \"read\"".to_owned(),
        datacenters: vec![name("dc1"), name("dc2")],
    };
    let list = ListTokens { policy: Some(uuid(0x31)), service: Some(name("web")) };
    let clone = CloneToken { accessor, description: Some("like the other".to_owned()) };
    let mut all = vec![
        sample!(AnyRequest, ResolveToken, "", ResolveToken {}),
        sample!(AnyRequest, AwaitAclChange, "", AwaitAclChange {}),
        sample!(AnyRequest, BootstrapAcl, "", BootstrapAcl { secret: Some(secret()) }),
        sample!(AnyRequest, ReadOwnToken, "", ReadOwnToken {}),
        sample!(AnyRequest, ReadToken, "", ReadToken { accessor }),
        sample!(AnyRequest, ExpandToken, "", ExpandToken { accessor }),
        sample!(AnyRequest, ListTokens, "", list),
        sample!(AnyRequest, SetToken, "", set_token()),
        sample!(AnyRequest, CloneToken, "", clone),
        sample!(AnyRequest, DeleteToken, "", DeleteToken { accessor }),
        sample!(AnyRequest, ListPolicies, "", ListPolicies {}),
        sample!(AnyRequest, SetPolicy, "", set_policy),
        sample!(AnyRequest, DeletePolicy, "", DeletePolicy { id: uuid(0x31) }),
    ];
    for (what, which) in ["id", "name"].into_iter().zip(choices()) {
        all.push(sample!(AnyRequest, ReadPolicy, what, ReadPolicy { which }));
    }
    all
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let resolved = ResolvedToken { accessor: uuid(0x21), policies: vec![policy()], expires_at: Some(at(5)) };
    let expanded = |default_policy| ExpandedToken {
        token: token(),
        policies: vec![policy()],
        default_policy,
        resolved_by: name("n1"),
    };
    let mut all = vec![
        sample!(AnyReply, ResolveToken, "", resolved),
        sample!(AnyReply, AwaitAclChange, "", ()),
        sample!(AnyReply, BootstrapAcl, "", token()),
        sample!(AnyReply, ReadOwnToken, "", token()),
        sample!(AnyReply, ReadToken, "", Some(token())),
        sample!(AnyReply, ReadToken, "none", None),
        sample!(AnyReply, ExpandToken, "none", None),
        sample!(AnyReply, ListTokens, "", vec![token()]),
        sample!(AnyReply, SetToken, "", token()),
        sample!(AnyReply, CloneToken, "", Some(token())),
        sample!(AnyReply, CloneToken, "none", None),
        sample!(AnyReply, DeleteToken, "", ()),
        sample!(AnyReply, ReadPolicy, "", Some(policy())),
        sample!(AnyReply, ReadPolicy, "none", None),
        sample!(AnyReply, ListPolicies, "", vec![policy()]),
        sample!(AnyReply, SetPolicy, "", policy()),
        sample!(AnyReply, DeletePolicy, "", ()),
    ];
    for action in super::intention::actions() {
        all.push(sample!(AnyReply, ExpandToken, action.as_str(), Some(expanded(action))));
    }
    all
}

fn secret() -> Secret {
    Secret::new("0c7c8f0e-0d5f-4c60-9d0e-0a1b2c3d4e5f".to_owned())
}

fn choices() -> Vec<PolicyChoice> {
    every!(PolicyChoice:
        PolicyChoice::Id(_) => PolicyChoice::Id(uuid(0x31)),
        PolicyChoice::Name(_) => PolicyChoice::Name("operators".to_owned()),
    )
}

fn identities() -> Identities {
    let service = ServiceLink { service: name("web"), datacenters: vec![name("dc1"), name("dc2")] };
    let node = NodeLink { node: name("n1"), datacenter: name("dc1") };
    Identities { services: vec![service], nodes: vec![node] }
}

fn set_token() -> SetToken {
    SetToken {
        accessor: Some(uuid(0x21)),
        new_accessor: Some(uuid(0x22)),
        secret: Some(secret()),
        description: "of the shop".to_owned(),
        policies: choices(),
        identities: identities(),
        local: true,
        expires_at: Some(at(5)),
        expires_after: Some(Duration::new(3600, 1)),
    }
}

fn token() -> TokenRecord {
    TokenRecord {
        accessor: uuid(0x21),
        secret: "0c7c8f0e-0d5f-4c60-9d0e-0a1b2c3d4e5f".to_owned(),
        description: "of the shop".to_owned(),
        policies: vec![PolicyLink { id: uuid(0x31), name: "operators".to_owned() }],
        identities: identities(),
        local: true,
        expires_at: Some(at(5)),
        created_at: at(1),
        hash: vec![1, 2, 255],
        stamp: stamp(),
    }
}

fn policy() -> AclPolicy {
    AclPolicy {
        id: uuid(0x31),
        name: "operators".to_owned(),
        description: "who runs it".to_owned(),
        rules: "operator = \"read\"".to_owned(),
        datacenters: vec![name("dc1"), name("dc2")],
        stamp: stamp(),
    }
}
