//! SIGHUP, `reload` and PUT agent/reload: the configuration is read again, and what can change does.

use concord_agent::{Agent, AgentTokens};
use concord_config::section::Config;
use concord_config::{Loaded, reload_diff};
use concord_rpc::RpcError;
use tracing::{info, warn};

use super::agent::AgentCommand;
use super::telemetry;
use crate::cli::Failure;
use crate::cli::agent::configuration::Configuration;

/// Reads the configuration again. If it cannot be used, nothing changes.
pub(super) async fn apply(
    command: &AgentCommand<'_>,
    running: &Loaded,
    agent: &Agent,
) -> Result<(), RpcError> {
    let Configuration { loaded, .. } = command.load().map_err(|failure| {
        let text = match failure {
            Failure::Input(text) => text,
            other => format!("{other:?}"),
        };
        warn!(%text, "the configuration was not reloaded");
        RpcError::Invalid(text)
    })?;
    for change in reload_diff(&running.config, &loaded.config) {
        if change.reloadable {
            info!(key = change.key, "reloaded");
        } else {
            warn!(key = change.key, "changed in the configuration, but takes effect only after a restart");
        }
    }
    telemetry::start_logs(loaded.config.log);
    let Config { definitions, acl, .. } = &loaded.config;
    agent.reload_definitions(&definitions.services, &definitions.checks).await?;
    let tokens = AgentTokens {
        default: acl.default_token.clone(),
        agent: acl.agent_token.clone(),
        config_file_service_registration: None,
    };
    agent.reload_tokens(tokens).await;
    Ok(())
}
