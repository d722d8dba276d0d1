//! Tests of what only a server itself sees: the end of its leadership, and the end of a study.

use std::sync::atomic::{AtomicBool, Ordering};

use concord_ca::seal::Kek;
use concord_ca::testing::{Gate, Gated, Op};
use concord_ca::{Csr, KeyMaker, OsKeys};
use concord_mesh::intention::DefaultPolicy as IntentionDefault;
use concord_mesh::status::EntryStatus;
use concord_model::ca::KeyKind;
use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::Action;
use concord_model::{Datacenter, NodeName, SpiffeId, TrustDomain, Uuid};
use concord_rpc::request::{PlanEntries, PlannedChange, ReadCaRoots, ReadEntryStatus, SetCaConfig, SignLeaf};
use concord_rpc::{Answer, Head, Request, ServerApiExt};
use concord_runtime::Task;

use super::*;
use crate::Aside;
use crate::caller::AclSettings;
use crate::config::CaStart;
use crate::endpoint::plan::plan_entries;
use crate::reading::Reading;
use crate::studies::Patience;

const SECOND: Duration = Duration::from_secs(1);

/// A server whose CA provider the test can block, with its first root.
async fn behind(gated: &Gated) -> Server {
    let world = World::seeded(1, 1_800_000_000_000_000_000);
    let scope = Scope::new("test", Arc::clone(&world.clock));
    let config = ServerConfig {
        node: NodeName::parse("n1").unwrap(),
        node_id: Uuid([1; 16]),
        address: "127.0.0.1".to_owned(),
        server_port: 8300,
        server_meta: BTreeMap::new(),
        live: LiveSettings::default(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        acl: AclSettings { enabled: false, default_policy: Action::Allow },
        initial_management: None,
        intention_default: IntentionDefault::resolve(None, Action::Allow),
        ca: CaStart { kinds: gated.kinds(), provider: Gated::NAME.to_owned(), ..CaStart::default() },
        keks: vec![Kek::from_bytes(&[7; 32]).unwrap()],
        keys: Arc::new(OsKeys),
        workers: Arc::new(Aside(scope.clone())),
        default_query_time: ServerConfig::QUERY_TIMES.0,
        max_query_time: ServerConfig::QUERY_TIMES.1,
    };
    let raft = RaftConfig::new(Server::raft_id(&config), "dc1");
    let fatal = Arc::new(|fatal: &Fatal| panic!("{fatal}"));
    let server = Server::start(config, raft, Storage::Memory, world, scope, fatal).await.unwrap();
    server.ready().await;
    server.api().call(Head::default(), ReadCaRoots {}).await.unwrap();
    server
}

/// Sends a request without waiting for the answer.
fn ask<R: Request>(server: &Server, request: R) -> Task<Result<Answer<R::Reply>, RpcError>> {
    let api = server.api();
    server.core.scope.spawn("caller", async move { api.call(Head::default(), request).await })
}

async fn under_way(server: &Server, gated: &Gated, op: Op) {
    while gated.under_way(op) == 0 {
        server.core.world.clock.sleep(SECOND / 1000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn n_179_what_hangs_at_the_provider_ends_with_leadership() {
    let gated = Gated::default();
    let server = behind(&gated).await;
    let domain = TrustDomain::of_cluster(server.core.log.cluster_id().unwrap());
    let web = SpiffeId::parse(&format!("spiffe://{domain}/ns/default/dc/dc1/svc/web")).unwrap();
    let csr = Csr::build(&*OsKeys.make(KeyKind::EcP256).unwrap(), &web).unwrap();
    let change = SetCaConfig {
        provider: Gated::NAME.to_owned(),
        settings: [("PrivateKeyBits".to_owned(), 384.into())].into(),
        state: BTreeMap::new(),
        force_without_cross_signing: false,
        force_without_oldest_root: false,
    };
    gated.set(Op::Sign, Gate::Shut);
    gated.set(Op::Generate, Gate::Shut);
    let leaf = ask(&server, SignLeaf { csr: csr.clone() });
    under_way(&server, &gated, Op::Sign).await;
    let first = ask(&server, change.clone());
    under_way(&server, &gated, Op::Generate).await;
    let second = ask(&server, change);
    server.core.world.clock.sleep(SECOND / 10).await;
    let begun = server.core.world.clock.now();
    server.core.duties.set(false);
    assert_eq!(leaf.join().await.unwrap().unwrap_err(), RpcError::NoLeader);
    assert_eq!(second.join().await.unwrap().unwrap_err(), RpcError::NoLeader);
    // The caller of the first request does not know whether something was written.
    assert_eq!(first.join().await.unwrap().unwrap_err(), RpcError::OutcomeUnknown);
    assert_eq!((gated.under_way(Op::Sign), gated.under_way(Op::Generate)), (0, 0));
    assert_eq!(server.core.world.clock.now(), begun, "nobody has waited");
    assert!(server.core.ca.in_use().is_none(), "no key is left in memory");
    // It leads again and opens what the log contains.
    gated.set(Op::Sign, Gate::Open);
    server.core.duties.set(true);
    ask(&server, SignLeaf { csr }).join().await.unwrap().unwrap();
    server.shutdown(SECOND, SECOND).await;
}

fn asked() -> ReadEntryStatus {
    ReadEntryStatus { name: EntryName::only(EntryKind::Mesh) }
}

/// Whether [`endless`] was told to end.
static WAS_ENDED: AtomicBool = AtomicBool::new(false);

/// A study that ends only when it is told to, or after seconds.
fn endless(reading: &mut Reading<'_>, _: &ReadEntryStatus) -> Result<Option<EntryStatus>, RpcError> {
    for _ in 0..3_000 {
        if reading.enough() {
            WAS_ENDED.store(true, Ordering::Relaxed);
            break;
        }
        std::thread::park_timeout(SECOND / 1000);
    }
    Ok(None)
}

#[tokio::test(start_paused = true)]
async fn n_280_a_study_ends_when_nobody_waits_for_it() {
    let server = behind(&Gated::default()).await;
    let core = Arc::clone(&server.core);
    let first = core.scope.spawn("caller", {
        let core = Arc::clone(&core);
        async move { core.study(&Head::default(), asked(), endless).await }
    });
    while core.studies.free() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!WAS_ENDED.load(Ordering::Relaxed), "it goes on while its caller waits");
    first.abort();
    // The next one gets its turn when the work has ended.
    ask(&server, asked()).join().await.unwrap().unwrap();
    assert!(WAS_ENDED.load(Ordering::Relaxed));
    server.shutdown(SECOND, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_time_is_over_says_how_far_it_came() {
    let server = behind(&Gated::default()).await;
    let name = EntryName::only(EntryKind::Mesh);
    let request = PlanEntries { changes: vec![PlannedChange::Delete(name)] };
    let asker = Arc::new(());
    let patience = |time| Patience::new(&asker, &server.core.scope, &server.core.world.clock, time);
    let plan = |patience: &Patience| {
        let view = server.core.log.view();
        server.core.evaluate(&view, &Head::default(), &request, plan_entries, Some(patience))
    };
    assert!(plan(&patience(SECOND)).is_ok());
    let text = plan(&patience(Duration::ZERO)).err().unwrap().to_string();
    assert_eq!(text, "the plan came to mesh/mesh when its 10 s were over; plan fewer entries at a time");
    server.shutdown(SECOND, SECOND).await;
}
