//! Intentions.

use std::sync::Arc;

use concord_mesh::explain::request::{
    AskedRequest, NoRequestChange, Reach, RequestChange, RequestExplanation, RequestProposal, RequestStep,
    Sent,
};
use concord_mesh::explain::route::{Judged, Leg, Part, Routed, Way};
use concord_mesh::explain::{Affected, Change, Explanation, NoChange, Pair, Proposal, Step};
use concord_mesh::intention::{Because, DefaultSource, Intention, Verdict};
use concord_mesh::request::{Condition, Fit, Refusal, RequestBecause, RequestVerdict, Tried};
use concord_model::chain::ChainNode;
use concord_model::entry::{Protocol, RouteDestination, Weight};
use concord_model::intention::{
    Action, Decision, Destination, HeaderMatch, HeaderValueMatch, HttpPermission, JwtProviderRequirement,
    JwtRequirement, LegacyFields, PathMatch, Permission, ServiceIntentions, Source, SourceIntention,
};
use concord_rpc::request::*;
use concord_rpc::{AnyReply, AnyRequest};

use super::chain::{chain, origin};
use super::{Sample, at, every, meta, name, sample, service, stamp, uuid};

pub(crate) fn requests() -> Vec<Sample<AnyRequest>> {
    let (id, pair) = (uuid(0x13), (service("web"), service("db")));
    let check = CheckIntention { source: Some(service("web")), destination: service("db") };
    let explain = ExplainIntention { source: pair.0, destination: pair.1 };
    let upsert =
        UpsertIntention { destination: destination("db"), intention: told(), meta: meta(), jwt: None };
    let with_token = UpsertIntention { jwt: Some(jwt()), ..upsert.clone() };
    let delete = DeleteIntention { destination: destination("*"), source: source("*") };
    let read = ReadPair { destination: destination("db"), source: source("web") };
    let update = UpdateIntention { id, intention: plain(Action::Allow) };
    let mut all = vec![
        sample!(AnyRequest, ListIntentions, "", ListIntentions {}),
        sample!(AnyRequest, CheckIntention, "", check),
        sample!(AnyRequest, ExplainIntention, "", explain),
        sample!(AnyRequest, ExplainRequest, "", explain_request()),
        sample!(AnyRequest, UpsertIntention, "", upsert),
        sample!(AnyRequest, UpsertIntention, "token", with_token),
        sample!(AnyRequest, DeleteIntention, "", delete),
        sample!(AnyRequest, ReadPair, "", read),
        sample!(AnyRequest, ReadIntention, "", ReadIntention { id }),
        sample!(AnyRequest, UpdateIntention, "", update),
        sample!(AnyRequest, DeleteIntentionById, "", DeleteIntentionById { id }),
    ];
    let sides = every!(MatchBy:
        MatchBy::Source(_) => MatchBy::Source(service("web")),
        MatchBy::Destination(_) => MatchBy::Destination(service("db")),
        MatchBy::AnySource => MatchBy::AnySource,
        MatchBy::AnyDestination => MatchBy::AnyDestination,
    );
    for (what, by) in ["source", "destination", "any-source", "any-destination"].into_iter().zip(sides) {
        all.push(sample!(AnyRequest, MatchIntentions, what, MatchIntentions { by, also: Vec::new() }));
    }
    let several = MatchIntentions { by: MatchBy::Source(service("web")), also: vec![MatchBy::AnySource] };
    all.push(sample!(AnyRequest, MatchIntentions, "several", several));
    for action in actions() {
        let create = CreateIntention { intention: plain(action) };
        all.push(sample!(AnyRequest, CreateIntention, action.as_str(), create));
    }
    all
}

pub(crate) fn replies() -> Vec<Sample<AnyReply>> {
    let answer = IntentionAnswer { allowed: true, reason: "a rule said so".to_owned() };
    let mut all = vec![
        sample!(AnyReply, ListIntentions, "", vec![entry()]),
        sample!(AnyReply, MatchIntentions, "", Matched::of([vec![entry()]])),
        sample!(AnyReply, MatchIntentions, "several", Matched::of([vec![entry()], vec![], vec![entry()]])),
        sample!(AnyReply, CheckIntention, "", answer),
        sample!(AnyReply, UpsertIntention, "", ()),
        sample!(AnyReply, DeleteIntention, "", ()),
        sample!(AnyReply, ReadPair, "", Some(entry())),
        sample!(AnyReply, ReadPair, "none", None),
        sample!(AnyReply, ReadIntention, "", Some(entry())),
        sample!(AnyReply, ReadIntention, "none", None),
        sample!(AnyReply, CreateIntention, "", uuid(0x13)),
        sample!(AnyReply, UpdateIntention, "", ()),
        sample!(AnyReply, DeleteIntentionById, "", ()),
    ];
    let names = ["connection", "requests", "default", "peer", "token", "demanded", "reached"];
    let explanations = explanations();
    assert_eq!(names.len(), explanations.len());
    for (what, explanation) in names.into_iter().zip(explanations) {
        all.push(sample!(AnyReply, ExplainIntention, what, explanation));
    }
    for (what, explanation) in explanations_of_requests() {
        all.push(sample!(AnyReply, ExplainRequest, what, explanation));
    }
    all
}

