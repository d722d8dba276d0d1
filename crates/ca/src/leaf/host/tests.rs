//! Tests the host with a working [`KeyMaker`] and with one that fails.

use concord_model::{
    Datacenter, Namespace, Partition, ServiceIdentity, ServiceName, Stamp, Timestamp, TrustDomain,
};

use super::*;
use crate::key::Signer;
use crate::testing::SeededKeys;

const HOUR: Duration = Duration::from_secs(3600);

fn now(uptime: Duration) -> Now {
    Now { wall: Timestamp::from_secs(1_800_000_000).plus(uptime), uptime }
}

fn web() -> ServiceIdentity {
    ServiceIdentity::try_new(
        TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul").unwrap(),
        Partition::default(),
        Namespace::default(),
        Datacenter::parse("dc1").unwrap(),
        ServiceName::parse("web").unwrap(),
    )
    .unwrap()
}

fn leaf(serial: &str, from: Now) -> LeafCertificate {
    LeafCertificate {
        serial: serial.to_owned(),
        cert_pem: String::new(),
        uri: web().to_string(),
        valid_after: from.wall,
        valid_before: from.wall.plus(HOUR * 72),
        authority_key_id: "aa".to_owned(),
        stamp: Stamp::default(),
    }
}

/// A [`KeyMaker`] that always fails.
#[derive(Debug)]
struct NoKeys;

impl KeyMaker for NoKeys {
    fn make(&self, _: KeyKind) -> Result<Arc<dyn Signer>, KeyError> {
        Err(KeyError::Library("make a key"))
    }

    fn load(&self, _: &Secret) -> Result<Arc<dyn Signer>, KeyError> {
        Err(KeyError::Pem)
    }
}

fn host(maker: impl KeyMaker + 'static) -> Host {
    Host::new(web(), Config::default(), Arc::new(maker))
}

fn on(host: &mut Host, uptime: Duration, input: Input) -> Vec<Task> {
    let mut out = Vec::new();
    host.on(now(uptime), input, &mut || 0, &mut out);
    out
}

/// The only request among the tasks.
#[track_caller]
fn request(tasks: &[Task]) -> (Attempt, String) {
    let mut all = tasks.iter().filter_map(|task| match task {
        Task::Sign { attempt, csr } => Some((*attempt, csr.clone())),
        _ => None,
    });
    let first = all.next().expect("a signature is asked for");
    assert!(all.next().is_none(), "one at a time");
    first
}

#[test]
fn a_leaf_is_presented_with_the_key_it_was_asked_for_with() {
    let mut host = host(SeededKeys::new(1));
    assert_eq!(host.timer(), None);
    let (attempt, csr) = request(&on(&mut host, Duration::ZERO, Input::Wanted));
    let asked = Csr::parse(&csr).unwrap();
    assert_eq!(asked.identity.service(), Some(&web()));
    let signed = Input::Answered(attempt, Ok(leaf("01", now(Duration::ZERO))));
    let tasks = on(&mut host, Duration::ZERO, signed);
    let [Task::Present { certificate, key }] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!(certificate.serial, "01");
    let held = SeededKeys::new(1).load(key).unwrap();
    assert_eq!(held.public_key(), &asked.public_key);
    assert!(host.timer().is_some(), "it will be renewed");
    assert!(host.making.is_empty(), "the host keeps no key of a leaf that is presented");
}

#[test]
fn an_answer_that_comes_too_late_is_dropped_with_its_key() {
    let mut host = host(SeededKeys::new(2));
    let (late, _) = request(&on(&mut host, Duration::ZERO, Input::Wanted));
    let (again, _) = loop {
        let due = host.timer().unwrap();
        let tasks = on(&mut host, due, Input::Tick);
        if tasks.iter().any(|task| matches!(task, Task::Sign { .. })) {
            break request(&tasks);
        }
    };
    assert_ne!(late, again);
    let at = host.timer().unwrap() - Duration::from_secs(1);
    assert!(on(&mut host, at, Input::Answered(late, Ok(leaf("01", now(at))))).is_empty());
    let tasks = on(&mut host, at, Input::Answered(again, Ok(leaf("02", now(at)))));
    assert!(matches!(&tasks[..], [Task::Present { certificate, .. }] if certificate.serial == "02"));
}

#[test]
fn a_refusal_is_told_and_tried_again() {
    let mut host = host(SeededKeys::new(3));
    let (attempt, _) = request(&on(&mut host, Duration::ZERO, Input::Wanted));
    let tasks = on(&mut host, Duration::ZERO, Input::Answered(attempt, Err(SignFailure::Denied)));
    assert!(matches!(&tasks[..], [Task::Fail(SignFailure::Denied)]), "{tasks:?}");
    let due = host.timer().unwrap();
    assert_ne!(request(&on(&mut host, due, Input::Tick)).0, attempt);
}

#[test]
fn without_a_key_nothing_is_asked_for() {
    let mut host = host(NoKeys);
    let tasks = on(&mut host, Duration::ZERO, Input::Wanted);
    let expected = [Task::Trouble(KeyError::Library("make a key")), Task::Fail(SignFailure::NoKey)];
    assert_eq!(format!("{tasks:?}"), format!("{expected:?}"));
}

#[test]
fn roots_without_an_active_one_change_nothing() {
    let mut host = host(SeededKeys::new(4));
    let roots = CaRoots {
        active_root_id: String::new(),
        trust_domain: web().trust_domain,
        roots: Vec::new(),
        index: 1,
    };
    assert!(on(&mut host, Duration::ZERO, Input::Roots(Arc::new(roots))).is_empty());
    assert_eq!(host.timer(), None);
}
