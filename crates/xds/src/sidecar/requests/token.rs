//! What intentions demand of tokens. The filter before has verified them, and told their claims.

use concord_envoy_proto::envoy::config::rbac::v3::permission::Rule;
use concord_envoy_proto::envoy::config::rbac::v3::{MetadataSource, SourcedMetadata};
use concord_envoy_proto::envoy::r#type::matcher::v3::metadata_matcher::PathSegment;
use concord_envoy_proto::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use concord_envoy_proto::envoy::r#type::matcher::v3::value_matcher::MatchPattern;
use concord_envoy_proto::envoy::r#type::matcher::v3::{
    DoubleMatcher, ListMatcher, MetadataMatcher, ValueMatcher, double_matcher, list_matcher,
};
use concord_model::intention::{JwtProviderRequirement, JwtRequirement};

use super::test::{Judged, Test};
use super::text::exact;
use crate::bootstrap::version::Version;
use crate::names;

/// How Envoy is asked for what the filter told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sidecar) enum Told {
    /// With its source.
    Sourced,
    /// In the older way, which all versions know.
    Plain,
}

impl Told {
    /// How this Envoy is asked; `None`: its version is not known.
    pub(in crate::sidecar) fn by(envoy: Option<Version>) -> Self {
        if envoy.is_some_and(Version::knows_sourced_metadata) { Self::Sourced } else { Self::Plain }
    }

    /// One of the providers has verified a token that has all the claims.
    pub(super) fn judged(self, own: &JwtRequirement) -> Judged {
        Judged::any(own.providers.iter().map(|own| self.of_provider(own)).collect())
    }

    fn of_provider(self, own: &JwtProviderRequirement) -> Judged {
        let payload = names::token_payload(&own.name);
        // A token without an end is not verified by newer Envoys, and not counted of older ones.
        let end = vec![payload.clone(), "exp".to_owned()];
        let verified = Judged::clear(self.test(end, MatchPattern::PresentMatch(true)));
        let claims = own.verify_claims.iter().map(|(path, value)| {
            let path: Vec<_> = [payload.clone()].into_iter().chain(path.iter().cloned()).collect();
            claim(value, |pattern| self.test(path.clone(), pattern))
        });
        Judged::all([verified].into_iter().chain(claims).collect())
    }

    /// What the filter told.
    #[allow(deprecated, reason = "older Envoys know no other field")]
    fn test(self, path: Vec<String>, pattern: MatchPattern) -> Test {
        let path = path.into_iter().map(|key| PathSegment { segment: Some(Segment::Key(key)) }).collect();
        let matcher = MetadataMatcher {
            filter: names::JWT_FILTER.to_owned(),
            path,
            value: Some(ValueMatcher { match_pattern: Some(pattern) }),
            ..MetadataMatcher::default()
        };
        Test::one(match self {
            Self::Plain => Rule::Metadata(matcher),
            Self::Sourced => Rule::SourcedMetadata(SourcedMetadata {
                metadata_matcher: Some(matcher),
                metadata_source: MetadataSource::Dynamic.into(),
            }),
        })
    }
}

/// A claim that is this text. A number, a truth value or a list with the text in it is unclear.
fn claim(value: &str, test: impl Fn(MatchPattern) -> Test) -> Judged {
    let text = || MatchPattern::StringMatch(exact(value));
    let member = list_matcher::MatchPattern::OneOf(Box::new(ValueMatcher { match_pattern: Some(text()) }));
    let member = MatchPattern::ListMatch(Box::new(ListMatcher { match_pattern: Some(member) }));
    let truth = ["false", "true"].iter().position(|own| *own == value);
    let truth = truth.map(|at| test(MatchPattern::BoolMatch(at == 1)));
    let number = value.parse().ok().filter(|number: &f64| number.is_finite());
    let number = number.map(|number| {
        let match_pattern = Some(double_matcher::MatchPattern::Exact(number));
        test(MatchPattern::DoubleMatch(DoubleMatcher { match_pattern }))
    });
    let sure = test(text());
    let unclear = [test(member)].into_iter().chain(truth).chain(number);
    Judged { maybe: Test::any([sure.clone()].into_iter().chain(unclear)), sure }
}