fn explain_request() -> ExplainRequest {
    let asked = AskedRequest {
        method: "POST".to_owned(),
        target: "/admin?x".to_owned(),
        headers: vec![("x-team".to_owned(), "shop".to_owned())],
        tokens: vec![("okta".to_owned(), serde_json::json!({"role": "admin", "level": 5}))],
    };
    ExplainRequest { source: service("web"), destination: service("db"), asked }
}

pub(super) fn actions() -> Vec<Action> {
    every!(Action:
        Action::Allow => Action::Allow,
        Action::Deny => Action::Deny,
    )
}

fn destination(text: &str) -> Destination {
    Destination { partition: name("part"), namespace: name("*"), name: name(text) }
}

fn source(text: &str) -> Source {
    Source { partition: name("part"), namespace: name("space"), peer: Some(name("east")), name: name(text) }
}

fn plain(action: Action) -> PlainIntention {
    PlainIntention {
        destination: destination("db"),
        source: source("web"),
        action,
        description: "the shop asks".to_owned(),
        meta: meta(),
    }
}

fn legacy() -> LegacyFields {
    LegacyFields { id: uuid(0x13), meta: meta(), create_time: at(1), update_time: at(2) }
}

fn jwt() -> JwtRequirement {
    let provider = JwtProviderRequirement {
        name: "okta".to_owned(),
        verify_claims: vec![(vec!["realm".to_owned(), "aud".to_owned()], "api".to_owned())],
    };
    JwtRequirement { providers: vec![provider] }
}

fn decisions() -> Vec<Decision> {
    every!(Decision:
        Decision::Connection(_) => Decision::Connection(Action::Deny),
        Decision::Requests(_) => Decision::Requests(permissions()),
    )
}

/// Every condition on paths, with every condition on headers.
fn permissions() -> Vec<Permission> {
    let text = || "x".to_owned();
    let paths = every!(PathMatch:
        PathMatch::Exact(_) => PathMatch::Exact(text()),
        PathMatch::Prefix(_) => PathMatch::Prefix(text()),
        PathMatch::Regex(_) => PathMatch::Regex(text()),
    );
    let values = || {
        every!(HeaderValueMatch:
            HeaderValueMatch::Present => HeaderValueMatch::Present,
            HeaderValueMatch::Exact(_) => HeaderValueMatch::Exact("x".to_owned()),
            HeaderValueMatch::Prefix(_) => HeaderValueMatch::Prefix("x".to_owned()),
            HeaderValueMatch::Suffix(_) => HeaderValueMatch::Suffix("x".to_owned()),
            HeaderValueMatch::Contains(_) => HeaderValueMatch::Contains("x".to_owned()),
            HeaderValueMatch::Regex(_) => HeaderValueMatch::Regex("x".to_owned()),
        )
    };
    let header = |value| HeaderMatch { name: "x-team".to_owned(), value, ignore_case: true, invert: true };
    let permission = |path| Permission {
        action: Action::Allow,
        http: Some(HttpPermission {
            path: Some(path),
            headers: values().into_iter().map(header).collect(),
            methods: vec!["GET".to_owned(), "PUT".to_owned()],
        }),
        jwt: Some(jwt()),
    };
    paths.into_iter().map(permission).collect()
}

fn told() -> SourceIntention {
    by(Decision::Connection(Action::Allow))
}

fn by(decision: Decision) -> SourceIntention {
    SourceIntention {
        source: source("web"),
        decision,
        description: "the shop asks".to_owned(),
        legacy: Some(legacy()),
    }
}

pub(super) fn entry() -> ServiceIntentions {
    ServiceIntentions {
        destination: destination("db"),
        sources: decisions().into_iter().map(by).collect(),
        jwt: Some(jwt()),
        meta: meta(),
        stamp: stamp(),
    }
}

