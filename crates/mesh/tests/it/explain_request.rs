//! Tests of explanations of requests: what they say is what the decision says, and what they propose reverses it.

use concord_mesh::explain::request::{
    AskedRequest, NoRequestChange, Reach, RequestExplanation, RequestStep, Universe, explain_request,
};
use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy};
use concord_mesh::request::{Header, Received, Request, RequestBecause, Token, Tried};
use concord_model::ServiceRef;
use concord_model::entry::{Entry, Protocol, RequestNormalization};
use concord_model::intention::{Action, Decision, ServiceIntentions};
use serde_json::json;

use crate::random::{Random, action};
use crate::random_request::{Sent, entries, names, settings};
use crate::{oracle, request_oracle};

fn default(action: Action) -> DefaultPolicy {
    DefaultPolicy { action, source: DefaultSource::AclDefault }
}

/// A request that can be asked about.
fn asked(sent: &Sent) -> Option<AskedRequest> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let mut headers = Vec::new();
    for Header { name, value } in &sent.headers {
        headers.push(((*name).to_owned(), text(value)?));
    }
    Some(AskedRequest {
        method: sent.method.to_owned(),
        target: text(&sent.target)?,
        headers,
        tokens: sent.tokens.iter().map(|(name, claims)| ((*name).to_owned(), claims.clone())).collect(),
    })
}

fn is_valid(entry: &ServiceIntentions) -> bool {
    concord_mesh::entry::validate(&Entry::ServiceIntentions(entry.clone())).is_ok()
}

struct Case {
    entries: Vec<ServiceIntentions>,
    from: ServiceRef,
    to: ServiceRef,
    asked: AskedRequest,
    settings: RequestNormalization,
    default: Action,
}

impl Case {
    fn random(seed: u64) -> Option<Self> {
        let (names, mut random) = (names(), Random::new(seed));
        let random = &mut random;
        let asked = asked(&Sent::random(random))?;
        let mut entries = entries(&names, random);
        if random.one_in(2) {
            entries.iter_mut().for_each(|entry| entry.jwt = None);
        }
        // What validation refuses is not proposed either, so it must not be there.
        for entry in entries.iter_mut().filter(|entry| entry.destination.service().is_none()) {
            for source in &mut entry.sources {
                if source.decision.is_by_request() {
                    source.decision = Decision::Connection(action(random));
                }
            }
        }
        let (from, to) = (names.service(random), names.service(random));
        Some(Self { entries, from, to, asked, settings: settings(random), default: action(random) })
    }

    fn explain(&self, known: &[ServiceRef]) -> RequestExplanation {
        let universe = Universe {
            entries: &self.entries,
            default: default(self.default),
            protocol: Protocol::Http,
            settings: &self.settings,
            known,
        };
        explain_request(universe, &self.from, &self.to, &self.asked)
    }

    /// What the second evaluator says with other entries.
    fn allowed(&self, entries: &[ServiceIntentions], from: &ServiceRef) -> bool {
        self.with_received(|received| {
            request_oracle::decide(entries, (from, &self.to), received, &self.settings, self.default).allowed
        })
    }

