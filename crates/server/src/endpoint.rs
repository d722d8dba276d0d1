//! Answers the requests: one file per area, and a table that maps each request to its function.

pub(crate) mod acl;
mod acl_changes;
mod address;
mod catalog;
mod certificate;
mod chain;
mod dataplane;
pub(crate) mod entry;
mod entry_status;
mod gateway;
mod intention;
mod merging;
pub(crate) mod plan;
mod status;
mod topology;

use std::sync::Arc;

use concord_rpc::request::Terms;
use concord_rpc::{Answer, AnyReply, AnyRequest, Head, Request, RpcError, ServerApi};
use futures::future::BoxFuture;

use crate::parts::Core;
use crate::router::{self, Place};

/// A handle for callers in the same process: requests reach the state without encoding.
#[derive(Clone, Debug)]
pub struct LocalApi {
    core: Arc<Core>,
}

impl LocalApi {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

/// Checks that a request on these terms can be carried out here and now.
async fn await_reach(core: &Core, terms: Terms, head: &Head) -> Result<(), RpcError> {
    match router::within_reach(&core.location, terms, head)? {
        Place::Here => {}
        Place::Leader => core.lead().await?,
        Place::Datacenter(_) => return Err(RpcError::UnknownDatacenter),
    }
    core.has(terms.part)
}

/// How each request is answered: a query on a view, one that can take long, or a write by an authorised caller. A request that has to wait
/// for something before its query declares that here.
///
/// Each kind has a future of its own, of its own size: thousands of queries wait at the same time.
macro_rules! answer_with {
    ($core:ident, $terms:ident, $head:ident, $request:expr; $($kind:ident $name:ident => $function:path $(, after $first:path)?;)+) => {
        match $request {
            $( AnyRequest::$name(request) => Box::pin(async move {
                await_reach($core, $terms, &$head).await?;
                $( $first($core).await?; )?
                answer_with!(@$kind $core, &$head, request, $function).map(|answer| answer.map(AnyReply::$name))
            }), )+
        }
    };
    (@read $core:expr, $head:expr, $request:ident, $function:path) => {
        $core.read($head, &$request, $function).await
    };
    (@study $core:expr, $head:expr, $request:ident, $function:path) => {
        $core.study($head, $request, $function).await
    };
    (@write $core:expr, $head:expr, $request:ident, $function:path) => {{
        let caller = $core.authorise($head, &$request.need()).await?;
        $function($core.writing(&caller), $request).await
    }};
}

impl ServerApi for LocalApi {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        let (core, terms) = (&self.core, request.terms());
        let head = terms.applied_to(head);
        answer_with!(core, terms, head, request;
            read ListDatacenters => catalog::list_datacenters;
            read ListNodes => catalog::list_nodes;
            read ListServices => catalog::list_services;
            read ListInstances => catalog::list_instances;
            read ServiceInstances => catalog::service_instances;
            read NodeDump => catalog::node_dump;
            read NodeChecks => catalog::node_checks;
            read ServiceChecks => catalog::service_checks;
            read ChecksInState => catalog::checks_in_state;
            read ServiceHealth => catalog::service_health;
            write Register => catalog::register;
            write Deregister => catalog::deregister;
            write SetServiceAddresses => address::set_service_addresses;
            read ListIntentions => intention::list_intentions;
            read MatchIntentions => intention::match_intentions;
            read CheckIntention => intention::check_intention;
            read ExplainIntention => intention::explain_intention;
            read ExplainRequest => intention::explain_request;
            write UpsertIntention => intention::upsert_intention;
            write DeleteIntention => intention::delete_intention;
            read ReadPair => intention::read_pair;
            read ReadIntention => intention::by_id::read_intention;
            write CreateIntention => intention::by_id::create_intention;
            write UpdateIntention => intention::by_id::update_intention;
            write DeleteIntentionById => intention::by_id::delete_intention_by_id;
            read ReadEntry => entry::read_entry;
            read ReadAcceptance => entry::read_acceptance;
            read ReadChain => chain::read_chain, after certificate::await_first_root;
            read ReadDefaults => merging::read_defaults;
            read ListEntries => entry::list_entries;
            study PlanEntries => plan::plan_entries;
            study ReadEntryStatus => entry_status::read_entry_status;
            write ApplyEntry => entry::apply_entry;
            write DeleteEntry => entry::delete_entry;
            read ListGatewayServices => gateway::list_gateway_services;
            read GatewayServiceHealth => gateway::gateway_service_health;
            read GatewayIntentions => gateway::gateway_intentions;
            read ListExports => gateway::list_exports;
            read ReadTopology => topology::read_topology;
            read ListServers => dataplane::list_servers;
            read ReadProxy => dataplane::read_proxy;
            read FollowProxy => dataplane::follow_proxy;
            read ReadCaRoots => certificate::read_ca_roots, after certificate::await_first_root;
            read ReadCaConfig => certificate::read_ca_config;
            write SetCaConfig => certificate::set_ca_config;
            write SignLeaf => certificate::sign_leaf;
            read ResolveToken => acl::resolve_token;
            read AwaitAclChange => acl_changes::await_acl_change;
            write BootstrapAcl => acl::bootstrap_acl;
            read ReadOwnToken => acl::read_own_token;
            read ReadToken => acl::read_token;
            read ExpandToken => acl::expand_token;
            read ListTokens => acl::list_tokens;
            write SetToken => acl::set_token;
            write CloneToken => acl::clone_token;
            write DeleteToken => acl::delete_token;
            read ReadPolicy => acl::read_policy;
            read ListPolicies => acl::list_policies;
            write SetPolicy => acl::set_policy;
            write DeletePolicy => acl::delete_policy;
            read ReadStatus => status::read_status;
        )
    }
}
