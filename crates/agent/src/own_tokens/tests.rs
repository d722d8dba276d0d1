//! Tests of tokens that are set, stored, loaded and used.

use std::time::Duration;

use concord_acl::{Labelled, Level, Right};
use concord_model::Secret;
use concord_rpc::{Caller, RpcError};

use super::*;
use crate::config::AgentConfig;
use crate::program::Program;
use crate::site::Site;
use crate::testing::{Bench, open, service_id, strict};

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// The default token and the agent's token.
fn used(bench: &Bench) -> [Option<String>; 2] {
    let now = bench.agent.report.site.now();
    [&now.acl.tokens.default, &now.acl.tokens.agent]
        .map(|token| token.as_ref().map(|token| token.expose().to_owned()))
}

fn texts(tokens: [&str; 2]) -> [Option<String>; 2] {
    tokens.map(|token| (!token.is_empty()).then(|| token.to_owned()))
}

fn vault(bench: &Bench) -> Vault {
    Vault::new(&bench.agent.config.keks, &bench.world)
}

fn load(bench: &Bench, config: AgentConfig) -> Result<OwnTokens, TokensError> {
    let (_, halt) = Program::new(config.node.clone());
    let (site, in_force) = Site::new(config, bench.world.clone(), bench.agent.scope.clone());
    OwnTokens::load(site, in_force, &vault(bench), halt)
}

/// The content of the file, decrypted.
fn kept(bench: &Bench) -> String {
    let vault = vault(bench);
    match vault.open(FILE, vault.raw(FILE).unwrap().unwrap()).unwrap() {
        Content::Sealed(content) => String::from_utf8(content.expose().to_vec()).unwrap(),
        Content::Clear(content) => panic!("in the clear: {content:?}"),
    }
}

fn keeping(config: &mut AgentConfig) {
    config.acl.token_persistence = true;
    config.acl.tokens.default = Some(secret("configured"));
}