    fn with_received<T>(&self, look: impl FnOnce(Received<'_>) -> T) -> T {
        let AskedRequest { method, target, headers, tokens } = &self.asked;
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let tokens: Vec<_> = tokens.iter().map(|(provider, claims)| Token { provider, claims }).collect();
        let (target, authority) = (target.as_bytes(), None);
        look(Received { method, target, authority, headers: &headers, tokens: &tokens })
    }
}

#[test]
fn ten_thousand_explanations_say_what_is_decided_and_their_changes_reverse_it() {
    let universe = names().universe();
    let mut steps = [0u32; 4];
    let (mut helpless, mut shared, mut written) = (0u32, 0u32, 0u32);
    for seed in 0..10_000 {
        let Some(case) = Case::random(900_000 + seed) else { continue };
        let explanation = case.explain(&universe);
        let policy = Policy::compile(&case.to, &case.entries);
        case.with_received(|received| match Request::read(received, &case.settings) {
            Ok(request) => {
                let verdict = policy.decide_request(&case.from, &request, default(case.default));
                assert_eq!(explanation.verdict, verdict);
                assert_eq!(explanation.tried, policy.tried(&case.from, &request));
                assert_eq!(explanation.sent.as_ref().map(|sent| &*sent.path), Some(request.path()));
            }
            Err(refusal) => assert_eq!(explanation.verdict, refusal.into()),
        });
        let before = case.allowed(&case.entries, &case.from);
        assert_eq!(explanation.verdict.allowed, before);
        let covering = oracle::covering(&case.entries, &case.from, &case.to);
        assert_eq!(explanation.shadows.len(), covering.len().saturating_sub(1));

        if let Some(reason) = explanation.no_change {
            assert!(explanation.changes.is_empty());
            let refused = matches!(explanation.verdict.because, RequestBecause::Refused(_));
            let demanded =
                case.entries.iter().any(|entry| entry.jwt.is_some() && entry.destination.covers(&case.to));
            match reason {
                NoRequestChange::Refused => assert!(refused),
                NoRequestChange::TokenDemanded => assert!(demanded && !before),
                other => panic!("{other} {:?} {:#?}", case.asked, case.entries),
            }
            helpless += 1;
            continue;
        }
        let smallest = &explanation.changes[0];
        for proposal in &explanation.changes {
            let after = proposal.change.applied(&case.entries);
            assert_ne!(case.allowed(&after, &case.from), before, "{} {:?}", proposal.change, case.asked);
            let others: Vec<_> = universe
                .iter()
                .filter(|one| {
                    **one != case.from && case.allowed(&after, one) != case.allowed(&case.entries, one)
                })
                .collect();
            let listed: Vec<_> = proposal.also_affects.listed.iter().map(|pair| &pair.source).collect();
            assert_eq!(listed, others, "{}", proposal.change);
            shared += u32::from(!others.is_empty());
            // What is proposed can be written, if what was there could.
            let before = case.entries.iter().find(|entry| entry.destination == proposal.change.destination);
            if before.is_none_or(is_valid) {
                let after = after.iter().find(|entry| entry.destination == proposal.change.destination);
                assert!(after.is_some_and(is_valid), "{}", proposal.change);
                written += 1;
            }
            assert!(
                (smallest.reach, smallest.also_affects.count)
                    <= (proposal.reach, proposal.also_affects.count)
            );
        }
        steps[match smallest.change.step {
            RequestStep::SetPermission { .. } => 0,
            RequestStep::AddPermission { .. } => 1,
            RequestStep::Permit { .. } => 2,
            RequestStep::Act { .. } => 3,
        }] += 1;
    }
    assert!(helpless > 100 && shared > 100 && written > 5_000, "{helpless} {shared} {written}");
    assert!(steps[1] > 100 && steps[2] > 100, "{steps:?}");
}

#[test]
fn an_explanation_of_a_request_survives_its_wire_form() {
    for seed in 0..300 {
        let Some(case) = Case::random(seed) else { continue };
        let explanation = case.explain(&[]);
        let text = serde_json::to_string(&explanation).unwrap();
        assert_eq!(serde_json::from_str::<RequestExplanation>(&text).unwrap(), explanation);
    }
}

mod told {
    use concord_model::intention::{HttpPermission, PathMatch, Permission};

    use super::*;
    use crate::random::{entry, intention};
    use crate::request::{destination, service, source};

    fn on(action: Action, path: &str, methods: &[&str]) -> Permission {
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        let path = Some(PathMatch::Prefix(path.to_owned()));
        Permission { action, http: Some(HttpPermission { path, headers: vec![], methods }), jwt: None }
    }

    fn explain(
        entries: Vec<ServiceIntentions>,
        protocol: Protocol,
        method: &str,
        target: &str,
    ) -> RequestExplanation {
        let settings = RequestNormalization::default();
        let known = [service("web"), service("api"), service("db")];
        let universe = Universe {
            entries: &entries,
            default: default(Action::Deny),
            protocol,
            settings: &settings,
            known: &known,
        };
        let asked =
            AskedRequest { method: method.to_owned(), target: target.to_owned(), ..AskedRequest::default() };
        explain_request(universe, &service("web"), &service("api"), &asked)
    }

