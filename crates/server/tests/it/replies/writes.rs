//! Every request that writes, with the rights that it takes, after Consul's documentation.

use std::collections::BTreeMap;

use concord_model::catalog::{CheckStatus, Registered, Registration};
use concord_model::entry::EntryKind;
use concord_rpc::AnyRequest;
use concord_rpc::request::*;

use super::filled::{
    BY_ID, ENTRIES, Filled, INSTANCES, INTENTIONS, VICTIM, by_id, intentions, plain_entry, registration,
};
use super::oracle::{Needs, Right};
use crate::ca::change;
use crate::intention::{from, to, upsert};
use crate::world::{check, deregister, instance, new_token, node, policy, registered, target};

/// A request that writes, and what it takes. Empty needs: it is refused to all, whatever they may.
pub(crate) struct Write {
    pub(crate) request: AnyRequest,
    pub(crate) needs: Needs,
}

fn write<R: Request>(request: R, needs: impl IntoIterator<Item = Vec<Right>>) -> Write {
    Write { request: request.into_any(), needs: needs.into_iter().collect() }
}

const fn node_write(name: &'static str) -> Right {
    ("node", name, "write")
}

const fn service_write(name: &'static str) -> Right {
    ("service", name, "write")
}

pub(crate) fn all(filled: &Filled) -> Vec<Write> {
    let mut all = registrations();
    all.extend(removals());
    all.extend(of_intentions(filled));
    all.extend(of_entries());
    all.extend(of_tokens(filled));
    for (service, csr) in &filled.csrs {
        all.push(write(SignLeaf { csr: csr.clone() }, [vec![service_write(service)]]));
    }
    all.push(write(change("{}"), [vec![("operator", "", "write")]]));
    let addresses = vec![[10, 0, 0, 1].into()];
    all.push(write(SetServiceAddresses { service: target("web"), addresses }, [vec![("mesh", "", "write")]]));
    all.push(write(BootstrapAcl { secret: None }, []));
    all
}

fn registrations() -> Vec<Write> {
    let [_, web, _, _, proxy, ..] = &INSTANCES;
    let mut all = Vec::new();
    // The node stays as it is.
    let mut changed = registration(web);
    let own = changed.0.service.as_mut().unwrap();
    (own.port, changed.0.checks) = (8081, Vec::new());
    all.push(write(changed, [vec![service_write("web")]]));
    // Checks of the node come with it.
    all.push(write(registration(web), [vec![service_write("web"), node_write("n1")]]));
    all.push(write(registration(proxy), [vec![service_write("web-proxy"), service_write("web")]]));
    let alone = |on, id: &str, of: &str| {
        let mut own = instance(id, of);
        own.tags = vec!["new".to_owned()];
        Registration { service: Some(own), ..Registration::of(node(on)) }
    };
    // A node that is new, one that changes, and an id that was another service's.
    all.push(write(Register(alone("n9", "web", "web")), [vec![node_write("n9"), service_write("web")]]));
    all.push(write(Register(alone("n2", "web", "web")), [vec![node_write("n2"), service_write("web")]]));
    let taken = Registration { skip_node_update: true, ..alone("n1", "db-1", "web") };
    all.push(write(Register(taken), [vec![service_write("web"), service_write("db")]]));
    let with_check = |id, of| Registration {
        skip_node_update: true,
        checks: vec![check(id, of, CheckStatus::Critical)],
        ..Registration::of(node("n2"))
    };
    all.push(write(Register(with_check("n2-node", None)), [vec![node_write("n2")]]));
    all.push(write(Register(with_check("web-2-check", Some("web-2"))), [vec![service_write("web")]]));
    let taken = with_check("proxy-check", Some("web-2"));
    all.push(write(Register(taken), [vec![service_write("web"), service_write("web-proxy")]]));
    all
}

