//! Identities survive printing and parsing; the strict grammar refuses invalid ones.

use proptest::prelude::*;

use super::*;

const TD: &str = "11111111-2222-3333-4444-555555555555.consul";

#[track_caller]
fn round(text: &str) {
    assert_eq!(SpiffeId::parse(text).expect(text).to_string(), text);
}

#[track_caller]
fn refused(text: &str, why: SpiffeError) {
    assert_eq!(SpiffeId::parse(text), Err(why), "{text}");
}

#[test]
fn every_kind_of_identity_survives_print_and_parse() {
    round(&format!("spiffe://{TD}"));
    round(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web"));
    round(&format!("spiffe://{TD}/ap/team-a/ns/blue/dc/dc1/svc/web.v1"));
    round(&format!("spiffe://{TD}/agent/client/dc/dc1/id/node-1"));
    round(&format!("spiffe://{TD}/ap/team-a/agent/client/dc/dc1/id/node-1"));
    round(&format!("spiffe://{TD}/agent/server/dc/dc1"));
    round(&format!("spiffe://{TD}/gateway/mesh/dc/dc1"));
}

#[test]
fn the_default_partition_may_be_written_and_means_the_same() {
    let short = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web"));
    let long = SpiffeId::parse(&format!("spiffe://{TD}/ap/default/ns/default/dc/dc1/svc/web"));
    assert_eq!(short, long);
}

#[test]
fn n_58_spiffe_paths_outside_the_grammar_are_refused() {
    let base = format!("spiffe://{TD}/ns/default/dc/dc1/svc");
    refused(&format!("{base}/a%2fb"), SpiffeError::Character('%'));
    refused(&format!("{base}/%41"), SpiffeError::Character('%'));
    refused(&format!("{base}//web"), SpiffeError::Segment);
    refused(&format!("{base}/."), SpiffeError::Segment);
    refused(&format!("{base}/.."), SpiffeError::Segment);
    refused(&format!("{base}/web/"), SpiffeError::Segment);
    refused(&format!("{base}/"), SpiffeError::Segment);
    refused(&format!("spiffe://{TD}/"), SpiffeError::Segment);
    refused(&format!("{base}/wéb"), SpiffeError::Character('é'));
    refused(&format!("{base}/web\0"), SpiffeError::Character('\0'));
    refused(&format!("{base}/{}", "x".repeat(2048)), SpiffeError::TooLong);
    refused(&format!("{base}/web/extra"), SpiffeError::UnknownPath);
    refused(&format!("spiffe://{TD}/svc/web"), SpiffeError::UnknownPath);
}

#[test]
fn n_59_spiffe_hosts_and_schemes_outside_the_grammar_are_refused() {
    let path = "/ns/default/dc/dc1/svc/web";
    for host in ["ABC.consul", "abc.consul:8443", "user@abc.consul", "abc%2econsul", ""] {
        refused(&format!("spiffe://{host}{path}"), SpiffeError::TrustDomain);
    }
    refused(&format!("spiffe://{}{path}", "x".repeat(256)), SpiffeError::TrustDomain);
    refused(&format!("SPIFFE://{TD}{path}"), SpiffeError::Scheme);
    refused(&format!("https://{TD}{path}"), SpiffeError::Scheme);
    refused(&format!("spiffe://{TD}{path}?x=1"), SpiffeError::Character('?'));
    refused(&format!("spiffe://{TD}{path}#f"), SpiffeError::Character('#'));
}

proptest! {
    #[test]
    fn parsing_never_panics_and_is_the_inverse_of_printing(text in "\\PC{0,80}") {
        if let Ok(id) = SpiffeId::parse(&format!("spiffe://{text}")) {
            prop_assert_eq!(SpiffeId::parse(&id.to_string()), Ok(id));
        }
    }

    #[test]
    fn identities_that_differ_print_differently(
        a in ("[a-c]{1,2}", "[a-c]{1,2}", "[a-c]{1,2}", "[a-c.]{1,3}"),
        b in ("[a-c]{1,2}", "[a-c]{1,2}", "[a-c]{1,2}", "[a-c.]{1,3}"),
    ) {
        let build = |(p, n, d, s): &(String, String, String, String)| {
            let name = ServiceName::parse(s).ok()?;
            ServiceIdentity::try_new(
                TrustDomain::parse(TD).ok()?, Partition::parse(p).ok()?, Namespace::parse(n).ok()?,
                Datacenter::parse(d).ok()?, name,
            ).ok()
        };
        if let (Some(x), Some(y)) = (build(&a), build(&b)) {
            prop_assert_eq!(x == y, x.to_string() == y.to_string());
        }
    }
}