    #[track_caller]
    fn proposes(explanation: &RequestExplanation, expected: &[&str]) {
        let texts: Vec<_> = explanation.changes.iter().map(|one| one.change.to_string()).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_permission_before_the_one_that_decides_changes_least() {
        let list = vec![on(Action::Allow, "/a/public", &[]), on(Action::Deny, "/a", &[])];
        let rule = |name| {
            vec![entry(destination("api"), vec![intention(source(name), Decision::Requests(list.clone()))])]
        };
        let explanation = explain(rule("web"), Protocol::Http, "POST", "/a/x?y");
        assert!(!explanation.verdict.allowed);
        assert_eq!(explanation.tried.iter().map(Tried::applies).collect::<Vec<_>>(), [false, true]);
        proposes(
            &explanation,
            &[
                "insert at Permissions[1] of intention web => api: allow POST PathExact \"/a/x\"",
                "change intention web => api to have Permissions: allow POST PathExact \"/a/x\", \
                 allow PathPrefix \"/a/public\", deny PathPrefix \"/a\"",
                "set Permissions[1] of intention web => api to allow",
                "change intention web => api: allow",
            ],
        );
        let explanation = explain(rule("*"), Protocol::Http, "POST", "/a/x");
        let smallest = &explanation.changes[0];
        assert!(matches!(smallest.change.step, RequestStep::Permit { exists: false, .. }));
        assert_eq!((smallest.reach, smallest.also_affects.count), (Reach::Request, 0));
        assert_eq!(explanation.changes[1].also_affects.count, 2);
    }

    #[test]
    fn a_pair_without_permissions_gets_some_that_keep_the_rest() {
        let all =
            vec![entry(destination("*"), vec![intention(source("*"), Decision::Connection(Action::Allow))])];
        let explanation = explain(all, Protocol::Http2, "GET", "/admin");
        assert!(explanation.verdict.allowed);
        proposes(
            &explanation,
            &[
                "add intention web => api to have Permissions: deny GET PathExact \"/admin\", allow PathPrefix \"/\"",
                "add intention web => api: deny",
            ],
        );
        let explanation = explain(vec![], Protocol::Http, "GET", "/admin");
        proposes(
            &explanation,
            &[
                "add intention web => api to have Permissions: allow GET PathExact \"/admin\"",
                "add intention web => api: allow",
            ],
        );
    }

    #[test]
    fn a_destination_without_requests_is_judged_by_its_connections() {
        let list = Decision::Requests(vec![on(Action::Allow, "/", &[])]);
        let rule = vec![entry(destination("api"), vec![intention(source("web"), list)])];
        let explanation = explain(rule, Protocol::Tcp, "GET", "/admin");
        assert!(!explanation.verdict.allowed);
        assert!(matches!(explanation.verdict.because, RequestBecause::NoRequests { .. }));
        assert_eq!((explanation.sent.is_none(), explanation.tried.len()), (true, 0));
        proposes(&explanation, &["change intention web => api: allow"]);
    }

    #[test]
    fn what_no_change_helps_is_told() {
        let explanation = explain(vec![], Protocol::Http, "GET", "/a#b");
        assert_eq!(explanation.no_change, Some(NoRequestChange::Refused));
        let mut demanding =
            entry(destination("api"), vec![intention(source("web"), Decision::Connection(Action::Allow))]);
        demanding.jwt = Some(crate::random::requirement());
        let explanation = explain(vec![demanding], Protocol::Http, "GET", "/a");
        assert_eq!(explanation.no_change, Some(NoRequestChange::TokenDemanded));
        assert!(explanation.verdict.reason().contains("token"));
        assert_eq!(json!(explanation.no_change), json!("token_demanded"));
    }

    #[test]
    fn a_service_without_requests_cannot_be_shown_a_token() {
        for (action, reason) in [
            (Action::Allow, "a service whose protocol is tcp cannot be shown one"),
            (Action::Deny, "Matched L4 intention"),
        ] {
            let rule = intention(source("web"), Decision::Connection(action));
            let mut demanding = entry(destination("api"), vec![rule]);
            demanding.jwt = Some(crate::random::requirement());
            let explanation = explain(vec![demanding], Protocol::Tcp, "GET", "/a");
            assert!(!explanation.verdict.allowed);
            assert!(explanation.verdict.reason().contains(reason), "{}", explanation.verdict.reason());
            let no_change = explanation.no_change.unwrap();
            assert_eq!(no_change, NoRequestChange::TokenWithoutRequests);
            assert!(no_change.to_string().contains("give it an HTTP protocol"), "{no_change}");
        }
    }
}
