//! Tests of the budget: who gets room, who is evicted, and that all room is returned.

use std::net::{IpAddr, Ipv4Addr};

use futures::FutureExt as _;

use super::*;
use crate::clock::ManualClock;

const BYTES: usize = 1_000;

fn source(last: u8) -> Source {
    Source::of(IpAddr::from([192, 0, 2, last]))
}

/// Lets in guests of ten bytes until there is no room.
fn fill(door: &Door, source: Source) -> Vec<Arc<Guest>> {
    std::iter::from_fn(|| door.enter(source, 10).ok()).collect()
}

#[test]
fn n_10_hosts_count_by_address_or_network() {
    let of = |text: &str| Source::of(text.parse().unwrap());
    assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
    assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
    assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
}

#[test]
fn n_10_one_source_takes_a_part_and_no_more() {
    let budget = Budget::new(BYTES, 1_000);
    let door = budget.door(usize::MAX);
    let crowd = fill(&door, source(1));
    assert_eq!(crowd.len() * 10, BYTES / BUDGET_SHARE);
    let mut held = door.enter(source(2), 10).unwrap().hold(10).unwrap();
    assert_eq!(held.grow(BYTES / BUDGET_SHARE), Err(Full::Process), "nor does another by one connection");
    assert_eq!(held.bytes(), 10);
}

#[test]
fn n_10_a_source_that_holds_little_is_served_whatever_others_hold() {
    let budget = Budget::new(BYTES, 1_000);
    let door = budget.door(usize::MAX);
    // One source after the other takes as much as it can: the first gets half of all, the second the rest.
    let crowds: Vec<Vec<Arc<Guest>>> = (1..=20).map(|last| fill(&door, source(last))).collect();
    assert!(budget.held() <= BYTES);
    let evicted = |crowds: &[Vec<Arc<Guest>>]| crowds.iter().flatten().filter(|one| one.is_evicted()).count();
    let before = evicted(&crowds);
    let newcomer = door.enter(source(200), 10).expect("there is room for who holds nothing");
    let held = newcomer.hold(10).expect("and for a little more");
    assert_eq!(evicted(&crowds) - before, 2, "no more than needed were ended");
    assert!(!newcomer.is_evicted());
    // Each of them holds as much as every other, or ten bytes more.
    let inside = budget.inside.lock();
    let own: Vec<usize> = inside.sources.values().map(|own| own.bytes).collect();
    drop(inside);
    assert!(own.iter().max().unwrap() - own.iter().min().unwrap() <= 30, "{own:?}");
    drop((held, newcomer, crowds));
    let inside = budget.inside.lock();
    assert!(inside.sources.is_empty() && inside.bytes == 0 && inside.connections == 0, "{inside:?}");
}

#[test]
fn n_10_connections_are_limited_and_go_to_whom_they_are_fair() {
    let budget = Budget::new(BYTES, 20);
    let door = budget.door(usize::MAX);
    let crowd = fill(&door, source(1));
    assert_eq!(crowd.len(), 20);
    let others = fill(&door, source(2));
    assert_eq!((others.len(), crowd.iter().filter(|one| one.is_evicted()).count()), (10, 10));
    assert_eq!(budget.connections(), 20);
    assert_eq!(door.enter(source(2), 10).unwrap_err(), Full::Process, "it holds its part");
    assert!(door.enter(source(3), 10).is_ok());
}

#[test]
fn n_10_a_source_has_so_many_connections_at_each_door() {
    let budget = Budget::new(BYTES, 1_000);
    let (http, grpc) = (budget.door(2), budget.door(3));
    let held = fill(&http, source(1));
    assert_eq!((held.len(), fill(&grpc, source(1)).len()), (2, 3));
    assert_eq!(http.enter(source(1), 10).unwrap_err(), Full::Source);
    assert!(http.enter(source(2), 10).is_ok());
    http.limit(3);
    assert!(http.enter(source(1), 10).is_ok());
    assert_eq!(fill(&http, Source::UNIX).len() * 10, BYTES / BUDGET_SHARE, "a socket file has one source");
}

