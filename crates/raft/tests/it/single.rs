//! One server: `-dev` and the smallest real cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_raft::testing::Network;
use concord_raft::{BootstrapError, ChangeError, Fatal, ProposeError, ReadError, Role, StartError, Storage};
use concord_runtime::World;

use crate::world::{Server, config, node};

async fn start(world: &World, storage: Storage) -> Server {
    let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    Server::start(config(1), storage, &network, world).await.expect("starts")
}

#[tokio::test(start_paused = true)]
async fn a_sole_voter_is_ready_at_once() {
    let world = World::seeded(1, 0);
    let server = start(&world, Storage::Memory).await;
    assert_eq!(server.raft.stats().role, Role::Learner);
    assert_eq!(server.raft.read_barrier().await, Err(ReadError::NotLeader { leader: None }));

    let before = world.clock.now();
    server.raft.bootstrap(BTreeMap::from([(1, node(1))])).await.expect("bootstraps");
    server.raft.watch().wait_for(|stats| stats.is_leader()).await.expect("runs");
    server.raft.read_barrier().await.expect("ready");
    assert!(world.clock.now() - before < Duration::from_millis(50), "without waiting for an election");

    let first = server.raft.propose(Bytes::from_static(b"a")).await.expect("committed");
    let second = server.raft.propose(Bytes::from_static(b"b")).await.expect("committed");
    assert_eq!((first.reply, second.reply, second.index), (1, 2, first.index + 1));
    assert_eq!(server.raft.read_barrier().await, Ok(second.index));
    let stats = server.raft.stats();
    assert_eq!(stats.leader.map(|leader| leader.node), Some(node(1)));
    assert_eq!((stats.voters.len(), stats.learners.len(), stats.term), (1, 0, second.term));
    server.raft.shutdown().await;
    assert_eq!(server.raft.propose(Bytes::new()).await, Err(ProposeError::Shutdown));
    assert_eq!(server.raft.read_barrier().await, Err(ReadError::Shutdown));
    assert_eq!((server.raft.stats().role, server.told.lock().len()), (Role::Stopped, 0));
}

#[tokio::test]
async fn a_second_bootstrap_changes_nothing() {
    let world = World::seeded(1, 0);
    let server = start(&world, Storage::Memory).await;
    let others = BTreeMap::from([(2, node(2))]);
    assert_eq!(server.raft.bootstrap(others).await, Err(BootstrapError::NotInVoters));
    let voters = BTreeMap::from([(1, node(1))]);
    server.raft.bootstrap(voters.clone()).await.expect("bootstraps");
    assert_eq!(server.raft.bootstrap(voters).await, Err(BootstrapError::AlreadyBootstrapped));
}

#[tokio::test]
async fn the_last_voter_stays() {
    let world = World::seeded(1, 0);
    let server = start(&world, Storage::Memory).await;
    server.raft.bootstrap(BTreeMap::from([(1, node(1))])).await.expect("bootstraps");
    server.raft.watch().wait_for(|stats| stats.is_leader()).await.expect("runs");
    assert_eq!(server.raft.remove(1).await, Err(ChangeError::LastVoter));
    assert_eq!(server.raft.demote(1).await, Err(ChangeError::LastVoter));
    assert_eq!(server.raft.transfer_leader(None).await, Err(ChangeError::LastVoter));
    assert_eq!(server.raft.remove(9).await, Err(ChangeError::NotMember { id: 9 }));
    assert_eq!(server.raft.promote(9).await, Err(ChangeError::WrongRole { id: 9, wanted: "learner" }));
    server.write("still works").await;
}

#[tokio::test]
async fn n_116_an_unknown_command_halts_with_the_remedy() {
    check_halt(b"\xff\xfe", "unknown command", "start a version that knows it").await;
}

#[tokio::test]
async fn n_116_a_panic_of_the_state_machine_halts_and_is_contained() {
    check_halt(b"panic", "panicked", "defect").await;
}

async fn check_halt(command: &'static [u8], reason_part: &str, remedy_part: &str) {
    let world = World::tokio();
    let server = start(&world, Storage::Disk).await;
    server.raft.bootstrap(BTreeMap::from([(1, node(1))])).await.expect("bootstraps");
    server.raft.watch().wait_for(|stats| stats.is_leader()).await.expect("runs");
    server.write("good").await;
    let error = server.raft.propose(Bytes::from_static(command)).await.expect_err("halts");
    let ProposeError::Fatal(Fatal::Halted { index, reason, remedy }) = error else { panic!("{error}") };
    assert!(reason.contains(reason_part) && remedy.contains(remedy_part), "{reason}; {remedy}");
    let told = server.told.lock().clone();
    assert_eq!(told, [Fatal::Halted { index, reason, remedy }]);
    assert!(matches!(server.raft.propose(Bytes::from_static(b"later")).await, Err(ProposeError::Fatal(_))));
    assert_eq!(server.texts(), ["good"], "nothing after it is applied");
    server.raft.shutdown().await;

    // It was committed, so the next start meets it again: it is never skipped.
    let again = start_result(&world).await;
    match again {
        Err(StartError::Fatal(Fatal::Halted { index: again, .. })) => assert_eq!(again, index),
        Err(other) => panic!("{other}"),
        Ok(server) => {
            let stopped = server.raft.watch().wait_for(|stats| !stats.is_running).await.map(|_| ());
            stopped.expect("it stops");
            assert!(
                matches!(server.raft.fatal(), Some(Fatal::Halted { index: again, .. }) if again == index)
            );
        }
    }
}

async fn start_result(world: &World) -> Result<Server, StartError> {
    let network = Network::new(Arc::clone(&world.clock), Arc::clone(&world.entropy));
    Server::start(config(1), Storage::Disk, &network, world).await
}

#[tokio::test]
async fn two_processes_cannot_share_a_directory() {
    let world = World::tokio();
    let first = start(&world, Storage::Disk).await;
    assert!(matches!(start_result(&world).await, Err(StartError::Disk(_))));
    first.raft.shutdown().await;
    start_result(&world).await.expect("free again").raft.shutdown().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let world = World::seeded(1, 0);
    let server = start(&world, Storage::Memory).await;
    let large = Bytes::from(vec![0; concord_raft::limits::COMMAND_BYTES_MAX + 1]);
    assert!(matches!(server.raft.propose(large).await, Err(ProposeError::TooLarge { .. })));
}
