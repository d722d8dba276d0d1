//! Tests of registration files: encrypted, converted from unencrypted ones, and compared with the list of names.

use concord_api::definition::{CheckDefinition, ServiceDefinition};
use concord_ca::seal::Kek;
use concord_runtime::{Disk, MemoryDisk, World};

use super::*;
use crate::own_tokens::TokenKind;
use crate::testing::{Bench, Fault, TestDisk, strict};

const CANARY: &str = "c0ffee00-canary-token-of-a-registration";

fn registrations(disk: &TestDisk, key: u8) -> Registrations {
    let world = World::tokio().with_disk(Arc::new(disk.clone()));
    Registrations::new(Vault::new(&[Kek::from_bytes(&[key; 32]).unwrap()], &world))
}

fn local(name: &str) -> Arc<LocalService> {
    let text = format!(r#"{{"Name":"{name}","Port":8080,"Token":"{CANARY}"}}"#);
    let definition = ServiceDefinition::decode(text.as_bytes()).unwrap();
    let expanded = concord_api::definition::expand_sidecar(&definition, |_| None).unwrap();
    Arc::new(expanded.into_iter().next().unwrap())
}

fn keep(name: &str) -> FileChange {
    FileChange::KeepServices(vec![local(name)])
}

fn path_of(name: &str) -> String {
    path(SERVICES, name)
}

fn names(found: &FoundOnDisk) -> Vec<&str> {
    found.services.iter().map(|local| local.service.service.as_str()).collect()
}

/// A disk with two services.
fn filled() -> TestDisk {
    let disk = TestDisk::default();
    let registrations = registrations(&disk, 7);
    registrations.load().unwrap();
    registrations.carry_out(&[keep("web")]).unwrap();
    registrations.carry_out(&[keep("db")]).unwrap();
    disk
}

#[track_caller]
fn refused(disk: &TestDisk, key: u8) -> String {
    registrations(disk, key).load().unwrap_err().to_string()
}

fn holds(disk: &TestDisk, text: &str) -> Vec<String> {
    let found = |content: &[u8]| content.windows(text.len()).any(|part| part == text.as_bytes());
    disk.all().into_iter().filter(|(_, content)| found(content)).map(|(path, _)| path).collect()
}

#[tokio::test(start_paused = true)]
async fn n_118_no_token_of_the_agent_lies_on_the_disk_in_clear() {
    let keeping = |config: &mut crate::config::AgentConfig| config.acl.token_persistence = true;
    // The process is killed after this many changes of files; unfinished changes are searched, too.
    for changes in 0.. {
        let bench = Bench::with(strict(), keeping);
        bench
            .servers
            .token(CANARY, r#"service_prefix "" { policy = "write" } node_prefix "" { policy = "write" }"#);
        let operator = bench.servers.token(
            "operator",
            r#"agent "n1" { policy = "write" } service_prefix "" { policy = "write" } node_prefix "" { policy = "write" }"#,
        );
        let operator = bench.caller(&operator).await;
        bench.disk.fail(Fault::Dead(changes));
        let agent = &bench.agent;
        let web = format!(
            r#"{{"Name":"web","Token":"{CANARY}","Check":{{"TTL":"30s"}},"Connect":{{"SidecarService":{{}}}}}}"#
        );
        let check = format!(r#"{{"Name":"lone","TTL":"1m","Token":"{CANARY}"}}"#);
        let check: CheckDefinition = concord_api::decode::body(check.as_bytes(), "check").unwrap();
        let web = ServiceDefinition::decode(web.as_bytes()).unwrap();
        let done = [
            agent.registrar.register_service(&operator, &web, false).await.is_ok(),
            agent.registrar.register_check(&operator, &check).await.is_ok(),
            // Two files change, and the undo file records the old content.
            agent
                .registrar
                .register_service(&operator, &ServiceDefinition { port: 81, ..web.clone() }, true)
                .await
                .is_ok(),
            agent.own_tokens.set(&operator, TokenKind::Agent, Secret::new(CANARY.to_owned())).await.is_ok(),
        ];
        assert_eq!(holds(&bench.disk, CANARY), [""; 0], "killed after {changes}");
        if done.iter().all(|done| *done) {
            assert!(
                bench.disk.all().contains_key("acl-tokens.json")
                    && bench.disk.all().contains_key(&path_of("web"))
            );
            let bench = bench.restarted_with(keeping).await;
            let token =
                bench.agent.listing.local.look(|local| {
                    local.services.values().find_map(|record| record.registration.token.clone())
                });
            assert!(token.is_some_and(|token| token.matches(CANARY)), "what was sealed can be opened");
            break;
        }
    }
}

#[test]
fn n_118_what_was_kept_in_the_clear_is_sealed_when_it_is_read() {
    let disk = TestDisk::default();
    for name in ["web", "db"] {
        let (_, file) = keep(name).file().unwrap();
        disk.write_atomic(&file.path, &file.content.unwrap()).unwrap();
    }
    assert_eq!(holds(&disk, CANARY).len(), 2);
    let found = registrations(&disk, 7).load().unwrap();
    assert_eq!((found.services.len(), found.missing.len()), (2, 0));
    assert_eq!(holds(&disk, CANARY), [""; 0]);
    let again = registrations(&disk, 7).load().unwrap();
    assert_eq!(names(&again), names(&found));
    // From then on an unencrypted file is not ours.
    let (_, file) = keep("web").file().unwrap();
    disk.write_atomic(&file.path, &file.content.unwrap()).unwrap();
    let text = refused(&disk, 7);
    assert!(text.contains(&path_of("web")) && text.contains("not sealed"), "{text}");
}

#[test]
fn n_118_without_the_key_registrations_stay_shut_and_the_remedy_is_told() {
    let text = refused(&filled(), 8);
    assert!(text.contains("sealing.key_file") && text.contains("remove acl-tokens.json"), "{text}");
}

#[test]
fn n_114_a_changed_file_of_a_registration_is_never_taken() {
    let disk = filled();
    let path = path_of("web");
    let content = disk.read(&path).unwrap();
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 1;
        disk.write_atomic(&path, &changed).unwrap();
        match registrations(&disk, 7).load() {
            Err(error) => assert!(error.to_string().contains(&path), "byte {at}: {error}"),
            // White space and the like: the meaning is the same.
            Ok(found) => assert_eq!(names(&found), ["db", "web"], "byte {at}"),
        }
    }
    disk.write_atomic(&path, &disk.read(&path_of("db")).unwrap()).unwrap();
    assert!(refused(&disk, 7).contains(&path), "a file in the place of another");
}

#[test]
fn a_registration_that_vanished_is_told_by_name_once() {
    let disk = filled();
    disk.remove(&path_of("web")).unwrap();
    let found = registrations(&disk, 7).load().unwrap();
    assert_eq!(names(&found), ["db"]);
    assert_eq!(found.missing, [Missing { what: "service web".to_owned(), path: path_of("web") }]);
    assert_eq!(registrations(&disk, 7).load().unwrap().missing, []);
}

#[test]
fn what_was_deregistered_is_not_missing() {
    let disk = filled();
    let kept = registrations(&disk, 7);
    kept.load().unwrap();
    kept.carry_out(&[FileChange::DropService(InstanceId::parse("web").unwrap())]).unwrap();
    let found = registrations(&disk, 7).load().unwrap();
    assert_eq!((names(&found), found.missing.len()), (vec!["db"], 0));
}

#[test]
fn a_full_disk_takes_a_change_of_registrations_back_and_ends_nothing() {
    const BLOCK: usize = 4096;
    let names_of = |found: FoundOnDisk| names(&found).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let (mut refused, mut carried_out) = (0, 0);
    for free in 0..8 {
        let disk = MemoryDisk::new();
        let world = World::tokio().with_disk(Arc::new(disk.clone()));
        let kept = Registrations::new(Vault::new(&[Kek::from_bytes(&[7; 32]).unwrap()], &world));
        kept.load().unwrap();
        // A name file stays when its last name is removed, and exists before the change.
        kept.carry_out(&[keep("web")]).unwrap();
        kept.carry_out(&[FileChange::DropService(InstanceId::parse("web").unwrap())]).unwrap();
        disk.set_free(free * BLOCK);
        let outcome = kept.carry_out(&[keep("web")]);
        let expected: &[&str] = if outcome.is_ok() { &["web"] } else { &[] };
        if let Err(error) = outcome {
            assert!(!error.is_fatal(), "{free} blocks are free: {error}");
            refused += 1;
        } else {
            carried_out += 1;
        }
        let again = Registrations::new(Vault::new(&[Kek::from_bytes(&[7; 32]).unwrap()], &world));
        again.recover().unwrap();
        assert_eq!(names_of(again.load().unwrap()), expected, "{free} blocks are free");
    }
    assert!(
        refused > 1 && carried_out > 0,
        "{refused} and {carried_out}: the change fails in different places"
    );
}

#[test]
fn a_registration_writes_the_names_of_few_others() {
    let disk = TestDisk::default();
    let kept = registrations(&disk, 7);
    kept.load().unwrap();
    let mut largest = 0;
    for at in 0..256 {
        kept.carry_out(&[keep(&format!("service-{at}"))]).unwrap();
    }
    for (path, content) in disk.all() {
        largest = if path.starts_with("registered/") { largest.max(content.len()) } else { largest };
    }
    assert!(largest < 4096, "{largest} bytes of names");
    let before = disk.asked().writes;
    kept.carry_out(&[keep("service-7")]).unwrap();
    assert_eq!(disk.asked().writes - before, 1, "a change of what is named already names nothing anew");
}