#[test]
fn n_10_who_was_evicted_gets_nothing_and_takes_nothing_away() {
    let budget = Budget::new(BYTES, 1);
    let door = budget.door(usize::MAX);
    let large = door.enter(source(1), 10).unwrap();
    let mut held = large.hold(100).unwrap();
    let small = door.enter(source(2), 10).unwrap();
    assert!(large.is_evicted());
    assert_eq!(held.grow(1), Err(Full::Process));
    drop((held, large));
    assert_eq!((budget.held(), budget.connections()), (10, 1), "it was given back once");
    drop(small);
    assert_eq!((budget.held(), budget.connections()), (0, 0));
    assert_eq!((budget.take_most(), budget.take_most()), (110, 0));
}

#[test]
fn n_10_strangers_do_not_take_the_room_of_who_is_known() {
    let budget = Budget::new(BYTES, 1_000);
    let door = budget.door(usize::MAX);
    // Many guests behind one address, which together hold more than any source of the crowd will.
    let known: Vec<Arc<Guest>> = (0..20).map(|_| door.enter(source(1), 10).unwrap()).collect();
    for guest in &known {
        guest.prove();
        guest.prove();
    }
    let crowds: Vec<Vec<Arc<Guest>>> = (2..=40).map(|last| fill(&door, source(last))).collect();
    assert!(known.iter().all(|one| !one.is_evicted()));
    let mut held = known[0].hold(0).unwrap();
    held.grow(200).expect("it takes the room of strangers");
    assert!(door.enter(source(1), 10).is_ok(), "a stranger of its address has what other strangers have");
    held.shrink_to(0);
    drop((held, known, crowds));
    let inside = budget.inside.lock();
    assert_eq!((inside.bytes, inside.strangers, inside.sources.len()), (0, Amount::default(), 0));
}

#[test]
fn n_10_who_is_known_leaves_room_for_who_has_yet_to_say_who_it_is() {
    let budget = Budget::new(BYTES, 1_000);
    let door = budget.door(usize::MAX);
    let mut known = Vec::new();
    for last in 1..=2 {
        for guest in fill(&door, source(last)) {
            guest.prove();
            known.push(guest);
        }
    }
    assert_eq!(known.len() * 10, BYTES);
    let newcomers: Vec<_> = (3..).map_while(|last| door.enter(source(last), 10).ok()).collect();
    assert_eq!(newcomers.len(), BYTES / BUDGET_STRANGERS_SHARE / 10);
    assert_eq!(known.iter().filter(|one| one.is_evicted()).count(), newcomers.len());
    assert!(newcomers.iter().all(|one| !one.is_evicted()));
}

#[test]
fn n_10_many_addresses_with_one_connection_each_shut_nobody_out() {
    let budget = Budget::new(BYTES, 20);
    let door = budget.door(usize::MAX);
    let busy = door.enter(source(1), 30).unwrap();
    let silent: Vec<Arc<Guest>> = (2..=20).map(|last| door.enter(source(last), 10).unwrap()).collect();
    let newcomers: Vec<Arc<Guest>> = (21..=30).map(|last| door.enter(source(last), 10).unwrap()).collect();
    assert!(!busy.is_evicted(), "who says nothing goes before who does");
    assert!(silent[..10].iter().all(|one| one.is_evicted()) && !silent[10].is_evicted());
    assert!(newcomers.iter().all(|one| !one.is_evicted()));
}

#[test]
fn n_10_many_addresses_that_hold_equally_little_shut_nobody_out() {
    const EACH: usize = 100;
    let budget = Budget::new(2 * EACH * BUDGET_LITTLE_SHARE, 10_000);
    let (door, crowd) = (budget.door(usize::MAX), budget.bytes() / EACH);
    let address = |number: usize| Source::of(Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into());
    let enter = |number| door.enter(address(number), EACH / 10).expect("it holds nothing yet");
    let strangers: Vec<_> =
        (0..crowd).map(|number| door.enter(address(number), EACH).expect("there is room")).collect();
    assert_eq!(budget.held(), budget.bytes());
    let (newcomer, second) = (enter(crowd), enter(crowd + 1));
    let held = [&newcomer, &second].map(|one| one.hold(EACH - EACH / 10).expect("no more than each of them"));
    let evicted: Vec<bool> = strangers.iter().map(|one| one.is_evicted()).collect();
    assert!(
        evicted[..2].iter().all(|one| *one) && !evicted[2..].contains(&true),
        "who came first makes room"
    );
    assert_eq!(newcomer.hold(EACH).unwrap_err(), Full::Process, "nobody holds as much");
    newcomer.prove();
    let later: Vec<_> = (crowd + 2..).take(crowd).map(enter).collect();
    let more: Vec<_> = later.iter().map(|one| one.hold(EACH - EACH / 10)).collect();
    assert!(!newcomer.is_evicted() && more.iter().all(Result::is_ok));
    newcomer.hold(EACH).expect("it has said who it is");
    drop((newcomer, second, held, strangers, later, more));
    let inside = budget.inside.lock();
    assert!(inside.sources.is_empty() && inside.bytes == 0 && inside.leaving_bytes == 0);
}