fn rule(decision: Decision) -> Arc<Intention> {
    Arc::new(Intention {
        destination: destination("db"),
        source: source("web"),
        precedence: 9,
        decision,
        description: "the shop asks".to_owned(),
        legacy: Some(legacy()),
        jwt: Some(Arc::new(jwt())),
        meta: Arc::new(meta()),
        stamp: stamp(),
    })
}

/// Every reason of a verdict and every change that would flip it, spread over as many explanations as it takes.
fn explanations() -> Vec<Explanation> {
    let rule = || rule(Decision::Requests(permissions()));
    let mut reasons = every!(Because:
        Because::Connection { .. } => Because::Connection { rule: rule() },
        Because::Requests { .. } => Because::Requests { rule: rule() },
        Because::Default(_) => Because::Default(DefaultSource::AclDefault),
        Because::TokenDemanded { .. } => Because::TokenDemanded { rule: Some(rule()) },
    );
    let demanded = reasons.pop();
    let defaults = every!(DefaultSource:
        DefaultSource::DefaultIntentionPolicy => DefaultSource::DefaultIntentionPolicy,
        DefaultSource::AclDefault => DefaultSource::AclDefault,
    );
    reasons.extend(defaults.into_iter().map(Because::Default));
    reasons.extend(demanded);
    let steps = every!(Step:
        Step::Set { .. } => Step::Set { from: Decision::Connection(Action::Deny), to: Action::Allow },
        Step::Add { .. } => Step::Add { action: Action::Deny },
        Step::Remove { .. } => Step::Remove { was: Decision::Requests(permissions()) },
    );
    let obstacles = every!(NoChange:
        NoChange::DecidedByPeer => NoChange::DecidedByPeer,
        NoChange::TokenDemanded => NoChange::TokenDemanded,
    );
    let proposals = || steps.iter().cloned().map(proposal);
    let smallest = proposals().map(Ok).chain(obstacles.into_iter().map(Err));
    let smallest = smallest.chain([Err(NoChange::TokenDemanded)]);
    let explanation = |(because, smallest_change)| Explanation {
        source: service("web"),
        destination: service("db"),
        verdict: Verdict { allowed: true, because },
        shadows: vec![rule()],
        smallest_change,
        alternatives: proposals().collect(),
        way: None,
        reached: Vec::new(),
    };
    let mut all: Vec<_> = reasons.into_iter().zip(smallest).map(explanation).collect();
    let (way, reached) = (Some(Way::Untold("it is not whole".to_owned())), vec![all[0].clone()]);
    all.push(Explanation { way, reached, ..all[0].clone() });
    all
}

fn proposal(step: Step) -> Proposal {
    let pair = Pair { source: service("web"), destination: service("db"), allowed: true };
    Proposal {
        change: Change { source: source("*"), destination: destination("*"), step },
        also_affects: Affected { count: 3, listed: vec![pair], complete: true },
    }
}

