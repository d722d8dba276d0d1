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
use crate::names;

/// One of the providers has verified a token that has all the claims.
pub(super) fn judged(own: &JwtRequirement) -> Judged {
    Judged::any(own.providers.iter().map(of_provider).collect())
}

fn of_provider(own: &JwtProviderRequirement) -> Judged {
    let payload = names::token_payload(&own.name);
    let verified = Judged::clear(told(vec![payload.clone()], MatchPattern::PresentMatch(true)));
    let claims = own.verify_claims.iter().map(|(path, value)| {
        let path: Vec<_> = [payload.clone()].into_iter().chain(path.iter().cloned()).collect();
        claim(&path, value)
    });
    Judged::all([verified].into_iter().chain(claims).collect())
}

/// A claim that is this text. A number, a truth value or a list with the text in it is unclear.
fn claim(path: &[String], value: &str) -> Judged {
    let text = || MatchPattern::StringMatch(exact(value));
    let test = |pattern| told(path.to_vec(), pattern);
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

/// What the filter told.
fn told(path: Vec<String>, pattern: MatchPattern) -> Test {
    let path = path.into_iter().map(|key| PathSegment { segment: Some(Segment::Key(key)) }).collect();
    let metadata_matcher = Some(MetadataMatcher {
        filter: names::JWT_FILTER.to_owned(),
        path,
        value: Some(ValueMatcher { match_pattern: Some(pattern) }),
        ..MetadataMatcher::default()
    });
    Test::one(Rule::SourcedMetadata(SourcedMetadata {
        metadata_matcher,
        metadata_source: MetadataSource::Dynamic.into(),
    }))
}