#[test]
fn n_10_callers_that_became_known_do_not_end_strangers_that_hold_little() {
    let little = 1_000;
    let budget = Budget::new(little * BUDGET_LITTLE_SHARE, 10_000);
    let door = budget.door(usize::MAX);
    let mut known = Vec::new();
    for last in 1..=64 {
        known.extend((0..60).map(|_| door.enter(source(last), 100).expect("there is room")));
    }
    known.iter().for_each(|one| one.prove());
    assert_eq!(budget.held(), budget.bytes());
    let newcomer = door.enter(source(200), 10).expect("there is room for who holds nothing");
    let _held = newcomer.hold(little - 10).expect("and for a little more");
    // The others want more; each takes a few bytes of a stranger.
    let mut more = Vec::new();
    for last in 1..=64 {
        more.extend((0..20).map(|_| door.enter(source(last), 10)));
    }
    assert!(more.iter().any(Result::is_ok), "some of them get it");
    assert!(!newcomer.is_evicted(), "from each other");
    // The authenticated ones want as much as they can get; one address of them leaves.
    known.truncate(63 * 60);
    let mut grown: Vec<_> = known.iter().filter_map(|one| one.hold(0).ok()).collect();
    for _ in 0..10 {
        grown.iter_mut().for_each(|held| _ = held.grow(300));
    }
    assert!(grown.iter().any(|held| held.bytes() > 0), "some of them get it");
    assert!(!newcomer.is_evicted(), "from each other, too");
}

#[test]
fn n_10_nobody_gets_much_before_those_who_have_to_go_have_gone() {
    let budget = Budget::new(BYTES, 1_000);
    let (door, clock) = (budget.door(usize::MAX), ManualClock::new(0));
    let settled = |guest: &Guest| guest.settled(&clock).now_or_never().is_some();
    let crowd: Vec<_> = (1..=2).map(|last| door.enter(source(last), BYTES / 2).unwrap()).collect();
    assert!(settled(&crowd[0]));
    let newcomer = door.enter(source(3), 10).unwrap();
    assert_eq!(crowd.iter().filter(|one| one.is_evicted()).count(), 1);
    let mut waiting = Box::pin(newcomer.settled(&clock));
    assert!(
        !settled(&newcomer) && waiting.as_mut().now_or_never().is_none(),
        "half of the budget is on its way out"
    );
    clock.advance(SETTLE_TIMEOUT);
    assert!(waiting.as_mut().now_or_never().is_some(), "but not for ever");
    drop(waiting);
    let mut waiting = Box::pin(newcomer.settled(&clock));
    assert!(waiting.as_mut().now_or_never().is_none());
    // One waits for an address that asks often, one for an address that asks once.
    let mut second = Box::pin(newcomer.settled(&clock));
    assert!(second.as_mut().now_or_never().is_none());
    let other = door.enter(source(4), 10).unwrap();
    let mut third = Box::pin(other.settled(&clock));
    assert!(third.as_mut().now_or_never().is_none());
    drop(crowd);
    assert!(third.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    assert!(waiting.as_mut().now_or_never().is_some(), "it came first");
    drop(waiting);
    assert!(second.as_mut().now_or_never().is_none(), "its address has had its turn");
    assert!(third.as_mut().now_or_never().is_some(), "the other's");
    drop(third);
    assert!(!newcomer.is_settled() && second.as_mut().now_or_never().is_some());
    drop((second, other));
    assert!(newcomer.is_settled());
    drop(newcomer);
    let inside = budget.inside.lock();
    assert!(inside.leaving.is_empty() && inside.leaving_bytes == 0 && inside.bytes == 0);
}
