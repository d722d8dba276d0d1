//! The requests, answered: one file per area, and the table that leads each to its answer.

pub(crate) mod acl;
mod acl_changes;
mod catalog;
mod certificate;
pub(crate) mod entry;
mod intention;
mod status;

use std::sync::Arc;

use concord_rpc::{Answer, AnyReply, AnyRequest, Head, RpcError, ServerApi};
use futures::future::BoxFuture;

use crate::paths::Core;
use crate::router::{self, Place};

/// A server's own handle: requests go straight to the state, without a wire between.
#[derive(Clone, Debug)]
pub struct LocalApi {
    core: Arc<Core>,
}

impl LocalApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

macro_rules! answer_with {
    ($core:expr, $head:expr, $request:expr; $($name:ident => $method:ident,)+) => {
        match $request {
            $( AnyRequest::$name(request) => $core.$method($head, request).await.map(|answer| answer.map(AnyReply::$name)), )+
        }
    };
}

impl ServerApi for LocalApi {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        Box::pin(async move {
            let (core, terms) = (&*self.core, request.terms());
            let head = &terms.applied_to(head);
            match router::within_reach(&core.location, terms, head)? {
                Place::Here => {}
                Place::Leader => core.lead().await?,
                Place::Datacenter(_) => return Err(RpcError::UnknownDatacenter),
            }
            answer_with!(core, head, request;
                ListDatacenters => list_datacenters,
                ListNodes => list_nodes,
                ListServices => list_services,
                ListInstances => list_instances,
                ServiceInstances => service_instances,
                NodeDump => node_dump,
                NodeChecks => node_checks,
                ServiceChecks => service_checks,
                ChecksInState => checks_in_state,
                ServiceHealth => service_health,
                Register => register,
                Deregister => deregister,
                ListIntentions => list_intentions,
                MatchIntentions => match_intentions,
                CheckIntention => check_intention,
                ExplainIntention => explain_intention,
                UpsertIntention => upsert_intention,
                DeleteIntention => delete_intention,
                ReadPair => read_pair,
                ReadIntention => read_intention,
                CreateIntention => create_intention,
                UpdateIntention => update_intention,
                DeleteIntentionById => delete_intention_by_id,
                ReadEntry => read_entry,
                ListEntries => list_entries,
                ApplyEntry => apply_entry,
                DeleteEntry => delete_entry,
                ReadCaRoots => read_ca_roots,
                ReadCaConfig => read_ca_config,
                SetCaConfig => set_ca_config,
                SignLeaf => sign_leaf,
                ResolveToken => resolve_token,
                AwaitAclChange => await_acl_change,
                BootstrapAcl => bootstrap_acl,
                ReadOwnToken => read_own_token,
                ReadToken => read_token,
                ExpandToken => expand_token,
                ListTokens => list_tokens,
                SetToken => set_token,
                CloneToken => clone_token,
                DeleteToken => delete_token,
                ReadPolicy => read_policy,
                ListPolicies => list_policies,
                SetPolicy => set_policy,
                DeletePolicy => delete_policy,
                ReadStatus => read_status,
            )
        })
    }
}