/// Who may write the node may remove anything of it.
fn removals() -> Vec<Write> {
    let check = |id: &str| Registered::Check { id: id.parse().unwrap() };
    vec![
        write(deregister("n2", Registered::Node), [vec![node_write("n2")]]),
        write(deregister("n2", registered("web-2")), [vec![node_write("n2")], vec![service_write("web")]]),
        write(deregister("n1", registered("db-1")), [vec![node_write("n1")], vec![service_write("db")]]),
        write(deregister("n2", registered("nobody")), [vec![node_write("n2")]]),
        write(deregister("n2", check("n2-node")), [vec![node_write("n2")]]),
        write(deregister("n2", check("web-2-check")), [vec![node_write("n2")], vec![service_write("web")]]),
    ]
}

fn of_intentions(filled: &Filled) -> Vec<Write> {
    let to_write = |name| [vec![("intention", name, "write")]];
    let mut all = vec![
        write(
            CreateIntention { intention: PlainIntention { source: from("api"), ..by_id() } },
            to_write(BY_ID.1),
        ),
        write(
            UpdateIntention {
                id: filled.id,
                intention: PlainIntention {
                    meta: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
                    ..by_id()
                },
            },
            to_write(BY_ID.1),
        ),
        write(DeleteIntentionById { id: filled.id }, to_write(BY_ID.1)),
        write(upsert("api", "*", concord_model::intention::Action::Deny), to_write("*")),
    ];
    for name in ["web", "db"] {
        all.push(write(upsert("api", name, concord_model::intention::Action::Deny), to_write(name)));
    }
    for (source, destination) in INTENTIONS.into_iter().take(2) {
        let gone = DeleteIntention { destination: to(destination), source: from(source) };
        all.push(write(gone, to_write(destination)));
    }
    all
}

fn of_entries() -> Vec<Write> {
    let mut all = Vec::new();
    let mut both = |entry: concord_model::entry::Entry, right: Right| {
        let name = entry.name();
        all.push(write(DeleteEntry { name, cas: None }, [vec![right]]));
        // It stands as it is, so that a write of it changes nothing; who may not is refused all the same.
        all.push(write(ApplyEntry { entry, cas: None }, [vec![right]]));
    };
    // Permissions that look at requests hang on what is said of that service.
    for (kind, name) in ENTRIES.into_iter().filter(|(_, name)| *name != "api") {
        let right = match kind {
            EntryKind::ServiceIntentions => ("intention", name, "write"),
            EntryKind::ServiceDefaults
            | EntryKind::ServiceResolver
            | EntryKind::ServiceRouter
            | EntryKind::ServiceSplitter => service_write(name),
            EntryKind::ProxyDefaults
            | EntryKind::Mesh
            | EntryKind::JwtProvider
            | EntryKind::IngressGateway
            | EntryKind::TerminatingGateway
            | EntryKind::ExportedServices
            | EntryKind::InlineCertificate
            | EntryKind::FileSystemCertificate
            | EntryKind::ApiGateway
            | EntryKind::HttpRoute
            | EntryKind::TcpRoute => ("mesh", "", "write"),
            EntryKind::BoundApiGateway => panic!("nobody writes it"),
        };
        both(plain_entry(kind, name), right);
    }
    for name in ["db", "web", "*"] {
        both(intentions(name), ("intention", name, "write"));
    }
    all
}

fn of_tokens(filled: &Filled) -> Vec<Write> {
    let to_write = || [vec![("acl", "", "write")]];
    let (accessor, id) = (VICTIM, filled.victims_policy);
    let set = SetToken { accessor: Some(accessor), description: "changed".to_owned(), ..new_token() };
    let rules = "node \"n1\" { policy = \"read\" }";
    let new = format!("new-{}", filled.host.world.entropy.u64());
    vec![
        write(new_token(), to_write()),
        write(set, to_write()),
        write(CloneToken { accessor, description: None }, to_write()),
        write(DeleteToken { accessor }, to_write()),
        write(policy(&new, rules), to_write()),
        write(SetPolicy { id: Some(id), ..policy("victim", rules) }, to_write()),
        write(DeletePolicy { id }, to_write()),
    ]
}