fn explanations_of_requests() -> Vec<(&'static str, RequestExplanation)> {
    let rule = || rule(Decision::Requests(permissions()));
    let conditions = every!(Condition:
        Condition::Methods => Condition::Methods,
        Condition::Path => Condition::Path,
        Condition::Header(_) => Condition::Header(3),
        Condition::Token => Condition::Token,
    );
    let fits = every!(Fit: Fit::No => Fit::No, Fit::Unclear => Fit::Unclear, Fit::Yes => Fit::Yes,);
    let tried = |condition| Tried { permission: 1, action: Action::Deny, fit: Fit::Unclear, condition };
    let mut all: Vec<_> = conditions.into_iter().map(Some).map(tried).collect();
    all.extend(fits.into_iter().map(|fit| Tried { fit, ..tried(None) }));
    let reasons = every!(RequestBecause:
        RequestBecause::Refused(_) => RequestBecause::Refused(Refusal::Redirect { to: "/".to_owned() }),
        RequestBecause::Connection { .. } => RequestBecause::Connection { rule: rule() },
        RequestBecause::NoRequests { .. } => RequestBecause::NoRequests { rule: rule() },
        RequestBecause::Permission { .. } => RequestBecause::Permission { rule: rule(), tried: tried(Some(Condition::Header(3))) },
        RequestBecause::TokenDemanded { .. } => RequestBecause::TokenDemanded { rule: Some(rule()), no_requests: false },
        RequestBecause::Default { .. } => RequestBecause::Default { source: DefaultSource::AclDefault, rule: Some(rule()) },
    );
    let mut obstacles = every!(NoRequestChange:
        NoRequestChange::DecidedByPeer => NoRequestChange::DecidedByPeer,
        NoRequestChange::TokenDemanded => NoRequestChange::TokenDemanded,
        NoRequestChange::Refused => NoRequestChange::Refused,
        NoRequestChange::None => NoRequestChange::None,
        NoRequestChange::TokenWithoutRequests => NoRequestChange::TokenWithoutRequests,
    );
    let last = obstacles.pop();
    let obstacles = obstacles.into_iter().map(Some).chain([None, None]);
    let names = ["refused", "connection", "no-requests", "permission", "token", "default"];
    let explanation = |((what, because), no_change): ((&'static str, _), _)| {
        let explanation = RequestExplanation {
            source: service("web"),
            destination: service("db"),
            protocol: Protocol::Http,
            verdict: RequestVerdict { allowed: true, because },
            sent: Some(Sent { path: "/admin".to_owned(), authority: Some("db".to_owned()), ambiguous: true }),
            tried: all.clone(),
            shadows: vec![rule()],
            changes: changes_of_requests(),
            no_change,
            protocol_note: None,
            way: None,
            reached: Vec::new(),
        };
        (what, explanation)
    };
    let mut all: Vec<_> = names.into_iter().zip(reasons).zip(obstacles).map(explanation).collect();
    let some = all[0].1.clone();
    let told = |(name, way)| (name, RequestExplanation { way: Some(way), ..some.clone() });
    all.extend(["routed", "not-routed", "unclear"].into_iter().zip(ways()).map(told));
    let (protocol_note, reached) = (Some("they differ".to_owned()), vec![some.clone()]);
    let because = RequestBecause::TokenDemanded { rule: Some(rule()), no_requests: true };
    let verdict = RequestVerdict { allowed: false, because };
    all.push(("reached", RequestExplanation { verdict, protocol_note, reached, no_change: last, ..some }));
    all
}

fn ways() -> Vec<Way> {
    let chain = chain();
    let target = chain.targets.values().next().unwrap();
    let judged = every!(Judged:
        Judged::Verdict { .. } => Judged::Verdict { allowed: true, reason: "a rule said so".to_owned() },
        Judged::Hidden => Judged::Hidden,
        Judged::ByPeer => Judged::ByPeer,
        Judged::Unclear => Judged::Unclear,
    );
    let leg = |judged| Leg { origins: vec![origin("Failover")], target: target.clone(), judged };
    let resolvers = chain.nodes.values().find_map(|node| match node {
        ChainNode::Resolver(resolver) => Some(resolver.clone()),
        _ => None,
    });
    let part = Part {
        weight: Weight::from_hundredths(3333),
        origins: vec![origin("Splits[0]")],
        resolver: resolvers.unwrap(),
        legs: judged.iter().take(3).cloned().map(leg).collect(),
    };
    let unclear = Part { legs: judged.into_iter().skip(3).map(leg).collect(), ..part.clone() };
    let routed = Routed {
        protocol: Some(origin("Protocol")),
        route: Some(origin("Routes[0]")),
        says: Some(RouteDestination { num_retries: 3, ..RouteDestination::default() }),
        arrives_as: "/x".to_owned(),
        parts: vec![part],
        parts_count: 2,
    };
    let other = Routed { parts: vec![unclear], ..routed.clone() };
    let mut all = every!(Way:
        Way::Told(_) => Way::Told(Box::new(routed)),
        Way::Untold(_) => Way::Untold("it is not whole".to_owned()),
    );
    all.push(Way::Told(Box::new(other)));
    all
}

fn changes_of_requests() -> Vec<RequestProposal> {
    let steps = every!(RequestStep:
        RequestStep::SetPermission { .. } => RequestStep::SetPermission { permission: 1, to: Action::Deny },
        RequestStep::AddPermission { .. } => {
            RequestStep::AddPermission { before: 1, added: permissions().remove(0) }
        },
        RequestStep::Permit { .. } => RequestStep::Permit { exists: true, permissions: permissions() },
        RequestStep::Act { .. } => RequestStep::Act { exists: true, action: Action::Deny },
    );
    let reaches = every!(Reach:
        Reach::Request => Reach::Request,
        Reach::Permission => Reach::Permission,
        Reach::Pair => Reach::Pair,
    );
    let pair = || Pair { source: service("web"), destination: service("db"), allowed: true };
    let proposal = |(step, reach)| RequestProposal {
        change: RequestChange { source: source("*"), destination: destination("db"), step },
        reach,
        also_affects: Affected { count: 3, listed: vec![pair()], complete: true },
    };
    steps.into_iter().zip(reaches.into_iter().cycle()).map(proposal).collect()
}