async fn operator(bench: &Bench) -> Caller {
    let operator = bench.servers.token("operator", r#"agent "n1" { policy = "write" }"#);
    bench.caller(&operator).await
}

#[tokio::test(start_paused = true)]
async fn a_token_is_changed_by_who_may_write_to_the_agent() {
    let bench = Bench::new(strict());
    let operator = operator(&bench).await;
    let other =
        bench.servers.token("other", r#"agent "n1" { policy = "read" } agent "n2" { policy = "write" }"#);
    let other = bench.caller(&other).await;
    let refused = bench.agent.own_tokens.set(&other, TokenKind::Agent, secret("theirs")).await.unwrap_err();
    assert!(refused.to_string().contains("'agent:write' on \"n1\""), "{refused}");
    let nobody = bench.agent.callers.resolve(None).await.unwrap();
    assert!(
        bench
            .agent
            .own_tokens
            .set(&nobody, TokenKind::Agent, secret("theirs"))
            .await
            .unwrap_err()
            .is_denial()
    );
    assert_eq!(used(&bench), texts(["", ""]));
    bench.agent.own_tokens.set(&operator, TokenKind::Agent, secret("mine")).await.unwrap();
    assert_eq!(used(&bench), texts(["", "mine"]));
    bench.agent.own_tokens.set(&operator, TokenKind::Agent, secret("")).await.unwrap();
    assert_eq!(used(&bench), texts(["", ""]));
    assert!(!bench.world.disk.exists(FILE).unwrap(), "nothing is kept unless it is asked for");
}

#[tokio::test(start_paused = true)]
async fn while_acls_are_off_there_is_no_token_to_change() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let refused = bench.agent.own_tokens.set(&caller, TokenKind::Default, secret("x")).await;
    assert_eq!(refused, Err(RpcError::AclDisabled));
}

#[tokio::test(start_paused = true)]
async fn what_the_catalog_refused_is_told_again_with_the_new_token() {
    let bench = Bench::with(strict(), |config| {
        config.sync_interval = Duration::from_secs(24 * 3600);
        config.definitions.services = vec![serde_json::from_str(r#"{"Name":"web"}"#).unwrap()];
    });
    let later = || bench.world.clock.sleep(Duration::from_secs(5));
    let known = || bench.servers.look(|catalog| catalog.services.contains_key(&service_id("web")));
    later().await;
    assert!(!known(), "nobody may");
    let operator = operator(&bench).await;
    bench.servers.token("node", r#"node_prefix "" { policy = "write" }"#);
    bench.servers.token("files", r#"service_prefix "" { policy = "write" }"#);
    bench.agent.own_tokens.set(&operator, TokenKind::Agent, secret("node")).await.unwrap();
    later().await;
    assert!(!known(), "that token is for the node");
    let of_files = TokenKind::ConfigFileServiceRegistration;
    bench.agent.own_tokens.set(&operator, of_files, secret("files")).await.unwrap();
    later().await;
    assert!(known());
    let told = (Some("files".to_owned()), "web".to_owned());
    bench.servers.look(|catalog| assert!(catalog.told.contains(&told), "{:?}", catalog.told));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_token_uses_the_default_of_the_moment() {
    let bench = Bench::new(strict());
    let operator = operator(&bench).await;
    bench.servers.token("reader", r#"service "web" { policy = "read" }"#);
    let right = || Right::named(Labelled::Service, "web", Level::Read);
    assert!(bench.agent.callers.resolve(None).await.unwrap().require(&right()).is_err());
    bench.agent.own_tokens.set(&operator, TokenKind::Default, secret("reader")).await.unwrap();
    assert!(bench.agent.callers.resolve(None).await.unwrap().require(&right()).is_ok());
    bench.agent.own_tokens.set(&operator, TokenKind::Default, secret("")).await.unwrap();
    assert!(bench.agent.callers.resolve(None).await.unwrap().require(&right()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_kept_outlives_a_restart_and_goes_before_the_configuration() {
    let bench = Bench::with(strict(), keeping);
    assert_eq!(used(&bench), texts(["configured", ""]));
    let operator = operator(&bench).await;
    // Tokens of another program stay in the file.
    bench.world.disk.write_atomic(FILE, br#"{"replication":"r"}"#).unwrap();
    let bench = bench.restarted_with(keeping).await;
    assert_eq!(kept(&bench), r#"{"replication":"r"}"#, "what was in the clear is sealed when it is read");
    bench.agent.own_tokens.set(&operator, TokenKind::Default, secret("set")).await.unwrap();
    bench.agent.own_tokens.set(&operator, TokenKind::Agent, secret("a")).await.unwrap();
    assert_eq!(kept(&bench), r#"{"default":"set","agent":"a","replication":"r"}"#);
    let bench = bench.restarted_with(keeping).await;
    assert_eq!(used(&bench), texts(["set", "a"]));
    // Without persistence the file is ignored.
    let bench = bench.restarted_with(|config| config.acl.token_persistence = false).await;
    assert_eq!(used(&bench), texts(["", ""]));
    // A token that was removed comes back from the configuration.
    let bench = bench.restarted_with(keeping).await;
    bench.agent.own_tokens.set(&operator, TokenKind::Default, secret("")).await.unwrap();
    assert_eq!(used(&bench), texts(["", "a"]));
    let bench = bench.restarted_with(keeping).await;
    assert_eq!(used(&bench), texts(["configured", "a"]));
}

#[tokio::test(start_paused = true)]
async fn the_configuration_read_again_replaces_what_is_not_kept() {
    let configured = || TokensSection {
        default: Some(secret("new")),
        agent: Some(secret("new")),
        ..TokensSection::default()
    };
    let bench = Bench::new(strict());
    let operator = operator(&bench).await;
    bench.agent.own_tokens.set(&operator, TokenKind::Default, secret("set")).await.unwrap();
    bench.agent.own_tokens.reload(configured()).await;
    assert_eq!(used(&bench), texts(["new", "new"]));

    let bench = Bench::with(strict(), keeping);
    let operator = self::operator(&bench).await;
    bench.agent.own_tokens.set(&operator, TokenKind::Default, secret("set")).await.unwrap();
    bench.agent.own_tokens.reload(configured()).await;
    assert_eq!(used(&bench), texts(["set", "new"]));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_named_and_not_repeated() {
    let bench = Bench::with(strict(), keeping);
    bench.world.disk.write_atomic(FILE, b"{\"default\": \"s3cret\"\n").unwrap();
    let mut config = (*bench.agent.config).clone();
    let refused = load(&bench, config.clone()).unwrap_err().to_string();
    assert!(refused.contains("acl-tokens.json") && !refused.contains("s3cret"), "{refused}");
    // An agent that does not store tokens does not read the file.
    config.acl.token_persistence = false;
    assert!(load(&bench, config).is_ok());
}
