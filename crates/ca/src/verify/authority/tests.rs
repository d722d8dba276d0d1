//! Each root of the table is accepted, or refused for the expected reason.

use concord_model::Timestamp;

use super::*;
use crate::testing::{World, offered_roots};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

#[test]
fn n_140_a_root_that_not_every_verifier_accepts_is_refused_with_its_cause() {
    let table = offered_roots(NOW);
    let mut taken = 0;
    for offer in &table {
        match (offer.judgement(NOW), offer.refusal) {
            (Ok(()), None) => taken += 1,
            (Err(text), Some(part)) => assert!(text.contains(part), "{}: {text}", offer.name),
            (said, expected) => panic!("{}: {said:?}, expected {expected:?}", offer.name),
        }
    }
    assert!(taken >= 15 && table.len() - taken >= 50, "{taken} of {}", table.len());
}

#[test]
fn an_intermediate_is_judged_as_a_root_is_and_names_its_issuer() {
    let world = World::at(NOW);
    let (root, below) = (&world.root.certificate, &world.intermediate.certificate);
    assert_eq!(check_intermediate(below, root), Ok(()));
    assert_eq!(check_intermediate(below, &world.peer_root.certificate), Err(AuthorityFault::AuthorityKeyId));
    let leaf = world.leaf(&world.service("web"), &world.root);
    assert_eq!(check_intermediate(&leaf, root), Err(AuthorityFault::NotAnAuthority));
    assert_eq!(check_root(below), Err(AuthorityFault::NotSelfSigned));
}
